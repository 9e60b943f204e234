"""Where each of the cast is in the picture, and in which direction each sees the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gtalk.scene.script import Member, Scene
from gtalk.shapes import Float
from gtalk.types import Camera

BETWEEN_M = 0.75
"""How far in front of each other people sit who are open to the camera: the more, the more they look past it."""
MOST_YAW_DEG, MOST_PITCH_DEG = 38.0, 12.0
_NEAR, _FAR = (0.14, 1.35), (0.64, 0.86)  # (x, height) over the shoulder
_MOST_LARGER = 1.35  # who was filmed from afar
_SOFT = 0.007  # of the picture's height: blur of who is near and out of focus


@dataclass(frozen=True)
class Box:
    """Where a member's image lies, pixels of the picture; it may reach beyond."""

    left: int
    top: int
    width: int
    height: int
    panel: tuple[int, int]
    """(left, right) of what may be seen of it."""
    blur_px: float = 0.0
    cut: bool = False
    """Whether its sides are seen, and must fade."""

    def in_picture(self, point_px: Float[np.ndarray, " 2"], camera: Camera) -> Float[np.ndarray, " 2"]:
        """A pixel of the member's camera, in the picture."""
        return np.array([self.left, self.top]) + point_px * (self.width / camera.width)


def boxes_of(scene: Scene, cameras: Sequence[Camera], heads_world: Sequence[Float[np.ndarray, " 3"]]) -> list[Box]:
    """One for each of the cast. `heads_world`: where their heads usually are, metres.

    In a room heads are of one size, as far as clips were filmed alike; who is made larger keeps the eyes' height.
    """
    width, height = scene.size
    count = len(scene.cast)
    heads = [_head(camera, head) for camera, head in zip(cameras, heads_world, strict=True)]
    largest = max(share for _, share in heads)
    out: list[Box] = []
    for i, (member, camera) in enumerate(zip(scene.cast, cameras, strict=True)):
        w, h = camera.width, camera.height
        panel = (0, width)
        x, share, blur = (i + 0.5) / count, 1.0, 0.0
        if scene.layout == "room":
            share = min(_MOST_LARGER, largest / heads[i][1])
        if scene.layout == "split":
            panel = (width * i // count, width * (i + 1) // count)
            share = max(1.0, (panel[1] - panel[0]) / (height * w / h))  # the image covers its panel
        elif scene.layout == "shoulder":
            (x, share), blur = (_NEAR, _SOFT * height) if i == 0 else (_FAR, 0.0)
        tall = 2 * round((member.height or share) * height / 2)
        wide = 2 * round(tall * w / h / 2)
        left = round((x if member.x is None else member.x) * width - wide / 2)
        top = height - tall if tall <= height else round(heads[i][0] * (height - tall))
        out.append(Box(left, top, wide, tall, panel, blur, cut=scene.layout != "split"))
    return out


def _head(camera: Camera, head_world: Float[np.ndarray, " 3"]) -> tuple[float, float]:
    """(height of the head from the image's top, a metre there), both as shares of the image's height."""
    away_m = float((camera.T_camera_world[:3, :3] @ head_world + camera.T_camera_world[:3, 3])[2])
    return float(camera.project(head_world)[1] / camera.height), camera.focal_px / away_m / camera.height


def front_order(scene: Scene) -> list[int]:
    """Indices of the cast, who is behind first."""
    return sorted(
        range(len(scene.cast)), key=lambda i: (scene.cast[i].front + (scene.layout == "shoulder") * (i == 0), i)
    )


@dataclass(frozen=True)
class Stand:
    """Where a member's head is."""

    at_px: Float[np.ndarray, " 2"]
    """Between the eyes, in the picture."""
    px_per_m: float


def stand_of(box: Box, camera: Camera, head_world: Float[np.ndarray, " 3"]) -> Stand:
    """Of a head that usually is at `head_world`, in metres."""
    away_m = float((camera.T_camera_world[:3, :3] @ head_world + camera.T_camera_world[:3, 3])[2])
    return Stand(
        box.in_picture(camera.project(head_world), camera), camera.focal_px / away_m * box.width / camera.width
    )


def eyelines(cast: Sequence[Member], stands: Mapping[str, Stand]) -> dict[str, dict[str, tuple[float, float]]]:
    """By member, the direction of each other: yaw to the image's right and pitch up, degrees from the camera.

    As of people who sit so far apart as the picture shows, and BETWEEN_M nearer to the camera than whom they look at.
    """
    out: dict[str, dict[str, tuple[float, float]]] = {}
    for member in cast:
        mine, seen = stands[member.name], {}
        for other in cast:
            if other is member:
                continue
            theirs = stands[other.name]
            right_m, down_m = (theirs.at_px - mine.at_px) / (0.5 * (mine.px_per_m + theirs.px_per_m))
            yaw = math.degrees(math.atan2(right_m, BETWEEN_M))
            pitch = math.degrees(math.atan2(-down_m, math.hypot(right_m, BETWEEN_M)))
            seen[other.name] = (
                float(np.clip(yaw, -MOST_YAW_DEG, MOST_YAW_DEG)),
                float(np.clip(pitch, -MOST_PITCH_DEG, MOST_PITCH_DEG)),
            )
        out[member.name] = seen
    return out
