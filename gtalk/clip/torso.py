"""How the torso moves: a 2D similarity per frame, followed on the texture of the clothes.

Every frame is registered to a keyframe, never to the frame before it, so nothing drifts; the frame
before only says where to look. Pyramidal Lucas-Kanade tracks, checked forwards and backwards, feed a
robust similarity. Where the clothes have no texture, the silhouette of the shoulders is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.clip.similarity import apply, compose, from_matrices, inverse
from gtalk.dataset.format import MaskClass, Segment
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float

WORK_HEIGHT = 288
CORNERS = 320
WINDOW = (21, 21)
BACK_AND_FORTH_PX = 0.4
INLIER_PX = 1.2
LEAST_INLIERS = 14
LEAST_SHARE = 0.35
MAX_KEYFRAMES = 6
IDENTITY = np.eye(2, 3)


@dataclass
class View:
    """One frame as the tracker sees it."""

    grey: np.ndarray
    torso: np.ndarray
    """uint8, 255 where the torso is beyond doubt."""


@dataclass
class Keyframe:
    """A frame that others are registered to."""

    view: View
    T_frame_rest: np.ndarray
    corners: np.ndarray


@dataclass(frozen=True)
class TorsoTrack:
    """The torso of T frames."""

    torso: Float[np.ndarray, "T 4"]
    """Relative to the rest frame; see `clip.similarity`."""
    tracked: Bool[np.ndarray, " T"]
    """False where the value is interpolated."""
    rest_frame: int


def track_torso(
    read: Callable[[int], tuple[np.ndarray, np.ndarray]],
    size: tuple[int, int],
    segments: Sequence[Segment],
    on_progress: OnProgress = silent,
) -> TorsoTrack:
    """Follow the torso through all frames.

    Args:
        read: frame index -> (RGB picture, labels); called once per frame in order, and once more for the start.
        size: (width, height) of the pictures.
        segments: parts without a cut. Each is registered to the same rest.
        on_progress: told after every frame.
    """
    scale = min(1.0, WORK_HEIGHT / size[1])
    work = (max(8, round(size[0] * scale)), max(8, round(size[1] * scale)))
    total = segments[-1].stop
    longest = max(segments, key=lambda s: s.stop - s.start)
    start = (longest.start + longest.stop) // 2
    keyframes = [_keyframe(_view(*read(start), work), IDENTITY)]
    found = np.full((total, 2, 3), np.nan)
    last = IDENTITY
    for segment in segments:
        fresh = True
        for index in range(segment.start, segment.stop):
            view = _view(*read(index), work)
            solved = _register(view, keyframes, last, search=fresh)
            if solved is not None:
                matrix, share = solved
                found[index], last, fresh = matrix, matrix, False
                if share < 0.5 and len(keyframes) < MAX_KEYFRAMES:
                    keyframes.append(_keyframe(view, matrix))
            elif not fresh and len(keyframes) < MAX_KEYFRAMES and index % 25 == 0:
                fresh = True
            on_progress(Progress("torso", index + 1, total))
    tracked = ~np.isnan(found[:, 0, 0])
    rest = _nearest_to_median(from_matrices(found, work), tracked, start)
    if tracked[rest]:
        found = compose(inverse(found[rest]), found)
    torso = from_matrices(found, work)
    torso = _fill(torso, tracked, segments)
    return TorsoTrack(torso, tracked, rest)


def _view(frame: np.ndarray, labels: np.ndarray, work: tuple[int, int]) -> View:
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), work, interpolation=cv2.INTER_AREA)
    torso = cv2.resize((labels == MaskClass.TORSO).astype(np.uint8) * 255, work, interpolation=cv2.INTER_AREA)
    inner = cv2.erode((torso > 250).astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
    return View(grey, inner)


def _keyframe(view: View, matrix: np.ndarray) -> Keyframe:
    corners = cv2.goodFeaturesToTrack(view.grey, CORNERS, 0.004, 4, mask=view.torso, blockSize=5)
    corners = np.zeros((0, 1, 2), np.float32) if corners is None else corners
    return Keyframe(view, matrix, corners)


def _register(
    view: View, keyframes: list[Keyframe], guess: np.ndarray, search: bool
) -> tuple[np.ndarray, float] | None:
    """(rest -> frame, share of corners that agree) by the best keyframe, or None."""
    best: tuple[np.ndarray, float] | None = None
    for keyframe in keyframes:
        if len(keyframe.corners) < LEAST_INLIERS:
            continue
        guesses = [compose(inverse(keyframe.T_frame_rest), guess)]
        if search:
            guesses += [IDENTITY, *_by_descriptors(keyframe.view, view)]
        for relative in guesses:
            solved = _flow(keyframe, view, relative)
            if solved is not None and (best is None or solved[1] > best[1]):
                best = compose(keyframe.T_frame_rest, solved[0]), solved[1]
        if best is not None and best[1] > 0.6 and not search:
            break
    return best


def _flow(keyframe: Keyframe, view: View, guess: np.ndarray) -> tuple[np.ndarray, float] | None:
    """(keyframe -> frame, share of corners that agree) from a guess, or None."""
    start = keyframe.corners
    predicted = apply(guess, start[:, 0]).astype(np.float32)[:, None]
    options = {"winSize": WINDOW, "maxLevel": 4, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    stop, ok, _ = cv2.calcOpticalFlowPyrLK(keyframe.view.grey, view.grey, start, predicted.copy(), **options)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(view.grey, keyframe.view.grey, stop, start.copy(), **options)
    height, width = view.grey.shape
    inside = ((stop[:, 0] > 2) & (stop[:, 0] < [width - 3, height - 3])).all(1)
    good = (ok[:, 0] & ok_back[:, 0]).astype(bool) & inside
    good &= np.linalg.norm((back - start)[:, 0], axis=1) < BACK_AND_FORTH_PX
    if good.sum() < LEAST_INLIERS:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(
        start[good], stop[good], method=cv2.RANSAC, ransacReprojThreshold=INLIER_PX, maxIters=300, confidence=0.995
    )
    if matrix is None:
        return None
    agree = inliers[:, 0].astype(bool)
    share = agree.sum() / max(1, int(inside.sum()))
    if agree.sum() < LEAST_INLIERS or share < LEAST_SHARE:
        return None
    matrix = _least_squares(start[good][agree][:, 0], stop[good][agree][:, 0])
    return matrix, float(share)


def _least_squares(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Similarity by least squares with Huber weights."""
    source, target = source.astype(np.float64), target.astype(np.float64)
    weights = np.ones(len(source))
    matrix = IDENTITY
    for _ in range(4):
        total = weights.sum()
        a, b = (weights @ source) / total, (weights @ target) / total
        x, y = source - a, target - b
        dot, cross = (x * y).sum(1), x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]
        power = weights @ (x * x).sum(1)
        cos, sin = (weights @ dot) / power, (weights @ cross) / power
        linear = np.array([[cos, -sin], [sin, cos]])
        matrix = np.concatenate([linear, (b - linear @ a)[:, None]], axis=1)
        error = np.linalg.norm(apply(matrix, source) - target, axis=1)
        weights = 1.0 / np.maximum(error / 0.25, 1.0)
    return matrix


def _by_descriptors(a: View, b: View) -> list[np.ndarray]:
    """Guess from ORB matches, for the first frame after a cut."""
    orb = cv2.ORB_create(nfeatures=600, edgeThreshold=8, fastThreshold=8)
    points_a, words_a = orb.detectAndCompute(a.grey, a.torso)
    points_b, words_b = orb.detectAndCompute(b.grey, b.torso)
    if words_a is None or words_b is None or min(len(points_a), len(points_b)) < LEAST_INLIERS:
        return []
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(words_a, words_b)
    if len(matches) < LEAST_INLIERS:
        return []
    source = np.array([points_a[m.queryIdx].pt for m in matches])
    target = np.array([points_b[m.trainIdx].pt for m in matches])
    matrix, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=3.0)
    return [] if matrix is None else [matrix]


def _nearest_to_median(torso: np.ndarray, tracked: np.ndarray, otherwise: int) -> int:
    if not tracked.any():
        return otherwise
    distance = np.linalg.norm(torso - np.median(torso[tracked], axis=0), axis=1)
    return int(np.argmin(np.where(tracked, distance, np.inf)))


def _fill(torso: np.ndarray, tracked: np.ndarray, segments: Sequence[Segment]) -> np.ndarray:
    """Interpolate inside each segment; a segment that was never tracked stays at rest."""
    filled = np.zeros_like(torso)
    for segment in segments:
        span = np.arange(segment.start, segment.stop)
        known = span[tracked[span]]
        if len(known):
            for column in range(torso.shape[1]):
                filled[span, column] = np.interp(span, known, torso[known, column])
    return filled

