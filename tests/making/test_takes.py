"""An expression take: whose it is, what comes of it, and that nothing is written when it is no good."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.making.takes import prepare_take, save_expressions
from gtalk.prepare.pipeline import PrepareConfig
from gtalk.rig.bank import load_bank
from gtalk.rig.expression import named
from gtalk.rig.shapes import displacements, neutral
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion


def motion_of(mesh: np.ndarray, *parts: str) -> Motion:
    """A tracked clip: 3 s of each named expression."""
    ease = np.clip(np.minimum(np.arange(75), np.arange(75)[::-1]) / 8.0, 0, 1)
    weights = np.concatenate([ease[:, None] * named(name).vector() for name in parts])
    points = mesh + np.tensordot(weights, displacements(mesh), 1)
    zeros, poses = np.zeros((len(points), 2)), np.tile(np.eye(4), (len(points), 1, 1))
    channels = {"landmarks478": points.astype(np.float32)}
    return Motion(25.0, points[:, LANDMARKS68], zeros + 1, zeros, zeros, poses, np.ones(len(points), bool), channels)


class Recording(Dataset):
    """What is asked of a dataset, without a folder."""

    def __init__(self, motion: Motion) -> None:
        self.manifest = {"n_frames": len(motion), "width": 160, "height": 120}
        self.motion = motion

    def frame(self, index: int) -> np.ndarray:
        return np.full((120, 160, 3), 90, np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "me/dataset").mkdir(parents=True)
    return tmp_path / "me"


def learned(folder: Path, monkeypatch, motion: Motion, labels: Path | None = None) -> list[str]:
    """Preparing is tested elsewhere: here the take is `motion`, the clip a quiet face."""
    asked: list[PrepareConfig] = []

    def prepare(clips, output, config, on_progress) -> Recording:
        asked.append(config)
        return Recording(motion)

    monkeypatch.setattr("gtalk.prepare.pipeline.prepare", prepare)
    quiet = motion_of(neutral(), "neutral")
    monkeypatch.setattr(Dataset, "__init__", lambda self, root: Recording.__init__(self, quiet))
    monkeypatch.setattr("gtalk.making.takes._faces", lambda dataset: dataset.motion.channels["landmarks478"])
    (folder.parent / "take.mp4").write_bytes(b"a film")
    seen, rows = prepare_take(folder.parent / "take.mp4", folder / "dataset", labels, lambda progress: None)
    assert asked[0].one_person and asked[0].size == 160
    save_expressions(seen, rows, folder, "take.mp4")
    return [row.name for row in rows]


def test_a_take_becomes_the_persons_bank(folder, monkeypatch) -> None:
    labels = folder.parent / "labels.csv"
    labels.write_text("start_s,end_s,name\n0.4,2.6,neutral\n3.4,5.6,grin\n6.4,8.6,kiss\n")
    assert learned(folder, monkeypatch, motion_of(neutral(), "neutral", "smile", "kiss"), labels) == ["grin", "kiss"]
    bank = load_bank(folder)
    assert named("grin", 1.0, bank).weights["mouthSmileLeft"] > 0.5
    assert named("kiss", 1.0, bank).weights["mouthPucker"] > 0.4
    assert sorted(p.name for p in (folder / "expressions").iterdir()) == ["grin.jpg", "kiss.jpg"]


def test_another_person_is_noticed_and_nothing_written(folder, monkeypatch) -> None:
    other = neutral() * [1.12, 1.0, 0.9]
    with pytest.raises(UserError, match="differs by"):
        learned(folder, monkeypatch, motion_of(other, "neutral", "smile", "kiss"))
    assert [p.name for p in folder.iterdir()] == ["dataset"]


def test_one_expression_only_is_noticed_and_nothing_written(folder, monkeypatch) -> None:
    with pytest.raises(UserError, match="one expression only"):
        learned(folder, monkeypatch, motion_of(neutral(), "neutral", "neutral"))
    assert [p.name for p in folder.iterdir()] == ["dataset"]
