"""Which frames are held out, and that the copy of the dataset hides them and nothing else."""

from __future__ import annotations

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.geometry.rotation import exp_so3
from tests.support.synthetic_dataset import make_synthetic_dataset
from tools.bench.fit.side_third import side_third, without, yaw_deg


def test_the_far_side_is_hidden(tmp_path) -> None:
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=30, size=48)
    pose = dataset.motion.head_pose.copy()
    turns = 0.6 * np.linspace(0.0, 1.0, 30) ** 2
    pose[:, :3, :3] = np.stack([exp_so3(np.array([0.0, turn, 0.0])) for turn in turns])
    dataset.motion.replace(head_pose=pose).save(dataset.root / "motion.npz")
    dataset = Dataset(dataset.root)
    assert np.allclose(yaw_deg(dataset.motion), np.degrees(turns - np.median(turns)), atol=0.1)
    hidden = side_third(dataset.motion)
    assert hidden.sum() == 10 and hidden[20:].all()
    mirrored = dataset.motion.replace(head_pose=np.swapaxes(pose, 1, 2))
    assert (side_third(mirrored) == hidden).all()  # to the other side
    before = dataset.motion.valid.copy()
    copy = Dataset(without(dataset, hidden, tmp_path / "copy"))
    assert not copy.motion.valid[hidden].any() and copy.motion.valid[~hidden].all()
    assert (Dataset(dataset.root).motion.valid == before).all()
    assert (copy.frame(3) == dataset.frame(3)).all()
