"""Who holds connections, comes in crowds or guesses: nobody else is shut out."""

import asyncio
import shutil
import ssl
import subprocess

import pytest
from starlette.routing import Route

from gtalk.hosting import gate, visits
from gtalk.hosting.answers import Page, image_stream, page
from gtalk.hosting.budget import Budget
from gtalk.hosting.listener import Listener
from tests.hosting.asking import PAGE, ask, exchange, get, status, visited


def certificate(folder) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = [str(folder / name) for name in ("key.pem", "cert.pem")]
    subprocess.run([*command, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    return context


@pytest.mark.parametrize("kind", ["silent", "half a head", "TLS handshake", "reads nothing"])
def test_who_holds_connections_shuts_out_nobody(kind: str, tmp_path) -> None:
    tls = certificate(tmp_path) if kind == "TLS handshake" else None
    routes = [*PAGE, Route("/large", page(Page("text/plain", b"x" * 3_000_000)))]
    sent = {"half a head": b"GET / HT", "TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    async def visit(port: int, listener: Listener) -> bytes:
        listener.arrivals, held = Budget(40.0, 1000.0), []
        for _ in range(300):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            if kind != "silent":
                writer.write(sent.get(kind, get("/large", Host="localhost")))
            held.append(writer)
        await asyncio.sleep(0.2)
        assert listener.visits.n_open <= visits.MOST_PASSING
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client if tls else None)
        writer.write(get("/", Host="localhost"))
        answer = await asyncio.wait_for(reader.read(), 5)
        for each in [*held, writer]:
            each.transport.abort()
        return answer

    answer = visited(visit, routes, tls=tls)
    assert answer.endswith(b"<p>hello")
    if tls:
        assert b"Strict" not in answer or b"Secure" in answer


def test_those_that_stay_have_places_of_their_own(monkeypatch) -> None:
    monkeypatch.setattr(visits, "MOST_STAYING", 3)

    async def endless():
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def visit(port: int, __: Listener) -> list[int]:
        answers, held = [], []
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get("/live.mjpg", Host="localhost"))
            answers.append(status(await reader.readline()))
            held.append(writer)
        answers.append(status(await ask(port, get("/", Host="localhost"))))
        for writer in held:
            writer.transport.abort()
        return answers

    assert visited(visit, [*PAGE, image_stream("/live.mjpg", endless)]) == [200, 200, 200, 503, 503, 200]


def test_arrivals_are_taken_up_at_a_pace() -> None:
    async def visit(port: int, listener: Listener) -> list[float]:
        listener.arrivals = Budget(20.0, 5.0)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await asyncio.gather(*(ask(port, get("/", Host="localhost")) for _ in range(20)))
        return [loop.time() - begin]

    (seconds,) = visited(visit)
    assert seconds > 0.5, "20 came at once, 5 were taken up at once"


def test_a_wrong_token_waits_for_its_answer_and_a_missing_one_does_not(monkeypatch) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(gate.asyncio, "sleep", note)
    assert exchange(get("/", Host="x"), token="secret", hosts=None)[0].split(b" ")[1] == b"401" and not waited
    assert exchange(get("/?token=guess", Host="x"), token="secret", hosts=None)[0].split(b" ")[1] == b"401"
    assert waited == [gate.GUESS_S]
