"""Frame sampling, the frame cache and the schedules."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from gtalk.basis import MotionBasis
from gtalk.fit.frames import FrameCache
from gtalk.fit.sampling import FrameSampler, SamplingConfig, frame_weights
from gtalk.fit.schedule import LearningRate
from tests.support.synthetic_dataset import make_synthetic_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=40, size=48)


def test_a_rare_mouth_and_a_blink_are_drawn_often(dataset) -> None:
    motion = dataset.motion
    # Frame 0's mouth, held for all frames but one; one other frame blinks.
    landmarks = np.repeat(motion.landmarks[:1], 40, axis=0)
    landmarks += np.random.default_rng(0).normal(size=landmarks.shape) * 1e-5
    landmarks[7, 48:] += [0.0, -0.01, 0.0]
    eyes = np.ones((40, 2))
    eyes[20] = 0.0
    motion = motion.replace(landmarks=landmarks, eyes=eyes)
    weights = frame_weights(motion, MotionBasis.fit(motion), np.arange(40), SamplingConfig())
    assert weights.sum() == pytest.approx(1.0)
    others = np.delete(weights, [7, 20])
    assert weights[7] > 2.5 * np.median(others)
    assert weights[20] > 1.5 * np.median(others)
    assert weights.max() <= SamplingConfig().max_ratio / 40 * 1.5


def test_no_power_no_boost_is_uniform(dataset) -> None:
    flat = SamplingConfig(rarity_power=0.0, blink_boost=0.0)
    weights = frame_weights(dataset.motion, MotionBasis.fit(dataset.motion), np.arange(30), flat)
    assert np.allclose(weights, 1 / 30)


def test_draws_follow_the_weights_and_the_generator() -> None:
    sampler = FrameSampler(np.array([3, 5, 9]), np.array([0.2, 0.5, 0.3]))
    drawn = np.array(sampler.draw(20_000, torch.Generator().manual_seed(1)))
    shares = [(drawn == i).mean() for i in (3, 5, 9)]
    assert shares == pytest.approx([0.2, 0.5, 0.3], abs=0.015)
    assert drawn[:9].tolist() == sampler.draw(9, torch.Generator().manual_seed(1))


def test_the_cache_keeps_to_its_budget_and_its_size(dataset) -> None:
    cache = FrameCache(dataset, (24, 24), budget_mb=24 * 24 * 5 * 3 / 1e6)
    for index in (0, 1, 2, 3, 4, 0):
        frame = cache[index]
        assert frame.index == index and len(frame.motion) == 1
        assert frame.rgb.shape == (24, 24, 3) and frame.rgb.dtype == np.uint8
        assert frame.matte.shape == frame.labels.shape == (24, 24)
        assert set(np.unique(frame.labels)) <= set(range(7))
    assert len(cache._kept) == 3


def test_full_size_frames_are_the_datasets_own(dataset) -> None:
    frame = FrameCache(dataset, (48, 48))[5]
    assert np.array_equal(frame.rgb, dataset.frame(5)) and np.array_equal(frame.matte, dataset.matte(5))


def test_learning_rate_warms_up_and_decays_by_progress() -> None:
    rate = LearningRate(0.1, final_factor=0.01, warmup=0.1)
    assert rate.at(0.0) == pytest.approx(0.01)
    assert rate.at(0.1) == pytest.approx(0.1 * 0.01**0.1)
    assert rate.at(1.0) == pytest.approx(0.001)
    assert dataclasses.replace(rate, warmup=0.0).at(0.0) == pytest.approx(0.1)


def test_the_synthetic_dataset_can_have_a_cut(tmp_path: Path) -> None:
    cut = make_synthetic_dataset(tmp_path, n_frames=12, size=32, cut_at=6)
    assert [(s.start, s.stop) for s in cut.segments] == [(0, 6), (6, 12)]
