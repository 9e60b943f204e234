"""The security table of the one public port: each attempt and what it gets."""

import asyncio
import contextlib
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gtalk.hosting.answers import Page, download, image_stream, moved, page
from gtalk.hosting.budget import Budget
from gtalk.hosting.gate import forwarded_root, is_loopback
from gtalk.hosting.sockets import opened, socket_routes
from tests.hosting.asking import SOCKET, UPGRADE, ask, echo, exchange, get, listening, status, visited


def test_the_page_is_served_and_cannot_be_framed_elsewhere() -> None:
    answer, said = exchange(get("/", Host="localhost:1"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"<p>hello")
    assert b"x-frame-options: sameorigin" in answer.lower()
    assert not said


def test_a_page_that_is_named_may_frame_it_and_no_other() -> None:
    named = exchange(get("/", Host="localhost"), framed_by="http://localhost:8090")[0]
    assert b"frame-ancestors 'self' http://localhost:8090\r\n" in named
    assert b"frame-ancestors 'self'\r\n" in exchange(get("/", Host="localhost:1"))[0]


@pytest.mark.parametrize(
    ("request_bytes", "wanted"),
    [
        (get("/nothing", Host="localhost"), 404),
        (get("/../../etc/passwd", Host="localhost"), 404),
        (get("/", Host="evil.example"), 403),
        (get("/"), 400),
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
def test_what_is_not_ours_is_refused_and_reported(request_bytes: bytes, wanted: int) -> None:
    answer, said = exchange(request_bytes)
    assert status(answer) == wanted
    assert said[0].startswith(f"refused: {wanted}")


def test_a_token_is_asked_for_and_then_remembered() -> None:
    refused, _ = exchange(get("/", Host="x"), token="secret", hosts=None)
    wrong, _ = exchange(get("/?token=secre", Host="x"), token="secret", hosts=None)
    right, _ = exchange(get("/?token=secret", Host="x"), token="secret", hosts=None)
    cookie, _ = exchange(get("/", Host="x", Cookie="gtalk_token=secret"), token="secret", hosts=None)
    strange, _ = exchange(get("/", Host="x", Cookie='a="b; gtalk_token=?'), token="secret", hosts=None)
    assert [status(each) for each in (refused, wrong, right, cookie, strange)] == [401, 401, 200, 200, 401]
    assert b"set-cookie: gtalk_token=secret; HttpOnly; SameSite=Strict" in right
    bearer, _ = exchange(get("/", Host="x", Authorization="Bearer secret"), token="secret", hosts=None)
    other, _ = exchange(get("/", Host="x", Authorization="Basic secret"), token="secret", hosts=None)
    assert status(bearer) == 200 and b"gtalk_token" not in bearer and status(other) == 401
    assert status(exchange(get("/", Host="x"), token="secret", hosts=None, open_paths=["/"])[0]) == 200


@pytest.mark.parametrize(
    ("path", "token", "wanted", "cookie"),
    [
        ("/live/me/", "guest", 200, "gtalk_token=guest; HttpOnly; SameSite=Strict; Path=/faces/live/me/"),
        ("/live/me/", "secret", 200, "gtalk_token=secret; HttpOnly; SameSite=Strict; Path=/faces/"),
        ("/live/you/", "guest", 401, ""),
        ("/live/me", "guest", 401, ""),
        ("/", "guest", 401, ""),
    ],
)
def test_a_guest_gets_to_one_place(path: str, token: str, wanted: int, cookie: str) -> None:
    async def name(request: Request) -> Response:
        return Response(request.state.visitor)

    asked = get(f"{path}?token={token}", Host="x", X_Forwarded_Prefix="/faces")
    options = {"token": "secret", "hosts": None, "guests": {"guest": ("Ada", "/live/me/")}}
    answer, _ = exchange(asked, [Route("/{rest:path}", name)], **options)
    assert status(answer) == wanted
    assert cookie.encode() in answer
    assert answer.endswith(b"Ada") == (wanted == 200 and token == "guest")


@pytest.mark.parametrize(
    ("told", "root"),
    [("/faces", "/faces"), ("/a/b/", "/a/b"), ("//evil.example", "/r"), ("/x;y", "/r"), ("", "/r"), ("/\xe9", "/r")],
)
def test_what_a_proxy_says_of_its_path_is_believed_where_it_is_one(told: str, root: str) -> None:
    headers = [(b"x-forwarded-prefix", told.encode("latin-1"))]
    assert forwarded_root(Request({"type": "http", "headers": headers}), "/r") == root


def test_cookies_are_secure_behind_a_proxy_that_speaks_tls() -> None:
    behind, _ = exchange(get("/?token=t", Host="x", X_Forwarded_Proto="https"), token="t", hosts=None)
    assert b"Path=/; Secure" in behind
    assert b"Secure" not in exchange(get("/?token=t", Host="x"), token="t", hosts=None)[0]


def test_what_changes_something_is_not_asked_for_by_another_site() -> None:
    async def change(request: Request) -> Response:
        return Response(await request.body())

    routes, body = [Route("/do", change, methods=["POST"])], b"\r\nContent-Length: 2\r\n\r\nhi"
    for origin, wanted in (("http://localhost", 200), ("https://evil.example", 403)):
        head = get("/do", Host="localhost", Origin=origin).replace(b"GET", b"POST")
        assert status(exchange(head[:-4] + body, routes)[0]) == wanted


def test_a_link_from_another_site_may_be_followed() -> None:
    navigation = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert exchange(get("/", Host="localhost", **navigation))[0].startswith(b"HTTP/1.1 200")


def test_a_recording_is_there_once_it_was_made(tmp_path) -> None:
    files: list = [None]
    routes = [download("/recording.mp4", lambda: files[0], "video/mp4", "gtalk.mp4", "nothing was recorded yet")]
    nothing, said = exchange(get("/recording.mp4", Host="localhost"), routes)
    assert nothing.startswith(b"HTTP/1.1 404")
    assert said == ["refused: 404 nothing was recorded yet"]
    files[0] = tmp_path / "x.mp4"
    files[0].write_bytes(b"v" * 200_000)
    answer, _ = exchange(get("/recording.mp4", Host="localhost"), routes)
    assert answer.endswith(b"v" * 200_000)
    assert b'attachment; filename="gtalk.mp4"' in answer


def test_a_fault_behind_a_page_is_this_visitors_loss_alone() -> None:
    async def broken(_request: Request) -> Response:
        raise RuntimeError("no memory")

    answer, said = exchange(get("/", Host="localhost"), [Route("/", broken)])
    assert status(answer) == 500
    assert said == ["failed: RuntimeError: no memory"]


def test_a_socket_has_its_own_path_and_its_page_may_stand_beside_it() -> None:
    routes = socket_routes("/viser/", echo, page(Page("text/html", b"<p>hello")))
    answer, _ = exchange(get("/viser/?x=1", Host="localhost:1", **UPGRADE), routes)
    assert status(answer) == 101 and b"\x81\x02ok" in answer
    assert exchange(get("/viser/", Host="localhost:1"), routes)[0].endswith(b"<p>hello")
    assert status(exchange(get("/viser/a/b.js", Host="localhost:1", **UPGRADE), routes)[0]) == 404
    assert status(exchange(get("/media", Host="localhost:1"), socket_routes("/media", echo))[0]) == 426


def test_websockets_of_other_origins_are_refused() -> None:
    for origin, wanted in (("https://evil.example", 403), ("http://localhost:1", 101)):
        answer, _ = exchange(get("/media", Origin=origin, Host="localhost:1", **UPGRADE), SOCKET)
        assert status(answer) == wanted


@pytest.mark.parametrize(
    ("headers", "path", "wanted"),
    [
        # nginx with its default Host, with $host, and with a header of its own; the page's key in the address
        ({"Host": "127.0.0.1:8080", "Origin": "https://talk.example"}, "/media?key=K", 101),
        ({"Host": "talk.example", "Origin": "https://talk.example:8443"}, "/media?key=K", 101),
        ({"Host": "inner:80", "Origin": "https://t.example", "X-Forwarded-Host": "t.example"}, "/media", 101),
        # the cookie counts where the proxy changed the name, not for another port of the page's own machine
        ({"Host": "127.0.0.1:8080", "Origin": "https://talk.example", "Cookie": "gtalk_page=K"}, "/media", 101),
        ({"Host": "talk.example:1", "Origin": "http://talk.example:2", "Cookie": "gtalk_page=K"}, "/media", 403),
        ({"Host": "127.0.0.1:8080", "Origin": "https://evil.example"}, "/media?key=wrong", 403),
        ({"Host": "127.0.0.1:8080", "Origin": "https://evil.example", "Cookie": "gtalk_page=no"}, "/media", 403),
    ],
)
def test_behind_a_proxy_the_pages_own_key_lets_its_sockets_in(headers: dict, path: str, wanted: int) -> None:
    assert status(exchange(get(path, **headers, **UPGRADE), SOCKET, key="K", hosts=None)[0]) == wanted


def test_a_page_that_is_refused_is_told_which_header_to_pass_on() -> None:
    where, routes = {"Host": "127.0.0.1:8080"}, socket_routes("/media", echo)
    answer, _ = exchange(get("/media?origin=https://talk.example", **where), routes, key="K")
    assert status(answer) == 200 and b"proxy_set_header Host $http_host" in answer
    answer, _ = exchange(get("/media?origin=https://talk.example&key=K", **where), routes, key="K")
    assert b"proxy_set_header Upgrade" in answer
    answer, _ = exchange(get("/", Host="talk.example"))
    assert status(answer) == 403 and b"start with --token" in answer


@pytest.mark.parametrize("token", ["a+b&c#d;e", "a b", "ü%41", 'x="y"\\'])
def test_any_token_works_in_an_address_and_as_a_cookie(token: str) -> None:
    shown, _ = exchange(get(f"/?token={quote(token, safe='')}", Host="x"), token=token, hosts=None)
    assert status(shown) == 200
    kept = next(line for line in shown.decode().split("\r\n") if line.startswith("set-cookie: gtalk_token"))
    cookie = kept.removeprefix("set-cookie: ").partition(";")[0]
    assert status(exchange(get("/", Host="x", Cookie=cookie), token=token, hosts=None)[0]) == 200


def test_what_is_refused_opens_nothing() -> None:
    asked: list[str] = []

    async def opens(request: Request) -> Response:
        asked.append(request.url.path)
        return Response()

    async def opens_too(websocket: WebSocket) -> None:
        asked.append(websocket.url.path)

    async def visit(port: int, _) -> list[int]:
        requests = [
            get("/s/x/media", Origin="https://evil.example", Host="localhost", **UPGRADE),
            get("/s/x/", Host="evil.example"),
            get("/s/x/", Host="localhost", Sec_Fetch_Site="cross-site"),
            b"POST /s/x/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ]
        return [status(await ask(port, request)) for request in requests]

    routes = [Route("/s/x/", opens), WebSocketRoute("/s/x/media", opens_too)]
    assert visited(visit, routes) == [403, 403, 403, 405] and asked == []


def test_a_socket_that_is_opened_too_often_is_refused() -> None:
    openings = Budget(0.01, 2.0)

    async def rarely(websocket: WebSocket) -> None:
        opened(openings)
        await echo(websocket)

    async def visit(port: int, _) -> list[int]:
        return [status(await ask(port, get("/media", Host="localhost", **UPGRADE))) for _ in range(4)]

    assert visited(visit, [WebSocketRoute("/media", rarely)]) == [101, 101, 429, 429]


def test_pages_say_where_their_parts_may_come_from() -> None:
    answer = exchange(get("/", Host="localhost"))[0].lower()
    for line in (b"content-security-policy: default-src 'self'", b"frame-ancestors 'self'", b"object-src 'none'",
                 b"cross-origin-resource-policy: same-origin", b"referrer-policy: no-referrer"):  # fmt: skip
        assert line in answer
    packed = [Route("/", page(Page("text/html", b"plain", b"packed")))]
    assert exchange(get("/", Host="localhost", Accept_Encoding="gzip, br"), packed)[0].endswith(b"packed")
    assert exchange(get("/", Host="localhost"), packed)[0].endswith(b"plain")
    led = exchange(get("/?token=x", Host="localhost"), [Route("/", moved("viser/"))])[0]
    assert status(led) == 307 and b"location: viser/?token=x\r\n" in led


def test_a_large_page_comes_whole() -> None:
    for size in (16 * 1024, 16 * 1024 + 1, 1_000_000):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert exchange(get("/", Host="localhost"), [Route("/", page(Page("text/plain", body)))])[0].endswith(body)


@pytest.mark.parametrize("line", [b"X: a\nX-Gtalk-Front: guess", b"X: a\0b", b"X: a\rb"])
def test_lines_within_lines_are_no_request(line: bytes) -> None:
    answer = exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\n")[0]
    assert status(answer) == 400


def test_an_image_stream_is_multipart() -> None:
    async def images():
        for part in (b"one", b"two"):
            yield part

    answer, _ = exchange(get("/live.mjpg", Host="localhost"), [image_stream("/live.mjpg", images)])
    assert b"multipart/x-mixed-replace; boundary=gtalk" in answer
    assert answer.count(b"--gtalk\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\n") == 2


def test_a_visitor_who_leaves_leaves_nothing() -> None:
    async def run() -> int:
        async with listening(hosts={"localhost"}) as (port, listener):
            for _ in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HT")
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await asyncio.sleep(0.1)
            return listener.visits.n_open

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
