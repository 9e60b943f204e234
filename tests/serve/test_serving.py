"""The REST server: what it tells, what it takes, what it refuses, and that jobs outlive it."""

import http.client
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gtalk.errors import UserError
from gtalk.media.audio import read_audio, write_wav
from gtalk.serve.config import read_keys
from gtalk.serve.server import Serving
from gtalk.types import AudioTrack
from tests.serve.serving import ADA, BEN, JSON, ask, serving
from tests.support.toys import speech_like


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    made = serving(tmp_path_factory.mktemp("serve"), most_waiting=3)
    yield made
    made.stop()


def sound(seconds: float = 0.3) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_wav(Path(folder) / "s.wav", AudioTrack(speech_like(seconds)))
        return (Path(folder) / "s.wav").read_bytes()


def begun(server: Serving, key: str = ADA, **wish: Any) -> dict[str, Any]:
    if not {"audio", "text"} & wish.keys():
        wish["audio"] = ask(server, "POST", "/v1/files?name=s.wav", sound(), key)[1]["file"]
    status, job = ask(server, "POST", "/v1/avatars/me/dubs", wish, key, **JSON)
    assert status == 202, job
    return job


def ended(server: Serving, job: dict[str, Any], key: str = ADA) -> dict[str, Any]:
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        now = ask(server, "GET", f"/v1/jobs/{job['id']}", key=key)[1]
        if now["state"] in ("done", "failed"):
            return now
        time.sleep(0.05)
    raise AssertionError("it does not end")


def test_it_tells_its_avatars_and_describes_itself(server: Serving) -> None:
    status, told = ask(server, "GET", "/v1/avatars")
    assert status == 200 and [one["name"] for one in told["avatars"]] == ["me"]
    assert told["avatars"][0]["links"]["dubs"] == "/v1/avatars/me/dubs" and told["avatars"][0]["generated"] is True
    api = ask(server, "GET", "/openapi.json")[1]
    assert api["openapi"].startswith("3.1") and "/v1/jobs/{id}/events" in api["paths"]
    wishes = api["components"]["schemas"]["Dub"]["properties"]
    assert wishes["mouth"]["maximum"] == 2 and "mp4" in wishes["format"]["enum"] and "sign_key" not in wishes
    for name in _refs(api):
        assert name in api["components"]["schemas"], name
    assert b"docs.js" in ask(server, "GET", "/docs")[1]
    assert ask(server, "GET", "/health")[1] == {"state": "well"}


def _refs(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key == "$ref":
            yield inner.rpartition("/")[2]
        yield from _refs(inner)


def test_a_dub_of_a_file_from_wish_to_result(server: Serving, tmp_path: Path) -> None:
    job = begun(server, background="#00ff00")
    connection = http.client.HTTPConnection("127.0.0.1", server._host.port, timeout=60)
    connection.request("GET", job["links"]["events"], headers={"authorization": f"Bearer {ADA}"})
    told = [line for line in connection.getresponse().read().decode().splitlines() if line.startswith("data: ")]
    last = json.loads(told[-1].removeprefix("data: "))
    assert last["state"] == "done", last["error"]
    assert last["progress"] == 1 and last["n_frames"] == 8
    status, video = ask(server, "GET", last["links"]["result"])
    assert status == 200
    (tmp_path / "dub.mp4").write_bytes(video)
    assert len(read_audio(tmp_path / "dub.mp4").samples) / 16_000 == pytest.approx(0.32, abs=0.1)
    assert ask(server, "GET", last["links"]["result"], range="bytes=0-9")[0] == 206
    assert b'gtalk_jobs{state="done"}' in ask(server, "GET", "/metrics")[1]
    assert ask(server, "DELETE", job["links"]["self"])[0] == 204
    assert ask(server, "GET", job["links"]["self"])[0] == 404
    assert not (server.config.jobs / "jobs" / job["id"]).exists()


def test_clients_see_their_own_jobs_and_files_alone(server: Serving) -> None:
    job = begun(server)
    assert ask(server, "GET", job["links"]["self"], key=BEN)[0] == 404
    assert ask(server, "GET", "/v1/jobs", key=BEN)[1] == {"jobs": []}
    file = ask(server, "POST", "/v1/files?name=s.wav", sound())[1]["file"]
    status, told = ask(server, "POST", "/v1/avatars/me/dubs", {"audio": file}, BEN, **JSON)
    assert status == 422 and "that you have sent" in told["error"]
    assert ask(server, "GET", "/v1/avatars", key="none")[0] == 401
    assert ended(server, job)["state"] == "done"
    ask(server, "DELETE", job["links"]["self"])


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({}, "'audio', 'text' or 'motion' is missing"),
        ({"text": "hello", "output": "/etc/x"}, "output"),
        ({"text": "hello", "sign_key": "k.pem"}, "sign_key"),
        ({"audio": "/etc/passwd"}, "file:ID"),
        ({"audio": "file:" + "0" * 32}, "that you have sent"),
        ({"text": "hello", "background": "/etc/passwd"}, "a colour"),
        ({"text": "hello", "voice": "cmd:rm"}, "voice"),
        ({"text": "hello", "voice": "http://10.0.0.1/v1"}, "voice"),
        ({"text": "notes.txt"}, "text"),
        ({"text": "x" * 30_000}, "20000 characters"),
        ({"text": "hello", "format": "exe"}, "format"),
        ({"text": "hello", "mouth": 9}, "mouth"),
        ({"text": "hello", "crf": "best"}, "crf"),
        ({"text": "hello", "emotoin": "happy:0.5"}, "Did you mean `emotion`?"),
        (["text"], "a JSON object"),
        (b"{", "JSON"),
    ],
)
def test_what_is_wrong_is_told_and_leaves_nothing(server: Serving, wish: Any, words: str) -> None:
    before = sorted((server.config.jobs / "jobs").glob("*"))
    status, told = ask(server, "POST", "/v1/avatars/me/dubs", wish, **JSON)
    assert status == 422 and words in told["error"], told
    assert sorted((server.config.jobs / "jobs").glob("*")) == before
    assert ask(server, "POST", "/v1/avatars/nobody/dubs", {"text": "hi"}, **JSON)[0] == 404


def test_uploads_and_queues_have_an_end(server: Serving) -> None:
    status, told = ask(server, "POST", "/v1/files", b"x" * 1_100_000)
    assert status == 413 and "1 MB" in told["error"]
    assert ask(server, "POST", "/v1/files", b"")[0] == 422
    assert not list((server.config.jobs / "files").glob(".*"))
    jobs = [begun(server, audio=ask(server, "POST", "/v1/files?name=l.wav", sound(20.0))[1]["file"]) for _ in range(3)]
    status, told = ask(server, "POST", "/v1/avatars/me/dubs", {"text": "one too many"}, **JSON)
    assert status == 429 and "at most 3" in told["error"]
    for job in jobs:  # the first is under way: its worker is ended, and another one goes on
        assert ask(server, "DELETE", job["links"]["self"])[0] == 204
    assert ended(server, begun(server))["state"] == "done"


def test_behind_a_proxy_links_have_its_path(server: Serving) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server._host.port, timeout=30)
    headers = {"authorization": f"Bearer {ADA}", "x-forwarded-prefix": "/faces", "host": "example.org"}
    connection.request("GET", "/v1/avatars/me", headers=headers)
    told = json.loads(connection.getresponse().read())
    assert told["links"]["self"] == "/faces/v1/avatars/me"
    connection.request("GET", "/v1/avatars/me", headers={**headers, "x-forwarded-prefix": "//evil.example"})
    assert json.loads(connection.getresponse().read())["links"]["self"] == "/v1/avatars/me"


def test_a_server_that_ends_goes_on_with_its_jobs(tmp_path: Path) -> None:
    first = serving(tmp_path)
    file = ask(first, "POST", "/v1/files?name=l.wav", sound(8.0))[1]["file"]
    jobs = [begun(first, audio=file) for _ in range(2)]
    with pytest.raises(UserError, match="another server"):
        serving(tmp_path)
    first.stop()
    second = serving(tmp_path)
    try:
        assert [ended(second, job)["state"] for job in jobs] == ["done", "done"]
    finally:
        second.stop()


def test_the_tour_of_the_documentation_runs(tmp_path: Path) -> None:
    """The commands of docs/guides/serve.md, word for word, but for the address and the key."""
    made = serving(tmp_path)
    (tmp_path / "speech.wav").write_bytes(sound())
    text = (Path(__file__).parents[2] / "docs" / "guides" / "serve.md").read_text()
    tour = text.partition("<!-- tour -->")[2].partition("<!-- end of tour -->")[0]
    lines = [line[4:] for line in tour.splitlines() if line.startswith("    ")]
    script = "\n".join(["set -e", *lines]).replace("http://localhost:8090", f"http://localhost:{made._host.port}")
    try:
        done = subprocess.run(["bash", "-c", script.replace("$KEY", ADA)], cwd=tmp_path, capture_output=True, text=True,
                              timeout=100, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        assert (tmp_path / "hello.mp4").stat().st_size > 1000 and (tmp_path / "dub.mp4").stat().st_size > 1000
    finally:
        made.stop()
    assert threading.active_count() < 50


@pytest.mark.parametrize("text", ["", "short Ada", "# nothing"])
def test_a_file_of_keys_must_hold_some(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(UserError, match="key"):
        read_keys(tmp_path / "keys")
