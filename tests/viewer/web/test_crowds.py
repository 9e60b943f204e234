"""Who holds connections, comes in crowds or guesses: nobody else is shut out."""

import asyncio
import shutil
import ssl
import subprocess

import pytest

from gtalk.viewer.web import front as front_module
from gtalk.viewer.web.budget import Budget
from gtalk.viewer.web.front import Front
from gtalk.viewer.web.http import (
    Page,
    Route,
    Stream,
    fixed,
)
from tests.viewer.web.asking import PAGE, ask, exchange, get, visited


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
def test_who_holds_connections_shuts_out_nobody(kind: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(front_module, "_ARRIVALS_AT_ONCE", 1000.0)
    tls = certificate(tmp_path) if kind == "TLS handshake" else None
    page = {"/": PAGE["/"], "/large": Page("text/plain", b"x" * 3_000_000)}
    sent = {"half a head": b"GET / HT", "TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"}
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    async def visit(port: int, front: Front) -> bytes:
        held = []
        for _ in range(300):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            if kind != "silent":
                writer.write(sent.get(kind, get("/large", Host="localhost")))
            held.append(writer)
        await asyncio.sleep(0.2)
        assert front.n_open <= front_module._MOST_PASSING + 8
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client if tls else None)
        writer.write(get("/", Host="localhost"))
        answer = await asyncio.wait_for(reader.read(), 5)
        for each in [*held, writer]:
            each.transport.abort()
        return answer

    answer = visited(visit, fixed(page), tls)
    assert answer.endswith(b"<p>hello")
    if tls:
        assert b"Strict" not in answer or b"Secure" in answer


def test_those_that_stay_have_places_of_their_own(monkeypatch) -> None:
    monkeypatch.setattr(front_module, "_MOST_STAYING", 3)

    async def endless():
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def visit(port: int, front: Front) -> list[bytes]:
        answers, held = [], []
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(get("/live.mjpg", Host="localhost"))
            answers.append((await reader.readline()).split(b" ")[1])
            held.append(writer)
        answers.append((await ask(port, get("/", Host="localhost"))).split(b" ")[1])
        for writer in held:
            writer.transport.abort()
        return answers

    routes: dict[str, Route] = {**PAGE, "/live.mjpg": Stream("gtalk", endless)}
    assert visited(visit, fixed(routes)) == [b"200", b"200", b"200", b"503", b"503", b"200"]


def test_arrivals_are_taken_up_at_a_pace(monkeypatch) -> None:
    async def visit(port: int, front: Front) -> list[float]:
        front._arrivals = Budget(20.0, 5.0)
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

    monkeypatch.setattr(front_module.asyncio, "sleep", note)
    assert exchange(get("/", Host="x"), token="secret", hosts=None)[0].split(b" ")[1] == b"401" and not waited
    assert exchange(get("/?token=guess", Host="x"), token="secret", hosts=None)[0].split(b" ")[1] == b"401"
    assert waited == [front_module._GUESS_S]
