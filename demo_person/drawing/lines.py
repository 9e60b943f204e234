"""What is thinner than a triangle: strands of hair and lashes, drawn as smooth curves over the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo_person.body.hair import Strands
from demo_person.body.head import EYE_RINGS
from demo_person.drawing.light import LAMPS, unit
from demo_person.drawing.scene import Person, Posed
from gtalk.dataset.format import MaskClass
from gtalk.types import Camera

HAIR_COLOUR = np.array([0.042, 0.024, 0.015])
LASH_COLOUR = (0.010, 0.007, 0.006)
_BITS = 4


@dataclass(frozen=True)
class View:
    """What drawing over a frame needs."""

    camera: Camera
    depth: np.ndarray
    """[H,W] of the surface, infinite where there is none."""
    T_world_head: np.ndarray

    def project(self, points_head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [...,2] and depths [...] of points in head space."""
        world = points_head @ self.T_world_head[:3, :3].T + self.T_world_head[:3, 3]
        return self.camera.project(world), -world[..., 2]


def draw_hair(
    frame: np.ndarray, label: np.ndarray, view: View, strands: Strands, posed: Posed, person: Person
) -> tuple[np.ndarray, np.ndarray]:
    """Strands from back to front, lit along their length (Kajiya and Kay 1989)."""
    del posed, person
    pixels, depth = view.project(strands.points)
    rotation = view.T_world_head[:3, :3]
    height, width = view.depth.shape
    middle = pixels[:, 2]
    column, row = (np.clip(middle[:, k].astype(int), 0, n - 1) for k, n in ((0, width), (1, height)))
    hidden = depth[:, 2] > view.depth[row, column] + 0.006
    facing = (strands.normal @ rotation.T)[:, 2] > -0.35
    colours = _strand_light(strands, rotation)
    order = np.argsort(-depth[:, 2])
    order = order[(facing & ~hidden)[order]]
    fixed = np.round((pixels - 0.5) * (1 << _BITS)).astype(np.int32)
    half = strands.points.shape[1] // 2 + 1
    mask = np.zeros(label.shape, np.uint8)
    # OpenCV smooths lines in 8-bit pictures only: strands are drawn in one whose values are square roots.
    before = np.round(np.sqrt(np.clip(frame, 0, 1)) * 255).astype(np.uint8)
    layer = before.copy()
    inks = np.round(np.sqrt(np.clip(colours, 0, 1)) * 255).tolist()
    for i in order:
        cv2.polylines(layer, [fixed[i, :half]], False, inks[i][0], 2, cv2.LINE_AA, _BITS)
        cv2.polylines(layer, [fixed[i, half - 1 :]], False, inks[i][1], 1, cv2.LINE_AA, _BITS)
    touched = np.flatnonzero((layer != before).any(axis=2))
    frame.reshape(-1, 3)[touched] = (layer.reshape(-1, 3)[touched] / np.float32(255)) ** 2
    cv2.polylines(mask, [fixed[i, :half] for i in order], False, (255,), 2, cv2.LINE_AA, _BITS)
    cv2.polylines(mask, [fixed[i, half - 1 :] for i in order], False, (255,), 1, cv2.LINE_AA, _BITS)
    behind = (label == MaskClass.BACKGROUND) | (label == MaskClass.NECK)
    label = np.where((mask > 127) & behind, MaskClass.HEAD, label)
    return frame, label


def _strand_light(strands: Strands, rotation: np.ndarray) -> np.ndarray:
    """[S,2,3] colour of the lower and the upper half of each strand."""
    result = np.empty((len(strands.points), 2, 3))
    normal = strands.normal @ rotation.T
    for part, (a, b) in enumerate(((0, 3), (3, 6))):
        tangent = (strands.points[:, b] - strands.points[:, a]) @ rotation.T
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        colour = np.full((len(tangent), 3), 0.34) + 0.30 * np.clip(normal[:, 1:2], 0, 1)
        shine = np.zeros((len(tangent), 3))
        for lamp in LAMPS:
            towards = unit(lamp.towards)
            reach = np.clip(0.35 + 0.65 * (normal @ towards), 0, 1)[:, None]
            along = tangent @ towards
            across = np.sqrt(np.clip(1 - along**2, 0, 1))[:, None]
            mirrored = np.clip(
                across[:, 0] * np.sqrt(np.clip(1 - tangent[:, 2] ** 2, 0, 1)) - along * tangent[:, 2], 0, 1
            )
            colour = colour + 0.55 * across * reach * np.array(lamp.colour)
            shine += 0.055 * (mirrored[:, None] ** 36) * reach * np.array(lamp.colour)
        base = HAIR_COLOUR * strands.shade[:, None] * (0.75 if part == 0 else 1.15)
        result[:, part] = base * colour + shine * (0.5 if part == 0 else 1.0)
    return result


def draw_lashes(frame: np.ndarray, view: View, person: Person, posed: Posed) -> np.ndarray:
    """Upper and lower lashes on the rims of the lids."""
    canvas = np.zeros(frame.shape[:2], np.uint8)
    for eye, ring in enumerate(EYE_RINGS):
        centre = person.skin.eye_centres[eye]
        for rim, count, length, droop, strong in (
            (posed.landmarks[np.concatenate([ring[8:], ring[:1]])], 44, 0.0072, 0.55, 235),
            (posed.landmarks[ring[:9]], 26, 0.0036, -0.55, 120),
        ):
            curves = _lash_curves(rim, centre, count, length, droop, eye)
            pixels, depth = view.project(curves)
            height, width = view.depth.shape
            root = np.clip(pixels[:, 0].astype(int), 0, [width - 1, height - 1])
            shown = depth[:, 0] < view.depth[root[:, 1], root[:, 0]] + 0.004
            fixed = np.round((pixels[shown] - 0.5) * (1 << _BITS)).astype(np.int32)
            cv2.polylines(canvas, list(fixed), False, (strong,), 1, cv2.LINE_AA, _BITS)
    cover = (canvas.astype(np.float32) / 255 * 0.85)[..., None]
    return frame + (np.array(LASH_COLOUR, np.float32) - frame) * cover


def _lash_curves(rim: np.ndarray, centre: np.ndarray, count: int, length: float, droop: float, eye: int) -> np.ndarray:
    """[count,4,3] lashes that fan out from a lid's rim."""
    random = np.random.default_rng(40 + eye)
    t = np.linspace(0.05, 0.97, count) + random.normal(0, 0.006, count)
    at = t * (len(rim) - 1)
    k = np.minimum(at.astype(int), len(rim) - 2)
    root = rim[k] + (rim[k + 1] - rim[k]) * (at - k)[:, None]
    out = root - centre
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    out[:, 0] *= 1.25
    up = np.array([0, 1.0, 0]) * droop
    size = length * np.sin(np.pi * (0.16 + 0.70 * np.clip(t, 0, 1))) * random.uniform(0.75, 1.15, count)
    steps = np.linspace(0, 1, 4)[None, :, None]
    bend = up * steps**2 * 0.9 + np.array([0, -0.10 * np.sign(droop), 0]) * steps
    return root[:, None] + (out[:, None] * steps * 0.72 + bend) * size[:, None, None]
