"""The person alone, with exact coverage, to be put before anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from demo_person.clip import FOCAL_PX, SIZE, render_frame
from demo_person.drawing.scene import Person
from demo_person.drawing.shading import Renderer
from demo_person.speaking.animation import Performance
from gtalk.types import Camera


@dataclass(frozen=True)
class Cutout:
    """One instant."""

    rgb: np.ndarray
    """[H,W,3] float32, 0 to 255, premultiplied: what is seen before black."""
    alpha: np.ndarray
    """[H,W] float32, 0 to 1."""
    points_px: np.ndarray
    """[478,2] true landmarks."""
    T_world_head: np.ndarray
    """[4,4]"""

    def over(self, background: np.ndarray) -> np.ndarray:
        """[H,W,3] uint8 before `background` [H,W,3] uint8."""
        mixed = self.rgb + (1 - self.alpha[..., None]) * background.astype(np.float32)
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def cut_out(performance: Performance, indices: Iterable[int], size: int) -> Iterator[Cutout]:
    """Frames of a performance at `size` pixels a side, rendered before black and before white.

    Coverage is what white adds; what is put before anything else is exact in stored values.
    """
    camera = Camera(FOCAL_PX * size / SIZE, size / 2, size / 2, size, size)
    dark = Renderer(Person(), camera, np.zeros((size, size, 3), np.uint8))
    black, white = dark.background, np.ones_like(dark.background)
    for index in indices:
        head = performance.T_world_head[index]
        dark.background = black
        picture, landmarks = render_frame(dark, performance, index)
        dark.background = white
        bright = render_frame(dark, performance, index)[0].rgb.astype(np.float32)
        rgb = picture.rgb.astype(np.float32)
        full = float(bright.max())  # the tone curve's white
        alpha = np.clip(1 - (bright - rgb).mean(2) / full, 0, 1)
        points = camera.project(landmarks @ head[:3, :3].T + head[:3, 3])
        yield Cutout(rgb, alpha, points, head)
