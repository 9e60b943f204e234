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
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from gtalk.prepare.landmarks.silence_stderr import quiet
from gtalk.prepare.segmentation.guided_filter import guided_filter
from gtalk.shapes import Float, UInt8

NETWORK_HEIGHT = 256
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
) -> Iterator[tuple[UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "h w"]]]:
    """(frame, coverage 0 to 1 at the network's size) of every frame.

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
    frame: UInt8[np.ndarray, "H W 3"], coarse: Float[np.ndarray, "h w"], plate: Plate | None = None
) -> UInt8[np.ndarray, "H W"]:
    """The coarse matte made exact in the band around its edge, 0 to 255."""
    height, width = frame.shape[:2]
    small = _of_height(frame, WORK_HEIGHT)
    size = (small.shape[1], small.shape[0])
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
    # alpha = axis . I + offset, mixed in the image's own resolution, where the strands are.
    line = cv2.merge([*cv2.split(axis), -np.einsum("hwc,hwc->hw", axis, background)])
    soft = np.clip((fallback - NETWORK_HALO) / (1 - NETWORK_HALO), 0.0, 1.0)
    decision = cv2.merge([trust, soft, near])

    full = (width, height)
    matte = cv2.resize(inside * np.uint8(255), full, interpolation=cv2.INTER_NEAREST).ravel()
    band = np.flatnonzero(cv2.resize(inside + outside, full, interpolation=cv2.INTER_NEAREST).ravel() == 0)
    if not len(band):
        return matte.reshape(height, width)
    here = partial(_sampled, at=band, full=full)
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


def _sampled(small: np.ndarray, at: np.ndarray, full: tuple[int, int]) -> np.ndarray:
    """[N,C] values of a small array at some pixels (flat indices) of a full-size one, in between linearly."""
    y, x = np.divmod(at, full[0])
    places = np.empty((len(at), 1, 2), np.float32)
    places[:, 0, 0] = (x + 0.5) * (small.shape[1] / full[0]) - 0.5
    places[:, 0, 1] = (y + 0.5) * (small.shape[0] / full[1]) - 0.5
    # OpenCV's remap takes at most 32767 rows.
    parts = [
        cv2.remap(small, places[k : k + 30000], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        for k in range(0, len(at), 30000)
    ]
    return np.concatenate(parts)[:, 0]


def _side_colours(
    small: np.ndarray, inside: np.ndarray, outside: np.ndarray, plate: Plate | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour of the person and of the background at every pixel, and the sum of their variances, float32."""
    image = small.astype(np.float32)
    person, spread_person = _likest_nearby(image, inside.astype(np.float32))
    background, spread = _likest_nearby(image, outside.astype(np.float32))
    if plate is not None:
        size = (small.shape[1], small.shape[0])
        behind = cv2.resize(plate.rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        known = cv2.resize(plate.known, size, interpolation=cv2.INTER_AREA)
        wrong = ((behind - image) ** 2).sum(-1)
        reach = (2 * _reach(image) + 1,) * 2
        seen = cv2.boxFilter((known * outside).astype(np.float32), -1, reach, borderType=cv2.BORDER_CONSTANT)
        compared = np.asarray(wrong * known * outside, np.float32)
        error = cv2.boxFilter(compared, -1, reach, borderType=cv2.BORDER_CONSTANT)
        error = error / np.maximum(seen, 1e-6)
        trust = known * np.exp(-error / (3 * PLATE_TRUST**2)) * (seen > LEAST_OF_PLATE)
        background = background + trust[..., None] * (behind - background)
        spread = spread + trust * (error - spread)
    return person, background, spread_person + spread


def _likest_nearby(image: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(colour, its variance) that `where` has near every pixel, of its tones the ones most like the pixel.

    Beside a temple there is skin and hair: their mean is neither. So colours are averaged by tone (brightness
    in TONES steps) in a window around the pixel, in a wider one where that holds none of `where`.
    """
    # Planes, since numpy is slow along short axes: red, green, blue, their squares' sum, how much there is.
    planes = np.stack([*cv2.split(image), np.einsum("hwc,hwc->hw", image, image), np.ones_like(where)])
    weighted, tone = planes * where, (planes[0] * 0.299 + planes[1] * 0.587 + planes[2] * 0.114) * ((TONES - 1) / 255)
    total = np.zeros_like(planes)
    for step in range(TONES):
        ramp = np.maximum(1 - np.abs(tone - step), 0)
        if not (ramp * where).any():
            continue
        sums = np.stack([_nearby(plane, _reach(image)) for plane in weighted * ramp])
        difference = sums[:3] / np.maximum(sums[4], 1e-9) - planes[:3]
        likeness = cv2.exp((difference**2).sum(0) * np.float32(-0.5 / ALIKE**2)) + np.float32(1e-6)
        total += sums * likeness
    mean = total[:4] / np.maximum(total[4], 1e-12)
    return cv2.merge([*mean[:3]]), np.maximum(mean[3] - (mean[:3] ** 2).sum(0), 0.0)


def _nearby(values: np.ndarray, reach: int) -> np.ndarray:
    """Means over a window, and a little of those over a window five times as wide."""
    height, width = values.shape
    quarter = (max(1, width // 4), max(1, height // 4))
    side, wide = 2 * reach + 1, 2 * max(1, round(1.25 * reach)) + 1
    coarse = cv2.resize(values, quarter, interpolation=cv2.INTER_AREA)
    coarse = cv2.boxFilter(coarse, -1, (wide, wide), borderType=cv2.BORDER_CONSTANT)
    close = cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    return cv2.addWeighted(close, 1.0, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), 0.005, 0.0)


def _of_height(frame: np.ndarray, most: int) -> np.ndarray:
    """The image made at most so high."""
    height, width = frame.shape[:2]
    scale = min(1.0, most / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _reach(image: np.ndarray) -> int:
    return max(2, round(REACH * image.shape[0]))


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _segmented(frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with quiet():
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        network = SelfieSegmentation(model_selection=0)
        # Its threads write their greetings until a first image is through: let that be a black one.
        network.process(np.zeros((NETWORK_HEIGHT, NETWORK_HEIGHT, 3), np.uint8))
    try:
        for frame in frames:
            small = _of_height(frame, NETWORK_HEIGHT)
            room = round(HEADROOM * small.shape[0])
            taller = cv2.copyMakeBorder(small, room, 0, 0, 0, cv2.BORDER_REPLICATE)
            mask = getattr(network.process(taller), "segmentation_mask")  # noqa: B009 (a field made at run time)
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
