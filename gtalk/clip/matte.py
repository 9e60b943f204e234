"""How much of every pixel is the person: a network's coarse answer, steadied in time, sharpened at edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext

import cv2
import numpy as np

from gtalk.clip.guided import guided_filter
from gtalk.clip.quiet import quiet
from gtalk.shapes import Float, UInt8

RADIUS = 0.02  # of the picture's height: how far the network's edge may be off
STEADY = np.array([0.25, 0.5, 0.25], dtype=np.float32)  # weights of the frame before, itself, the frame after


def coarse_mattes(
    frames: Iterable[UInt8[np.ndarray, "H W 3"]], segment_starts: Sequence[int] = ()
) -> Iterator[tuple[UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "H W"]]]:
    """(frame, coverage 0 to 1) of every frame, from MediaPipe's SelfieSegmentation.

    The network works on 256 x 256 pixels and looks at single frames; three frames are averaged, but
    not across a cut.
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
    frame: UInt8[np.ndarray, "H W 3"], coarse: Float[np.ndarray, "H W"]
) -> UInt8[np.ndarray, "H W"]:
    """The coarse matte with its edge drawn to the picture's edges, 0 to 255."""
    radius = max(2, round(RADIUS * frame.shape[0]))
    soft = guided_filter(frame, coarse, radius, epsilon=3e-4)
    # Deep inside and far outside the network is right, whatever colours suggest.
    kernel = np.ones((2 * radius + 1,) * 2, np.uint8)
    solid = (coarse > 0.5).astype(np.uint8)
    inside, near = cv2.erode(solid, kernel), cv2.dilate(solid, kernel)
    soft = np.clip((soft - 0.08) * (1 / 0.84), 0.0, 1.0)
    soft = np.where(inside > 0, 1.0, np.where(near > 0, soft, 0.0))
    return np.rint(soft * 255).astype(np.uint8)


def _segmented(frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with quiet():
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        network = SelfieSegmentation(model_selection=0)
    try:
        first = True
        for frame in frames:
            with quiet() if first else nullcontext():
                mask = network.process(frame).segmentation_mask
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
