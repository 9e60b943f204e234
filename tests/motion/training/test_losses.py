import dataclasses

import numpy as np
import pytest
import torch

from gtalk.basis import JAW, MotionBasis
from gtalk.motion.training.losses import LossConfig, MotionLoss
from tests.motion.talking import motion_of_openness

BASIS = MotionBasis.fit(motion_of_openness(np.random.default_rng(0).uniform(size=400)))
KM = len(BASIS.mouth)


def codes(seed: int, frames: int = 20) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, frames, KM + 2))).float()


def test_truth_costs_nothing_and_unusable_frames_do_not_count() -> None:
    loss, truth, usable = MotionLoss(BASIS, LossConfig()), codes(0), torch.ones(2, 20, dtype=torch.bool)
    assert sum(float(v) for v in loss(truth, truth, usable).values()) == 0.0
    usable[:, 10:] = False
    spoiled = truth.clone()
    spoiled[:, 10:] += 9.0
    assert sum(float(v) for v in loss(spoiled, truth, usable).values()) == 0.0


def test_landmark_term_is_the_weighted_squared_distance() -> None:
    config = LossConfig(jaw=0.5, depth=0.25, robust=100.0)
    predicted, truth, usable = codes(1), codes(2), torch.ones(2, 20, dtype=torch.bool)
    got = float(MotionLoss(BASIS, config)(predicted, truth, usable)["landmarks"])
    moved = np.einsum("btk,kpc->btpc", (predicted - truth).numpy()[..., :KM], BASIS.mouth)
    moved[:, :, : len(JAW)] *= 0.5
    moved[..., 2] *= 0.25
    unit = (BASIS.mouth[:, len(JAW) :, :2] ** 2).sum((0, 2)).mean()
    # sqrt(d^2 + c^2) - c is d^2 / 2 c where c is large, and d where it is small.
    assert got == pytest.approx((moved**2).sum(-1).mean() / unit / 200.0, rel=1e-2)
    near = dataclasses.replace(config, robust=1e-3)
    got = float(MotionLoss(BASIS, near)(predicted, truth, usable)["landmarks"])
    assert got == pytest.approx(np.linalg.norm(moved, axis=-1).mean() / np.sqrt(unit), rel=1e-2)


def test_constant_errors_cost_no_velocity_and_steady_drift_no_acceleration() -> None:
    loss, truth, usable = MotionLoss(BASIS, LossConfig()), codes(3), torch.ones(2, 20, dtype=torch.bool)
    shifted = loss(truth + 0.3, truth, usable)
    drifting = loss(truth + 0.1 * torch.arange(20)[None, :, None], truth, usable)
    assert float(shifted["velocity"]) < 1e-8 < float(shifted["landmarks"])
    assert float(drifting["laplacian"]) < 1e-8 < float(drifting["velocity"])


def test_amplitude_term_asks_for_the_truths_spread() -> None:
    loss, truth, usable = MotionLoss(BASIS, LossConfig(amplitude=1.0)), codes(4), torch.ones(2, 20, dtype=torch.bool)
    small, right = (float(loss(s * truth, truth, usable)["amplitude"]) for s in (0.5, 1.0))
    assert right < 1e-9 < small
    off = MotionLoss(BASIS, dataclasses.replace(LossConfig(), amplitude=0.0))
    assert "amplitude" not in off(truth, truth, usable)


def test_gradients_match_finite_differences() -> None:
    loss = MotionLoss(BASIS, LossConfig())
    loss.table = loss.table.double()
    predicted, truth = codes(5, 6).double().requires_grad_(), codes(6, 6).double()
    usable = torch.ones(2, 6, dtype=torch.bool)
    usable[1, 3] = False

    def total(x: torch.Tensor) -> torch.Tensor:
        return torch.stack(list(loss(x, truth, usable).values())).sum()

    assert torch.autograd.gradcheck(total, (predicted,))


def test_closures_count_only_amid_speech_and_only_their_opening() -> None:
    config = LossConfig(closure=1.0)
    opening = np.full(40, 0.8)
    opening[9:11], opening[24:] = 0.0, 0.0  # a closure, and a pause
    truth = torch.from_numpy(BASIS.encode(motion_of_openness(opening))[:, :KM]).float()[None]
    truth = torch.cat([truth, torch.zeros(1, 40, 2)], 2)
    loss, usable = MotionLoss(BASIS, config), torch.ones(1, 40, dtype=torch.bool)
    assert float(loss(truth, truth, usable)["closure"]) == 0.0

    def cost(first: int, stop: int) -> float:
        wider = truth.clone()
        wider[:, first:stop] = truth[:, :1]  # as open as the first frame
        return float(loss(wider, truth, usable)["closure"])

    assert cost(9, 11) > 0.5 and cost(32, 40) == 0.0 == cost(0, 6)
    assert "closure" not in MotionLoss(BASIS, LossConfig(closure=0.0))(truth, truth, usable)
