"""Frames of an expression take: the face alone, in the clip's camera and colours, drawn among the clip's frames."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.dataset.format import Dataset
from gtalk.fit.take import MOST_SHARE, TakeFrames
from gtalk.fit.trainer import TrainerConfig, train
from gtalk.rig.person import mesh_of_landmarks, spread_from_landmarks
from tests.fit.toy_model import ToyModel
from tests.support.synthetic_dataset import make_synthetic_dataset


def recording(folder: Path, n_frames: int, size: int) -> Dataset:
    """The synthetic person with a face mesh."""
    motion = make_synthetic_dataset(folder, n_frames, size).motion
    mesh = mesh_of_landmarks(motion.landmarks[0])
    points = mesh + spread_from_landmarks(mesh, motion.landmarks - motion.landmarks[0])
    motion.replace(channels={**motion.channels, "landmarks478": points.astype(np.float32)}).save(folder / "motion.npz")
    return Dataset(folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Dataset:
    return recording(tmp_path_factory.mktemp("clip"), n_frames=30, size=48)


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Dataset:
    return recording(tmp_path_factory.mktemp("take"), n_frames=12, size=64)


def test_a_take_of_the_same_person_lies_where_the_clip_has_the_face(clip: Dataset, take: Dataset) -> None:
    frames = TakeFrames(take, clip, clip.size)
    assert len(frames) == 12
    frame = frames.read(3, 33)
    assert frame.index == 33 and frame.rgb.shape == (48, 48, 3) and frame.face is not None
    assert 0.02 < (frame.face > 0).mean() < 0.9
    there = frame.face > 0
    plain = np.abs(frame.rgb.astype(int) - clip.frame(3).astype(int))[there].mean()
    assert plain < 12.0, "the same instant of the same person, seen by a camera of other resolution"


def test_how_often_a_take_is_looked_at(clip: Dataset, take: Dataset) -> None:
    weights = TakeFrames(take, clip, clip.size).weights(np.full(27, 1 / 27))
    assert len(weights) == 39 and weights.sum() == pytest.approx(1.0)
    assert weights[27:].sum() == pytest.approx(MOST_SHARE)


def test_a_fit_draws_of_both_and_begins_anew_without_the_take(clip: Dataset, take: Dataset, tmp_path: Path) -> None:
    config = TrainerConfig(size=32, steps=60, preview_every=0, checkpoint_every=20)
    model = ToyModel()
    events = list(train(model, clip, tmp_path, config, take=take))
    assert events and any(i >= 30 for i in model.seen) and any(i < 28 for i in model.seen)
    assert not any(28 <= i < 30 for i in model.seen), "held-out frames"
    again = ToyModel()
    list(train(again, clip, tmp_path, config, take=take))
    assert again.calls == 0
    without = ToyModel()
    list(train(without, clip, tmp_path, config))
    assert without.calls == 60
