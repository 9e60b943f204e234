"""The skull's shape and the camera's focal length from a few hundred frames: full bundle adjustment.

Unknowns are the rigid vertices, the logarithm of the focal length and a pose per frame. Alternating
between shape and poses would crawl (turning more and being flatter look alike), so that all are solved
at once: poses are eliminated frame by frame, and a dense system over shape and focal length remains.

Errors of one frame's landmarks are alike: a frame counts as INDEPENDENT_POINTS points, not as hundreds.
Focal length and depth that a clip does not show then stay at their priors, and the estimate says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gtalk.geometry.rotation import cross_matrix, exp_so3, project, projection_jacobian
from gtalk.prepare.tracking.model import Model, States
from gtalk.prepare.tracking.pose import robust_weights
from gtalk.shapes import Bool, Float, Int

INDEPENDENT_POINTS = 4.0
SHAPE_PRIOR_STD_M = 0.005
"""How far the network's own depth may be off."""
SMOOTH_PRIOR_STD_M = 0.001
"""How far a vertex may be off what its neighbours are off."""
REACH_M = 0.04
"""Vertices nearer than this to each other are off together."""
FOCAL_LOG_STD = 0.35
TRUSTED_LOG_STD = 0.2  # of the focal length: below it, the clip has decided
ITERATIONS = 12
SIGMA_FLOOR_PX = 0.2


@dataclass(frozen=True)
class Rigid:
    """What the adjustment found."""

    shape: Float[np.ndarray, "R 3"]
    """Of the rigid vertices."""
    states: States
    focal_px: float
    focal_log_std: float
    """Standard deviation of the focal length's logarithm."""

    @property
    def note(self) -> str:
        """For the report."""
        if self.focal_log_std < TRUSTED_LOG_STD:
            return f"Focal length {self.focal_px:.0f} px, measured to about {100 * self.focal_log_std:.0f} %."
        return (
            f"The head turns too little to measure the focal length: {self.focal_px:.0f} px is mostly assumed. "
            "Views from the side will be a little too flat or too deep."
        )


def adjust_rigid(
    model: Model, states: States, points_px: Float[np.ndarray, "T R 2"], iterations: int = ITERATIONS
) -> Rigid:
    """Bundle adjustment of rigid points.

    Args:
        model: camera (its focal length is the prior) and prior shape, rigid vertices only, no basis.
        states: where the poses start.
        points_px: where the vertices were seen.
        iterations: Gauss-Newton steps.
    """
    prior, prior_log = model.shape, np.log(model.focal_px)
    stiffness = _shape_prior(prior)
    variance = np.inf
    for _ in range(iterations):
        residual = points_px - project(_place(model, states), model.focal_px, model.centre_px)
        sigma_px = max(SIGMA_FLOOR_PX, 1.48 * float(np.median(np.abs(residual))))
        weights = robust_weights(residual, np.full(len(prior), sigma_px)) / sigma_px**2
        weights *= min(1.0, INDEPENDENT_POINTS / len(prior))
        size = prior.size
        matrix, right, back = _reduce(model, states, residual, weights)
        matrix[:size, :size] += stiffness
        right[:size] -= stiffness @ (model.shape - prior).reshape(-1)
        matrix[size, size] += 1.0 / FOCAL_LOG_STD**2
        right[size] -= (np.log(model.focal_px) - prior_log) / FOCAL_LOG_STD**2
        only_focal = np.zeros(size + 1)
        only_focal[size] = 1.0
        step, column = np.linalg.solve(matrix, np.stack([right, only_focal], axis=1)).T
        variance = float(column[size])
        log_step = float(np.clip(step[size], -0.3, 0.3))
        step[size] = log_step
        pose_step = back[0] - np.einsum("tig,g->ti", back[1], step)
        states = States(
            exp_so3(pose_step[:, :3]) @ states.rotation, states.translation + pose_step[:, 3:], states.coefficients
        )
        model = replace(
            model, shape=model.shape + step[:size].reshape(-1, 3), focal_px=model.focal_px * float(np.exp(log_step))
        )
    return Rigid(model.shape, states, model.focal_px, float(np.sqrt(variance)))


def _place(model: Model, states: States) -> np.ndarray:
    return model.shape @ states.rotation.transpose(0, 2, 1) + states.translation[:, None]


def _shape_prior(shape: np.ndarray) -> np.ndarray:
    """[3R,3R] information: vertices may move together by much, one against its neighbours by little."""
    distance = np.linalg.norm(shape[:, None] - shape[None], axis=-1)
    covariance = SHAPE_PRIOR_STD_M**2 * np.exp(-((distance / REACH_M) ** 2)) + SMOOTH_PRIOR_STD_M**2 * np.eye(
        len(shape)
    )
    return np.kron(np.linalg.inv(covariance), np.eye(3))


def _reduce(
    model: Model, states: States, residual: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Normal equations of (shape, log focal) after the poses' elimination, and how the poses follow."""
    turned = model.shape @ states.rotation.transpose(0, 2, 1)
    camera = turned + states.translation[:, None]
    root = np.sqrt(weights)[..., None]
    by_point = projection_jacobian(camera, model.focal_px) * root[..., None]
    by_focal = (project(camera, model.focal_px, model.centre_px) - model.centre_px) * root
    by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)
    by_head = by_point @ states.rotation[:, None]
    residual = residual * root
    frames, count = weights.shape
    pose = np.einsum("tpai,tpaj->tij", by_pose, by_pose) + 1e-9 * np.eye(6)
    across = np.empty((frames, 6, 3 * count + 1))
    both = by_pose[:, :, 0, :, None] * by_head[:, :, 0, None] + by_pose[:, :, 1, :, None] * by_head[:, :, 1, None]
    across[..., :-1] = both.transpose(0, 2, 1, 3).reshape(frames, 6, -1)
    across[..., -1] = np.einsum("tpai,tpa->ti", by_pose, by_focal)
    pull = np.einsum("tpai,tpa->ti", by_pose, residual)
    matrix = np.zeros((3 * count + 1, 3 * count + 1))
    blocks = np.einsum("tpai,tpaj->pij", by_head, by_head)
    index = np.arange(count) * 3
    for i in range(3):
        for j in range(3):
            matrix[index + i, index + j] = blocks[:, i, j]
    matrix[:-1, -1] = matrix[-1, :-1] = np.einsum("tpai,tpa->pi", by_head, by_focal).reshape(-1)
    matrix[-1, -1] = (by_focal**2).sum()
    right = np.append(np.einsum("tpai,tpa->pi", by_head, residual).reshape(-1), (by_focal * residual).sum())
    # With pose = L L', what its elimination takes off is a square: of L's inverse times what couples both.
    inverse = np.linalg.inv(np.linalg.cholesky(pose))
    half, half_pull = inverse @ across, np.einsum("tij,tj->ti", inverse, pull)
    flat = half.reshape(frames * 6, -1)
    matrix -= flat.T @ flat
    right -= half_pull.reshape(-1) @ flat
    transposed = inverse.transpose(0, 2, 1)
    return matrix, right, (np.einsum("tij,tj->ti", transposed, half_pull), transposed @ half)


def carry(
    prior: Float[np.ndarray, "478 3"], kept: np.ndarray, found: Float[np.ndarray, "R 3"]
) -> Float[np.ndarray, "478 3"]:
    """The whole face bent as its rigid vertices (rows `kept`) were: the mean of the same Gaussian prior."""
    distance = np.linalg.norm(prior[:, None] - prior[None, kept], axis=-1)
    covariance = SHAPE_PRIOR_STD_M**2 * np.exp(-((distance / REACH_M) ** 2))
    own = covariance[kept] + SMOOTH_PRIOR_STD_M**2 * np.eye(len(kept))
    shape = prior + covariance @ np.linalg.solve(own, found - prior[kept])
    shape[kept] = found
    return shape


def spread_over_poses(states: States, good: Bool[np.ndarray, " T"], count: int) -> Int[np.ndarray, " C"]:
    """At most `count` good frames: half evenly in time, half those whose poses differ most (farthest points)."""
    usable = np.flatnonzero(good)
    if len(usable) <= count:
        return usable
    place = np.concatenate([states.rotation.reshape(-1, 9), states.translation * 2.0], axis=1)[usable]
    chosen = np.linspace(0, len(usable) - 1, count // 2).astype(int).tolist()
    distance = np.full(len(usable), np.inf)
    for row in chosen:
        distance = np.minimum(distance, np.linalg.norm(place - place[row], axis=1))
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(place - place[chosen[-1]], axis=1))
    return usable[np.unique(chosen)]
