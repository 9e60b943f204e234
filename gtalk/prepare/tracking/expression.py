"""Shape and expressions once the poses are known.

Detected landmarks are right where a face has features (lips, lids, brows) and shake by a pixel or more
where it has none (bridge of the nose, temples, cheekbones). So with poses that texture has fixed, points
over bone are taken as part of the skull, without any expression, and all others keep what was detected,
denoised by a low-rank basis of the clip's own. On real clips this steadies both: the texture under the
rigid *and* under the moving points varies less from frame to frame than with either alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg import eigh

from gtalk.prepare.tracking.flow import TextureTracks, texture_triangles
from gtalk.prepare.tracking.model import Model, States, place, residuals_px, update_structure
from gtalk.prepare.tracking.pose import Observations, robust_weights, solve_coefficients
from gtalk.shapes import Float, Int
from gtalk.topology import EYE_CORNERS, N_FACE, N_POINTS, SKIN_TRIANGLES

FIRM_RATIO = 1.8  # texture that fits worse than so many times the usual error lies on moving skin
MIN_SIGHTINGS = 50


def rigid_vertices(
    shape: Float[np.ndarray, "478 3"],
    tracks: TextureTracks | None = None,
    error_px: Float[np.ndarray, " M"] | None = None,
) -> Float[np.ndarray, "478"]:
    """1 for vertices that move with the skull, 0 for those that express, by place and by measured texture error.

    Args:
        shape: the person in head space.
        tracks: texture observations, if any.
        error_px: distance of each observation from where the rigid head predicts it.
    """
    rows = texture_triangles(shape)
    if tracks is not None and error_px is not None and len(error_px):
        usual = np.median(error_px)
        triangle = tracks.triangle[tracks.point]
        sightings = np.bincount(triangle, minlength=len(SKIN_TRIANGLES))
        total = np.bincount(triangle, np.minimum(error_px, 5.0 * usual), len(SKIN_TRIANGLES))
        moving = (sightings > MIN_SIGHTINGS) & (total > FIRM_RATIO * usual * sightings)
        rows = rows[~moving[rows]]
    rigidity = np.zeros(N_POINTS)
    rigidity[SKIN_TRIANGLES[rows]] = 1.0
    return rigidity


def fit_expressions(
    model: Model,
    states: States,
    observations: Observations,
    rigidity: Float[np.ndarray, "478"],
    chosen: Int[np.ndarray, " C"],
    count: int,
    rounds: int = 2,
) -> tuple[Model, States]:
    """Shape, basis and coefficients for fixed poses.

    Args:
        model: camera and a first shape; its basis is replaced.
        states: the poses.
        observations: landmarks of all frames.
        rigidity: see `rigid_vertices`.
        chosen: frames that shape and basis are fitted on.
        count: expressions wanted; a short clip gets fewer.
        rounds: alternations of coefficients and structure.
    """
    count = min(count, max(0, len(chosen) // 4))
    points_px = observations.points_px[chosen]
    still = replace(model, basis=np.zeros((0, N_POINTS, 3)))
    poses = States(states.rotation, states.translation, np.zeros((len(states), 0)))
    sigma_px = _spread_px(still, poses[chosen], points_px)
    weights = robust_weights(residuals_px(still, poses[chosen], points_px), np.maximum(sigma_px, 0.3))
    still = update_structure(still, poses[chosen], points_px, weights, model.shape, float(np.median(sigma_px)))
    expressive = np.where(np.arange(N_POINTS) < N_FACE, 1.0 - rigidity, 0.0)  # gaze is no expression
    model, part = _principal(still, poses[chosen], points_px, expressive, count)
    for _ in range(rounds):
        sigma_px = np.maximum(_spread_px(model, part, points_px), 0.15)
        trust = np.where(expressive > 0.5, sigma_px, np.inf)
        seen = Observations(points_px, trust, np.ones(len(chosen), bool))
        part = solve_coefficients(model, part, seen)
        weights = robust_weights(residuals_px(model, part, points_px), sigma_px)
        model = update_structure(model, part, points_px, weights, still.shape, float(np.median(sigma_px)))
        model = replace(model, basis=model.basis * expressive[:, None])
    model = replace(model, shape=_with_irises_between_corners(model, part, points_px))
    trust = np.where(expressive > 0.5, sigma_px, np.inf)
    everyone = States(states.rotation, states.translation, np.zeros((len(states), model.size)))
    return model, solve_coefficients(model, everyone, replace(observations, sigma_px=trust))


def _with_irises_between_corners(model: Model, states: States, points_px: np.ndarray) -> np.ndarray:
    """Shape [P,3] with irises at the depth of their eyes' corners, where they are usually seen.

    Gaze goes against the turns of a head, so that the parallax of an iris says nothing about its depth.
    """
    shape = model.shape.copy()
    origin = -np.einsum("tji,tj->ti", states.rotation, states.translation)[:, None]
    for iris, corners in zip((slice(468, 473), slice(473, 478)), EYE_CORNERS, strict=True):
        ray = (points_px[:, iris] - model.centre_px) / model.focal_px
        ray = np.concatenate([ray, np.ones_like(ray[..., :1])], axis=-1) @ states.rotation
        reach = (shape[corners, 2].mean() - origin[..., 2:]) / ray[..., 2:]
        shape[iris] = np.median(origin + reach * ray, axis=0)
    return shape


def _spread_px(model: Model, states: States, points_px: np.ndarray) -> np.ndarray:
    """Robust error of each vertex, pixels per coordinate."""
    left = residuals_px(model, states, points_px)
    return 1.48 * np.median(np.abs(left - np.median(left, axis=0)), axis=(0, 2))


def _principal(
    model: Model, states: States, points_px: np.ndarray, expressive: np.ndarray, count: int
) -> tuple[Model, States]:
    """Principal components of what the still model leaves, brought back to head space at the points' depth."""
    depth = place(model, states)[..., 2:3]
    offset = residuals_px(model, states, points_px) * depth / model.focal_px
    offset = np.concatenate([offset, np.zeros_like(depth)], axis=-1) @ states.rotation
    offset *= expressive[:, None]
    flat = (offset - np.median(offset, axis=0)).reshape(len(offset), -1)
    # The first singular vectors only, by way of the frames' products with each other.
    first = len(flat) - count
    left = eigh(flat @ flat.T, subset_by_index=[first, len(flat) - 1])[1][:, ::-1] if count else flat[:, :0]
    basis = left.T @ flat / np.sqrt(len(flat))
    coefficients = left * np.sqrt(len(flat))
    return (
        replace(model, basis=basis.reshape(-1, N_POINTS, 3)),
        States(states.rotation, states.translation, coefficients),
    )
