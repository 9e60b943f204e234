import pytest

from gtalk.errors import UserError
from gtalk.viewer.webrtc.ice import ice_servers


def test_servers_are_read_as_browsers_and_headers_want_them() -> None:
    stun, turn = ice_servers(["stun:stun.example.org:3478", "turn:me:se:cret@[2001:db8::1]:443?transport=tcp"])
    assert stun.plain() == {"urls": "stun:stun.example.org:3478"}
    assert turn.plain() == {
        "urls": "turn:[2001:db8::1]:443?transport=tcp", "username": "me", "credential": "se:cret",
    }  # fmt: skip
    assert stun.link == '<stun:stun.example.org:3478>; rel="ice-server"'
    assert 'username="me"; credential="se:cret"' in turn.link


@pytest.mark.parametrize("word", ["", "http://x", "turn:host:3478", "stun:", 'stun:a"b', "stun:a b"])
def test_what_is_no_server_is_refused(word: str) -> None:
    with pytest.raises(UserError, match="--ice"):
        ice_servers([word])
