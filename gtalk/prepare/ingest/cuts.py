"""Jump cuts: instants at which the image changes at once, as only an edit can change it."""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.shapes import Float, Int, UInt8

SIDE = 48
LEAST_CHANGE = 1.6  # of 255, mean over the thumbnail
OVER_TYPICAL = 5.0  # a cut changes this many times what frames around it change
OVER_NEIGHBOURS = 3.0  # and this many times the largest change right beside it: a fast turn takes several frames
FLASH = 4  # frames: what returns to the image before it within so many was a flash, not a cut


class CutFinder:
    """Takes images one at a time (`see`), then says where the cuts are (`cuts`)."""

    def __init__(self) -> None:
        self._thumbnails: list[np.ndarray] = []

    def see(self, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Remember an image, 48 x 48 and grey."""
        grey = cv2.cvtColor(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        self._thumbnails.append(grey)

    def cuts(self) -> Int[np.ndarray, " N"]:
        """Indices of the first frame after each cut."""
        thumbnails = np.array(self._thumbnails, dtype=np.uint8).reshape(-1, SIDE, SIDE)
        change = changes(thumbnails)
        found = []
        for index in np.flatnonzero(change > LEAST_CHANGE):
            around = np.concatenate([change[max(1, index - 6) : index], change[index + 1 : index + 7]])
            beside = np.concatenate([change[max(1, index - 3) : index], change[index + 1 : index + 4]])
            if len(around) == 0 or _flash(thumbnails, change, int(index)):
                continue
            # A cut beside another one must not hide it: neighbours as large as this one do not count.
            beside = beside[beside < 0.5 * change[index]] if (beside > 0.5 * change[index]).sum() <= 1 else beside
            if change[index] < OVER_TYPICAL * max(float(np.median(around)), 0.05):
                continue
            if len(beside) == 0 or change[index] > OVER_NEIGHBOURS * beside.max():
                found.append(int(index))
        return np.array(found, dtype=np.int64)


def changes(thumbnails: UInt8[np.ndarray, "T S S"]) -> Float[np.ndarray, " T"]:
    """Mean absolute difference of each thumbnail to the one before it; 0 for the first."""
    change = np.zeros(len(thumbnails))
    for index in range(1, len(thumbnails)):
        change[index] = np.abs(thumbnails[index].astype(np.int16) - thumbnails[index - 1]).mean()
    return change


def _flash(thumbnails: np.ndarray, change: np.ndarray, index: int) -> bool:
    """Whether the image before a flash or a drop-out (into or out of which `index` leads) continues after it."""
    for start in range(max(1, index - FLASH), index + 1):
        for stop in range(start + 1, min(len(thumbnails), start + FLASH + 1)):
            if index not in (start, stop) or min(change[start], change[stop]) < 0.5 * change[index]:
                continue
            returned = np.abs(thumbnails[stop].astype(np.int16) - thumbnails[start - 1]).mean()
            if returned < 0.3 * change[index]:
                return True
    return False
