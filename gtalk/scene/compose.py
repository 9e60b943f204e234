"""Several people's images into one picture: by coverage, from behind to the front, in one light, with one grain."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gtalk.dub.background import COLOURS, TRANSPARENT, Background, Moving, Still, make_background, moves
from gtalk.dub.footage.grain import Grain
from gtalk.errors import UserError
from gtalk.geometry.easing import smoothstep
from gtalk.scene.layout import Box
from gtalk.scene.script import Scene
from gtalk.shapes import Float, UInt8
from gtalk.talk import PLATE
from gtalk.types import Frame

PLAIN = "#2b3440"
"""Behind a room without a background."""
_FADE = 0.07  # of an image's width: how gradually shoulders end that the clip had cut
_ALIKE = 0.6  # how far the light of each moves to that of all
_MOST_GAIN = 1.25
_SURE = 250  # of coverage


@dataclass(frozen=True)
class Layer:
    """How the images of one member are laid."""

    box: Box
    fade: UInt8[np.ndarray, "H W 3"] | None
    """What is left of it, where its sides are seen."""


class Compositor:
    """Pictures of a scene. Told once how its people look, it keeps their light alike."""

    def __init__(self, scene: Scene, boxes: Sequence[Box], order: Sequence[int], fps: float) -> None:
        """Raises UserError for a background that is none."""
        self._size = scene.size
        self.own_rooms = scene.layout == "split" and scene.background == PLATE
        """Whether each is seen before the plate of the own clip."""
        choice = PLAIN if scene.background == PLATE else scene.background
        if choice == TRANSPARENT:
            raise UserError("scene: background", expected=f"a colour, an image, a video or {PLATE}", got=TRANSPARENT,
                            remedy=f"Use one of {', '.join(COLOURS)} for keying.")  # fmt: skip
        self._background: Background = make_background(choice, scene.size, fps)
        self._grain = _grain_of(choice, scene.size, fps)
        self._rng = np.random.default_rng(0)
        self._layers = [Layer(box, _fade(box, scene.size[0])) for box in boxes]
        self._order = list(order)
        self._gains: list[np.ndarray] | None = None

    def __call__(self, frames: Sequence[Frame]) -> UInt8[np.ndarray, "H W 3"]:
        """The picture of one frame of each member, images of their boxes' sizes."""
        picture, cover = self._behind()
        if self._gains is None:
            people = [f.rgb for f in frames], [f.alpha for f in frames]
            self._gains = [np.ones(3)] * len(frames) if self.own_rooms else alike(*people)
        for i in self._order:
            self._lay(picture, cover, frames[i], self._layers[i], self._gains[i])
        if (noise := self._grain.field(self._size, self._rng)) is not None:
            noise *= cover.astype(np.float32) / 255.0
            picture = np.clip(picture + noise[..., None] + 0.5, 0, 255).astype(np.uint8)
        return picture

    def _behind(self) -> tuple[np.ndarray, np.ndarray]:
        width, height = self._size
        if isinstance(self._background, Still):
            assert isinstance(self._background.rendered, np.ndarray)
            picture = self._background.rendered.copy()
        else:
            empty = np.zeros((height, width), np.uint8)
            picture = self._background.finish(np.zeros((height, width, 3), np.uint8), empty)
        return picture, np.zeros((height, width), np.uint8)

    def _lay(self, picture: np.ndarray, cover: np.ndarray, frame: Frame, layer: Layer, gain: np.ndarray) -> None:
        box = layer.box
        left, right = max(box.panel[0], box.left), min(box.panel[1], box.left + box.width)
        top, bottom = max(0, box.top), min(self._size[1], box.top + box.height)
        if left >= right or top >= bottom:
            return
        there = np.s_[top - box.top : bottom - box.top, left - box.left : right - box.left]
        here = np.s_[top:bottom, left:right]
        if self.own_rooms:
            picture[here] = frame.rgb[there]
            return
        rgb, alpha = frame.rgb, cv2.merge([frame.alpha] * 3)
        if (gain != 1.0).any():
            rgb = cv2.min(cv2.LUT(rgb, _table(gain)), alpha)
        if layer.fade is not None:
            rgb, alpha = (cv2.multiply(x, layer.fade, scale=1 / 255.0) for x in (rgb, alpha))
        if box.blur_px:
            rgb, alpha = (cv2.GaussianBlur(x, (0, 0), box.blur_px) for x in (rgb, alpha))
        rgb, alpha = rgb[there], alpha[there]
        left_of = cv2.multiply(picture[here], cv2.bitwise_not(alpha), scale=1 / 255.0)
        picture[here] = cv2.add(rgb, left_of)
        cover[here] = cv2.max(cover[here], np.ascontiguousarray(alpha[..., 0]))


def alike(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]], alphas: Sequence[UInt8[np.ndarray, "_ _"]]
) -> list[Float[np.ndarray, " 3"]]:
    """Gains of each channel that bring people's light nearer to each other (premultiplied images).

    Compared are the upper halves, where heads are, at their geometric mean (von Kries adaptation), part of the way.
    """
    means = []
    for rgb, alpha in zip(images, alphas, strict=True):
        upper = np.s_[: rgb.shape[0] // 2]
        person = rgb[upper][alpha[upper] >= _SURE]
        means.append(person.mean(0) + 1.0 if len(person) else np.ones(3))
    logs = np.log(np.array(means))
    gains = np.exp(_ALIKE * (logs.mean(0) - logs))
    return list(np.clip(gains, 1.0 / _MOST_GAIN, _MOST_GAIN))


def _table(gain: Float[np.ndarray, " 3"]) -> UInt8[np.ndarray, "1 256 3"]:
    return np.clip(np.rint(np.arange(256)[None, :, None] * gain), 0, 255).astype(np.uint8)


def _fade(box: Box, width: int) -> np.ndarray | None:
    """Sides that are seen, and that the clip had cut, end gradually; those at the picture's edge stay."""
    if not box.cut:
        return None
    x = np.arange(box.width) + 0.5
    ramp = np.ones(box.width)
    if box.left > 0:
        ramp *= smoothstep(0.0, _FADE * box.width, x)
    if box.left + box.width < width:
        ramp *= smoothstep(0.0, _FADE * box.width, box.width - x)
    if (ramp == 1.0).all():
        return None
    return np.repeat(np.repeat(np.rint(255 * ramp).astype(np.uint8)[None, :, None], box.height, 0), 3, 2)


def _grain_of(choice: str, size: tuple[int, int], fps: float) -> Grain:
    """What the background's camera adds to every image, and rendered people lack."""
    if not moves(choice):
        return Grain(0.0, 0.0)
    film = Moving(Path(choice), size, fps)
    empty = np.zeros((size[1], size[0]), np.uint8)
    images = [film.finish(np.zeros((size[1], size[0], 3), np.uint8), empty) for _ in range(6)]
    everywhere = np.ones(empty.shape, bool)
    return Grain.learn([(a, b, everywhere) for a, b in itertools.pairwise(images)])
