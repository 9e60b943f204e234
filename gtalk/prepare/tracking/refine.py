"""Final poses of a clip from three witnesses: landmarks, texture tracks and smoothness.

Landmarks know where the head is but shake as a whole; texture tracks know to a tenth of a pixel how it
moved but not where it is; and heads do not jump. Minimised over all poses p_t and texture points X_j:

    sum_t d_t' Omega_t d_t + sum_jt rho(u_jt - pi(R_t X_j + t_t)) + sum_t e_t' Q^-1 e_t

d_t: pose minus the landmarks' pose, Omega_t its information, *with the shake counted as error*;
rho: Geman-McClure; e_t: second difference of the pose inside a shot. Gauss-Newton; the texture points are
eliminated (Schur complement), the poses solved by conjugate gradients with a banded preconditioner.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse import bsr_matrix

from gtalk.geometry.rotation import cross_matrix, exp_so3, log_so3, project, projection_jacobian
from gtalk.prepare.tracking.flow import TextureTracks
from gtalk.prepare.tracking.model import Model, States
from gtalk.shapes import Bool, Float, Int


@dataclass(frozen=True)
class RefineConfig:
    """How far each witness is trusted, in the camera frame."""

    shake_rad: float = 0.008
    """Error of the landmarks' rotation that all points of a frame share."""
    shake_across_m: float = 0.0008
    """The same of the shift across the image."""
    shake_along_m: float = 0.006
    """The same of the distance to the camera."""
    loosen: float = 10.0
    """With texture, the three above count so many times larger: landmarks err by what the pose is (nods are
    understated by up to a third), so that their errors do not average out over a clip."""
    plenty: int = 20
    """Texture observations that give a frame all the texture it needs."""
    jerk_rad: float = 0.006
    """Expected second difference of the rotation, per frame squared."""
    jerk_across_m: float = 0.0008
    """The same of the shift across the image."""
    jerk_along_m: float = 0.0008
    """The same of the distance."""
    texture_px: float = 0.35
    """Expected error of a texture observation."""
    point_m: float = 0.002
    """How far a texture point may be off the tracked mesh."""
    outer: int = 5
    """Gauss-Newton steps."""


@dataclass(frozen=True)
class _Linear:
    """One linearisation. Data blocks of frames and points, coupling, right sides."""

    frame: Float[np.ndarray, "T 6 6"]
    frame_right: Float[np.ndarray, "T 6"]
    point: Float[np.ndarray, "N 3 3"]
    point_right: Float[np.ndarray, "N 3"]
    coupling: bsr_matrix
    weights: Float[np.ndarray, " M"]


def refine_poses(
    model: Model,
    states: States,
    information: Float[np.ndarray, "T 6 6"],
    valid: Bool[np.ndarray, " T"],
    borders: Sequence[int],
    tracks: TextureTracks,
    config: RefineConfig = RefineConfig(),
) -> tuple[States, Float[np.ndarray, "N 3"]]:
    """The states with refined poses, and the texture points in head space.

    Args:
        model: camera and person.
        states: the landmarks' poses; also where the search starts.
        information: of the landmarks about each pose, see `solve_states`.
        valid: frames with a face; the others get their pose from smoothness.
        borders: first frames of the shots; nothing couples frames across them.
        tracks: may be empty.
        config: trust.
    """
    anchor = landmark_information(information, valid, np.bincount(tracks.frame, minlength=len(states)), config)
    stiffness = smoothness_weights(config)
    rotation, translation, points = states.rotation, states.translation, tracks.point_m.copy()
    for _ in range(config.outer):
        linear = _linearise(model, rotation, translation, points, tracks, config)
        block = linear.frame + anchor
        right = linear.frame_right - np.einsum("tij,tj->ti", anchor, _difference(rotation, translation, states))
        system = _Banded(block, stiffness, borders)
        right -= system.smoothness_pull(rotation, translation)
        step, point_step = _solve(system, linear, right)
        rotation, translation = exp_so3(step[:, :3]) @ rotation, translation + step[:, 3:]
        points = points + point_step
        if max(np.abs(step).max(initial=0.0), np.abs(point_step).max(initial=0.0)) < 1e-6:
            break
    return States(rotation, translation, states.coefficients), points


def landmark_information(
    information: Float[np.ndarray, "T 6 6"],
    valid: Bool[np.ndarray, " T"],
    sightings: Int[np.ndarray, " T"],
    config: RefineConfig,
) -> Float[np.ndarray, "T 6 6"]:
    """What a frame's landmarks say about its pose once their common shake counts as error.

    `sightings` is the number of texture observations in each frame.
    """
    shake = np.array([config.shake_rad] * 3 + [config.shake_across_m] * 2 + [config.shake_along_m])
    share = np.minimum(1.0, sightings / config.plenty)
    shake = shake * (1.0 + (config.loosen - 1.0) * share[:, None])
    safe = np.where(valid[:, None, None], information, np.eye(6)) + 1e-9 * np.eye(6)
    anchor = np.linalg.inv(np.linalg.inv(safe) + np.eye(6) * shake[:, None] ** 2)
    return np.where(valid[:, None, None], anchor, 0.0)


def smoothness_weights(config: RefineConfig) -> Float[np.ndarray, "6"]:
    """Information about second differences."""
    return 1.0 / np.array([config.jerk_rad] * 3 + [config.jerk_across_m] * 2 + [config.jerk_along_m]) ** 2


def texture_residuals(
    model: Model, states: States, points: Float[np.ndarray, "N 3"], tracks: TextureTracks
) -> Float[np.ndarray, "M 2"]:
    """Observed minus predicted pixels of the texture observations."""
    camera = np.einsum("mij,mj->mi", states.rotation[tracks.frame], points[tracks.point])
    camera += states.translation[tracks.frame]
    return tracks.seen_px - project(camera, model.focal_px, model.centre_px)


def fit_points(
    model: Model, states: States, tracks: TextureTracks, config: RefineConfig = RefineConfig()
) -> Float[np.ndarray, "N 3"]:
    """Texture points in head space that fit their observations best while the poses stay."""
    points = tracks.point_m.copy()
    for _ in range(config.outer):
        linear = _linearise(model, states.rotation, states.translation, points, tracks, config)
        points = points + np.linalg.solve(linear.point, linear.point_right[..., None])[..., 0]
    return points


def _difference(rotation: np.ndarray, translation: np.ndarray, states: States) -> np.ndarray:
    turn = log_so3(rotation @ states.rotation.transpose(0, 2, 1))
    return np.concatenate([turn, translation - states.translation], axis=1)


def _linearise(
    model: Model,
    rotation: np.ndarray,
    translation: np.ndarray,
    points: np.ndarray,
    tracks: TextureTracks,
    config: RefineConfig,
) -> _Linear:
    turn = rotation[tracks.frame]
    turned = np.einsum("mij,mj->mi", turn, points[tracks.point])
    camera = turned + translation[tracks.frame]
    residual = tracks.seen_px - project(camera, model.focal_px, model.centre_px)
    square = (residual**2).sum(-1) / (2.0 * (2.5 * config.texture_px) ** 2)
    weights = 1.0 / (1.0 + square) ** 2 / config.texture_px**2
    by_point = projection_jacobian(camera, model.focal_px) * np.sqrt(weights)[:, None, None]
    residual = residual * np.sqrt(weights)[:, None]
    by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)
    by_head = by_point @ turn
    frames, count = len(rotation), len(points)
    frame = _sum_by(tracks.frame, by_pose.transpose(0, 2, 1) @ by_pose, frames)
    frame_right = _sum_by(tracks.frame, np.einsum("mai,ma->mi", by_pose, residual), frames)
    point = _sum_by(tracks.point, by_head.transpose(0, 2, 1) @ by_head, count)
    point = point + np.eye(3) / config.point_m**2
    point_right = _sum_by(tracks.point, np.einsum("mai,ma->mi", by_head, residual), count)
    point_right = point_right - (points - tracks.point_m) / config.point_m**2
    order = np.argsort(tracks.frame, kind="stable")
    blocks = (by_pose.transpose(0, 2, 1) @ by_head)[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(tracks.frame, minlength=frames))])
    coupling = bsr_matrix((blocks, tracks.point[order], starts), shape=(6 * frames, 3 * count))
    return _Linear(frame, frame_right, point, point_right, coupling, weights)


def _sum_by(index: Int[np.ndarray, " M"], values: np.ndarray, count: int) -> np.ndarray:
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    sums = [np.bincount(index, column, count).astype(np.float64) for column in flat.T]
    return np.stack(sums, axis=-1).reshape(count, *values.shape[1:])


def _solve(system: _Banded, linear: _Linear, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps of all poses and points."""
    inverse = np.linalg.inv(linear.point)
    coupling, transposed = linear.coupling, linear.coupling.T.tobsr()

    def from_points(value: np.ndarray) -> np.ndarray:
        return np.einsum("nij,nj->ni", inverse, value.reshape(-1, 3)).reshape(-1)

    target = right.reshape(-1) - coupling @ from_points(linear.point_right.reshape(-1))

    def apply(step: np.ndarray) -> np.ndarray:
        return system.multiply(step) - coupling @ from_points(transposed @ step)

    step = conjugate_gradients(apply, target, system.precondition)
    point_step = from_points(linear.point_right.reshape(-1) - transposed @ step)
    return step.reshape(-1, 6), point_step.reshape(-1, 3)


def conjugate_gradients(apply, target: np.ndarray, precondition, iterations: int = 60, tolerance: float = 0.02):
    """Preconditioned conjugate gradients from zero, until the residual's preconditioned norm falls by `tolerance`."""
    solution, residual = np.zeros_like(target), target.copy()
    direction = scaled = precondition(residual)
    energy = first = float(residual @ scaled)
    for _ in range(iterations):
        if energy <= tolerance**2 * first or energy == 0.0:
            break
        image = apply(direction)
        length = energy / float(direction @ image)
        solution += length * direction
        residual -= length * image
        scaled = precondition(residual)
        previous, energy = energy, float(residual @ scaled)
        direction = scaled + energy / previous * direction
    return solution


class _Banded:
    """Block-diagonal data plus second-difference smoothness within shots: a matrix of half-bandwidth 17."""

    def __init__(self, block: np.ndarray, stiffness: np.ndarray, borders: Sequence[int]) -> None:
        frames = len(block)
        self._block, self._stiffness = block, stiffness
        edges = sorted({0, *(b for b in borders if 0 < b < frames), frames})
        middle = [np.arange(a + 1, b - 1) for a, b in itertools.pairwise(edges)]
        self._middle = np.concatenate(middle) if middle else np.zeros(0, int)
        band = np.zeros((18, 6 * frames))  # lower form: band[i - j, j] = H[i, j]
        columns = np.arange(frames) * 6
        for j in range(6):
            for i in range(j, 6):
                band[i - j, columns + j] = block[:, i, j]
        weights = np.array([1.0, -2.0, 1.0])
        for a in range(3):
            for b in range(a + 1):
                for j in range(6):
                    place = columns[self._middle - 1 + b] + j
                    band[6 * (a - b), place] += weights[a] * weights[b] * stiffness[j]
        # A frame without data, without neighbours: keep it where it is.
        band[0] += 1e-6 * np.tile(stiffness, frames)
        self._factor = cholesky_banded(band, lower=True)

    def precondition(self, vector: np.ndarray) -> np.ndarray:
        return cho_solve_banded((self._factor, True), vector)

    def multiply(self, vector: np.ndarray) -> np.ndarray:
        step = vector.reshape(-1, 6)
        return (np.einsum("tij,tj->ti", self._block, step) + self._spread(self._bend(step))).reshape(-1)

    def smoothness_pull(self, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Gradient [T,6] of the smoothness term at the current poses."""
        here, before, after = self._middle, self._middle - 1, self._middle + 1
        turn = log_so3(rotation[1:] @ rotation[:-1].transpose(0, 2, 1))
        bend = np.concatenate(
            [turn[here] - turn[before], translation[after] - 2.0 * translation[here] + translation[before]], axis=1
        )
        return self._spread(bend)

    def _bend(self, step: np.ndarray) -> np.ndarray:
        return step[self._middle - 1] - 2.0 * step[self._middle] + step[self._middle + 1]

    def _spread(self, bend: np.ndarray) -> np.ndarray:
        out = np.zeros((len(self._block), 6))
        for offset, weight in ((-1, 1.0), (0, -2.0), (1, 1.0)):
            out[self._middle + offset] += weight * bend * self._stiffness
        return out
