"""Where hair, neck and clothes are in every frame: dense alignment of each frame with one rest frame.

Long hair follows neither the head nor the torso, and a guess of its depth is a guess of how it moves. So its motion is
measured: dense optical flow (Kroeger et al. 2016, "Fast optical flow using dense inverse search") from the rest frame
to each frame, after the face's similarity has been taken off, checked forwards and backwards, and gathered at a
grid of control points that hold together where nothing is seen.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from gtalk.geometry.similarity import apply
from gtalk.prepare.frame_io import in_order
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float, UInt8
from gtalk.types import SWAY, SWAY_GRID

WORK_HEIGHT = 256  # of images, pixels
STEP = 4  # pixels between the places at which flow is looked at
HOLD = 0.03  # how much neighbouring control points hold together, in places that agree
REST = 1e-3  # how much a control point follows the face where nothing else is known
FAR_PX = 3.0  # a place that differs by more from its neighbourhood counts less
BACK_AND_FORTH_PX = 1.0
ROUNDS = 3

Read = Callable[[int], tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]]
"""Frame index -> (grey image, matte), of any size."""


class Alignment:
    """One rest frame, and where dense flow finds in other frames what it shows of the person."""

    def __init__(
        self,
        read: Read,
        points_px: Float[np.ndarray, "T P 2"],
        size: tuple[int, int],
        usable: Bool[np.ndarray, " T"],
    ) -> None:
        """See `track_sway`."""
        scale = WORK_HEIGHT / size[1]
        self.read, self.work = read, (round(size[0] * scale), WORK_HEIGHT)
        self.points_px = points_px * scale
        """Of the face, in pixels of `work` = (width, height)."""
        self.rest = _nearest_to_median(self.points_px, usable)
        self.grey, self.matte = _at_work(read, self.rest, self.work)
        self.places_px, self.worth = _places(self.grey, self.matte)
        """Whole pixels of the rest frame at which flow is looked at, and how much they say."""

    def follow(self, index: int) -> tuple[Float[np.ndarray, "2 3"], Float[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
        """(similarity of the face from the rest frame, what the places move besides, how far to believe it)."""
        follows = _similarity(self.points_px[self.rest], self.points_px[index])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        now = cv2.warpAffine(_at_work(self.read, index, self.work)[0], _for_opencv(follows), self.work, flags=flags)
        flow, doubt = _flow(self.grey, now)
        x, y = self.places_px.T
        return follows, flow[y, x], doubt[y, x]


def track_sway(
    read: Read,
    points_px: Float[np.ndarray, "T P 2"],
    size: tuple[int, int],
    usable: Bool[np.ndarray, " T"],
    on_progress: OnProgress = silent,
    alignment: Alignment | None = None,
) -> Float[np.ndarray, "T S"]:
    """Displacements (x, y) of the control points from the rest frame to each frame, in image heights, row by row.

    Args:
        read: called once per frame, on several threads.
        points_px: the face's landmarks in pixels of images of `size`.
        size: (width, height).
        usable: frames that may be the rest; it is the one whose face lies nearest to the median of theirs. All its
            displacements are zero.
        on_progress: told after every frame.
        alignment: of the same arguments, where there is one already.
    """
    aligned = alignment or Alignment(read, points_px, size, usable)
    shares = _shares(aligned.places_px, aligned.work)
    prior, knots = _prior(len(aligned.places_px)), _knots(aligned.work)

    def sway(index: int) -> np.ndarray:
        if index == aligned.rest:
            return np.zeros(SWAY)
        follows, flow, doubt = aligned.follow(index)
        left = _gather(shares, prior, flow, aligned.worth * doubt)
        return ((apply(follows, knots + left) - knots) / WORK_HEIGHT).ravel()

    rows = []
    for index, row in enumerate(in_order(sway, range(len(points_px)))):
        rows.append(row)
        on_progress(Progress("hair", index + 1, len(points_px)))
    return np.stack(rows)


def _at_work(read: Read, index: int, work: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    grey, matte = read(index)
    return cv2.resize(grey, work, interpolation=cv2.INTER_AREA), cv2.resize(matte, work, interpolation=cv2.INTER_AREA)


def _nearest_to_median(points: np.ndarray, usable: np.ndarray) -> int:
    rows = np.flatnonzero(usable) if usable.any() else np.arange(len(points))
    middle = np.median(points[rows], axis=0)
    return int(rows[np.argmin(np.square(points[rows] - middle).sum((1, 2)))])


def _places(grey: np.ndarray, matte: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pixels, worth) of the places at which flow is looked at."""
    height, width = grey.shape
    y, x = np.mgrid[STEP // 2 : height : STEP, STEP // 2 : width : STEP].reshape(2, -1)
    slope = np.hypot(cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1))
    slope = cv2.GaussianBlur(slope, (0, 0), STEP / 2)[y, x]
    inner = cv2.erode(matte, np.ones((3, 3), np.uint8))[y, x] / 255.0
    kept = inner > 0.5
    x, y, slope, inner = x[kept], y[kept], slope[kept], inner[kept]
    return np.stack([x, y], 1), inner * slope / (slope + max(float(np.median(slope)) if len(slope) else 1.0, 1e-6))


def _shares(places_px: np.ndarray, work: tuple[int, int]) -> csr_matrix:
    """Bilinear shares of the control points."""
    at = (places_px + 0.5) / work * (SWAY_GRID - 1)
    low = np.clip(np.floor(at).astype(int), 0, SWAY_GRID - 2)
    part = at - low
    columns, values = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            columns.append((low[:, 1] + dy) * SWAY_GRID + low[:, 0] + dx)
            values.append(np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1]))
    rows = np.tile(np.arange(len(places_px)), 4)
    return csr_matrix((np.concatenate(values), (rows, np.concatenate(columns))), (len(places_px), SWAY_GRID**2))


def _prior(n_places: int) -> Float[np.ndarray, "C C"]:
    """Inverse covariance of one coordinate of the control points."""
    number = np.arange(SWAY_GRID**2).reshape(SWAY_GRID, SWAY_GRID)
    a = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    b = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    hold = HOLD * max(n_places, 1) / SWAY_GRID**2 / 8.0
    precision = REST * np.eye(SWAY_GRID**2)
    np.add.at(precision, (a, a), hold)
    np.add.at(precision, (b, b), hold)
    precision[a, b] -= hold
    precision[b, a] -= hold
    return precision


def _knots(work: tuple[int, int]) -> Float[np.ndarray, "C 2"]:
    """Control points in pixels."""
    x, y = np.meshgrid(np.linspace(0, work[0], SWAY_GRID), np.linspace(0, work[1], SWAY_GRID))
    return np.stack([x.ravel(), y.ravel()], 1)


def _similarity(source: np.ndarray, target: np.ndarray) -> Float[np.ndarray, "2 3"]:
    """The similarity that takes a face to another (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    cos, sin = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    linear = np.array([[cos, -sin], [sin, cos]]) / max(float((a * a).sum()), 1e-9)
    return np.concatenate([linear, (target.mean(0) - linear @ source.mean(0))[:, None]], axis=1)


def _for_opencv(matrix: np.ndarray) -> np.ndarray:
    """Pixel centres are whole numbers in OpenCV and at .5 elsewhere."""
    out = matrix.copy()
    out[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return out


def _flow(rest: np.ndarray, now: np.ndarray) -> tuple[Float[np.ndarray, "H W 2"], Float[np.ndarray, "H W"]]:
    """(where pixels of the rest went, how far that is to be believed from 0 to 1)."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there = finder.calc(rest, now, np.zeros((*rest.shape, 2), np.float32))
    back = finder.calc(now, rest, np.zeros((*rest.shape, 2), np.float32))
    y, x = np.mgrid[0 : rest.shape[0], 0 : rest.shape[1]].astype(np.float32)
    again = there + cv2.remap(back, x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR)
    return there, 1.0 / (1.0 + np.square(again).sum(-1) / BACK_AND_FORTH_PX**2)


def _gather(shares: csr_matrix, prior: np.ndarray, flow: np.ndarray, worth: np.ndarray) -> Float[np.ndarray, "C 2"]:
    """Displacements of the control points that agree with most of the flow."""
    weight, found = worth, np.zeros((len(prior), 2))
    for _ in range(ROUNDS):
        weighted = shares.multiply(weight[:, None]).tocsr()
        found = np.linalg.solve((shares.T @ weighted).toarray() + prior, weighted.T @ flow)
        off = np.square(flow - shares @ found).sum(1)
        weight = worth / (1.0 + off / FAR_PX**2)
    return found
