"""Which part of the face mesh each Gaussian belongs to: upper lip and lower lip, lids, what lies inside the mouth.

At rest the lips are the same place, so the nearest triangle says nothing there: what tells them apart is how a
Gaussian's *learned* columns move with the mouth's codes. A Gaussian follows the nearest point of the surface of its
own side; teeth and tongue follow no skin: the upper ones keep to the skull, the lower ones go with the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.avatar.expressing.surface import Footpoints, footpoints, vertex_normals
from gtalk.shapes import Float, Int
from gtalk.topology import EYE_TRIANGLES, INNER_LIPS_RING, N_POINTS, OUTER_LIPS_RING, SKIN_TRIANGLES

UPPER, LOWER, SKIN, SKULL, JAW, EYEBALL = range(6)
LIP_REACH_M = 0.035  # along the skin: points farther from the lips belong to no lip
NEAR_M, MOTION_M = 0.003, 0.0006  # deviations of place and of motion between a Gaussian and the skin it belongs to
NEIGHBOURS = 8  # that vote on a side
UNDOUBTED_M = 0.008  # one lip that is so much nearer than the other needs no look at the motion
INSIDE_M, DEEP_M = 0.0045, 0.009  # behind the lips' surface: perhaps, and certainly, no lip
UNSEEN_PX, SHUT_PX, BURIED_M = 2.0, 0.5, 0.015  # hardly ever seen, or with closed lips; how far beyond the lips
ALIKE = 1.0  # squared motion apart, in MOTION_M per code
LOWER_TEETH = 0.45  # share of the jaw's own motion above which what lies inside goes with it
CHIN = np.array([152, 148, 377, 176, 400, 175, 199, 200])
FALL_BEGIN_M, FALL_M = 0.006, 0.012


@dataclass(frozen=True)
class Binding:
    """Each Gaussian's place on the mesh."""

    region: Int[np.ndarray, " N"]
    points: Int[np.ndarray, "N 3"]
    """Mesh points of its triangle."""
    weights: Float[np.ndarray, "N 3"]
    height_m: Float[np.ndarray, " N"]
    """Along the surface's normal."""
    share: Float[np.ndarray, " N"]
    """How much of the surface's displacement it takes: 1 on the skin, less the farther away; 0 where held."""

    def in_order(self, order: Int[np.ndarray, " N"]) -> Binding:
        """That of the Gaussians in another order."""
        return Binding(*(value[order] for value in vars(self).values()))


def bind(
    mesh: Float[np.ndarray, "478 3"],
    position: Float[np.ndarray, "N 3"],
    moves: Float[np.ndarray, "N Km 3"],
    mesh_moves: Float[np.ndarray, "Km 478 3"],
    shown: Float[np.ndarray, "S N"],
) -> Binding:
    """Bind Gaussians to the mesh.

    Args:
        mesh, position: head space at the clip's mean code, metres.
        moves, mesh_moves: displacement of Gaussians and mesh for one deviation of each of the mouth's codes, metres.
        shown: pixels that each Gaussian fills at some of the clip's codes, closed lips first: what is deep and not
            seen then, or never, lies in the mouth.
    """
    side = lip_sides(mesh)
    touches = side[SKIN_TRIANGLES]
    upper_ok, lower_ok = ~(touches < 0).any(1), ~(touches > 0).any(1)
    mixed = ~upper_ok & ~lower_ok
    surfaces = [np.concatenate([SKIN_TRIANGLES[ok | mixed], EYE_TRIANGLES]) for ok in (upper_ok, lower_ok)]
    feet = [footpoints(position, mesh[s]) for s in surfaces]
    far = np.abs(feet[0].distance_m - feet[1].distance_m)
    leaning = _leaning(mesh_moves, moves, surfaces, feet, position)
    doubtful = (far < UNDOUBTED_M) & (far > 1e-9)
    upper = np.where(doubtful, leaning > 0.0, feet[0].distance_m <= feet[1].distance_m)
    distance = np.where(upper, feet[0].distance_m, feet[1].distance_m)
    triangles = np.where(upper[:, None], surfaces[0][feet[0].triangle], surfaces[1][feet[1].triangle])
    weights = np.where(upper[:, None], feet[0].weights, feet[1].weights)
    region = np.where(far > 1e-9, np.where(upper, UPPER, LOWER), SKIN)
    eye = np.where(upper, feet[0].triangle >= len(surfaces[0]) - len(EYE_TRIANGLES),
                   feet[1].triangle >= len(surfaces[1]) - len(EYE_TRIANGLES))  # fmt: skip
    region[eye] = EYEBALL
    skin = np.einsum("nv,knvc->nkc", weights, mesh_moves[:, triangles])
    alike = ((moves - skin) ** 2).sum((1, 2)) / MOTION_M**2 / max(moves.shape[1], 1) < ALIKE
    _inside(region, mesh, position, moves, mesh_moves, alike, shown)
    normals = vertex_normals(mesh, SKIN_TRIANGLES)
    foot = (weights[..., None] * mesh[triangles]).sum(1)
    normal = (weights[..., None] * normals[triangles]).sum(1)
    height = ((position - foot) * normal).sum(1)
    share = np.exp(-((np.maximum(distance - FALL_BEGIN_M, 0.0) / FALL_M) ** 2))
    share[np.isin(region, (SKULL, EYEBALL))] = 0.0
    share[region == JAW] = 1.0
    return Binding(region, triangles, weights, np.clip(height, -FALL_M, FALL_M), share)


def lip_sides(mesh: Float[np.ndarray, "478 3"]) -> Int[np.ndarray, "478"]:
    """+1 for mesh points of the upper lip's side, -1 for the lower lip's, 0 for corners and what is far from both."""
    lower = np.concatenate([INNER_LIPS_RING[1:10], OUTER_LIPS_RING[1:10]])
    upper = np.concatenate([INNER_LIPS_RING[11:], OUTER_LIPS_RING[11:]])
    to_upper, to_lower = (np.minimum(_along_skin(mesh, lip), 1.0) for lip in (upper, lower))
    side = np.sign(to_lower - to_upper).astype(np.int64)
    side[np.minimum(to_upper, to_lower) > LIP_REACH_M] = 0
    side[[INNER_LIPS_RING[0], INNER_LIPS_RING[10], OUTER_LIPS_RING[0], OUTER_LIPS_RING[10]]] = 0
    return side


def _along_skin(mesh: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Length of the shortest way along edges from `sources` to each point (Bellman and Ford)."""
    pairs = np.concatenate([SKIN_TRIANGLES[:, [0, 1]], SKIN_TRIANGLES[:, [1, 2]], SKIN_TRIANGLES[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    length = np.linalg.norm(mesh[pairs[:, 0]] - mesh[pairs[:, 1]], axis=1)
    distance = np.full(N_POINTS, np.inf)
    distance[sources] = 0.0
    for _ in range(60):
        before = distance.copy()
        np.minimum.at(distance, pairs[:, 1], before[pairs[:, 0]] + length)
        if np.array_equal(before, distance):
            break
    return distance


def _leaning(
    mesh_moves: np.ndarray, moves: np.ndarray, surfaces: list[np.ndarray], feet: list[Footpoints], position: np.ndarray
) -> np.ndarray:
    """Log odds of the upper lip, from place and motion, averaged over neighbours that move alike."""
    cost = []
    for surface, foot in zip(surfaces, feet, strict=True):
        skin = np.einsum("nv,knvc->nkc", foot.weights, mesh_moves[:, surface[foot.triangle]])
        apart = ((moves - skin) ** 2).sum((1, 2)) / MOTION_M**2 / max(moves.shape[1], 1)
        cost.append(0.5 * (foot.distance_m / NEAR_M) ** 2 + 0.5 * apart)
    own = np.clip(cost[1] - cost[0], -6.0, 6.0)
    near = np.flatnonzero((np.minimum(feet[0].distance_m, feet[1].distance_m) < 0.01) & (own != 0.0))
    if len(near) <= NEIGHBOURS:
        return own
    where = np.concatenate([position[near] / NEAR_M, (moves[near] / MOTION_M).reshape(len(near), -1) / 3.0], 1)
    voted = own.copy()
    for start in range(0, len(near), 1024):
        part = slice(start, start + 1024)
        apart = (where[part] ** 2).sum(1)[:, None] + (where**2).sum(1)[None] - 2.0 * where[part] @ where.T
        closest = np.argpartition(apart, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
        voted[near[part]] = own[near][closest].mean(1)
    return voted


def _inside(
    region: np.ndarray,
    mesh: np.ndarray,
    position: np.ndarray,
    moves: np.ndarray,
    mesh_moves: np.ndarray,
    alike: np.ndarray,
    shown: np.ndarray,
) -> None:
    """Mark what lies behind the lips: teeth and tongue, of the skull or of the jaw.

    Not what moves as its lip does, unless it lies deep; nor what lies behind the crease under the lip, unless no
    frame ever showed it.
    """
    ring = mesh[OUTER_LIPS_RING]
    lower, upper = ring[:11], ring[[0, *range(19, 10, -1), 10]]
    x = position[:, 0]
    within = (x > lower[0, 0]) & (x < lower[-1, 0])
    low = np.interp(x, lower[:, 0], lower[:, 1]) + 0.001
    high = np.interp(x, upper[:, 0], upper[:, 1]) - 0.001
    front = np.interp(x, lower[:, 0], 0.5 * (lower[:, 2] + upper[:, 2]))
    y, z = position[:, 1], position[:, 2]
    behind = (y > low) & (y < high) & (~alike | (z < front - DEEP_M))
    buried = (shown.max(0) < UNSEEN_PX) | ((shown[0] < SHUT_PX) & (z < front - DEEP_M))
    behind |= buried & (y > low - BURIED_M) & (y < high + BURIED_M)
    behind &= within & (z < front - INSIDE_M)
    jaw = mesh_moves[:, CHIN].mean(1)
    with_jaw = (moves * jaw).sum((1, 2)) / max(float((jaw**2).sum()), 1e-18)
    middle = 0.5 * (np.interp(x, lower[:, 0], lower[:, 1]) + np.interp(x, upper[:, 0], upper[:, 1]))
    goes = (with_jaw > LOWER_TEETH) | ((position[:, 1] < middle - 0.004) & (with_jaw > 0.5 * LOWER_TEETH))
    region[behind] = np.where(goes[behind], JAW, SKULL)
