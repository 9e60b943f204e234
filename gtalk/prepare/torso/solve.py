"""From what was observed of the torso to a smooth similarity per frame: one sparse problem per shot.

A similarity is linear in z = [a, b, x, y]: p' = o + [[a, -b], [b, a]] (p - o) + (x, y). So corners and
contour points give linear equations, smoothness is a band matrix, and robust weights are found by
reweighting. Clothes are not rigid: errors of neighbouring corners are alike, so that many corners count
as a few independent ones, and corners that move by themselves (a tie, a collar) count less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from gtalk.shapes import Float, Int

NOISE_PX = 0.8  # at WORK_HEIGHT
INDEPENDENT = 60.0  # corners are worth at most so many independent ones
CONTOUR_WORTH = (0.5, 6.0)  # of the shoulder line, in corners: where texture is followed, and where there is none
ENOUGH_CORNERS = 10.0
ACCELERATION_PX = 0.2  # expected second difference of the torso's motion
TURN = 0.1  # expected rotation and scale, radians: the torso keeps its size
ITERATIONS = 7


@dataclass(frozen=True)
class Observations:
    """What was seen of the torso in one frame, in pixels of the working size."""

    corner: Int[np.ndarray, " N"]
    rest: Float[np.ndarray, "N 2"]
    seen: Float[np.ndarray, "N 2"]
    contour: Float[np.ndarray, "M 2"]
    """Points of the rest's shoulder line."""
    normal: Float[np.ndarray, "M 2"]
    """Across the line, in the frame."""
    reached: Float[np.ndarray, "M 2"]
    """Where the frame's line was met along the normal."""


def solve_shot(
    frames: list[Observations], centre: Float[np.ndarray, "2"], radius: float, n_corners: int
) -> Float[np.ndarray, "T 2 3"]:
    """Matrices rest -> frame for the frames of a shot, all at once.

    Args:
        frames: observations, one entry per frame; entries may be empty.
        centre: o, the middle of the rest's torso.
        radius: its size, which brings turns and shifts to the same unit.
        n_corners: numbers that `corner` may take.
    """
    solution = np.tile([radius, 0.0, 0.0, 0.0], (len(frames), 1))
    spread = np.full(n_corners, NOISE_PX)
    for iteration in range(ITERATIONS):
        tolerance = NOISE_PX * (6.0 if iteration == 0 else 2.0)
        normals = np.zeros((len(frames), 4, 4))
        rights = np.zeros((len(frames), 4))
        errors: list[np.ndarray] = []
        for t, frame in enumerate(frames):
            normals[t], rights[t], error = _frame_normals(frame, solution[t], centre, radius, spread, tolerance)
            errors.append(error)
        solution = _solve(normals, rights, radius)
        if iteration >= 1:
            spread = _corner_spread(frames, errors, n_corners)
    return to_matrices(solution, centre, radius)


def solve_steps(
    steps: Sequence[tuple[np.ndarray, np.ndarray, float]],
    frames: Sequence[Observations],
    z: Float[np.ndarray, "T 4"],
    centre: Float[np.ndarray, "2"],
    radius: float,
) -> Float[np.ndarray, "T 4"]:
    """New parameters of a shot, from normal equations [4,4], [4] of each frame and what they are worth in corners.

    Of `frames` only the shoulder lines are used.
    """
    normals = np.stack([step[0] for step in steps])
    rights = np.stack([step[1] for step in steps])
    for t, (frame, step) in enumerate(zip(frames, steps, strict=True)):
        normal, right = _contour_normals(frame, z[t], centre, radius, 2 * NOISE_PX, step[2])
        normals[t] += normal
        rights[t] += right
    return _solve(normals, rights, radius)


def _frame_normals(
    frame: Observations, z: np.ndarray, centre: np.ndarray, radius: float, spread: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(normal matrix, right side, error of each corner in pixels) of one frame."""
    normal, right = np.zeros((4, 4)), np.zeros(4)
    error = np.zeros(0)
    texture = 0.0
    if len(frame.rest):
        x, y = ((frame.rest - centre) / radius).T
        u, v = (frame.seen - centre).T
        error = np.hypot(z[0] * x - z[1] * y + z[2] - u, z[1] * x + z[0] * y + z[3] - v)
        sigma = spread[frame.corner]
        weight = 1.0 / (sigma**2 * (1.0 + (error / tolerance) ** 2) ** 2)
        texture = float(weight.sum() * NOISE_PX**2)
        weight *= min(1.0, INDEPENDENT / max(texture, 1e-9))
        # The sums of derivatives (x, -y, 1, 0) and (y, x, 0, 1) times each other and times the target, written out.
        total, by_x, by_y, square = weight.sum(), weight @ x, weight @ y, weight @ (x * x + y * y)
        normal += [[square, 0.0, by_x, by_y], [0.0, square, -by_y, by_x],
                   [by_x, -by_y, total, 0.0], [by_y, by_x, 0.0, total]]  # fmt: skip
        right += [weight @ (x * u + y * v), weight @ (x * v - y * u), weight @ u, weight @ v]
    by_contour = _contour_normals(frame, z, centre, radius, tolerance, texture)
    return normal + by_contour[0], right + by_contour[1], error


def _contour_normals(
    frame: Observations, z: np.ndarray, centre: np.ndarray, radius: float, tolerance: float, texture: float
) -> tuple[np.ndarray, np.ndarray]:
    """Normal equations of the shoulder line, which counts for less where there is texture, in corners."""
    if not len(frame.contour):
        return np.zeros((4, 4)), np.zeros(4)
    rows = rows_along(frame.normal, frame.contour, centre, radius)
    target = np.einsum("ni,ni->n", frame.reached - centre, frame.normal)
    off = rows @ z - target
    weight = 1.0 / (NOISE_PX**2 * (1.0 + (off / (2 * tolerance)) ** 2) ** 2)
    worth = np.interp(texture, [0.0, ENOUGH_CORNERS], CONTOUR_WORTH[::-1])
    weight *= min(1.0, worth / max(float((weight * NOISE_PX**2).sum()), 1e-9))
    return (rows * weight[:, None]).T @ rows, rows.T @ (weight * target)


def rows_along(
    directions: Float[np.ndarray, "N 2"],
    points: Float[np.ndarray, "N 2"],
    centre: Float[np.ndarray, "2"],
    radius: float,
) -> Float[np.ndarray, "N 4"]:
    """Derivatives by z of moved points (relative to the centre) along directions, a and b in units of the radius."""
    x, y = ((points - centre) / radius).T
    along, down = directions.T
    return np.stack([along * x + down * y, down * x - along * y, along, down], axis=1)


def _solve(normals: np.ndarray, rights: np.ndarray, radius: float) -> np.ndarray:
    """Minimise data + smoothness + a weak wish for no turn and no change of size."""
    count = len(normals)
    prior = 1.0 / (TURN * radius) ** 2
    band = np.zeros((12, 4 * count))  # lower form: band[k, j] = A[j + k, j]
    right = rights.copy()
    right[:, 0] += prior * radius
    normals = normals + np.diag([prior, prior, 1e-6, 1e-6])
    for i in range(4):
        for j in range(i + 1):
            band[i - j, j::4] += normals[:, i, j]
    if count > 2:
        smooth = 1.0 / ACCELERATION_PX**2
        ones = np.zeros((3, count))
        for a, value_a in enumerate((1.0, -2.0, 1.0)):
            for b, value_b in enumerate((1.0, -2.0, 1.0)):
                if a >= b:
                    ones[a - b, b : b + count - 2] += value_a * value_b
        for distance in range(3):
            for parameter in range(4):
                band[4 * distance, parameter::4] += smooth * ones[distance]
    return solveh_banded(band, right.ravel(), lower=True).reshape(count, 4)


def _corner_spread(frames: list[Observations], errors: list[np.ndarray], n_corners: int) -> np.ndarray:
    """How far each corner usually lies from where the similarity puts it, pixels."""
    corners = np.concatenate([frame.corner for frame in frames]) if frames else np.zeros(0, int)
    error = np.minimum(np.concatenate(errors), 6.0) if errors else np.zeros(0)
    count = np.bincount(corners, minlength=n_corners)
    power = np.bincount(corners, weights=error**2, minlength=n_corners)
    # Few sightings say little: the typical spread counts as ten of them.
    return np.sqrt((power + 10 * NOISE_PX**2) / (count + 10))


def to_matrices(
    z: Float[np.ndarray, "T 4"], centre: Float[np.ndarray, "2"], radius: float
) -> Float[np.ndarray, "T 2 3"]:
    """Matrices of parameters z, with a and b in units of the radius."""
    a, b = z[:, 0] / radius, z[:, 1] / radius
    linear = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
    shift = centre + z[:, 2:] - linear @ centre
    return np.concatenate([linear, shift[..., None]], axis=-1)


def to_parameters(
    matrices: Float[np.ndarray, "T 2 3"], centre: Float[np.ndarray, "2"], radius: float
) -> Float[np.ndarray, "T 4"]:
    """Inverse of `to_matrices`."""
    shift = matrices[:, :, :2] @ centre + matrices[:, :, 2] - centre
    return np.concatenate([matrices[:, 0, :1] * radius, matrices[:, 1, :1] * radius, shift], axis=1)
