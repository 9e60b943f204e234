"""Frames in which something hides the mouth: a hand, a cup, a microphone.

A landmark detector goes on guessing lips behind a hand. So the lower face of every frame is brought to the
same small image, and compared with the clip's usual one: speech changes it a little, a hand a lot.
"""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.shapes import Bool, Float, UInt8
from gtalk.topology import RIGID

SIDE = 24
PLACES = np.array([205, 425, 152])
"""Cheeks beside the mouth, and the chin: where the corners of the small image go."""
TARGETS = np.array([[0.15, 0.1], [0.85, 0.1], [0.5, 0.95]], np.float32) * SIDE
LEAST_CHANGE = 16.0  # of 255, mean over the patch
OVER_USUAL = 2.5  # times the change of the middle frame
SHORTEST = 3  # frames


def lower_face(
    frame: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "478 2"]
) -> UInt8[np.ndarray, "SIDE SIDE 3"]:
    """The mouth with cheeks and chin as a small image in Lab."""
    matrix = cv2.getAffineTransform((points_px[PLACES] - 0.5).astype(np.float32), TARGETS)
    extent = float(np.ptp(points_px[RIGID], axis=0).max())
    blur = max(1, round(extent / (4 * SIDE)))
    low = np.clip(points_px[PLACES].min(0) - 0.3 * extent, 0, None).astype(int)
    high = (points_px[PLACES].max(0) + 0.3 * extent).astype(int)
    part = frame[low[1] : high[1], low[0] : high[0]]
    if min(part.shape[:2]) < 2:
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    matrix[:, 2] += matrix[:, :2] @ low
    smooth = cv2.blur(part, (2 * blur + 1, 2 * blur + 1))
    patch = cv2.warpAffine(smooth, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)


def covered_frames(
    patches: UInt8[np.ndarray, "T SIDE SIDE 3"], valid: Bool[np.ndarray, " T"]
) -> Bool[np.ndarray, " T"]:
    """Where the lower face is not what it usually is, for at least SHORTEST frames."""
    if valid.sum() < 2 * SHORTEST:
        return np.zeros(len(valid), bool)
    seen = patches[valid]
    usual = np.median(seen[:: max(1, len(seen) // 300)], axis=0)
    change = np.zeros(len(valid))
    for index in np.flatnonzero(valid):
        difference = patches[index] - usual
        # A lamp or the camera's exposure changes all alike.
        change[index] = np.abs(difference - np.median(difference, axis=(0, 1))).sum(-1).mean()
    limit = max(LEAST_CHANGE, OVER_USUAL * float(np.quantile(change[valid], 0.5)))
    hidden = (valid & (change > limit)).astype(np.uint8)[None]
    return cv2.morphologyEx(hidden, cv2.MORPH_OPEN, np.ones((1, SHORTEST), np.uint8))[0] > 0
