"""Faults of the machine: full disks, unwritable homes, two processes, broken numbers, clocks, any number of threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar, save_avatar
from gtalk.config import from_mapping, to_mapping
from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.files import exclusive, write_json
from gtalk.fit.checkpoint import TrainerState, save_checkpoint
from gtalk.fit.events import DoneEvent, RollbackEvent
from gtalk.fit.gaussian import model as gaussian_model
from gtalk.fit.radiance import model as radiance_model
from gtalk.fit.trainer import DivergedError, train
from gtalk.media.audio import write_wav
from gtalk.media.output.writer import write_video
from gtalk.types import AudioTrack
from tests.avatar.small_gaussian import small_gaussian
from tests.avatar.small_radiance import small_avatar
from tests.fit.small_fit import small_config
from tests.support.synthetic_dataset import make_synthetic_dataset

ROOM_BYTES = 256 << 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a quarter of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount a file system")
    yield folder
    if subprocess.run(["umount", str(folder)], check=False).returncode:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        pytest.fail("a file on the full disk was left open")


def writers() -> dict:
    noise = np.random.default_rng(0).integers(0, 255, (4, 256, 256, 3), np.uint8)
    motion = small_avatar()[1]
    crowd = motion.concatenate([motion] * 40)
    crowd = crowd.replace(landmarks=crowd.landmarks + np.random.default_rng(0).normal(0, 1e-3, crowd.landmarks.shape))
    big = {"x": torch.rand(400, 400)}
    return {
        "motion": lambda folder: crowd.save(folder / "a.motion.npz"),
        "json": lambda folder: write_json(folder / "a.json", list(range(200_000))),
        "wav": lambda folder: write_wav(folder / "a.wav", AudioTrack(noise.reshape(-1) / 255.0)),
        "checkpoint": lambda folder: save_checkpoint(folder / "c.safetensors", big, torch.zeros(3), TrainerState("x")),
        "avatar": lambda folder: save_avatar(
            folder / "me", small_avatar()[0], provenance={}, consent=Consent("a", "b"), preview_motion=motion[0]
        ),
        "video": lambda folder: write_video(folder / "a.mov", noise, 25.0),
        "images": lambda folder: write_video(folder / "shots", noise, 25.0),
    }


@pytest.mark.parametrize("name", ["motion", "json", "wav", "checkpoint", "avatar", "video", "images"])
def test_a_full_disk_is_said_and_nothing_half_written_stays(name: str, small_disk: Path) -> None:
    with pytest.raises(UserError, match="enough room on the disk"):
        writers()[name](small_disk)
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


def test_the_old_file_survives_a_full_disk(small_disk: Path) -> None:
    write_json(small_disk / "a.json", {"a": 1})
    with pytest.raises(UserError, match="enough room"):
        write_json(small_disk / "a.json", list(range(200_000)))
    assert (small_disk / "a.json").read_text() == '{\n  "a": 1\n}\n'


HOLD = "import sys, time; from pathlib import Path; from gtalk.files import exclusive\n"
HOLD += "with exclusive(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_two_processes_do_not_write_to_one_folder_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "me")], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="one that is running"), exclusive(tmp_path / "me"):
            pass
        with exclusive(tmp_path / "you"):
            pass
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
    for _ in range(2):
        with exclusive(tmp_path / "me"):
            pass
    assert list(tmp_path.iterdir()) == [], "the lock goes with its owner"


HOMELESS = """
import sys
from pathlib import Path
import numpy as np
from gtalk.cli import main
from gtalk.dub import dub
from gtalk.media.audio import write_wav
from gtalk.speech.features import SpeechFeatures
from gtalk.types import AudioTrack
from tests.support.toys import load_toy_character, speech_like, write_toy_folder

folder = Path(sys.argv[1])
assert main(["assets", "list"]) == 0
sound = speech_like(1.0)
stream = SpeechFeatures().stream()
assert len(stream.push(sound)) + len(stream.finish()) > 90
write_wav(folder / "a.wav", AudioTrack(sound))
write_toy_folder(folder / "me")
dub(folder / "me", folder / "a.wav", folder / "a.mp4", load=load_toy_character)
"""


def test_a_home_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    nowhere = {name: "/proc/nowhere" for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, **nowhere, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    environment.pop("GTALK_ASSETS", None)
    command = [sys.executable, "-c", HOMELESS, str(tmp_path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "a.mp4").stat().st_size > 1000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return make_synthetic_dataset(tmp_path_factory.mktemp("faults") / "ds", n_frames=24, size=40)


def small_fit(kind: str, steps: int):
    """(model, trainer config) of a fit of seconds."""
    torch.set_num_threads(1)
    if kind == "radiance":
        config = small_config(steps, checkpoint_every=8)
        return radiance_model.make_model(config), config.trainer
    trainer = {"size": 40, "steps": steps, "report_every": 8, "preview_every": 0, "checkpoint_every": 8}
    config = from_mapping(gaussian_model.FitConfig, {"avatar": {"count": 300}, "trainer": trainer})
    return gaussian_model.make_model(config), config.trainer


def poisoned(model, at: set[int], value: float):
    """The model, whose step number `at` (from 1) leaves one number of one parameter broken, as a gradient would."""
    step, count = model.train_step, 0

    def broken_step(frames, progress, rng):
        nonlocal count
        count += 1
        result = step(frames, progress, rng)
        if count in at:
            name = "base" if "base" in model.state() else "avatar.head.fine"
            state = model.state()
            name = name if name in state else next(n for n, t in state.items() if n.endswith((".fine", "base")))
            state[name].detach().reshape(-1)[7] = value
        return result

    model.train_step = broken_step
    return model


@pytest.mark.parametrize("kind", ["gaussian", "radiance"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [13, 24])
def test_a_broken_gradient_is_rolled_back_and_never_handed_out(kind, value, at, dataset, tmp_path: Path) -> None:
    model, config = small_fit(kind, 24)
    events = list(train(poisoned(model, {at}, value), dataset, tmp_path, config))
    rollbacks = [event for event in events if isinstance(event, RollbackEvent)]
    assert len(rollbacks) == 1 and rollbacks[0].back_to in {8, 16}
    assert isinstance(events[-1], DoneEvent)
    assert all(bool(t.isfinite().all()) for t in events[-1].avatar.tensors().values() if t.is_floating_point())


def test_gradients_that_are_always_broken_end_with_words(dataset, tmp_path: Path) -> None:
    model, config = small_fit("gaussian", 24)
    with pytest.raises(DivergedError, match="recoveries"):
        list(train(poisoned(model, set(range(10, 200)), float("nan")), dataset, tmp_path, config))


@pytest.mark.parametrize("make", [small_avatar, small_gaussian])
def test_one_thread_and_sixteen_draw_the_same(make, tmp_path: Path) -> None:
    avatar, motion = make()
    save_avatar(tmp_path / "me", avatar, provenance={}, consent=Consent("a", "b"))
    images = []
    for threads in (1, 16):
        torch.set_num_threads(threads)
        images.append(load_avatar(tmp_path / "me").render(motion[:3]).rgb)
    torch.set_num_threads(1)
    assert torch.equal(*images)


def test_a_clock_that_jumps_changes_nothing_that_is_learned(dataset, tmp_path: Path, monkeypatch) -> None:
    results = []
    for jump_s in (0.0, 1e6):
        model, config = small_fit("gaussian", 8)
        count = iter(range(10**9))
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s, count=count: 1e9 + jump_s * (-1) ** next(count))
        events = list(train(model, dataset, tmp_path / str(jump_s), config))
        results.append(events[-1])
    a, b = (done.avatar.tensors() for done in results)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(done.metrics["fit_s"] < 200.0 for done in results) and to_mapping(config)
