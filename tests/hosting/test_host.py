"""Who may come in, and what holds nothing for long."""

import http.client
import socket
import time
from collections.abc import Iterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gtalk.hosting import protocols
from gtalk.hosting.gate import VISITOR
from gtalk.hosting.host import Host


async def who(request: Request) -> PlainTextResponse:
    return PlainTextResponse(repr(getattr(request.state, VISITOR, None)))


def opened(**options) -> Host:
    quiet = {"token": None, "report": lambda _line: None, "cookie": "gtalk", **options}
    made = Host([Route("/", who, methods=["GET", "POST"])], "127.0.0.1", **quiet)
    made.start(0)
    return made


@pytest.fixture
def door() -> Iterator[Host]:
    made = opened(keys={"a-key-of-sixteen": "Ada", "b-key-of-sixteen": "Ben"})
    yield made
    made.stop()


def ask(port: int, method: str = "GET", path: str = "/", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    out = answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return out


@pytest.mark.parametrize(("key", "name"), [("a-key-of-sixteen", "Ada"), ("b-key-of-sixteen", "Ben")])
def test_a_key_says_whose_it_is(door: Host, key: str, name: str) -> None:
    status, text, headers = ask(door.port, authorization=f"Bearer {key}")
    assert (status, text) == (200, repr(name))
    assert headers["x-content-type-options"] == "nosniff" and "set-cookie" not in headers
    assert ask(door.port, path=f"/?token={key}")[2]["set-cookie"].startswith("gtalk=")
    assert ask(door.port, cookie=f"gtalk={key}")[1] == repr(name)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nothing"}, {"authorization": "a-key-of-sixteen"}])
def test_without_one_nothing_is_told(door: Host, headers: dict[str, str]) -> None:
    status, text, _ = ask(door.port, **headers)
    assert status == 401 and "Bearer" in text


def test_loopback_lets_in_who_says_its_name_and_no_other_site() -> None:
    open_door = opened()
    try:
        assert ask(open_door.port, host="localhost")[0] == 200
        assert ask(open_door.port, host="rebound.example")[0] == 403
        assert ask(open_door.port, "POST", origin="https://evil.example")[0] == 403
        assert ask(open_door.port, sec_fetch_site="cross-site")[0] == 403
    finally:
        open_door.stop()


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT"])
def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch, begun: bytes) -> None:
    monkeypatch.setattr(protocols, "HEAD_TIMEOUT_S", 0.3)
    open_door = opened()
    try:
        with socket.create_connection(("127.0.0.1", open_door.port), timeout=10) as slow:
            slow.sendall(begun)
            heard, end_s = [], time.monotonic() + 10
            while time.monotonic() < end_s and (not heard or heard[-1]):
                heard.append(_read(slow))
            assert heard[-1] == b"", "it was closed"
            assert (b"200 OK" in b"".join(heard)) == (b"\r\n\r\n" in begun)
    finally:
        open_door.stop()


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_the_port_is_free_again() -> None:
    first = opened()
    first.stop()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", first.port))
        assert probe.getsockname()[1] == first.port
