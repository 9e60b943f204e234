"""Where lips end and the mouth begins: the tracked contour, moved by up to a few pixels to where colours change.

Landmarks place the lips' inner contour to a few hundredths of the face's width, and usually outside the gap. What
a mouth shows (teeth, darkness) differs in colour from this person's lips, so both colours are learnt from pixels
whose part is beyond doubt, and a pixel near the contour is given to the one that explains it better.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.prepare.segmentation.colour_histogram import cells_of, smoothed
from gtalk.shapes import Bool, Float, UInt8
from gtalk.topology import FACE_OVAL, INNER_LIPS_RING, OUTER_LIPS_RING

BINS = 16  # per channel of Lab
BAND = 0.02  # of the face's height: the contour is not moved farther
SURE = 3.0  # log-likelihood ratio beyond which a colour says no more
FEWEST = 300  # pixels that must have been seen of lips and of the mouth
RARE = 0.01  # sightings that every colour starts with
MARGIN_PX = 3


@dataclass(frozen=True)
class LipColours:
    """How much better the mouth's inside explains a colour than the lips do."""

    log_ratio: Float[np.ndarray, " cells"]
    """0 everywhere when the mouth was never seen open."""

    @staticmethod
    def learn(counts: Float[np.ndarray, "2 cells"]) -> LipColours:
        """From the sum of `lip_counts` of some tens of frames."""
        if counts.sum(1).min() < FEWEST:
            return LipColours(np.zeros(BINS**3, np.float32))
        counts = smoothed(counts, BINS)
        share = (counts + RARE) / (counts.sum(1, keepdims=True) + RARE * BINS**3)
        return LipColours(np.clip(np.log(share[1] / share[0]), -SURE, SURE).astype(np.float32))

    def mouth(
        self, frame: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "478 2"]
    ) -> tuple[tuple[slice, slice], Bool[np.ndarray, "h w"]]:
        """(rows and columns of a part of the frame, where it shows the mouth's inside)."""
        view = _View.of(frame, points_px)
        inner = view.depth_px(INNER_LIPS_RING)
        if inner.max(initial=-1.0) <= 0:
            return view.part, np.zeros(inner.shape, bool)
        mouth = (inner > 0) & (inner * (SURE / view.band_px) + self.log_ratio[view.cells] > 0)
        return view.part, (cv2.medianBlur(mouth.astype(np.uint8), 3) > 0) & (inner > 0)


def lip_counts(
    frame: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "478 2"]
) -> Float[np.ndarray, "2 cells"]:
    """How often each colour is seen where a frame shows lips for sure, and the mouth's inside for sure."""
    view = _View.of(frame, points_px)
    inner, outer, band = view.depth_px(INNER_LIPS_RING), view.depth_px(OUTER_LIPS_RING), view.band_px
    sure = (inner < -band) & (outer > 0.5 * band), inner > band
    return np.stack([np.bincount(view.cells[part], minlength=BINS**3) for part in sure]).astype(np.float64)


@dataclass(frozen=True)
class _View:
    """The mouth's part of a frame."""

    part: tuple[slice, slice]
    cells: np.ndarray
    """Colour cell of every pixel."""
    points: np.ndarray
    """[478,2] in pixels of the part."""
    band_px: float

    @staticmethod
    def of(frame: np.ndarray, points_px: np.ndarray) -> _View:
        ring = points_px[OUTER_LIPS_RING]
        size = np.array(frame.shape[1::-1])
        low = np.clip(np.floor(ring.min(0)).astype(int) - MARGIN_PX, 0, size - 1)
        high = np.clip(np.ceil(ring.max(0)).astype(int) + MARGIN_PX, low + 1, size)
        part = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
        cells = cells_of(np.ascontiguousarray(frame[part]), BINS)
        band = max(1.0, BAND * float(np.ptp(points_px[FACE_OVAL, 1])))
        return _View(part, cells, points_px - low, band)

    def depth_px(self, ring: np.ndarray) -> np.ndarray:
        """How far inside a contour each pixel lies; negative outside."""
        area = np.zeros(self.cells.shape, np.uint8)
        cv2.fillPoly(area, [np.rint((self.points[ring] - 0.5) * 16).astype(np.int32)], (1,), shift=4)
        within = cv2.distanceTransform(area, cv2.DIST_L2, 3)
        without = cv2.distanceTransform(1 - area, cv2.DIST_L2, 3)
        return np.where(area > 0, within - 0.5, 0.5 - without)
