import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.dataset.format import Dataset
from gtalk.dataset.validate import STAGES, find_problems, validate
from gtalk.errors import UserError
from tests.support.synthetic_dataset import make_synthetic_dataset

FRAMES = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset") / "ds"
    make_synthetic_dataset(root, n_frames=FRAMES, size=32)
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["stages"] = {name: {} for name in STAGES}
    (root / "manifest.json").write_text(json.dumps(manifest))
    np.savez(root / "landmarks.npz", points_px=np.zeros((FRAMES, 478, 2), np.float32), valid=np.ones(FRAMES, bool))
    (root / "report.html").write_text("<html>")
    return root


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "ds"))


def test_what_came_later_may_be_missing(copy: Path) -> None:
    rewrite("poses.npz", lambda a: a.pop("torso_bend") is None)(copy)
    assert find_problems(copy) == []


def test_a_whole_dataset_has_no_problem(whole: Path) -> None:
    assert find_problems(whole) == []
    assert isinstance(validate(whole), Dataset)
    assert find_problems(whole, deep=False) == []


def rewrite(name: str, change: Callable[[dict], None]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        with np.load(root / name) as file:
            arrays = dict(file)
        change(arrays)
        np.savez(root / name, **arrays)

    return damage


def manifest(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        value = json.loads((root / "manifest.json").read_text())
        change(value)
        (root / "manifest.json").write_text(json.dumps(value))

    return damage


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(data) and None


def draw(name: str, shape: tuple[int, ...], value: int = 0) -> Callable[[Path], None]:
    return lambda root: cv2.imwrite(str(root / name), np.full(shape, value, np.uint8)) and None


DAMAGE = {
    "frame missing": (remove("frames/000003.jpg"), r"frames/ lacks 1 \(3\) of 6"),
    "frame empty": (write("frames/000002.jpg", b""), r"frames/ lacks 1 \(2\)"),
    "frame garbled": (write("frames/000002.jpg", b"nothing"), "frames/000002.jpg cannot be decoded"),
    "frame too many": (write("frames/000099.jpg", b"x"), "frames/ holds 1 files too many"),
    "mask of another size": (draw("masks/000001.png", (16, 32)), "masks/000001.png is 32x16, not 32x32"),
    "mask class": (draw("masks/000001.png", (32, 32), 9), "a class that does not exist"),
    "matte missing": (remove("mattes/000005.png"), "mattes/ lacks 1"),
    "no sound": (remove("audio.wav"), "audio.wav: missing"),
    "garbled sound": (write("audio.wav", b"RIFFxxxx"), "audio.wav:"),
    "points": (
        rewrite("landmarks.npz", lambda a: a.update(points_px=a["points_px"][:5])),
        r"points_px has shape \(5, 478, 2\)",
    ),
    "nan": (rewrite("poses.npz", lambda a: a["torso"].__setitem__((2, 1), np.nan)), "torso is not finite"),
    "no framing": (rewrite("poses.npz", lambda a: a.pop("framing") is None), "poses.npz lacks framing"),
    "poses cut off": (write("poses.npz", b"PK\x03\x04"), "poses.npz: "),
    "camera": (write("camera.json", b"{"), "camera.json: not JSON"),
    "person": (rewrite("person.npz", lambda a: a["triangles"].__setitem__((0, 0), 478)), "vertices that do not exist"),
    "plate": (draw("background.png", (30, 32, 3)), "background.png is 32x30"),
    "motion": (remove("motion.npz"), "motion.npz:"),
    "report": (remove("report.html"), "report.html is missing"),
    "stage": (manifest(lambda m: m["stages"].pop("masks") is None), "stage masks is not done"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_wrong_is_named(name: str, copy: Path) -> None:
    damage, words = DAMAGE[name]
    damage(copy)
    with pytest.raises(UserError, match=words) as error:
        validate(copy)
    assert "gtalk prepare" in error.value.remedy
    assert len(find_problems(copy)) == 1


MANIFESTS = {
    "segments end early": (lambda m: m["segments"][0].update(stop=4), "segments end at frame 4 of 6"),
    "segments overlap": (lambda m: m["segments"].insert(0, dict(m["segments"][0])), "does not follow"),
    "a segment's words": (lambda m: m["segments"][0].update(path="/etc/passwd"), "a segment is"),
    "no segments": (lambda m: m.update(segments=[]), "lacks segments"),
    "no width": (lambda m: m.pop("width"), "lacks width"),
    "a width in words": (lambda m: m.update(width="32"), "width is '32'"),
    "a huge size": (lambda m: m.update(width=10**9), "no size"),
    "endless": (lambda m: m.update(n_frames=10**12), "no frames or no rate"),
    "no rate": (lambda m: m.update(fps=0), "no frames or no rate"),
    "stages": (lambda m: m["stages"].update(masks=3), "stages are no objects"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_whose_numbers_cannot_be_relied_on_opens_no_dataset(name: str, copy: Path) -> None:
    change, words = MANIFESTS[name]
    value = json.loads((copy / "manifest.json").read_text())
    change(value)
    (copy / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=words):
        Dataset(copy)


def test_several_problems_at_once_and_a_folder_that_is_none(copy: Path, tmp_path: Path) -> None:
    for name in ("frames/000000.jpg", "report.html", "background.png", "audio.wav", "camera.json", "motion.npz"):
        (copy / name).unlink()
    assert len(find_problems(copy)) == 6
    with pytest.raises(UserError, match="and 1 more"):
        validate(copy)
    with pytest.raises(UserError, match=r"readable manifest\.json"):
        validate(tmp_path)
