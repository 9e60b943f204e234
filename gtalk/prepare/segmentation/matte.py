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

import cv2
import numpy as np

from gtalk.prepare.landmarks.silence_stderr import quiet
from gtalk.prepare.segmentation.guided_filter import guided_filter
from gtalk.prepare.segmentation.side_colours import Plate, side_colours
from gtalk.shapes import Float, UInt8

NETWORK_HEIGHT = 256
WORK_HEIGHT = 176
HEADROOM = 0.1  # of the height, added above: the network takes what lies between hair and border for a person
INSIDE = 0.014  # of the height: how far inside the network's edge the person begins for sure
NETWORK_HALO = 0.15  # the network's coverage reaches beyond the person: as much of it as this is none
OUTSIDE = 0.030  # and how far outside it ends: hair flies
DISTINCT = 30.0  # of 255: F and B that differ by so much are told apart half surely
SPREAD = 3.0  # how much the variance of F and B counts against them
STEADY = np.array([0.25, 0.5, 0.25], dtype=np.float32)  # weights of the frame before, itself, the frame after


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
    # By way of the network's size: halving is quick, and what it leaves is little.
    small = of_height(of_height(frame, NETWORK_HEIGHT), WORK_HEIGHT)
    size = (small.shape[1], small.shape[0])
    cover = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    inside = cv2.erode((cover > 0.85).astype(np.uint8), _disc(INSIDE * size[1])).astype(np.uint8)
    outside = 1 - cv2.dilate((cover > 0.15).astype(np.uint8), _disc(OUTSIDE * size[1])).astype(np.uint8)
    full = (width, height)
    matte = cv2.resize(inside * np.uint8(255), full, interpolation=cv2.INTER_NEAREST).ravel()
    band = np.flatnonzero(cv2.resize(inside + outside, full, interpolation=cv2.INTER_NEAREST).ravel() == 0)
    if not len(band):
        return matte.reshape(height, width)
    # Where anything is to be decided, and the pixels beside it, to interpolate with.
    here = np.flatnonzero(cv2.dilate(1 - inside - outside, np.ones((3, 3), np.uint8)))
    person, background, spread = side_colours(small, inside, outside, here, plate)
    axis = person - background
    contrast = np.einsum("cn,cn->n", axis, axis)
    axis /= np.maximum(contrast, 1.0)
    fallback = guided_filter(small, cover, max(2, round(0.02 * size[1])), epsilon=1e-4, subsample=2)
    near = cv2.boxFilter(cover, -1, (2 * max(1, round(OUTSIDE * size[1])) + 1,) * 2)

    def in_band(values: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
        plane = values
        if at is not None:
            plane = np.zeros(size[::-1], np.float32)
            plane.ravel()[at] = values
        return cv2.resize(plane, full, interpolation=cv2.INTER_LINEAR).ravel().take(band)

    # alpha = axis . I + offset, mixed in the image's own resolution, where the strands are.
    along = in_band(-np.einsum("cn,cn->n", axis, background), here)
    for channel, slope in enumerate(axis):
        along += in_band(slope, here) * frame[..., channel].ravel().take(band)
    soft = in_band(np.clip((fallback - NETWORK_HALO) * np.float32(1 / (1 - NETWORK_HALO)), 0.0, 1.0))
    weight, close = in_band(contrast / (contrast + DISTINCT**2 + SPREAD * spread), here), in_band(near)
    mixed = soft + weight * (np.clip(along, 0.0, 1.0) - soft)
    mixed = np.clip((mixed - 0.07) * (1 / 0.86), 0.0, 1.0)
    # Towards the rims of the band the network decides again, so that nothing ends in a step.
    mixed *= np.clip(close * (1 / 0.12), 0.0, 1.0)
    np.maximum(mixed, np.clip((close - 0.86) * 10.0, 0.0, 1.0), out=mixed)
    matte[band] = (mixed * 255.0 + 0.5).astype(np.uint8)
    return matte.reshape(height, width)


def of_height(frame: UInt8[np.ndarray, "H W *C"], most: int) -> UInt8[np.ndarray, "h w *C"]:
    """The image made at most so high."""
    height, width = frame.shape[:2]
    if height <= most:
        return frame
    scale = min(1.0, most / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


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
            small = of_height(frame, NETWORK_HEIGHT)
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
