"""Ports and who may come in: the page on loopback, a phone with a certificate and a token."""

import json
import ssl
import urllib.error
import urllib.request

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gtalk.errors import UserError
from gtalk.hosting.host import Host
from gtalk.studio.certificate import fingerprint, own_certificate
from gtalk.studio.config import StudioConfig
from gtalk.studio.server import Studio


async def hello(_request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def asked(url: str, context: ssl.SSLContext | None = None, method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def door():
    door = Host([Route("/", hello, methods=["GET", "POST"])], "127.0.0.1", token=None, report=lambda _line: None)
    door.start(0)
    yield door
    door.stop()


@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        ({}, "GET", 200),
        ({"Host": "evil.example"}, "GET", 403),
        ({"Sec_Fetch_Site": "cross-site"}, "GET", 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}, "GET", 200),
        ({"Origin": "https://evil.example"}, "POST", 403),
        ({}, "POST", 200),
    ],
)
def test_other_sites_and_other_names_are_refused(door, headers, method, status) -> None:
    assert asked(door.url, method=method, **headers)[0] == status


def test_a_phone_comes_by_https_with_a_token_and_sees_the_fingerprint_that_was_told(tmp_path) -> None:
    certificate, key, shown = own_certificate(tmp_path, "127.0.0.1")
    assert own_certificate(tmp_path, "127.0.0.1")[2] == shown, "kept, since the phone remembers it"
    assert key.stat().st_mode & 0o077 == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    door = Host([Route("/", hello)], "127.0.0.1", token="a secret", tls=context, report=print, cookie="gtalk")
    door.start(0)
    try:
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", door.port)))
        assert fingerprint(der) == shown
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert asked(door.url, trusting) == (200, "hello")
        status, words = asked(door.url.partition("?")[0], trusting)
        assert status == 401 and "token" in words
        cookie = "gtalk=a%20secret"
        assert asked(door.url.partition("?")[0], trusting, Cookie=cookie)[0] == 200
    finally:
        door.stop()


def test_a_studio_opens_says_what_there_is_and_lets_a_phone_in(tmp_path) -> None:
    studio = Studio(tmp_path / "studio", StudioConfig(port=0))
    studio.start()
    try:
        status, words = asked(studio.url + "api/state")
        assert status == 200 and json.loads(words)["phone"] and json.loads(words)["avatars"] == []
        phone = json.loads(asked(studio.url + "api/phone", method="POST")[1])
        assert phone["url"].startswith("https://") and "?token=" in phone["url"] and len(phone["fingerprint"]) == 95
        assert json.loads(asked(studio.url + "api/phone", method="POST")[1]) == phone, "one port, however often asked"
        port = studio._door.port
        with pytest.raises(UserError, match=f"port {port}: expected a free port"):
            Studio(tmp_path / "other", StudioConfig(port=port)).start()
    finally:
        studio.stop()


@pytest.mark.parametrize("options", [{"port": -1}, {"port": 70_000}, {"size": 3}])
def test_options_out_of_range(options) -> None:
    with pytest.raises(UserError, match="Choose one of these"):
        StudioConfig(**options)
