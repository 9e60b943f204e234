"""The line of the shoulders against the background: what is left to follow when clothes have no texture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.geometry.similarity import apply
from gtalk.shapes import Float, UInt8

POINTS = 120
SEARCH_PX = 8.0
STEP_PX = 0.5


@dataclass(frozen=True)
class ShoulderLine:
    """Points on the edge between torso and background of the rest frame, and what lies across it."""

    points: Float[np.ndarray, "N 2"]
    normals: Float[np.ndarray, "N 2"]
    """Unit vectors towards the background."""

    @staticmethod
    def of(matte: UInt8[np.ndarray, "H W"], torso: UInt8[np.ndarray, "H W"]) -> ShoulderLine:
        """From a matte and where the torso is for sure (both 0 to 255)."""
        height, width = matte.shape
        contours, _ = cv2.findContours((matte > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        if not contours:
            return ShoulderLine(np.zeros((0, 2)), np.zeros((0, 2)))
        outline = np.asarray(max(contours, key=len), dtype=np.intp)[:, 0]
        beside = cv2.dilate(torso, np.ones((13, 13), np.uint8)) > 0
        margin = 4
        inner = ((outline >= margin) & (outline < [width - margin, height - margin])).all(1)
        outline = outline[inner & beside[outline[:, 1], outline[:, 0]]]
        if len(outline) < 8:
            return ShoulderLine(np.zeros((0, 2)), np.zeros((0, 2)))
        outline = outline[np.linspace(0, len(outline) - 1, min(POINTS, len(outline))).astype(int)]
        smooth = cv2.GaussianBlur(matte.astype(np.float32), (0, 0), 3.0)
        gradient = np.dstack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)])
        normals = -gradient[outline[:, 1], outline[:, 0]].astype(np.float64)
        length = np.linalg.norm(normals, axis=1)
        clear = length > 1.0
        line = ShoulderLine(outline[clear] + 0.5, normals[clear] / length[clear, None])
        # The contour runs through whole pixels; the matte says where the edge is between them.
        own, _, reached = line.reach(matte, np.eye(2, 3))
        keep = [int(np.argmin(((line.points - p) ** 2).sum(1))) for p in own]
        return ShoulderLine(reached, line.normals[keep])

    def reach(
        self, matte: UInt8[np.ndarray, "H W"], guess: Float[np.ndarray, "2 3"]
    ) -> tuple[Float[np.ndarray, "M 2"], Float[np.ndarray, "M 2"], Float[np.ndarray, "M 2"]]:
        """(points of the rest, normals in the frame, where the frame's edge is met), for points that meet one."""
        empty = np.zeros((0, 2))
        if not len(self.points):
            return empty, empty, empty
        linear = guess[:, :2]
        normals = self.normals @ linear.T / np.hypot(linear[0, 0], linear[1, 0])
        at = apply(guess, self.points)
        steps = np.arange(-SEARCH_PX, SEARCH_PX + STEP_PX, STEP_PX)
        places = (at[:, None] + steps[None, :, None] * normals[:, None] - 0.5).astype(np.float32)
        profile = cv2.remap(matte, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        profile = profile.astype(np.float64) / 255 - 0.5
        falls = (profile[:, :-1] >= 0) & (profile[:, 1:] < 0)
        distance = np.where(falls, np.abs(steps[:-1])[None], np.inf)
        first = distance.argmin(1)
        rows = np.arange(len(at))
        met = np.isfinite(distance[rows, first])
        before, after = profile[rows, first], profile[rows, np.minimum(first + 1, len(steps) - 1)]
        offset = steps[first] + STEP_PX * before / np.where(met, before - after, 1.0)
        height, width = matte.shape
        reached = at + offset[:, None] * normals
        met &= ((reached > 2) & (reached < [width - 2, height - 2])).all(1)
        return self.points[met], normals[met], reached[met]
