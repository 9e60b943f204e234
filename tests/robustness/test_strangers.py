"""Files that strangers send, damaged: each loads or is refused in words. No other exception, no hang, no pickle."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar, read_avatar_json, save_avatar
from gtalk.config import load_yaml
from gtalk.dataset.format import Dataset
from gtalk.dataset.validate import STAGES, find_problems
from gtalk.dub.batch.jobs import read_jobs
from gtalk.dub.batch.journal import Journal
from gtalk.dub.config import DubConfig
from gtalk.errors import UserError
from gtalk.files import sha256_of_file
from gtalk.media.audio import read_audio, read_wav
from gtalk.media.source import probe
from gtalk.media.video import read_video
from gtalk.motion.formats.arkit import read_arkit_csv, write_arkit_csv
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.model.storage import hollow_net
from gtalk.motion.training.fit_net import FitConfig
from gtalk.motion.training.pretrain import HEAD, BaseModel, load_base, save_base
from gtalk.motion.training.train import train_motion
from gtalk.speech.features import SpeechFeatures
from gtalk.talk import Talker, View
from gtalk.types import Motion
from tests.avatar.small_gaussian import small_gaussian
from tests.avatar.small_radiance import small_avatar
from tests.media.clips import Recipe, write_clip
from tests.motion.talking import SMALL, write_dataset
from tests.robustness.damage import (
    bomb,
    damaged_arrays,
    damaged_bytes,
    damaged_json,
    json_text,
    lying_npy,
    npz,
    survive,
)
from tests.support.synthetic_dataset import make_synthetic_dataset
from tests.support.toys import write_toy_folder

EXAMPLES = int(os.environ.get("GTALK_FUZZ_EXAMPLES", "25"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="GTALK_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module", params=["radiance", "gaussian"])
def avatar_folder(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "me"
    avatar, motion = small_avatar() if request.param == "radiance" else small_gaussian()
    save_avatar(folder, avatar, provenance={"x": [1, 2]}, consent=Consent("A", "I agree."), preview_motion=motion[0])
    return folder


def open_and_draw(folder: Path, motion: Motion) -> None:
    avatar = load_avatar(folder)
    if avatar.camera.width * avatar.camera.height < 1 << 18:
        avatar.render(motion[:1])


def rewrite_json(folder: Path, **changes) -> None:
    content = json.loads((folder / "avatar.json").read_text()) | changes
    (folder / "avatar.json").write_text(json.dumps(content))


def refuse(remedy: str) -> None:
    raise UserError("file", expected="a file", got="none", remedy=remedy)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda: 1 / 0, ZeroDivisionError),
        (lambda: pickle.loads(b"damaged"), pickle.UnpicklingError),
        (lambda: np.zeros(1 << 29), MemoryError),
        (lambda: refuse(""), AssertionError),
    ],
)
def test_what_is_no_refusal_in_words_fails_these_tests(fault, error: type[Exception]) -> None:
    with pytest.raises(error):
        survive(fault)
    assert isinstance(survive(lambda: refuse("Name one.")), UserError)


@fuzz
@given(data=st.data())
def test_avatar_json(avatar_folder: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = shutil.copytree(avatar_folder, tmp_path / "copy", dirs_exist_ok=True)
    content = json.loads((avatar_folder / "avatar.json").read_text())
    (copy / "avatar.json").write_text(json_text(data.draw(damaged_json(content))))
    survive(lambda: open_and_draw(copy, small_avatar()[1]))


@fuzz
@given(data=st.data())
def test_avatar_tensors(avatar_folder: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = shutil.copytree(avatar_folder, tmp_path / "copy", dirs_exist_ok=True)
    path = copy / "avatar.safetensors"
    save_file(data.draw(damaged_arrays(load_file(avatar_folder / "avatar.safetensors"))), path)
    rewrite_json(copy, tensors_sha256=sha256_of_file(path))
    survive(lambda: open_and_draw(copy, small_avatar()[1]))


@fuzz
@given(data=st.data(), name=st.sampled_from(["avatar.json", "avatar.safetensors", "background.png"]))
def test_avatar_bytes(avatar_folder: Path, tmp_path: Path, data: st.DataObject, name: str) -> None:
    copy = shutil.copytree(avatar_folder, tmp_path / "copy", dirs_exist_ok=True)
    (copy / name).write_bytes(data.draw(damaged_bytes((avatar_folder / name).read_bytes())))
    if name != "avatar.json":
        rewrite_json(copy, tensors_sha256=sha256_of_file(copy / "avatar.safetensors"))
    survive(lambda: open_and_draw(copy, small_avatar()[1]))


@pytest.mark.parametrize("nested", ["[" * 200_000, '{"a":' * 200_000])
def test_json_that_is_nested_without_end(tmp_path: Path, nested: str) -> None:
    (tmp_path / "avatar.json").write_text(nested)
    (tmp_path / "manifest.json").write_text(nested)
    (tmp_path / "jobs.jsonl").write_text(nested)
    for action in (
        lambda: read_avatar_json(tmp_path),
        lambda: Dataset(tmp_path),
        lambda: read_jobs(tmp_path / "jobs.jsonl"),
    ):
        assert isinstance(survive(action), UserError)


@pytest.fixture(scope="module")
def motion_folder(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    dataset = write_dataset(tmp_path_factory.mktemp("speaker") / "dataset", 24.0)
    config = SMALL.__class__(**{**vars(SMALL), "fit": FitConfig(**{**vars(SMALL.fit), "steps": 4, "check_every": 4})})
    train_motion(dataset, dataset.root.parent / "avatar", config)
    return dataset.root.parent / "avatar"


def open_and_listen(folder: Path) -> None:
    stream = load_motion_model(folder).stream(1)
    stream.push(0.1 * np.sin(np.arange(4000) / 20).astype(np.float32))
    stream.finish()


@fuzz
@given(data=st.data())
def test_motion_model(motion_folder: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = shutil.copytree(motion_folder, tmp_path / "copy", dirs_exist_ok=True)
    kind = data.draw(st.sampled_from(["json", "tensors", "bytes"]))
    if kind == "json":
        content = json.loads((motion_folder / "motion.json").read_text())
        (copy / "motion.json").write_text(json_text(data.draw(damaged_json(content))))
    elif kind == "tensors":
        save_file(
            data.draw(damaged_arrays(load_file(motion_folder / "motion.safetensors"))), copy / "motion.safetensors"
        )
    else:
        name = data.draw(st.sampled_from(["motion.json", "motion.safetensors"]))
        (copy / name).write_bytes(data.draw(damaged_bytes((motion_folder / name).read_bytes())))
    survive(lambda: open_and_listen(copy))


@pytest.fixture(scope="module")
def motion_arrays(tmp_path_factory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("motion") / "a.motion.npz"
    make_synthetic_dataset(path.parent / "ds", n_frames=6, size=32).motion.save(path)
    with np.load(path) as file:
        return dict(file)


def play(path: Path) -> None:
    motion = Motion.load(path)
    for avatar in (small_avatar()[0], small_gaussian()[0]):
        for frame, _ in zip(
            Talker(avatar, None, view=View(size=(32, 32))).render_motion(motion), range(3), strict=False
        ):
            assert frame.rgb.shape == (32, 32, 3)


@fuzz
@given(data=st.data())
def test_motion_files(motion_arrays: dict[str, np.ndarray], tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.motion.npz"
    packed = npz(data.draw(damaged_arrays(motion_arrays)))
    path.write_bytes(packed if data.draw(st.booleans()) else data.draw(damaged_bytes(npz(motion_arrays))))
    survive(lambda: play(path))


@pytest.fixture(scope="module")
def base_bytes(tmp_path_factory) -> bytes:
    """A base model that knows nothing, as a file."""
    layout = hollow_net(SpeechFeatures(False).size, 1, SMALL.net).state_dict()
    tensors = {name: torch.zeros(value.shape) for name, value in layout.items() if not name.startswith(HEAD)}
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    save_base(BaseModel(SMALL.net, SpeechFeatures(False), tensors), path)
    return path.read_bytes()


@fuzz
@given(data=st.data())
def test_base_models(base_bytes: bytes, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "base.safetensors"
    path.write_bytes(base_bytes)
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged_bytes(base_bytes)))
    else:
        settings = json.loads(safe_open(str(path), framework="np").metadata()["gtalk"])
        header = json_text(data.draw(damaged_json(settings)))
        save_file(data.draw(damaged_arrays(load_file(path))), path, metadata={"gtalk": header})
    survive(lambda: load_base(path))


@fuzz
@given(data=st.data())
def test_tables_of_blendshapes(motion_arrays: dict[str, np.ndarray], tmp_path: Path, data: st.DataObject) -> None:
    whole, path = tmp_path / "whole.motion.npz", tmp_path / "a.csv"
    whole.write_bytes(npz(motion_arrays))
    write_arkit_csv(Motion.load(whole), path)
    path.write_bytes(data.draw(damaged_bytes(path.read_bytes())))
    survive(lambda: read_arkit_csv(path))


class Evil:
    ran = False

    def __reduce__(self):
        return setattr, (Evil, "ran", True)


def test_arrays_that_hide_code_or_lie_about_their_size(motion_arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "a.motion.npz"
    path.write_bytes(npz(motion_arrays | {"channel.x": np.array([Evil()] * 6, object)}))
    assert isinstance(survive(lambda: Motion.load(path)), UserError) and not Evil.ran
    path.write_bytes(pickle.dumps(Evil()))
    assert isinstance(survive(lambda: Motion.load(path)), UserError) and not Evil.ran
    for shape in ((10**15,), (10**9, 10**9, 10**9), (-5,), (1 << 31,)):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("landmarks.npy", lying_npy(shape))
        assert isinstance(survive(lambda: Motion.load(path)), UserError)
    path.write_bytes(bomb("landmarks", (1 << 27,)))
    assert path.stat().st_size < 1 << 21
    assert "unpack" in str(survive(lambda: Motion.load(path)))


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("dataset") / "ds"
    make_synthetic_dataset(root, n_frames=4, size=32)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["stages"] = {name: {"seconds": 1.0, "facts": {}} for name in STAGES}
    (root / "manifest.json").write_text(json.dumps(manifest))
    (root / "report.html").write_text("<html>")
    return root


def open_and_read(folder: Path) -> None:
    find_problems(folder)
    dataset = Dataset(folder)
    if dataset.n_frames > 10:
        return
    for name in ("camera", "motion", "person", "points_px", "segments"):
        survive(lambda name=name: getattr(dataset, name))
    for action in (dataset.background, lambda: dataset.frame(1), lambda: dataset.matte(1), lambda: dataset.labels(1)):
        survive(action)


@fuzz
@given(data=st.data())
def test_dataset_folders(dataset_folder: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = shutil.copytree(dataset_folder, tmp_path / "copy", dirs_exist_ok=True)
    texts, arrays = ["manifest.json", "camera.json"], ["person.npz", "poses.npz", "landmarks.npz", "motion.npz"]
    others = ["audio.wav", "background.png", "frames/000001.jpg", "masks/000001.png"]
    name = data.draw(st.sampled_from([*texts, *texts, *arrays, *others]))
    if name in texts and data.draw(st.booleans()):
        content = json.loads((dataset_folder / name).read_text())
        (copy / name).write_text(json_text(data.draw(damaged_json(content))))
    elif name in arrays and data.draw(st.booleans()):
        with np.load(dataset_folder / name) as file:
            (copy / name).write_bytes(npz(data.draw(damaged_arrays(dict(file)))))
    else:
        (copy / name).write_bytes(data.draw(damaged_bytes((dataset_folder / name).read_bytes())))
    survive(lambda: open_and_read(copy))


def test_images_that_promise_gigapixels(dataset_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset_folder, tmp_path / "copy")
    for name, mark in (("background.png", b"IHDR"), ("frames/000001.jpg", b"\xff\xc0\x00\x11\x08")):
        data = bytearray((copy / name).read_bytes())
        place = data.index(mark) + len(mark)
        step = 4 if name.endswith("png") else 2
        data[place : place + 2 * step] = (60_000).to_bytes(step, "big") * 2
        (copy / name).write_bytes(data)
    dataset = Dataset(copy)
    assert "60000x60000" in str(survive(dataset.background)) and "60000x60000" in str(survive(lambda: dataset.frame(1)))


@fuzz
@given(data=st.data())
def test_jobs(tmp_path: Path, data: st.DataObject) -> None:
    write_toy_folder(tmp_path / "me")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    job = {"avatar": "me", "audio": "a.wav", "output": "a.mp4", "fps": 30.0, "crf": 20, "background": "#ffffff"}
    path = tmp_path / "jobs.jsonl"
    if data.draw(st.booleans()):
        lines = [json_text(data.draw(damaged_json(job))) for _ in range(data.draw(st.integers(1, 3)))]
        path.write_text("\n".join(lines))
    else:
        path.write_bytes(data.draw(damaged_bytes(json.dumps(job).encode() * 2)))
    survive(lambda: read_jobs(path))


@fuzz
@given(data=st.data())
def test_journals_and_presets(tmp_path: Path, data: st.DataObject) -> None:
    records = b'{"job": "a", "state": "done", "n_frames": 3}\n{"job": "b", "state": "started"}\n'
    (tmp_path / "jobs.jsonl.journal").write_bytes(data.draw(damaged_bytes(records)))
    survive(lambda: Journal(tmp_path / "jobs.jsonl", resume=True).close())
    (tmp_path / "dub.yaml").write_bytes(data.draw(damaged_bytes(b"codec: h264\ncrf: 17\nfps: 25.0\nheight: 512\n")))
    survive(lambda: load_yaml(DubConfig, tmp_path / "dub.yaml"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("clips")
    short = {"seconds": 0.4, "flash_s": 0.2, "size": (32, 32)}
    write_clip(folder / "a.mp4", Recipe(**short))
    write_clip(folder / "a.mkv", Recipe(**short, codec="mpeg4", audio_codec="pcm_s16le"))
    write_clip(folder / "a.avi", Recipe(**short, codec="mjpeg", pixels="yuvj420p", audio_codec="pcm_s16le"))
    make_synthetic_dataset(folder / "ds", n_frames=10, size=32)
    shutil.copyfile(folder / "ds/audio.wav", folder / "a.wav")
    return {path.name: path.read_bytes() for path in sorted(folder.glob("a.*"))}


def look_and_listen(path: Path) -> None:
    info = survive(lambda: probe(path))
    survive(lambda: read_audio(path))
    if not isinstance(info, UserError) and info.has_video:
        survive(lambda: sum(1 for _ in read_video(path, max_size=64)))
    if path.suffix == ".wav":
        survive(lambda: read_wav(path))


@settings(fuzz, max_examples=2 * EXAMPLES)
@given(data=st.data())
def test_media(clips: dict[str, bytes], tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(clips)))
    path = tmp_path / name
    path.write_bytes(data.draw(damaged_bytes(clips[name])))
    look_and_listen(path)


@pytest.mark.parametrize(
    "text",
    ["#EXTM3U\n#EXTINF:1,\nsecret.mp4\n", "ffconcat version 1.0\nfile secret.mp4\n", "v=0\nm=video 1 RTP/AVP 96\n"],
)
def test_a_clip_cannot_make_us_open_other_files(clips: dict[str, bytes], tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.mp4").write_bytes(clips["a.mp4"])
    for name in ("clip.mp4", "clip.m3u8", "concat:secret.mp4", "clip%03d.png"):
        (tmp_path / name).write_text(text)
        assert isinstance(survive(lambda name=name: probe(tmp_path / name)), UserError)
    assert probe(tmp_path / "secret.mp4").has_video
