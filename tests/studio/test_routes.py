"""What the page asks for, over HTTP: the recording's whole way, and every refusal as a sentence."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gtalk.errors import UserError
from gtalk.files import no_room, write_json
from gtalk.studio import desk as desk_module
from gtalk.studio import library, takes
from gtalk.studio.config import StudioConfig
from gtalk.studio.desk import Desk
from gtalk.studio.looking import Looker
from gtalk.studio.routes import record_routes, work_routes
from tests.studio.films import film

PERSON = {"person": "Ada", "statement": "I am Ada and agree to this avatar.", "language": "en"}


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "studio", StudioConfig())


@pytest.fixture
def client(desk) -> TestClient:
    return TestClient(Starlette(routes=[*record_routes(desk), *work_routes(desk)]))


def avatar_in(desk: Desk, name: str = "bob") -> Path:
    """An avatar that the command line made."""
    folder = desk.library.root / name
    folder.mkdir(parents=True)
    write_json(folder / "avatar.json", {"consent": {"person": "Bob"}})
    write_json(folder / "motion.json", {})
    cv2.imwrite(str(folder / "preview.jpg"), np.zeros((8, 8, 3), np.uint8))
    return folder


def recorded(client: TestClient, tmp_path: Path, part: str = "read") -> str:
    name = client.post("api/takes", json=PERSON).json()["name"]
    data = film(tmp_path / "film.webm")
    for number, piece in enumerate((data[:3000], data[3000:])):
        assert client.put(f"api/takes/{name}/{part}/0.webm/{number}", content=piece).status_code == 201
    answer = client.post(f"api/takes/{name}/{part}/0.webm/close", json={"count": 2, "seconds": 42.0})
    assert answer.json() == {"clip": f"{part}.0.webm"}
    return name


def test_from_consent_to_a_job_and_its_command(client, desk, tmp_path) -> None:
    name = recorded(client, tmp_path)
    [entry] = client.get("api/state").json()["avatars"]
    assert entry["parts"]["read"]["seconds"] == 42.0 and entry["new_clips"] and not entry["avatar"]
    job = client.post(f"api/avatars/{name}/make").json()
    folder = desk.library.root / name
    assert job["command"] == (
        f"gtalk train {folder}/clips/read.0.webm -o {desk.library.entry(name).to_make()} "
        "--person Ada --consent 'I am Ada and agree to this avatar.'"
    )
    [waiting] = client.get("api/state").json()["jobs"]
    assert waiting["state"] == "waiting" and waiting["kind"] == "train"


def test_pieces_that_are_missing_are_asked_for(client, tmp_path) -> None:
    name = client.post("api/takes", json=PERSON).json()["name"]
    client.put(f"api/takes/{name}/read/0.webm/2", content=b"x")
    answer = client.post(f"api/takes/{name}/read/0.webm/close", json={"count": 4})
    assert answer.status_code == 409 and answer.json() == {"missing": [0, 1, 3]}
    assert client.get(f"api/takes/{name}/read/0.webm").json() == {"held": [2], "joined": False}


def test_no_consent_no_recording(client, desk) -> None:
    answer = client.post("api/takes", json=PERSON | {"statement": "I do not agree to anything."})
    assert answer.status_code == 422 and "sentence with 'not'" in answer.json()["error"]["text"]
    assert client.get("api/state").json()["avatars"] == []


def test_a_full_disk_is_a_code_that_the_page_knows(client, tmp_path, monkeypatch) -> None:
    name = client.post("api/takes", json=PERSON).json()["name"]

    def full(_handle: int) -> None:
        raise no_room(tmp_path)

    monkeypatch.setattr(takes.os, "fsync", full)
    answer = client.put(f"api/takes/{name}/read/0.webm/0", content=b"x")
    assert answer.status_code == 507 and answer.json()["error"]["code"] == "disk_full"
    monkeypatch.setattr(library.Library, "disk", lambda _self: {"free": 10, "enough": False})
    assert client.post("api/takes", json=PERSON).status_code == 507


def test_uploads_that_are_too_large_or_no_video(client, monkeypatch, tmp_path) -> None:
    name = client.post("api/takes", json=PERSON).json()["name"]
    client.put(f"api/takes/{name}/upload/0.mp4/0", content=b"no film" * 99)
    answer = client.post(f"api/takes/{name}/upload/0.mp4/close", json={"count": 1})
    assert answer.status_code == 422 and answer.json()["error"]["remedy"]
    answer = client.put(f"api/takes/{name}/upload/1.mp4/999", content=b"x")
    assert answer.status_code == 422 and "gtalk train" in answer.json()["error"]["text"]
    monkeypatch.setattr("gtalk.studio.routes.MOST_PIECE_BYTES", 10)
    assert client.put(f"api/takes/{name}/upload/2.mp4/0", content=b"x" * 11).status_code == 413


def test_library_rename_delete_and_an_avatar_of_the_command_line(client, desk) -> None:
    avatar_in(desk)
    [entry] = client.get("api/state").json()["avatars"]
    assert (entry["name"], entry["title"], entry["avatar"], entry["recorded"]) == ("bob", "Bob", True, False)
    assert client.post("api/avatars/bob/title", json={"title": "  Bob  the second "}).status_code == 200
    assert client.get("api/state").json()["avatars"][0]["title"] == "Bob the second"
    assert client.post("api/avatars/bob/title", json={"title": " "}).status_code == 422
    assert client.get("api/avatars/bob/preview.jpg").headers["content-type"] == "image/jpeg"
    assert client.request("DELETE", "api/avatars/bob", json={"confirm": "ann"}).status_code == 422
    closed: list[str] = []
    desk.close_live = closed.append
    assert client.request("DELETE", "api/avatars/bob", json={"confirm": "bob"}).status_code == 200 and closed == ["bob"]
    assert client.get("api/state").json()["avatars"] == [] and not (desk.library.root / "bob").exists()


def test_films_measures_and_messages_are_queued_with_their_commands(client, desk, tmp_path) -> None:
    from gtalk.media.audio import write_wav
    from gtalk.types import AUDIO_RATE, AudioTrack

    folder = avatar_in(desk)
    write_wav(tmp_path / "a.wav", AudioTrack(np.zeros(AUDIO_RATE, np.float32)))
    sound = (tmp_path / "a.wav").read_bytes()
    film_job = client.post("api/avatars/bob/dub?file=Grüße 1.wav", content=sound).json()
    assert film_job["command"] == (
        f"gtalk dub {folder} {folder}/sounds/grue-1.wav -o {folder}/films/grue-1.mp4 --overwrite"
    )
    assert "grue-1-2.mp4" in client.post("api/avatars/bob/dub?file=Grüße 1.wav", content=sound).json()["command"]
    assert "gtalk eval" in client.post("api/avatars/bob/evaluate").json()["command"]
    shared = client.post("api/avatars/bob/export/web?sound=grue-1").json()["command"]
    assert f"--format web -o {folder}/share --audio {folder}/sounds/grue-1.wav" in shared
    assert "--format glb" in client.post("api/avatars/bob/export/glb").json()["command"]
    assert client.post("api/avatars/bob/export/exe").status_code == 422
    assert client.post("api/avatars/bob/export/web?sound=nothing").status_code == 422
    refused = client.post("api/avatars/bob/dub?file=notes.txt", content=b"hello " * 100)
    assert refused.status_code == 422 and "notes.txt" in refused.json()["error"]["text"]
    assert [path.name for path in desk.library.root.iterdir() if path.name.startswith(".sound")] == []
    assert client.get("api/avatars/bob/files/sounds/grue-1.wav").status_code == 200


@pytest.mark.parametrize(
    "path", ["../bob/avatar.json", "avatar.json", "sounds/../avatar.json", "", "sounds", "clips/x"]
)
def test_only_what_was_made_is_served(client, desk, path) -> None:
    avatar_in(desk)
    assert client.get(f"api/avatars/bob/files/{path}").status_code == 404


def test_a_message_is_downloaded_in_one_file(client, desk, tmp_path) -> None:
    import io
    import zipfile

    folder = avatar_in(desk)
    assert client.get("api/avatars/bob/share.zip").status_code == 404
    (folder / "share").mkdir()
    (folder / "share" / "index.html").write_text("hello")
    answer = client.get("api/avatars/bob/share.zip")
    assert zipfile.ZipFile(io.BytesIO(answer.content)).read("index.html") == b"hello"
    assert not list(desk.library.root.glob(".zip-*")), "nothing is left"


@pytest.mark.parametrize(
    ("path", "status"), [("", 200), ("app.js", 200), ("texts/de.json", 200), ("style.css", 200), ("desk.py", 404),
                         ("texts/fr.json", 404), ("api/avatars/nobody/preview.jpg", 422), ("../config.py", 404)]
)  # fmt: skip
def test_pages(client, path, status) -> None:
    assert client.get(f"/{path}").status_code == status


def test_meeting_and_phones_need_a_host_that_can(client, desk) -> None:
    avatar_in(desk)
    assert client.post("api/avatars/bob/meet").status_code == 422

    async def live(_name: str, avatar: Path) -> dict:
        return {"port": 1234, "token": ""}

    async def phone() -> dict:
        return {"url": "https://192.168.1.2:9000/?token=x", "fingerprint": "AA:BB"}

    desk.open_live, desk.open_phone = live, phone
    assert client.post("api/avatars/bob/meet").json() == {
        "port": 1234, "token": "", "command": f"gtalk view {desk.library.root / 'bob'}",
    }  # fmt: skip
    told = client.post("api/phone", json={"take": "ada"}).json()
    assert told["url"].endswith("?token=x#take=ada") and told["qr"].startswith("<svg")


def test_what_is_no_request_of_ours(client) -> None:
    for body in (b"[1]", b"{", b"[" * 5000):
        assert client.post("api/takes", content=body).status_code == 422
    assert client.post("api/takes", json={"person": 5}).status_code == 422
    assert client.post("api/look", content=b"no jpeg").status_code == 422
    assert client.post("api/jobs/7/stop").status_code == 422 and client.post("api/jobs/7/explode").status_code == 404


def test_spoken_consent_goes_along_and_older_avatars_go(desk, client, tmp_path) -> None:
    name = recorded(client, tmp_path)
    take = desk.library.entry(name).take
    take.put("consent", 0, 0, "webm", b"I agree")
    take.close("consent", 0, "webm", 1, 3.0)
    made, old = desk.library.entry(name).to_make(), desk.library.root / name / "made-00000000"
    for folder in (old, made):
        folder.mkdir()
        write_json(folder / "avatar.json", {})
        write_json(folder / "motion.json", {})
        time.sleep(0.02)
    job = desk_module.Job(1, "train", name, [], str(made))
    desk._done(job)
    assert not old.exists() and (made / "consent.webm").read_bytes() == b"I agree"
    assert client.get("api/state").json()["avatars"][0]["new_clips"] is False


def test_looks_are_told_as_they_are(client, desk, monkeypatch) -> None:
    seen: list[tuple] = []
    monkeypatch.setattr(
        Looker, "look", lambda _self, jpeg, take, known: seen.append((jpeg, take, known)) or {"faces": 0}
    )
    name = client.post("api/takes", json=PERSON).json()["name"]
    desk.library.entry(name).take.note(shape={"looks": 8, "points": []})
    assert client.post(f"api/look?take={name}", content=b"jpeg").json() == {"faces": 0}
    assert seen == [(b"jpeg", name, {"looks": 8, "points": []})]
    with pytest.raises(UserError):
        desk.look(b"jpeg", "nobody")
