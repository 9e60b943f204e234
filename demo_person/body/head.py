"""The skin: 468 points of the face continued over the skull and down the neck, lids and lips with thickness.

Everything is built in head space (metres; x to the picture's right, y up, z out of the face) with the
origin 65 mm behind the midpoint of the outer eye corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from demo_person.drawing.geometry import Sparse, loop_subdivide
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep
from gtalk.topology import (
    FACE_OVAL,
    INNER_LIPS_RING,
    IRIS_CENTRES,
    IRIS_RINGS,
    LEFT_EYE_RING,
    MIRROR,
    N_FACE,
    OUTER_LIPS_RING,
    RIGHT_EYE_RING,
    SKIN_TRIANGLES,
)

EYE_RINGS = (LEFT_EYE_RING, RIGHT_EYE_RING)
EYEBALL_RADIUS = 0.0132
IRIS_RADIUS = 0.0060
LID_THICKNESS = 0.0011
SKULL_CENTRE = np.array([0.0, 0.012, -0.012])
SKULL_RADII = np.array([0.0770, 0.099, 0.100])
NECK_CENTRE_Z = -0.022
NECK_RADII = np.array([0.0505, 0.055])
NECK_TOP, NECK_BOTTOM = -0.130, -0.245
N_RINGS = 15


@dataclass(frozen=True)
class Skin:
    """The skin's control points at rest and what the subdivided surface needs."""

    cage: np.ndarray
    """[N,3] control points; the first 468 are the face mesh's."""
    triangles: np.ndarray
    """[F,3] of the control mesh."""
    label: np.ndarray
    """[F] MaskClass."""
    matrix: Sparse
    """[V,N] from control points to the surface; row i of the first N is control point i's own place."""
    fine_triangles: np.ndarray
    fine_label: np.ndarray
    eye_centres: np.ndarray
    """[2,3] of the eyeballs on the picture's left and right."""
    rings: dict[str, np.ndarray]
    """Control points of the added rings, [rows, columns]."""


def face_points() -> np.ndarray:
    """[478,3] the person's own features, sculpted from the cage."""
    with np.load(Path(__file__).with_name("cage.npz")) as file:
        points = file["points"].astype(np.float64)
    return _sculpt(points)


def _bump(
    points: np.ndarray, centre: int | np.ndarray, radius: float, offset: tuple[float, float, float]
) -> np.ndarray:
    """Moves what is near a point and, mirrored, what is near its mirror image."""
    middle = points[centre] if np.ndim(centre) == 0 else np.asarray(centre)
    moved = np.zeros_like(points)
    sides = (1,) if abs(middle[0]) < 1e-4 else (1, -1)
    for side in sides:
        flip = np.array([side, 1, 1])
        weight = np.exp(-((np.linalg.norm(points - middle * flip, axis=1) / radius) ** 2))
        moved += weight[:, None] * (np.array(offset) * flip)
    return points + moved


def _sculpt(p: np.ndarray) -> np.ndarray:
    p = p.copy()
    inner = np.union1d(INNER_LIPS_RING, OUTER_LIPS_RING)
    centre = p[13].copy()
    p[inner, 1] = centre[1] + (p[inner, 1] - centre[1]) * 1.05
    # Lips meet at rest: each pair of the inner ring shares one height.
    half = len(INNER_LIPS_RING) // 2
    lower, upper = INNER_LIPS_RING[1:half], INNER_LIPS_RING[:half:-1]
    middle = (p[lower] + p[upper]) / 2
    overlap = np.array([0, 0.00015, 0])
    p[lower], p[upper] = middle + overlap, middle - overlap
    for ring in EYE_RINGS:
        corners = p[ring[0]], p[ring[8]]
        t = np.clip((p[ring, 0] - corners[0][0]) / (corners[1][0] - corners[0][0]), 0, 1)
        line = corners[0][1] + t * (corners[1][1] - corners[0][1])
        p[ring, 1] = line + (p[ring, 1] - line) * np.where(p[ring, 1] > line, 0.80, 0.95)
    p = _bump(p, 4, 0.012, (0, 0.0005, 0.0015))
    p = _bump(p, 152, 0.025, (0, -0.002, 0.003))
    p = _bump(p, 172, 0.030, (-0.0015, -0.002, 0.0))
    return (p + p[MIRROR] * [-1, 1, 1]) / 2


def eyeball_centres(points: np.ndarray) -> np.ndarray:
    """[2,3] so that the lids lie on the eyeballs with their own thickness between."""
    centres = []
    for ring in EYE_RINGS:
        rim = points[ring]
        x = rim[[0, 8], 0].mean()
        y = rim[:, 1].mean() - 0.0003
        lids = points[ring[[3, 4, 5, 11, 12, 13]]]
        radius = EYEBALL_RADIUS + LID_THICKNESS
        z = lids[:, 2] - np.sqrt(radius**2 - (lids[:, 0] - x) ** 2 - (lids[:, 1] - y) ** 2)
        centres.append([x, y, np.median(z) - 0.0006])
    return np.array(centres)


def iris_points(centres: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """[10,3] the iris landmarks (468..477) of eyes that look along gaze [2] (yaw right, pitch up; radians)."""
    rotation = gaze_rotation(gaze)
    z = np.sqrt(EYEBALL_RADIUS**2 - IRIS_RADIUS**2)
    local = np.array([[0, 0, EYEBALL_RADIUS], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], float)
    local[1:] = local[1:] * IRIS_RADIUS + [0, 0, z]
    result = np.empty((10, 3))
    for eye in range(2):
        index = np.concatenate([IRIS_CENTRES[eye : eye + 1], IRIS_RINGS[eye]]) - N_FACE
        result[index] = local @ rotation.T + centres[eye]
    return result


def gaze_rotation(gaze: np.ndarray) -> np.ndarray:
    """[3,3] turns +z towards yaw (the picture's right) and pitch (up)."""
    (cy, cp), (sy, sp) = np.cos(gaze), np.sin(gaze)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]]).T
    return yaw @ pitch.T


def build_skin(levels: int = 2) -> Skin:
    """The control mesh and its subdivision."""
    points = face_points()[:N_FACE]
    centres = eyeball_centres(points)
    cage, triangles, labels = [points], [SKIN_TRIANGLES], [np.full(len(SKIN_TRIANGLES), MaskClass.HEAD)]
    lips = np.union1d(INNER_LIPS_RING, OUTER_LIPS_RING)
    between = _inside_lips(points)
    labels[0][np.isin(SKIN_TRIANGLES, np.union1d(lips, between)).all(1)] = MaskClass.LIPS
    rings: dict[str, np.ndarray] = {}

    def add(name: str, start: np.ndarray, rows: np.ndarray, label: np.ndarray, flip: bool) -> None:
        first = sum(len(part) for part in cage)
        index = first + np.arange(rows.shape[0] * rows.shape[1]).reshape(rows.shape[:2])
        cage.append(rows.reshape(-1, 3))
        rings[name] = index
        table = np.concatenate([start[None], index])
        a, b = table[:-1], np.roll(table[:-1], -1, axis=1)
        c, d = table[1:], np.roll(table[1:], -1, axis=1)
        quads = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], axis=2).reshape(-1, 3)
        triangles.append(quads[:, ::-1] if flip else quads)
        labels.append(np.repeat(label, 2 * table.shape[1]))

    add("neck", FACE_OVAL, _skull_and_neck(points), np.full(N_RINGS, MaskClass.HEAD), flip=True)
    for name, ring, centre in zip(("left_lid", "right_lid"), EYE_RINGS, centres, strict=True):
        add(name, ring, _lid_margin(points[ring], centre), np.full(2, MaskClass.EYES), flip=True)
    mouth = np.array([MaskClass.LIPS, MaskClass.MOUTH, MaskClass.MOUTH, MaskClass.MOUTH])
    add("mouth", INNER_LIPS_RING, _mouth_bag(points[INNER_LIPS_RING]), mouth, flip=True)
    last = rings["mouth"][-1]
    triangles.append(np.stack([np.full(len(last) - 2, last[0]), last[1:-1], last[2:]], axis=1))  # the throat
    labels.append(np.full(len(last) - 2, MaskClass.MOUTH))
    mesh, label = np.concatenate(triangles), np.concatenate(labels)
    cage_points = np.concatenate(cage)
    matrix: Sparse = sparse.identity(len(cage_points), format="csr")
    fine = mesh
    for _ in range(levels):
        step, fine = loop_subdivide(fine, matrix.shape[0])
        matrix = (step @ matrix).tocsr()
    cage_points = _sharpen(cage_points, matrix)
    fine_label = np.repeat(label, 4**levels)
    return Skin(cage_points, mesh, label, matrix, fine, fine_label, centres, rings)


def _inside_lips(points: np.ndarray) -> np.ndarray:
    """Vertices between the outer and the inner ring of the lips: reached from the inner ring without crossing."""
    outer, seen = set(OUTER_LIPS_RING.tolist()), set(INNER_LIPS_RING.tolist())
    front = set(seen)
    while front:
        touching = SKIN_TRIANGLES[np.isin(SKIN_TRIANGLES, list(front)).any(1)]
        front = set(touching.ravel().tolist()) - seen - outer
        seen |= front
    return np.array(sorted(seen))


def _sharpen(cage: np.ndarray, matrix: Sparse) -> np.ndarray:
    """Control points whose surface passes near the given ones: smoothing shrinks features, this undoes most of it."""
    own = matrix[: len(cage)].tocsc()
    exact = spsolve(own + 0.04 * sparse.identity(len(cage), format="csc"), cage * 1.04)
    return cage + 0.9 * (exact - cage)


def _skull_and_neck(points: np.ndarray) -> np.ndarray:
    """[rings, 36, 3] from the oval of the face: the upper part goes over the skull, all ends around the neck."""
    oval = points[FACE_OVAL]
    count = len(FACE_OVAL)
    turn = np.abs(np.arange(count) - 18) / 18  # 0 at the chin, 1 at the top of the forehead
    side = np.where(np.arange(count) <= 18, 1.0, -1.0)
    psi = np.pi * (1 - (1 - turn) ** 1.25) * side
    direction = (oval - SKULL_CENTRE) / np.linalg.norm(oval - SKULL_CENTRE, axis=1, keepdims=True)
    phi = np.arctan2(direction[:, 1], direction[:, 0])
    alpha = np.arccos(direction[:, 2])
    neck = np.stack([NECK_RADII[0] * np.sin(psi), np.zeros(count), NECK_RADII[1] * np.cos(psi)], axis=1)
    neck[:, 2] += NECK_CENTRE_Z
    back = (1 - np.cos(psi)) / 2
    top = neck + np.stack([np.zeros(count), NECK_TOP + 0.045 * back, np.zeros(count)], axis=1)
    bottom = neck * [1.05, 1, 1.0] + np.array([0, NECK_BOTTOM, -0.012])
    over = smoothstep(-0.055, 0.02, oval[:, 1])[:, None]
    stops = [oval]
    for part in (0.2, 0.4, 0.6, 0.8, 1.0):
        angle = alpha + (np.deg2rad(172) - alpha) * part
        ray = np.stack([np.sin(angle) * np.cos(phi), np.sin(angle) * np.sin(phi), np.cos(angle)], axis=1)
        skull = SKULL_CENTRE + ray * SKULL_RADII
        reach = part**0.8
        under = oval * (1 - reach) + top * reach
        # Under the jaw the skin first runs inwards, then down: a hollow that shades the neck.
        under[:, 1] += 0.010 * np.sin(np.pi * reach) * (1 - back)
        stops.append(over * skull + (1 - over) * under)
    nape = top * (1 - over) + over * (top * 0.85 + [0, 0.01, -0.01])
    stops += [nape * 0.92 + bottom * 0.08]
    stops += [nape * (1 - t) + bottom * t for t in (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)]
    path = np.stack(stops)
    return _resample(path, N_RINGS)


def _resample(path: np.ndarray, count: int) -> np.ndarray:
    """[count, columns, 3] evenly along every column, without its first point."""
    result = np.empty((count, *path.shape[1:]))
    for column in range(path.shape[1]):
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path[:, column], axis=0), axis=1))])
        # Short first steps keep the jaw's edge and the hairline well shaped.
        where = length[-1] * (np.arange(1, count + 1) / count) ** 1.15
        for axis in range(3):
            result[:, column, axis] = np.interp(where, length, path[:, column, axis])
    smooth = result.copy()
    smooth[1:-1] = (result[:-2] + 2 * result[1:-1] + result[2:]) / 4
    smooth = (np.roll(smooth, 1, 1) + 4 * smooth + np.roll(smooth, -1, 1)) / 6
    return _neck_muscles(smooth)


def _neck_muscles(rings: np.ndarray) -> np.ndarray:
    """Ridges from behind the ears to the pit of the throat, and the larynx."""
    down = smoothstep(-0.085, -0.235, rings[..., 1])
    outward = rings - [0, 0, NECK_CENTRE_Z]
    outward[..., 1] = 0
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)
    angle = np.degrees(np.arctan2(np.abs(outward[..., 0]), outward[..., 2]))
    muscle = 0.0042 * np.exp(-(((angle - (92 - 74 * down)) / 15) ** 2)) * smoothstep(0.02, 0.25, down)
    hollow = -0.0022 * np.exp(-(((angle - (60 - 46 * down)) / 14) ** 2)) * smoothstep(0.05, 0.3, down)
    larynx = 0.0042 * np.exp(-((rings[..., 0] / 0.010) ** 2 + ((rings[..., 1] + 0.152) / 0.012) ** 2)) * (angle < 60)
    spread = 0.010 * smoothstep(0.45, 1.0, down) * smoothstep(40, 90, angle)  # towards the shoulders
    return rings + outward * (muscle + hollow + larynx + spread)[..., None]


def _lid_margin(rim: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """[2,16,3] the lids' edge: from the rim back to the eyeball and on beneath the lid."""
    inward = centre - rim
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    edge = rim + inward * LID_THICKNESS * 1.3
    deep = edge + inward * 0.005
    return np.stack([edge, deep])


def _mouth_bag(rim: np.ndarray) -> np.ndarray:
    """[4,20,3] the lips' inner side and the pocket behind them."""
    count = len(rim)
    angle = np.arange(count) / count * 2 * np.pi
    down = -np.sin(angle)[:, None]  # the ring runs along the lower lip first
    x = rim[:, :1]
    middle = rim[:, 1].mean()
    first = rim + np.concatenate([-0.02 * x, 0.0018 * down, np.full((count, 1), -0.0035)], axis=1)
    second = rim + np.concatenate([-0.05 * x, 0.0075 * down, np.full((count, 1), -0.0075)], axis=1)
    third = np.concatenate([x * 1.1, middle + 0.020 * down, np.full((count, 1), rim[:, 2].mean() - 0.028)], axis=1)
    fourth = np.concatenate(
        [x * 0.02, middle - 0.004 + 0.0004 * down, np.full((count, 1), rim[:, 2].mean() - 0.060)], axis=1
    )
    return np.stack([first, second, third, fourth])
