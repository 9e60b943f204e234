"""A face with known truth for tracker tests: shape, expressions, poses, noisy landmarks, textured images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from gtalk import topology
from gtalk.geometry.rotation import exp_so3
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.types import Camera


@dataclass(frozen=True)
class SyntheticFace:
    camera: Camera
    shape: np.ndarray
    basis: np.ndarray
    coefficients: np.ndarray
    T_world_head: np.ndarray

    @property
    def landmarks478(self) -> np.ndarray:
        return self.shape + np.tensordot(self.coefficients, self.basis, 1)

    @property
    def points_px(self) -> np.ndarray:
        points = self.landmarks478 @ self.T_world_head[:, :3, :3].transpose(0, 2, 1)
        return self.camera.project(points + self.T_world_head[:, None, :3, 3])


def make_face(frames: int, turn_deg: float, focal_px: float = 700.0, side: int = 320, seed: int = 0) -> SyntheticFace:
    """A talking head that turns by about `turn_deg` to every side."""
    rng = np.random.default_rng(seed)
    shape = _shape()
    basis = _basis(shape)
    times = np.arange(frames) / 25.0
    waves = np.stack([_slow(rng, times) for _ in range(6)], axis=1)
    turns = np.radians(turn_deg) * waves[:, :3] * [0.7, 1.0, 0.4]
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = exp_so3(turns)
    poses[:, :3, 3] = waves[:, 3:] * [0.012, 0.006, 0.012] + [0.0, 0.02, -focal_px * 0.09 / (0.3 * side)]
    speech = np.stack([_slow(rng, times * 4.0) for _ in range(len(basis))], axis=1)
    camera = Camera(focal_px, side / 2, side / 2, side, side)
    return SyntheticFace(camera, shape, basis, speech, poses)


def observe(face: SyntheticFace, noise_px: float = 0.3, shake_px: float = 0.3, seed: int = 1) -> Landmarks:
    """Landmarks with errors of their own and, as detectors make them, a shift that a frame's points share."""
    rng = np.random.default_rng(seed)
    frames = len(face.coefficients)
    shift = rng.normal(0.0, shake_px, (frames, 1, 2))
    points = face.points_px + rng.normal(0.0, noise_px, (frames, 478, 2)) + shift
    rotated = face.landmarks478 @ face.T_world_head[:, :3, :3].transpose(0, 2, 1)
    scale = -face.camera.focal_px / face.T_world_head[:, 2, 3]
    depth = -rotated[..., 2] * scale[:, None] * 0.9 + rng.normal(0.0, 1.0, (frames, 478))
    everywhere = np.ones(frames, bool)
    return Landmarks(
        points.astype(np.float32), depth.astype(np.float32), everywhere, np.ones(frames, np.int64), "synthetic"
    )


def paint(face: SyntheticFace, frame: int, texture: np.ndarray) -> np.ndarray:
    """RGB image: `texture` glued to the mesh (texture space: the shape seen from the front), triangle by triangle."""
    side, size = face.camera.width, texture.shape[0]
    image = np.full((side, side), 90, np.uint8)
    source = texture_px(face.shape, size)
    target = face.points_px[frame] - 0.5  # cv2 puts pixel centres at whole numbers
    for row in topology.TRIANGLES:
        a, b = source[row].astype(np.float32), target[row]
        x0, y0 = np.floor(b.min(0)).astype(int) - 1
        x1, y1 = np.ceil(b.max(0)).astype(int) + 2
        patch = cv2.warpAffine(
            texture,
            cv2.getAffineTransform(a, (b - [x0, y0]).astype(np.float32)),
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR,
        )
        mask = np.zeros(patch.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.rint((b - [x0, y0]) * 16).astype(np.int32), 1, lineType=cv2.LINE_8, shift=4)
        np.copyto(image[y0:y1, x0:x1], patch, where=mask.astype(bool))
    return np.repeat(image[..., None], 3, axis=2)


def skin_texture(size: int = 640, seed: int = 2) -> np.ndarray:
    """Smooth blotches of several sizes."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.normal(0.0, s * 7.0, (size, size)), (0, 0), s) * s for s in (3.0, 6.0, 12.0)]
    total = sum(layer / layer.std() for layer in layers)
    return np.clip(130 + 22 * total, 0, 255).astype(np.uint8)


def texture_px(shape: np.ndarray, size: int) -> np.ndarray:
    low, high = shape[:, :2].min(0), shape[:, :2].max(0)
    return (shape[:, :2] * [1, -1] - [low[0], -high[1]]) / (high - low).max() * (size - 20) + 10


def _slow(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Smooth noise of unit scale: a few sines of periods of 1.5 to 8 seconds."""
    periods, phases = rng.uniform(1.5, 8.0, 5), rng.uniform(0.0, 2 * np.pi, 5)
    return np.sin(2 * np.pi * times[:, None] / periods + phases).sum(1) / 1.6


def _shape() -> np.ndarray:
    """[478,3] a symmetric face in head space: harmonic between an outline and the rings of eyes and lips."""
    pins = {}
    angle = np.pi / 2 - np.arange(36) * 2 * np.pi / 36
    pins |= dict(
        zip(topology.FACE_OVAL, np.stack([0.07 * np.cos(angle), 0.092 * np.sin(angle) - 0.02], 1), strict=True)
    )
    for ring, centre in ((topology.LEFT_EYE_RING, -0.031), (topology.RIGHT_EYE_RING, 0.031)):
        turn = np.pi + np.arange(16) * 2 * np.pi / 16
        pins |= dict(zip(ring, np.stack([centre + 0.014 * np.cos(turn), 0.005 * np.sin(turn)], 1), strict=True))
    for ring, size in ((topology.OUTER_LIPS_RING, (0.025, 0.009)), (topology.INNER_LIPS_RING, (0.021, 0.003))):
        turn = np.pi + np.arange(20) * 2 * np.pi / 20
        pins |= dict(zip(ring, np.stack([size[0] * np.cos(turn), size[1] * np.sin(turn) - 0.062], 1), strict=True))
    for row, height in zip(topology.BROW_POINTS.T, (0.016, 0.021, 0.023, 0.022, 0.02), strict=True):
        pins[row[0]] = np.array([-0.048 + 1.6 * (height - 0.016), height])
    for i, row in enumerate(topology.BROW_POINTS.T):
        x = 0.048 - 0.0085 * i
        pins[row[0]], pins[row[1]] = np.array([-x, pins[row[0]][1]]), np.array([x, pins[row[0]][1]])
    pins |= {1: np.array([0.0, -0.034]), 2: np.array([0.0, -0.042]), 168: np.array([0.0, 0.006])}
    flat = _harmonic(pins)
    for iris, centre in ((np.arange(468, 473), -0.031), (np.arange(473, 478), 0.031)):
        flat[iris] = [[centre, 0], [centre + 0.005, 0], [centre, 0.005], [centre - 0.005, 0], [centre, -0.005]]
    flat = (flat + flat[topology.MIRROR] * [-1, 1]) / 2
    x, y = flat.T
    nose = 0.024 * np.exp(-((x / 0.011) ** 2) - ((y + 0.032) / 0.018) ** 2)
    z = 0.085 - 9.0 * x**2 - 3.0 * (y + 0.02) ** 2 + nose
    points = np.column_stack([x, y, z])
    outer = points[topology.EYE_CORNERS[:, 0]]
    points[:, 2] += 0.065 - outer[:, 2].mean()
    return points * (0.09 / np.linalg.norm(outer[1] - outer[0]))


def _harmonic(pins: dict[int, np.ndarray]) -> np.ndarray:
    edges = np.unique(np.sort(topology.TRIANGLES[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    free = ~np.isin(both[:, 0], list(pins))
    degree = np.bincount(both[:, 0], minlength=478).astype(float)
    diagonal = np.where(np.isin(np.arange(478), list(pins)), 1.0, np.maximum(degree, 1.0))
    rows = np.concatenate([both[free, 0], np.arange(478)])
    columns = np.concatenate([both[free, 1], np.arange(478)])
    values = np.concatenate([np.full(free.sum(), -1.0), diagonal])
    right = np.zeros((478, 2))
    for vertex, place in pins.items():
        right[vertex] = place
    return spsolve(coo_matrix((values, (rows, columns))).tocsc(), right)


def _basis(shape: np.ndarray) -> np.ndarray:
    """Jaw, smile, lip rounding and brows: nothing of it moves the bones."""
    x, y = shape[:, 0], shape[:, 1]
    low = np.clip((-0.06 - y) / 0.02, 0.0, 1.0)
    mouth = np.exp(-((x / 0.02) ** 2) - ((y + 0.062) / 0.012) ** 2)
    corner = np.exp(-(((np.abs(x) - 0.025) / 0.008) ** 2) - ((y + 0.062) / 0.01) ** 2)
    brow = np.exp(-(((y - 0.02) / 0.006) ** 2)) * (np.abs(x) > 0.012)
    zero = np.zeros_like(x)
    basis = np.stack(
        [
            np.stack([zero, -0.004 * low, -0.0015 * low], 1),
            np.stack([0.002 * np.sign(x) * corner, 0.001 * corner, zero], 1),
            np.stack([zero, zero, 0.002 * mouth], 1),
            np.stack([zero, 0.0015 * brow, zero], 1),
        ]
    )
    basis[:, topology.N_FACE :] = 0.0
    return basis
