"""Live pages below the server's port: who gets in, whose conversation it is, and how they end."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gtalk.hosting.gate import guest_secret
from gtalk.media.video import read_video
from gtalk.serve import live
from gtalk.serve.server import Serving
from gtalk.viewer.audio.sources import PushSource
from tests.serve.serving import ADA, BEN, ask, needs_nginx, nginx_before, port_of, serving
from tests.viewer.live_servers import bursts


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    made = serving(tmp_path_factory.mktemp("serve"), most_live=3, draw="server")
    yield made
    made.stop()


def page(port: int, path: str = "/live/me/", key: str = ADA, **headers: str) -> ClientConnection:
    """The socket of a live page."""
    given = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(f"ws://127.0.0.1:{port}{path}media", additional_headers={**given, **headers}, open_timeout=30)


def moments(socket: ClientConnection, number: int) -> list[bytes]:
    """So many of the next ones; on a busy machine some without a picture."""
    found: list[bytes] = []
    while len(found) < number:
        message = socket.recv(timeout=20)
        if isinstance(message, bytes) and message[:1] == b"F":
            found.append(message)
    return found


def refused(opens: Callable[[], ClientConnection]) -> int:
    with pytest.raises(InvalidStatus) as error:
        opens()
    return error.value.response.status_code


def test_a_face_lives_below_the_servers_port(server: Serving) -> None:
    with page(port_of(server)) as socket:
        assert "hello" in json.loads(socket.recv(timeout=20))
        seen = moments(socket, 10)
        assert np.diff([np.frombuffer(one, "<f8", 1, 1)[0] for one in seen]).min() > 0.03
        while not any(b"\xff\xd8\xff" in one[:64] for one in seen):
            seen = moments(socket, 1)
        told = ask(server, "GET", "/metrics")[1]
        assert b"\ngtalk_live_sessions 1\n" in told and b"\ngtalk_live_visitors 1\n" in told
    assert ask(server, "GET", "/live/me/")[0] == 200
    assert ask(server, "GET", "/live/me")[0] == 307
    assert ask(server, "GET", "/live/nobody/")[0] == 404 == ask(server, "GET", "/live/me/nothing")[0]


def test_nobody_comes_in_without_a_key_and_a_guest_comes_no_farther(server: Serving) -> None:
    assert refused(lambda: page(port_of(server), key="")) == 401 == ask(server, "GET", "/live/me/", key="")[0]
    url = ask(server, "GET", "/v1/avatars/me/live")[1]["url"]
    path, _, token = url.partition("?token=")
    assert path == "/live/me/" and token == guest_secret(ADA, "/live/me/") != guest_secret(BEN, "/live/me/")
    assert ADA not in url
    assert ask(server, "GET", url, key="")[0] == 200
    with page(port_of(server), key=token) as socket:
        assert moments(socket, 1)
    for place in ("/v1/jobs", "/v1/avatars", "/metrics", "/docs", "/live/you/", "/live/me"):
        assert ask(server, "GET", place, key=token)[0] == 401, place
    assert ask(server, "GET", "/health", key="") == (200, {"state": "well"})


def test_clients_talk_to_a_face_each(server: Serving) -> None:
    with page(port_of(server)) as ada, page(port_of(server), key=BEN) as ben:
        moments(ada, 1)
        source = PushSource("text", audible=True, bounded=False)
        source.push(bursts(10))
        server.live._open["Ada", "me"].manager.main.session.play(source)
        heard = {"ada": False, "ben": False}
        end_s = time.monotonic() + 20
        while not heard["ada"] and time.monotonic() < end_s:
            for name, socket in (("ada", ada), ("ben", ben)):
                heard[name] |= any(bool(one[25]) for one in moments(socket, 1))
        moments(ben, 10)
        assert heard == {"ada": True, "ben": False}


def test_a_conversation_too_many_is_told_so(server: Serving) -> None:
    with page(port_of(server)), page(port_of(server), key=BEN), page(port_of(server), "/live/me/s/third/"):
        assert refused(lambda: page(port_of(server), "/live/me/s/fourth/")) == 503
        status, words = ask(server, "GET", "/live/me/s/fourth/")
        assert status == 503 and b"--most-live" in words
        assert ask(server, "GET", "/live/me/")[0] == 200, "what is open goes on"


def test_a_page_of_another_site_gets_no_socket(server: Serving) -> None:
    assert refused(lambda: page(port_of(server), Origin="http://evil.example")) == 403
    own = f"http://127.0.0.1:{port_of(server)}"
    page(port_of(server), Origin=own).close()


def test_pages_that_nobody_looks_at_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CLOSES_AFTER_S", 0.5)
    monkeypatch.setattr(live, "_LOOK_EVERY_S", 0.1)
    made = serving(tmp_path, most_live=1)
    try:
        with page(port_of(made)) as socket:
            moments(socket, 40)
            assert len(made.live.rooms) == 1
        end_s = time.monotonic() + 20
        while made.live.rooms:
            assert time.monotonic() < end_s
            time.sleep(0.1)
        with page(port_of(made), key=BEN) as socket:
            assert moments(socket, 1), "its place is free again"
    finally:
        made.stop()


def test_a_server_that_ends_finishes_recordings_and_frees_its_port(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = serving(tmp_path)
    port = port_of(made)
    with page(port) as socket:
        socket.send(json.dumps({"do": "record", "on": True}))
        moments(socket, 30)
        made.stop()
        with pytest.raises(ConnectionClosed):
            moments(socket, 1000)
    line = next(line for line in capfd.readouterr().err.splitlines() if "recording" in line)
    whole = Path(line.partition("whole: ")[2])
    assert len(read_video(whole)) >= 20
    whole.unlink()
    again = serving(tmp_path)
    again.stop()


def test_a_server_for_none_has_no_live_pages(tmp_path: Path) -> None:
    made = serving(tmp_path, most_live=0)
    try:
        assert ask(made, "GET", "/live/me/")[0] == 503
    finally:
        made.stop()


@needs_nginx
def test_behind_nginx_below_a_path(tmp_path: Path) -> None:
    """The configuration that compose.yaml uses: links, sockets, cookies, long answers."""
    made = serving(tmp_path)
    try:
        with nginx_before(made, tmp_path) as port:
            assert ask(port, "GET", "/faces/v1/avatars/me")[1]["links"]["live"] == "/faces/v1/avatars/me/live"
            url = ask(port, "GET", "/faces/v1/avatars/me/live")[1]["url"]
            assert url.startswith("/faces/live/me/?token=")
            assert ask(port, "GET", url, key="")[0] == 200
            with page(port, "/faces/live/me/", Origin=f"http://127.0.0.1:{port}") as socket:
                assert len(moments(socket, 30)) == 30
            assert refused(lambda: page(port, "/faces/live/me/", Origin="http://evil.example")) == 403
            status, told = ask(port, "POST", "/faces/v1/files", b"x" * 1_100_000)
            assert status == 413 and "1 MB" in told["error"]
            assert ask(port, "GET", "/faces/../v1/jobs")[0] == 404 == ask(port, "GET", "/facesv1/jobs")[0]
            log = (tmp_path / "stdout.log").read_text()
            assert '"GET /faces/live/me/" 200' in log and "token" not in log
    finally:
        made.stop()
