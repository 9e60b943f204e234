"""Names, folders and file systems as other people have them; outputs never take what is not theirs."""

import dataclasses
import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import cv2
import filelock
import numpy as np
import pytest
import yaml

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar, save_avatar
from gtalk.cli import main
from gtalk.config import from_mapping, load_yaml
from gtalk.dub.background import make_background
from gtalk.dub.batch import processes
from gtalk.dub.batch.jobs import read_jobs
from gtalk.dub.batch.run import run_batch
from gtalk.dub.config import DubConfig
from gtalk.dub.render import dub
from gtalk.errors import UserError
from gtalk.files import atomic_path, exclusive, require_replaceable, write_json
from gtalk.fit.run import load_config
from gtalk.fit.trainer import TrainerConfig
from gtalk.media.audio import write_wav
from gtalk.media.source import probe
from gtalk.reading import assets
from gtalk.reading.untrusted import read_image, read_json, read_text
from gtalk.types import AudioTrack, Motion
from gtalk.viewer.config import ViewConfig
from tests.avatar.small_gaussian import small_gaussian
from tests.support.toys import load_toy_character, speech_like, toy_character, write_toy_folder

CJK = "講演" * 40  # 240 bytes


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    write_wav(tmp_path / "s.wav", AudioTrack(speech_like(0.6)))
    return tmp_path / "s.wav"


def toy_dub(source: Path, output: Path, **options):
    character = toy_character(32)
    return dub(Path("toy"), source, output, DubConfig(**options), load=lambda _: character)


@pytest.mark.parametrize("name", ["take1:final.mp4", CJK + ".mp4", "concat:a.mov", "50%.webm", "a b'c.mp4"])
def test_outputs_with_unusual_names_are_made(name: str, sound: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy_dub(sound, Path(name), save_motion=Path(name).with_suffix(".motion.npz"))
    assert probe(tmp_path / name).has_audio
    assert len(Motion.load(Path(name).with_suffix(".motion.npz"))) == 15
    assert sorted(path.name[0] for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_name_that_no_file_can_have_is_refused_before_the_drawing(sound: Path, tmp_path: Path) -> None:
    for option in ({}, {"save_motion": tmp_path / (CJK * 2 + ".npz")}):
        output = tmp_path / ("a.mp4" if option else CJK * 2 + ".mp4")
        with pytest.raises(UserError, match="at most 255 bytes"):
            toy_dub(sound, output, **option)


def test_a_video_stays_although_its_motion_cannot_be_written(sound: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Motion, "save", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "gone")))
    with pytest.raises(OSError, match="gone"):
        toy_dub(sound, tmp_path / "a.mp4", save_motion=tmp_path / "a.motion.npz")
    assert probe(tmp_path / "a.mp4").has_video


@pytest.mark.parametrize(
    "what", [OSError(errno.ENOLCK, "no locks"), OSError(errno.ENOSYS, "none"), NotImplementedError()]
)
def test_file_systems_without_locks(what: Exception, tmp_path: Path, monkeypatch, caplog) -> None:
    def refuse(error: Exception):
        def acquire(*_, **__):
            raise error

        return acquire

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse(what))
    with exclusive(tmp_path / "me"):
        assert "no locks" in caplog.text
    monkeypatch.setattr(filelock.FileLock, "acquire", refuse(BlockingIOError(errno.EWOULDBLOCK, "held")))
    with pytest.raises(UserError, match="one that is running"), exclusive(tmp_path / "me"):
        pass


def test_file_systems_without_modes_keep_what_was_made(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_, **__: (_ for _ in ()).throw(PermissionError(errno.EPERM, "no modes")))
    write_json(tmp_path / "a.json", {"a": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="moved or deleted"), atomic_path(tmp_path / "out" / "a") as temporary:
        temporary.write_text("x")
        temporary.unlink()
        temporary.parent.rmdir()


def precious(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_forgotten_suffix_deletes_nothing(sound: Path, tmp_path: Path) -> None:
    write_toy_folder(tmp_path / "me")
    (tmp_path / "me" / "dataset").mkdir()
    (tmp_path / "me" / "dataset" / "a.jpg").write_bytes(b"hours of work")
    before = precious(tmp_path / "me")
    with pytest.raises(UserError, match="never replaced"):
        dub(tmp_path / "me", sound, tmp_path / "me", DubConfig(overwrite=True), load=load_toy_character)
    job = {"avatar": "me", "audio": "s.wav", "output": "me", "overwrite": True}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(job))
    with pytest.raises(UserError, match="never replaced"):
        read_jobs(tmp_path / "jobs.jsonl")
    assert precious(tmp_path / "me") == before


def test_a_folder_that_fills_while_it_is_drawn_is_kept(sound: Path, tmp_path: Path) -> None:
    output = tmp_path / "shots"
    output.mkdir()

    def put_something(_) -> None:
        (output / "thesis.txt").write_text("years")

    character = toy_character(32)
    with pytest.raises(UserError, match="never replaced"):
        dub(Path("toy"), sound, output, DubConfig(overwrite=True), put_something, load=lambda _: character)
    assert (output / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize("kind", ["link", "folder link", "pipe", "folder"])
def test_only_plain_files_are_ever_replaced(kind: str, sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("x")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "x").write_text("x")
    else:
        path.symlink_to(tmp_path / ("real" if kind == "folder link" else "real/x"))
    for action in (
        lambda: toy_dub(sound, path, overwrite=True),
        lambda: require_replaceable(path, overwrite=True),
    ):
        with pytest.raises(UserError, match="expected the name of a file"):
            action()
    assert (tmp_path / "real" / "x").read_text() == "x" and os.path.lexists(path)


def test_motion_and_export_ask_before_they_replace(tmp_path: Path, capsys) -> None:
    thesis = tmp_path / "thesis.npz"
    thesis.write_text("years")
    for command in (
        ["motion", "drive", "me", "a.wav", "-o", str(thesis)],
        ["motion", "edit", "a.npz", "-o", str(thesis)],
        ["motion", "track", "a.mp4", "-o", str(thesis)],
        ["motion", "pretrain", "ds", "-o", str(thesis)],
        ["export", "me", "-o", str(thesis)],
        ["eval", "me", "--json", str(thesis)],
    ):
        assert main(command) == 2
        assert "one that exists" in capsys.readouterr().err
    assert thesis.read_text() == "years"


def test_a_batch_does_again_what_another_motion_model_or_background_made(sound: Path, tmp_path: Path) -> None:
    write_toy_folder(tmp_path / "me")
    cv2.imwrite(str(tmp_path / "room.png"), np.full((32, 32, 3), 90, np.uint8))
    (tmp_path / "me" / "motion.safetensors").write_bytes(b"one")
    job = {"avatar": "me", "audio": "s.wav", "output": "a.mp4", "background": "room.png", "overwrite": True}
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text(json.dumps(job))

    def states() -> list[str]:
        return [done.state for done in run_batch(jobs, workers=1, load=load_toy_character).jobs]

    assert states() == ["done"] and states() == ["kept"]
    cv2.imwrite(str(tmp_path / "room.png"), np.full((33, 32, 3), 20, np.uint8))
    assert states() == ["done"] and states() == ["kept"]
    (tmp_path / "me" / "motion.safetensors").write_bytes(b"another")
    assert states() == ["done"]


@pytest.mark.parametrize("kind", ["link", "pipe", "device", "sparse"])
@pytest.mark.parametrize("name", ["avatar.json", "avatar.safetensors", "background.png"])
def test_avatar_folders_hold_plain_files_only(kind: str, name: str, tmp_path: Path) -> None:
    avatar, motion = small_gaussian()
    folder = tmp_path / "me"
    save_avatar(folder, avatar, provenance={}, consent=Consent("A", "I agree."), preview_motion=motion[0])
    path = folder / name
    if kind == "sparse":
        os.truncate(path, 9 << 30)
    else:
        path.rename(tmp_path / "private")
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "private")
    with pytest.raises(UserError, match=r"a link|no plain file|bytes, more than"):
        load_avatar(folder)


def test_pictures_are_checked_wherever_they_come_from(tmp_path: Path) -> None:
    picture = tmp_path / "room.png"
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    os.truncate(picture, 9 << 30)
    for read in (lambda: read_image(picture), lambda: make_background(str(picture), (32, 32), 25.0)):
        with pytest.raises(ValueError, match="more than"):
            read()
    data = bytearray(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    picture.write_bytes(data)
    with pytest.raises(UserError, match="60000x60000"):
        make_background(str(picture), (32, 32), 25.0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_as_editors_of_every_system_write_it(encoding: str, sound: Path, tmp_path: Path) -> None:
    write_toy_folder(tmp_path / "me")
    line = json.dumps({"avatar": "me", "audio": "s.wav", "output": "é.mp4"}, ensure_ascii=False)
    (tmp_path / "jobs.jsonl").write_bytes(f"{line}\r\n".encode(encoding))
    assert [job.output.name for job in read_jobs(tmp_path / "jobs.jsonl")] == ["é.mp4"]
    (tmp_path / "a.yaml").write_bytes("crf: 20\n".encode(encoding))
    assert load_yaml(DubConfig, tmp_path / "a.yaml").crf == 20
    (tmp_path / "a.json").write_bytes('{"a": 1}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"a": 1} and read_text(tmp_path / "a.json") == '{"a": 1}'


def test_yaml_that_stands_for_more_than_memory_holds(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (tmp_path / "a.yaml").write_text("\n".join(lines) + "\nsteps: *a11\n")
    start_s = time.monotonic()
    with pytest.raises(UserError, match="alias"):
        load_yaml(TrainerConfig, tmp_path / "a.yaml")
    assert time.monotonic() - start_s < 5
    (tmp_path / "a.yaml").write_text("steps: " + "[" * 50_000)
    with pytest.raises(UserError):
        load_yaml(TrainerConfig, tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trainer: {steps: -5}", "trainer.steps: expected 1 to"),
        ("trainer: {steps: 0}", "trainer.steps"),
        ("trainer: {size: 100000}", "trainer.size"),
        ("avatar: {count: -1}", "avatar.count"),
        ("avatar: {face_share: .nan}", "face_share"),
        ("rates: {position: .inf}", "rates.position"),
        ("loss: {dssim: -0.2}", "loss.dssim"),
        ("relocate_until: 7.0", "relocate_until"),
    ],
)
def test_numbers_out_of_range_are_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "fit.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        load_config("gaussian", str(tmp_path / "fit.yaml"))


def test_presets_are_in_range_and_wrong_values_are_shown_short() -> None:
    for renderer in ("gaussian", "radiance"):
        for preset in ("cpu", "gpu", "quality"):
            load_config(renderer, preset)
    with pytest.raises(UserError) as told:
        from_mapping(TrainerConfig, {"steps": ["x" * 10_000] * 100})
    assert len(str(told.value)) < 400
    assert yaml.safe_load("a: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [({"port": 70_000}, "--port"), ({"port": -1}, "--port"), ({"tls_key": Path("k.pem")}, "key without a certificate")],
)
def test_options_of_the_view_are_refused_in_words(options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        ViewConfig(**options)


def hang(folder: Path):
    """The first time it stops for good, as a library that waits for ever does."""
    mark = folder / "hung-once"
    if not mark.exists():
        mark.write_text("")
        os.kill(os.getpid(), signal.SIGSTOP)
    return load_toy_character(folder)


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(sound: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(processes, "_LOOK_S", 0.2)
    monkeypatch.setattr(processes, "HUNG_S", 20.0)  # a new process takes some seconds to begin with its signs of life
    write_toy_folder(tmp_path / "me")
    job = {"avatar": "me", "audio": "s.wav", "output": "a.mp4"}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(job))
    assert [done.state for done in run_batch(tmp_path / "jobs.jsonl", workers=1, load=hang).jobs] == ["done"]
    assert (tmp_path / "me" / "hung-once").exists()


def test_a_download_ends_at_the_known_size(tmp_path: Path, monkeypatch) -> None:
    asset = next(iter(assets.ASSETS.values()))
    served = []

    def flood(server: socket.socket) -> None:
        client, _ = server.accept()
        client.recv(4096)
        client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        try:
            for _ in range(100):
                client.sendall(bytes(1 << 20))
                served.append(1 << 20)
        except OSError:
            pass
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=flood, args=(server,), daemon=True).start()
        monkeypatch.setenv("GTALK_ASSETS", str(tmp_path))
        here = dataclasses.replace(asset, url=f"http://127.0.0.1:{server.getsockname()[1]}/")
        monkeypatch.setitem(assets.ASSETS, asset.name, here)
        with pytest.raises(UserError, match="more than the"):
            assets.get_asset(asset.name)
    assert sum(served) < 4 * asset.size_bytes and list(tmp_path.iterdir()) == []


def test_faults_of_the_machine_are_sentences(monkeypatch, capsys) -> None:
    module = sys.modules["gtalk.cli"]
    for error, words in (
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "me/frames/1.jpg"), "me/frames/1.jpg"),
    ):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(module, "_parsed", fail)
        assert main(["assets"]) == 2
        assert words in capsys.readouterr().err
