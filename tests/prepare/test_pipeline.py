"""The pipeline from a clip to a dataset, with a drawn face whose landmarks are known."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gtalk.dataset.format import Dataset
from gtalk.dataset.validate import find_problems
from gtalk.errors import UserError
from gtalk.media.output.writer import write_video
from gtalk.prepare import pipeline as module
from gtalk.prepare.ingest import ingest
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.prepare.pipeline import PrepareConfig, prepare, track_motion
from gtalk.progress import Progress
from gtalk.types import AudioTrack
from tests.media.clips import Recipe, write_clip
from tests.prepare.tracking.synthetic_face import SyntheticFace, make_face, observe, paint, skin_texture

FRAMES, CUT, SIDE = 44, 24, 320
ROOT = Path(__file__).parents[2]


def actor() -> SyntheticFace:
    return make_face(FRAMES, 10.0, side=SIDE)


def image(face: SyntheticFace, index: int, texture: np.ndarray) -> np.ndarray:
    """The face on a body before a wall; the wall is darker after the cut, and all stands elsewhere."""
    frame = paint(face, index, texture)
    wall = np.array([150, 170, 190]) if index < CUT else np.array([90, 100, 120])
    empty = (frame == 90).all(-1)
    y, x = np.mgrid[:SIDE, :SIDE]
    frame[empty] = wall
    frame[empty & (((x - 160) / 130) ** 2 + ((y - 340) / 110) ** 2 < 1)] = (50, 60, 110)
    return frame


def film(path: Path, samples: np.ndarray | None = None) -> Path:
    face, texture = actor(), skin_texture()
    sound = 0.1 * np.sin(np.arange(FRAMES * 640) / 9) if samples is None else samples
    write_video(path, (image(face, i, texture) for i in range(FRAMES)), 25, AudioTrack(sound.astype(np.float32)))
    return path


def known_landmarks(
    frames, size, n_frames=None, on_progress=None, model="auto", segment_starts=(), sound=None, one_person=False
) -> Landmarks:
    """In place of the network, which does not take a drawing for a face. Frames 30 to 33 show none."""
    count = sum(1 for _ in frames)
    found = observe(actor())
    valid = np.ones(FRAMES, bool)
    valid[30:34] = False
    points = np.where(valid[:, None, None], found.points_px, 0).astype(np.float32)
    whole = Landmarks(points, found.depth, valid, found.face_count, "drawn")
    return Landmarks(
        *(getattr(whole, n)[:count] for n in ("points_px", "depth", "valid", "face_count")), source="drawn"
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("clip") / "me.mp4")


@pytest.fixture(scope="module")
def prepared(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "me"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "detect_landmarks", known_landmarks)
        prepare([clip], folder)
    return folder


def test_dataset_is_whole_and_says_what_happened(prepared: Path) -> None:
    assert find_problems(prepared) == []
    dataset = Dataset(prepared)
    assert (dataset.n_frames, dataset.size, dataset.fps) == (FRAMES, (SIDE, SIDE), 25.0)
    assert [(s.start, s.stop, s.source) for s in dataset.segments] == [(0, CUT, "me.mp4"), (CUT, FRAMES, "me.mp4")]
    assert dataset.motion.valid.sum() == FRAMES - 4
    stages = dataset.manifest["stages"]
    order = "media landmarks sync track light camera masks background motion report"
    assert list(stages) == order.split()
    assert all(stage["seconds"] >= 0 and len(stage["key"]) == 64 for stage in stages.values())
    assert stages["landmarks"]["facts"]["faceless_frames"] == 4
    assert stages["report"]["facts"]["movement"]["faceless_spans"] == [[30, 34]]
    frame = dataset.frame(3).astype(int)
    assert np.abs(frame - image(actor(), 3, skin_texture())).mean() < 6
    report = (prepared / "report.html").read_text(encoding="utf-8")
    assert "me.mp4" in report and "poor" in report and report.count("data:image/jpeg;base64,") == 4
    assert "http" not in report.replace("http://www.w3.org", "")


def test_poses_follow_the_truth(prepared: Path) -> None:
    truth, found = actor(), Dataset(prepared)
    points = found.camera.project(
        found.motion.channels["landmarks478"][:, :468] @ found.motion.head_pose[:, :3, :3].transpose(0, 2, 1)
        + found.motion.head_pose[:, None, :3, 3]
    )
    error = np.linalg.norm(points - truth.points_px[:, :468], axis=-1)[found.motion.valid]
    assert np.sqrt((error**2).mean()) < 2.0


def test_running_again_does_nothing_and_a_setting_redoes_what_hangs_on_it(
    prepared: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "detect_landmarks", known_landmarks)
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    seen: list[str] = []
    prepare([clip], folder, on_progress=lambda p: seen.append(p.stage))
    assert seen == []
    before = (folder / "motion.npz").read_bytes()
    prepare([clip], folder, on_progress=lambda p: seen.append(p.stage), stage="motion")
    assert set(seen) == {"report"}  # motion itself is done at once
    assert len(before) == (folder / "motion.npz").stat().st_size


def test_killed_at_any_time_and_run_again_gives_the_same(clip: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from gtalk.prepare import pipeline as module\n"
        "from tests.prepare.test_pipeline import known_landmarks\n"
        "module.detect_landmarks = known_landmarks\n"
        "def watch(p):\n"
        "    if p.stage.startswith(sys.argv[3]) and p.done >= 7: os.kill(os.getpid(), signal.SIGKILL)\n"
        "module.prepare([Path(sys.argv[1])], Path(sys.argv[2]), on_progress=watch)\n"
    )
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    for stage, target in (("media", folder), ("masks", folder), ("never", folder), ("never", whole)):
        arguments = [sys.executable, "-c", script, str(clip), str(target), stage]
        done = subprocess.run(arguments, cwd=ROOT, check=False, env=os.environ, capture_output=True)
        assert done.returncode == (0 if stage == "never" else -signal.SIGKILL), done.stderr.decode()[-500:]
        assert (target / "manifest.json").exists() == (stage == "never")
    assert find_problems(folder) == []
    ours, theirs = (sorted(p.relative_to(r) for p in r.rglob("*") if p.is_file()) for r in (folder, whole))
    assert ours == theirs
    for name in ours:
        if name.name in ("manifest.json", "prepare.json", "report.html"):
            continue  # they hold times
        if name.suffix == ".npz":
            with np.load(folder / name) as a, np.load(whole / name) as b:
                assert all(np.array_equal(a[k], b[k]) for k in b.files), name
        else:
            assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_no_face_at_all_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "wall.mp4", Recipe(seconds=0.4))
    with pytest.raises(UserError, match="expected a face"):
        prepare([clip], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="expected a face"):
        track_motion(clip)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("a.mp4", b"", "0 bytes"), ("a.mp4", b"text " * 999, "can be decoded"), ("a.mp4", None, "nothing there")],
)
def test_input_that_is_no_video_is_refused_before_anything_is_written(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        prepare([tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_short_and_empty_lists(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 3 frames"):
        prepare([write_clip(tmp_path / "a.mp4", Recipe(seconds=0.08))], tmp_path / "out")
    with pytest.raises(UserError, match="at least one video"):
        prepare([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_output_that_is_something_else_is_left_alone(tmp_path: Path, prepared: Path) -> None:
    clip = write_clip(tmp_path / "other.mp4", Recipe(seconds=0.4))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="a folder; got a file"):
        prepare([clip], tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="other files"):
        prepare([clip], tmp_path / "full")
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"
    with pytest.raises(UserError, match=r"a dataset of me\.mp4"):
        prepare([clip], prepared)
    assert find_problems(prepared, deep=False) == []
    with pytest.raises(UserError, match="can be written"):
        prepare([clip], tmp_path / "file" / "below")


@pytest.mark.parametrize("sound", ["none", "silent", "short"])
def test_without_speech_it_works_and_the_report_says_so(
    sound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "detect_landmarks", known_landmarks)
    face, texture = actor(), skin_texture()
    samples = {"none": None, "silent": np.zeros(8 * 640), "short": 0.1 * np.sin(np.arange(3 * 640) / 9)}[sound]
    audio = None if samples is None else AudioTrack(samples.astype(np.float32))
    write_video(tmp_path / "a.mp4", (image(face, i, texture) for i in range(8)), 25, audio)
    dataset = prepare([tmp_path / "a.mp4"], tmp_path / "out")
    assert find_problems(dataset.root) == []
    problems = dataset.manifest["verdict"]["problems"]
    assert any("no sound" in text for text in problems) == (sound != "short")
    source = dataset.manifest["sources"][0]["audio"]
    assert (source is None) == (sound == "none")
    if sound == "short":
        assert source["longer_than_video_s"] == pytest.approx(-0.2, abs=0.01)


def test_large_clips_are_framed_on_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    clip = write_clip(tmp_path / "wide.mp4", Recipe(size=(640, 360), seconds=0.4, flash_s=9))
    box = np.array([300.0, 100.0, 380.0, 200.0])
    monkeypatch.setattr(ingest, "_boxes_in", lambda images, size: [[box] for _ in images])
    job = module.Job(tmp_path / "out", [clip], PrepareConfig(size=256))
    job.root.mkdir()
    facts = ingest.run_media(job)
    crop = facts["sources"][0]["crop"]
    assert (facts["width"], facts["height"]) == (256, 256)
    assert crop["width"] == crop["height"] == 256
    assert crop["x"] < 300 and crop["x"] + 256 > 380 and crop["y"] < 100 and crop["y"] + 256 > 200
    whole = ingest.run_media(module.Job(job.root, [clip], PrepareConfig(size=256, framing="full")))
    assert (whole["width"], whole["height"]) == (256, 144)


@pytest.mark.parametrize("source", [(512, 512), (411, 397), (1920, 1080), (1080, 1920), (3840, 2160), (97, 50)])
def test_windows_lie_inside_and_have_the_size(source: tuple[int, int]) -> None:
    from gtalk.prepare.ingest.ingest import even_size, window_of

    for region in ((0.0, 0.0, float(source[0]), float(source[1])), (3.0, 2.0, 40.0, 40.0)):
        size = even_size(region, 512)
        assert size[0] % 2 == size[1] % 2 == 0 and max(size) <= 512
        window = window_of(region, source, size)
        assert window.x >= 0 and window.x + size[0] <= round(source[0] * window.scale)
        assert window.y >= 0 and window.y + size[1] <= round(source[1] * window.scale)
        if max(region[2:]) <= 512:
            assert window.scale == 1.0


def test_progress_counts_up_in_every_stage(prepared: Path, clip: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "detect_landmarks", known_landmarks)
    seen: list[Progress] = []
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    prepare([clip], folder, on_progress=seen.append, stage="masks")
    for stage in ("masks", "torso", "report"):
        done = [p.done for p in seen if p.stage == stage]
        assert done == sorted(done) and done, stage
    assert json.loads((folder / "manifest.json").read_text())["n_frames"] == FRAMES
