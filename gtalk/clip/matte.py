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
HEADROOM = 0.1  # of the height, added above: the network takes what lies between hair and border for a person
INSIDE = 0.014  # of the height: how far inside the network's edge the person begins for sure
NETWORK_HALO = 0.15  # the network's coverage reaches beyond the person: as much of it as this is none
OUTSIDE = 0.030  # and how far outside it ends: hair flies
REACH = 0.05  # half width of the window from which F and B are taken
DISTINCT = 30.0  # of 255: F and B that differ by so much are told apart half surely
SPREAD = 3.0  # how much the variance of F and B counts against them
TONES = 4  # steps of brightness in which F and B are looked for
ALIKE = 22.0  # of 255: tones that differ from a pixel by so much are likely something else
LEAST_OF_PLATE = 0.002  # share of the window in which the plate must have been compared
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
    fallback = guided_filter(small, cover, max(2, round(0.02 * size[1])), epsilon=1e-4, subsample=2)
    near = cv2.boxFilter(cover, -1, (2 * max(1, round(OUTSIDE * size[1])) + 1,) * 2)

    axis = person - background
    axis /= np.maximum(np.einsum("hwc,hwc->hw", axis, axis), 1.0)[..., None]
    # alpha = axis . I + offset, mixed in the picture's own resolution, where the strands are.
    line = cv2.merge([*cv2.split(axis), -np.einsum("hwc,hwc->hw", axis, background)])
    soft = np.clip((fallback - NETWORK_HALO) / (1 - NETWORK_HALO), 0.0, 1.0)
    decision = cv2.merge([trust, soft, near])

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
    person, spread_person = _likest_nearby(picture, inside.astype(np.float32))
    background, spread = _likest_nearby(picture, outside.astype(np.float32))
    if plate is not None:
        size = (small.shape[1], small.shape[0])
        behind = cv2.resize(plate.rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        known = cv2.resize(plate.known, size, interpolation=cv2.INTER_AREA)
        wrong = ((behind - picture) ** 2).sum(-1)
        reach = (2 * _reach(picture) + 1,) * 2
        seen = cv2.boxFilter((known * outside).astype(np.float32), -1, reach, borderType=cv2.BORDER_CONSTANT)
        compared = np.asarray(wrong * known * outside, np.float32)
        error = cv2.boxFilter(compared, -1, reach, borderType=cv2.BORDER_CONSTANT)
        error = error / np.maximum(seen, 1e-6)
        trust = known * np.exp(-error / (3 * PLATE_TRUST**2)) * (seen > LEAST_OF_PLATE)
        background = background + trust[..., None] * (behind - background)
        spread = spread + trust * (error - spread)
    return person, background, spread_person + spread


def _likest_nearby(picture: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(colour, its variance) that `where` has near every pixel, of its tones the ones most like the pixel.

    Beside a temple there is skin and hair: their mean is neither. So colours are averaged by tone (brightness
    in TONES steps) in a window around the pixel, in a wider one where that holds none of `where`.
    """
    height, width = where.shape
    power = np.einsum("hwc,hwc->hw", picture, picture)
    weighted = cv2.merge([*cv2.split(picture * where[..., None]), power * where, where])
    tone = picture @ np.array([0.299, 0.587, 0.114], np.float32) * ((TONES - 1) / 255)
    near, quarter = (2 * _reach(picture) + 1,) * 2, (max(1, width // 4), max(1, height // 4))
    wide = (2 * max(1, round(1.25 * _reach(picture))) + 1,) * 2
    total = np.zeros((height, width, 5), np.float32)
    for step in range(TONES):
        # OpenCV filters up to four channels at once fast.
        own = weighted * np.maximum(1 - np.abs(tone - step), 0)[..., None]
        parts = [np.ascontiguousarray(own[..., :4]), np.ascontiguousarray(own[..., 4])]
        if not parts[1].any():
            continue
        sums = []
        for part in parts:
            coarse = cv2.boxFilter(
                cv2.resize(part, quarter, interpolation=cv2.INTER_AREA), -1, wide, borderType=cv2.BORDER_CONSTANT
            )
            close = cv2.boxFilter(part, -1, near, borderType=cv2.BORDER_CONSTANT)
            sums.append(close + 0.005 * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
        colours = sums[0] / np.maximum(sums[1], 1e-9)[..., None]
        difference = picture - colours[..., :3]
        likeness = np.exp(np.einsum("hwc,hwc->hw", difference, difference) * (-0.5 / ALIKE**2)) + 1e-6
        total += np.dstack(sums) * likeness[..., None]
    mean = total[..., :4] / np.maximum(total[..., 4:], 1e-12)
    colour = np.ascontiguousarray(mean[..., :3])
    return colour, np.maximum(mean[..., 3] - np.einsum("hwc,hwc->hw", colour, colour), 0.0)


def _reach(picture: np.ndarray) -> int:
    return max(2, round(REACH * picture.shape[0]))


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
            room = round(HEADROOM * frame.shape[0])
            taller = cv2.copyMakeBorder(frame, room, 0, 0, 0, cv2.BORDER_REPLICATE)
            with quiet() if first else nullcontext():
                mask = getattr(network.process(taller), "segmentation_mask")  # noqa: B009 (a field made at run time)
            first = False
            yield frame, np.ascontiguousarray(mask[room:])
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
