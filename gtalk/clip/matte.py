"""How much of every pixel is the person: a network's coarse answer, steadied in time, exact at the edges.

The network (MediaPipe's SelfieSegmentation, 256 x 256) knows where the person is but not each strand. In
the band around its edge a pixel is taken as a mixture of a foreground colour F and a background colour B,

    alpha = (I - B) . (F - B) / |F - B|^2,

F from the person right inside, B from the plate where it is known and from right outside elsewhere.
Where F and B are alike, or either varies as much as they differ, this says nothing, and a guided filter of
the coarse answer decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.clip.guided import guided_filter
from gtalk.clip.quiet import quiet
from gtalk.shapes import Float, UInt8

WORK_HEIGHT = 176
INSIDE = 0.014  # of the height: how far inside the network's edge the person begins for sure
OUTSIDE = 0.030  # and how far outside it ends: hair flies
REACH = 0.05  # half width of the window from which F and B are taken
DISTINCT = 30.0  # of 255: F and B that differ by so much are told apart half surely
SPREAD = 2.0  # how much the variance of F and B counts against them
PLATE_TRUST = 12.0  # of 255: a plate that differs from the background by so much nearby counts little
STEADY = np.array([0.25, 0.5, 0.25], dtype=np.float32)  # weights of the frame before, itself, the frame after


@dataclass(frozen=True)
class Plate:
    """The background of one frame, at any size."""

    rgb: UInt8[np.ndarray, "h w 3"]
    known: Float[np.ndarray, "h w"]
    """1 where it was really seen."""


def coarse_mattes(
    frames: Iterable[UInt8[np.ndarray, "H W 3"]], segment_starts: Sequence[int] = ()
) -> Iterator[tuple[UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "H W"]]]:
    """(frame, coverage 0 to 1) of every frame, from the network.

    It looks at single frames; three are averaged, but not across a cut.
    """
    starts = frozenset(segment_starts)
    window: list[tuple[np.ndarray, np.ndarray]] = []
    for index, (frame, mask) in enumerate(_segmented(frames)):
        if index in starts and window:
            yield _middle(window, len(window) - 1)
            window = []
        window.append((frame, mask))
        if len(window) >= 2:
            yield _middle(window, len(window) - 2)
        window = window[-2:]
    if window:
        yield _middle(window, len(window) - 1)


def refine(
    frame: UInt8[np.ndarray, "H W 3"], coarse: Float[np.ndarray, "H W"], plate: Plate | None = None
) -> UInt8[np.ndarray, "H W"]:
    """The coarse matte made exact in the band around its edge, 0 to 255."""
    height, width = coarse.shape
    scale = min(1.0, WORK_HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(coarse, size, interpolation=cv2.INTER_AREA)
    inside = cv2.erode((cover > 0.85).astype(np.uint8), _disc(INSIDE * size[1])).astype(np.uint8)
    outside = 1 - cv2.dilate((cover > 0.15).astype(np.uint8), _disc(OUTSIDE * size[1])).astype(np.uint8)
    person, background, spread = _side_colours(small, inside, outside, plate)
    contrast = ((person - background) ** 2).sum(-1)
    trust = contrast / (contrast + DISTINCT**2 + SPREAD * spread)
    fallback = guided_filter(small, cover, max(2, round(0.02 * size[1])), epsilon=3e-4, subsample=2)
    near = cv2.boxFilter(cover, -1, (2 * max(1, round(OUTSIDE * size[1])) + 1,) * 2)

    axis = person - background
    axis /= np.maximum(np.einsum("hwc,hwc->hw", axis, axis), 1.0)[..., None]
    # alpha = axis . I + offset, mixed in the picture's own resolution, where the strands are.
    line = cv2.merge([*cv2.split(axis), -np.einsum("hwc,hwc->hw", axis, background)])
    decision = cv2.merge([trust, np.clip(fallback, 0.0, 1.0), near])

    full = (width, height)
    matte = cv2.resize(inside * np.uint8(255), full, interpolation=cv2.INTER_NEAREST).ravel()
    band = np.flatnonzero(cv2.resize(inside + outside, full, interpolation=cv2.INTER_NEAREST).ravel() == 0)

    def here(array: np.ndarray) -> np.ndarray:
        channels = array.shape[2]
        return cv2.resize(array, full, interpolation=cv2.INTER_LINEAR).reshape(-1, channels).take(band, axis=0)

    coefficients = here(line)
    colours = frame.reshape(-1, 3).take(band, axis=0).astype(np.float32)
    along = np.einsum("nc,nc->n", coefficients[:, :3], colours) + coefficients[:, 3]
    weight, soft, close = here(decision).T
    mixed = soft + weight * (np.clip(along, 0.0, 1.0) - soft)
    mixed = np.clip((mixed - 0.07) * (1 / 0.86), 0.0, 1.0)
    # Towards the rims of the band the network decides again, so that nothing ends in a step.
    mixed *= np.clip(close * (1 / 0.12), 0.0, 1.0)
    np.maximum(mixed, np.clip((close - 0.86) * 10.0, 0.0, 1.0), out=mixed)
    matte[band] = (mixed * 255.0 + 0.5).astype(np.uint8)
    return matte.reshape(height, width)


def _side_colours(
    small: np.ndarray, inside: np.ndarray, outside: np.ndarray, plate: Plate | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour of the person and of the background at every pixel, and the sum of their variances, float32."""
    picture = small.astype(np.float32)
    power = np.einsum("hwc,hwc->hw", picture, picture)
    both = cv2.merge([*cv2.split(picture), power])
    person, spread_person = _mean_and_spread(both, inside.astype(np.float32))
    background, spread = _mean_and_spread(both, outside.astype(np.float32))
    if plate is not None:
        size = (small.shape[1], small.shape[0])
        behind = cv2.resize(plate.rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        known = cv2.resize(plate.known, size, interpolation=cv2.INTER_AREA)
        wrong = ((behind - picture) ** 2).sum(-1)
        error = _local_mean(cv2.merge([wrong, known]), known * outside)
        trust = known * np.exp(-error[..., 0] / (3 * PLATE_TRUST**2)) * (error[..., 1] > 0.5)
        background = background + trust[..., None] * (behind - background)
        spread = spread + trust * (error[..., 0] - spread)
    return person, background, spread_person + spread


def _mean_and_spread(colour_and_power: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = _local_mean(colour_and_power, weight)
    colour = np.ascontiguousarray(mean[..., :3])
    return colour, np.maximum(mean[..., 3] - np.einsum("hwc,hwc->hw", colour, colour), 0.0)


def _local_mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of [H,W,C] in a window that widens where hardly anything has weight."""
    reach = max(2, round(REACH * values.shape[0]))
    weighted = values * weight[..., None]
    total, amount = np.zeros_like(weighted), np.zeros_like(weight)
    for factor, share in ((1, 1.0), (5, 0.005)):
        window = (2 * factor * reach + 1,) * 2
        total += share * cv2.boxFilter(weighted, -1, window, borderType=cv2.BORDER_CONSTANT)
        amount += share * cv2.boxFilter(weight, -1, window, borderType=cv2.BORDER_CONSTANT)
    return total / np.maximum(amount, 1e-9)[..., None]


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _segmented(frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with quiet():
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        network = SelfieSegmentation(model_selection=0)
    try:
        first = True
        for frame in frames:
            with quiet() if first else nullcontext():
                mask = getattr(network.process(frame), "segmentation_mask")  # noqa: B009 (a field made at run time)
            first = False
            yield frame, np.ascontiguousarray(mask)
    finally:
        network.close()


def _middle(window: list[tuple[np.ndarray, np.ndarray]], at: int) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean around entry `at`; missing neighbours leave their weight to it."""
    frame, own = window[at]
    total, weight = own * STEADY[1], STEADY[1]
    for step, share in ((-1, STEADY[0]), (1, STEADY[2])):
        if 0 <= at + step < len(window):
            total, weight = total + window[at + step][1] * share, weight + share
    return frame, total / weight
