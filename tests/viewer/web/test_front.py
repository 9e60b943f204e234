"""The security table of the one public port: each attempt and what it gets."""

import asyncio
import contextlib
import dataclasses

import pytest

from gtalk.viewer.web.budget import Budget
from gtalk.viewer.web.front import Front
from gtalk.viewer.web.http import (
    INNER_HEADER,
    Download,
    Moved,
    Page,
    Route,
    Stream,
    Upstream,
    fixed,
    is_loopback,
)
from tests.viewer.web.asking import PAGE, ask, exchange, get, visited


def test_the_page_is_served_and_cannot_be_framed_elsewhere() -> None:
    answer, said = exchange(get("/", Host="localhost:1"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"<p>hello")
    assert b"X-Frame-Options: SAMEORIGIN" in answer
    assert not said


def test_a_page_that_is_named_may_frame_it_and_no_other() -> None:
    async def run() -> bytes:
        front = Front(fixed(dict(PAGE)), token=None, allowed_hosts=None, report=lambda _line: None)
        front.framed_by = "http://localhost:8090"
        try:
            return await ask(await front.start("127.0.0.1", 0, None), get("/", Host="localhost"))
        finally:
            await front.stop()

    assert b"frame-ancestors 'self' http://localhost:8090\r\n" in asyncio.run(run())
    assert b"frame-ancestors 'self'\r\n" in exchange(get("/", Host="localhost:1"))[0]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/nothing", Host="localhost"), 404),
        (get("/../../etc/passwd", Host="localhost"), 404),
        (get("/", Host="evil.example"), 403),
        (get("/"), 403),
        (
            get("/", Host="localhost", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image"),
            403,
        ),
        (
            get("/", Host="localhost", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe"),
            403,
        ),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_not_ours_is_refused_and_reported(request_bytes: bytes, status: int) -> None:
    answer, said = exchange(request_bytes)
    assert answer.split(b" ")[1] == str(status).encode()
    assert said[0].startswith(f"refused: {status}")


def test_a_token_is_asked_for_and_then_remembered() -> None:
    refused, _ = exchange(get("/", Host="x"), token="secret", hosts=None)
    wrong, _ = exchange(get("/?token=secre", Host="x"), token="secret", hosts=None)
    right, _ = exchange(get("/?token=secret", Host="x"), token="secret", hosts=None)
    cookie, _ = exchange(get("/", Host="x", Cookie="gtalk_token=secret"), token="secret", hosts=None)
    strange, _ = exchange(get("/", Host="x", Cookie='a="b; gtalk_token=\x01'), token="secret", hosts=None)
    assert [a.split(b" ")[1] for a in (refused, wrong, right, cookie, strange)] == [
        b"401",
        b"401",
        b"200",
        b"200",
        b"401",
    ]
    assert b"Set-Cookie: gtalk_token=secret; HttpOnly; SameSite=Strict" in right


def test_a_link_from_another_site_may_be_followed() -> None:
    navigation = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert exchange(get("/", Host="localhost", **navigation))[0].startswith(b"HTTP/1.1 200")


def test_a_recording_is_there_once_it_was_made(tmp_path) -> None:
    files: list = [None]
    routes = {"/recording.mp4": Download(lambda: files[0], "video/mp4", "gtalk.mp4")}
    nothing, said = exchange(get("/recording.mp4", Host="localhost"), routes)
    assert nothing.startswith(b"HTTP/1.1 404")
    assert said == ["refused: 404 nothing was recorded yet"]
    files[0] = tmp_path / "x.mp4"
    files[0].write_bytes(b"v" * 200_000)
    answer, _ = exchange(get("/recording.mp4", Host="localhost"), routes)
    assert answer.endswith(b"v" * 200_000)
    assert b'attachment; filename="gtalk.mp4"' in answer


def test_a_fault_behind_a_page_is_this_visitors_loss_alone() -> None:
    async def broken(_path: str):
        raise RuntimeError("no memory")

    said: list[str] = []

    async def run() -> bytes:
        front = Front(broken, token=None, allowed_hosts={"localhost"}, report=said.append)
        port = await front.start("127.0.0.1", 0, None)
        try:
            return await ask(port, get("/", Host="localhost"))
        finally:
            await front.stop()

    assert asyncio.run(run()).startswith(b"HTTP/1.1 500")
    assert said == ["failed: RuntimeError: no memory"]


def upstream_exchange(
    request: bytes,
    prefix: str = "/viser/",
    key: str | None = None,
    hosts: frozenset[str] | None = frozenset({"localhost"}),
) -> tuple[bytes, list[bytes]]:
    """Through a front to a server that records what it is sent."""
    heard: list[bytes] = []

    async def inner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    async def run() -> bytes:
        server = await asyncio.start_server(inner, "127.0.0.1", 0)
        upstream = Upstream("127.0.0.1", server.sockets[0].getsockname()[1], "/inner", "inner", PAGE["/"])
        if prefix == "/media":
            upstream = dataclasses.replace(upstream, page=None)
        front = Front(
            fixed({prefix: upstream}), token=None, allowed_hosts=hosts and set(hosts), report=lambda _: None, key=key
        )
        port = await front.start("127.0.0.1", 0, None)
        try:
            return await ask(port, request)
        finally:
            await front.stop()
            server.close()

    return asyncio.run(run()), heard


UPGRADE = {"Host": "localhost:1", "Upgrade": "websocket", "Connection": "Upgrade"}


def test_a_socket_is_piped_to_its_own_path_and_nothing_else_is() -> None:
    answer, heard = upstream_exchange(get("/viser/?x=1", **UPGRADE))
    assert answer.endswith(b"ok") and heard[0].startswith(b"GET /inner HTTP/1.1\r\n")
    answer, heard = upstream_exchange(get("/viser/", Host="localhost:1"))
    assert answer.endswith(b"<p>hello") and not heard
    answer, heard = upstream_exchange(get("/viser/a/b.js", **UPGRADE))
    assert answer.split(b" ")[1] == b"404" and not heard


def test_the_front_alone_knows_the_inner_secret() -> None:
    forged = {INNER_HEADER: "guess", INNER_HEADER.lower(): "guess"}
    _, heard = upstream_exchange(get("/viser/", **UPGRADE, **forged))
    assert heard[0].lower().count(INNER_HEADER.lower().encode()) == 1
    assert f"{INNER_HEADER}: inner".encode() in heard[0]


def test_websockets_of_other_origins_are_refused() -> None:
    refused, heard = upstream_exchange(get("/viser/", Origin="https://evil.example", **UPGRADE))
    assert refused.split(b" ")[1] == b"403"
    assert not heard
    answer, heard = upstream_exchange(get("/viser/", Origin="http://localhost:1", **UPGRADE))
    assert answer.endswith(b"ok")
    assert b"Upgrade: websocket" in heard[0]


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        # nginx with its default Host, with $host, and with a header of its own; the page's key in the address
        ({"Host": "127.0.0.1:8080", "Origin": "https://talk.example"}, "/media?key=K", b"ok"),
        ({"Host": "talk.example", "Origin": "https://talk.example:8443"}, "/media?key=K", b"ok"),
        ({"Host": "inner:80", "Origin": "https://t.example", "X-Forwarded-Host": "t.example"}, "/media", b"ok"),
        # the cookie counts where the proxy changed the name, not for another port of the page's own machine
        ({"Host": "127.0.0.1:8080", "Origin": "https://talk.example", "Cookie": "gtalk_page=K"}, "/media", b"ok"),
        ({"Host": "talk.example:1", "Origin": "http://talk.example:2", "Cookie": "gtalk_page=K"}, "/media", b"403"),
        ({"Host": "127.0.0.1:8080", "Origin": "https://evil.example"}, "/media?key=wrong", b"403"),
        ({"Host": "127.0.0.1:8080", "Origin": "https://evil.example", "Cookie": "gtalk_page=no"}, "/media", b"403"),
    ],
)
def test_behind_a_proxy_the_pages_own_key_lets_its_sockets_in(headers: dict, path: str, status: bytes) -> None:
    request = get(path, **headers, Upgrade="websocket", Connection="Upgrade")
    answer, _ = upstream_exchange(request, prefix="/media", key="K", hosts=None)
    assert answer.endswith(status) if status == b"ok" else answer.split(b" ")[1] == status


def test_a_page_that_is_refused_is_told_which_header_to_pass_on() -> None:
    where = {"Host": "127.0.0.1:8080"}
    answer, _ = upstream_exchange(get("/media?origin=https://talk.example", **where), prefix="/media", key="K")
    assert b"200 OK" in answer and b"proxy_set_header Host $http_host" in answer
    answer, _ = upstream_exchange(get("/media?origin=https://talk.example&key=K", **where), prefix="/media", key="K")
    assert b"proxy_set_header Upgrade" in answer
    answer, _ = exchange(get("/", Host="talk.example"))
    assert answer.split(b" ")[1] == b"403" and b"start with --token" in answer


@pytest.mark.parametrize("token", ["a+b&c#d;e", "a b", "ü%41", 'x="y"\\'])
def test_any_token_works_in_an_address_and_as_a_cookie(token: str) -> None:
    from urllib.parse import quote

    shown, _ = exchange(get(f"/?token={quote(token, safe='')}", Host="x"), token=token, hosts=None)
    assert shown.split(b" ")[1] == b"200"
    kept = next(line for line in shown.decode().split("\r\n") if line.startswith("Set-Cookie: gtalk_token"))
    cookie = kept.removeprefix("Set-Cookie: ").partition(";")[0]
    assert exchange(get("/", Host="x", Cookie=cookie), token=token, hosts=None)[0].split(b" ")[1] == b"200"


def test_what_is_refused_opens_nothing() -> None:
    asked: list[str] = []

    async def router(path: str) -> Route | None:
        asked.append(path)
        return None

    upgrade = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade"}

    async def visit(port: int, front: Front) -> list[bytes]:
        requests = [
            get("/s/x/media", Origin="https://evil.example", **upgrade), get("/s/x/", Host="evil.example"),
            get("/s/x/", Host="localhost", Sec_Fetch_Site="cross-site"),
            b"POST /s/x/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ]  # fmt: skip
        return [(await ask(port, request)).split(b" ")[1] for request in requests]

    assert visited(visit, router) == [b"403", b"403", b"403", b"405"] and asked == []


def test_a_socket_that_is_opened_too_often_is_refused() -> None:
    async def inner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async def visit(port: int, front: Front) -> list[bytes]:
        server = await asyncio.start_server(inner, "127.0.0.1", 0)
        to = Upstream("127.0.0.1", server.sockets[0].getsockname()[1], "/", openings=Budget(0.01, 2.0))
        front._router = fixed({"/media": to})
        answers = [(await ask(port, get("/media", **UPGRADE))).split(b" ")[1] for _ in range(4)]
        server.close()
        return answers

    assert visited(visit) == [b"200", b"200", b"429", b"429"]


def test_pages_say_where_their_parts_may_come_from() -> None:
    answer = exchange(get("/", Host="localhost"))[0]
    for line in (b"Content-Security-Policy: default-src 'self'", b"frame-ancestors 'self'", b"object-src 'none'",
                 b"Cross-Origin-Resource-Policy: same-origin", b"Referrer-Policy: no-referrer"):  # fmt: skip
        assert line in answer
    packed = {"/": Page("text/html", b"plain", b"packed")}
    assert exchange(get("/", Host="localhost", Accept_Encoding="gzip, br"), packed)[0].endswith(b"packed")
    assert exchange(get("/", Host="localhost"), packed)[0].endswith(b"plain")
    moved = exchange(get("/?token=x", Host="localhost"), {"/": Moved("viser/")})[0]
    assert moved.split(b" ")[1] == b"307" and b"Location: viser/?token=x\r\n" in moved


@pytest.mark.parametrize("line", [b"X: a\nX-Gtalk-Front: guess", b"X: a\0b", b"X: a\rb"])
def test_lines_within_lines_are_no_request(line: bytes) -> None:
    answer = exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\n")[0]
    assert answer.split(b" ")[1] == b"400"


def test_a_image_stream_is_multipart() -> None:
    async def images():
        for part in (b"one", b"two"):
            yield part

    answer, _ = exchange(get("/live.mjpg", Host="localhost"), {"/live.mjpg": Stream("gtalk", images)})
    assert b"multipart/x-mixed-replace; boundary=gtalk" in answer
    assert answer.count(b"--gtalk\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\n") == 2


def test_a_visitor_who_leaves_leaves_nothing() -> None:
    async def run() -> int:
        front = Front(fixed(PAGE), token=None, allowed_hosts={"localhost"}, report=lambda _: None)
        port = await front.start("127.0.0.1", 0, None)
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HT")
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await asyncio.sleep(0.1)
        await front.stop()
        return front.n_open

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("a.b", False),
    ],
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
