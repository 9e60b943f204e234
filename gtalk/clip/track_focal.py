"""One focal length for a clip, as far as the clip shows it.

Perspective and distance look alike unless a head turns: for each candidate the rigid part of the face is
adjusted anew (shape and poses), and the remaining error is compared. Errors of one frame's landmarks are
alike, so that a frame counts as one measurement, not as hundreds. With hardly any rotation the error says
nothing and the prior decides; the note says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gtalk.clip.track_geometry import log_so3, mean_rotation
from gtalk.clip.track_model import Model, States, residuals_px, update_structure
from gtalk.clip.track_pose import Observations, robust_weights, solve_states
from gtalk.shapes import Float

CANDIDATES = np.exp(np.linspace(np.log(0.45), np.log(2.6), 9))  # times the prior
PRIOR_LOG_STD = 0.35
TRUSTED_LOG_STD = 0.2  # below it, the clip has decided
FRAMES = 160
ALTERNATIONS = 6


@dataclass(frozen=True)
class Focal:
    """An estimate and what it rests on."""

    focal_px: float
    log_std: float
    """Standard deviation of its logarithm."""
    from_clip: bool
    """False: mostly the prior."""

    @property
    def note(self) -> str:
        """For the report."""
        if self.from_clip:
            return f"Focal length {self.focal_px:.0f} px, measured to about {100 * self.log_std:.0f} %."
        return (
            f"The head turns too little to measure the focal length: {self.focal_px:.0f} px is mostly assumed. "
            "Views from the side will be a little too flat or too deep."
        )


def estimate_focal(
    model: Model,
    states: States,
    points_px: Float[np.ndarray, "T 478 2"],
    rigid: Float[np.ndarray, "478"],
) -> Focal:
    """Posterior mean of the focal length under a log-normal prior around `model.focal_px`.

    Args:
        model: first shape, and the prior's focal length. Its basis is not used.
        states: first poses of the same frames.
        points_px: landmarks, all valid.
        rigid: 1 for vertices that hardly express.
    """
    chosen = _widest(states, FRAMES)
    kept = np.flatnonzero(rigid > 0.5)
    part = Model(model.focal_px, model.centre_px, model.shape[kept], np.zeros((0, len(kept), 3)))
    points = points_px[chosen][:, kept]
    poses = States(states.rotation[chosen], states.translation[chosen], np.zeros((len(chosen), 0)))
    costs = np.array([_cost(part, poses, points, factor) for factor in CANDIDATES])
    # chi-square at the best candidate is set to what its degrees of freedom expect: two per frame.
    likelihood = -len(chosen) * costs / costs.min()
    logs = np.log(CANDIDATES)
    fine = np.linspace(logs[0], logs[-1], 400)
    score = np.interp(fine, logs, likelihood) - fine**2 / (2.0 * PRIOR_LOG_STD**2)
    weights = np.exp(score - score.max())
    weights /= weights.sum()
    mean = float(weights @ fine)
    std = float(np.sqrt(weights @ (fine - mean) ** 2))
    return Focal(float(model.focal_px * np.exp(mean)), std, std < TRUSTED_LOG_STD)


def _widest(states: States, count: int) -> np.ndarray:
    """Frames that spread over the poses: every pose bin gives the same number."""
    if len(states) <= count:
        return np.arange(len(states))
    offset = log_so3(mean_rotation(states.rotation).T @ states.rotation)
    direction = np.linalg.svd(offset - offset.mean(0), full_matrices=False)[2][0]
    order = np.argsort(offset @ direction)
    along = (offset @ direction)[order]
    targets = np.linspace(along[0], along[-1], count)
    return np.unique(order[np.clip(np.searchsorted(along, targets), 0, len(order) - 1)])


def _cost(model: Model, states: States, points_px: np.ndarray, factor: float) -> float:
    """Robust mean square error, pixels^2, of the best rigid shape and poses for one focal length."""
    model = replace(model, focal_px=model.focal_px * factor)
    prior_shape = model.shape
    states = States(states.rotation, states.translation * [1.0, 1.0, factor], states.coefficients)
    seen = Observations(points_px, np.ones(len(model.shape)), np.ones(len(states), bool))
    for _ in range(ALTERNATIONS):
        states, _ = solve_states(model, states, seen, iterations=2)
        weights = robust_weights(residuals_px(model, states, points_px), seen.sigma_px)
        model = update_structure(model, states, points_px, weights, prior_shape, 0.1)
    left = residuals_px(model, states, points_px)
    weights = robust_weights(left, seen.sigma_px)
    return float((weights * (left**2).sum(-1)).sum() / weights.sum())
