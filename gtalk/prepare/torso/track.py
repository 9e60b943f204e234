"""How the torso moves: a 2D similarity per frame, followed on the texture of the clothes and the shoulder line.

Every frame is registered to a keyframe, never to the frame before it, so nothing drifts; the frame
before only says where to look. Pyramidal Lucas-Kanade tracks, checked forwards and backwards, and
the edge of the matte along the shoulders are gathered for a whole shot and solved at once
(`torso_solve`); then all frames are aligned with their mean (`torso_dense`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass, Segment
from gtalk.geometry.similarity import apply, compose, from_matrices, inverse
from gtalk.prepare.frame_io import in_order
from gtalk.prepare.torso.bend import bend
from gtalk.prepare.torso.dense import Images, align
from gtalk.prepare.torso.shoulders import ShoulderLine
from gtalk.prepare.torso.solve import Observations, solve_shot
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float
from gtalk.types import TORSO_BEND

WORK_HEIGHT = 256  # of images, pixels
CORNERS = 240
WINDOW = (19, 19)
BACK_AND_FORTH_PX = 0.4
INLIER_PX = 2.5
LEAST_INLIERS = 12
LEAST_SHARE = 0.35
SHOT_KEYFRAME_AFTER = 0.45  # a shot whose frames agree less with the rest gets a keyframe of its own
STARTS = (0.5, 0.25, 0.75, 0.1, 0.9)  # of the longest shot: where a frame that shows the torso is looked for
IDENTITY = np.eye(2, 3)

Read = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Frame index -> (grey image, at least of the working size; labels; matte)."""


@dataclass(frozen=True)
class View:
    """One frame as the tracker sees it, at working size."""

    grey: np.ndarray
    torso: np.ndarray
    """uint8, 255 where the torso is beyond doubt."""
    matte: np.ndarray


@dataclass(frozen=True)
class Keyframe:
    """A frame that others are registered to."""

    view: View
    T_frame_rest: np.ndarray
    corners: np.ndarray
    first_corner: int


@dataclass(frozen=True)
class TorsoTrack:
    """The torso of T frames."""

    torso: Float[np.ndarray, "T 4"]
    """Relative to the rest frame; see `clip.similarity`."""
    tracked: Bool[np.ndarray, " T"]
    """False where no texture was followed: the shoulder line and the neighbours in time decide."""
    rest_frame: int
    bend: Float[np.ndarray, "T B"]
    """What the similarity leaves; see `torso_bend`."""

    @property
    def mostly_tracked(self) -> bool:
        """Whether its own texture says where it is."""
        return bool(self.tracked.mean() >= 0.5)


def track_torso(
    read: Read, size: tuple[int, int], segments: Sequence[Segment], on_progress: OnProgress = silent
) -> TorsoTrack:
    """Follow the torso through all frames.

    Args:
        read: called once per frame on several threads, and before that for a start.
        size: (width, height) of the images.
        segments: parts without a cut. Each is registered to the same rest.
        on_progress: told after every frame.
    """
    scale = min(1.0, WORK_HEIGHT / size[1])
    work = (max(8, round(size[0] * scale)), max(8, round(size[1] * scale)))
    total = segments[-1].stop
    longest = max(segments, key=lambda s: s.stop - s.start)
    start, view = _first_look(read, work, longest)
    rest = _keyframe(view, IDENTITY, 0)
    line = ShoulderLine.of(rest.view.matte, rest.view.torso)
    ys, xs = np.nonzero(rest.view.torso)
    if not len(xs):
        return TorsoTrack(np.zeros((total, 4)), np.zeros(total, bool), start, np.zeros((total, TORSO_BEND)))
    centre = np.array([xs.mean(), ys.mean()])
    radius = max(float(np.hypot(xs.std(), ys.std())), 4.0)
    matrices = np.tile(IDENTITY, (total, 1, 1))
    tracked = np.zeros(total, bool)
    last = IDENTITY
    images, seen = Images(total, work), []
    for segment in segments:
        frames, last, n_corners = _observe(read, work, segment, rest, line, last, images, on_progress)
        span = slice(segment.start, segment.stop)
        matrices[span] = solve_shot(frames, centre, radius, n_corners)
        tracked[span] = [len(frame.rest) > 0 for frame in frames]
        seen += frames
    matrices = align(images, matrices, seen, segments, centre, radius)
    middle = _nearest_to_median(from_matrices(matrices, work), tracked, start)
    torso = from_matrices(compose(inverse(matrices[middle]), matrices), work)
    return TorsoTrack(torso, tracked, middle, bend(images, matrices, segments))


def _first_look(read: Read, work: tuple[int, int], segment: Segment) -> tuple[int, View]:
    """A frame that shows the torso, from the middle of a shot if it can be."""
    length = segment.stop - 1 - segment.start
    chosen = [segment.start + round(length * share) for share in STARTS]
    for index in chosen:
        view = _view(*read(index), work)
        if view.torso.any():
            return index, view
    return chosen[0], _view(*read(chosen[0]), work)


def _observe(
    read: Read,
    work: tuple[int, int],
    segment: Segment,
    rest: Keyframe,
    line: ShoulderLine,
    guess: np.ndarray,
    images: Images,
    on_progress: OnProgress,
) -> tuple[list[Observations], np.ndarray, int]:
    """(what is seen of the torso in each frame of a shot, the last match, corner numbers in use)."""
    frames: list[Observations] = []
    keyframes, lost = [rest], True
    shot = range(segment.start, segment.stop)
    for index, view in zip(shot, in_order(lambda index: _view(*read(index), work), shot), strict=True):
        images.put(index, view.grey, view.torso)
        best: tuple[np.ndarray, float, np.ndarray, np.ndarray, np.ndarray] | None = None
        for keyframe in keyframes:
            found = _match(keyframe, view, guess, search=lost)
            if found is not None and (best is None or found[1] > best[1] + 0.1):
                best = found
        if best is not None:
            guess, lost = best[0], False
            if best[1] < SHOT_KEYFRAME_AFTER and len(keyframes) == 1:
                keyframes.append(_keyframe(view, guess, rest.first_corner + len(rest.corners)))
        elif (index - segment.start) % 25 == 24:
            lost = True
        corner, source, seen = best[2:] if best is not None else (np.zeros(0, int), np.zeros((0, 2)), np.zeros((0, 2)))
        frames.append(Observations(corner, source, seen, *line.reach(view.matte, guess)))
        on_progress(Progress("torso", index + 1, len(images)))
    return frames, guess, keyframes[-1].first_corner + len(keyframes[-1].corners)


def _view(grey: np.ndarray, labels: np.ndarray, matte: np.ndarray, work: tuple[int, int]) -> View:
    small = cv2.resize(grey, work, interpolation=cv2.INTER_AREA)
    torso = cv2.resize((labels == MaskClass.TORSO).astype(np.uint8) * 255, work, interpolation=cv2.INTER_AREA)
    inner = cv2.erode((torso > 250).astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
    return View(small, inner, cv2.resize(matte, work, interpolation=cv2.INTER_AREA))


def _keyframe(view: View, matrix: np.ndarray, first_corner: int) -> Keyframe:
    corners = cv2.goodFeaturesToTrack(view.grey, CORNERS, 0.003, 5, mask=view.torso, blockSize=5)
    return Keyframe(view, matrix, np.zeros((0, 1, 2), np.float32) if corners is None else corners, first_corner)


def _match(
    keyframe: Keyframe, view: View, guess: np.ndarray, search: bool
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray, np.ndarray] | None:
    """(rest -> frame, share of corners that agree, their numbers, places in the rest, places seen), or None."""
    if len(keyframe.corners) < LEAST_INLIERS:
        return None
    guesses = [compose(inverse(keyframe.T_frame_rest), guess)]
    if search:
        guesses += [IDENTITY, *_by_descriptors(keyframe.view, view)]
    best = None
    for relative in guesses:
        found = _flow(keyframe, view, relative)
        if found is not None and (best is None or found[1] > best[1]):
            best = found
    if best is None:
        return None
    matrix, share, which, seen = best
    # Pixel centres are whole numbers in OpenCV and at .5 elsewhere.
    source = apply(inverse(keyframe.T_frame_rest), keyframe.corners[which, 0].astype(np.float64) + 0.5)
    return compose(keyframe.T_frame_rest, matrix), share, which + keyframe.first_corner, source, seen + 0.5


def _flow(keyframe: Keyframe, view: View, guess: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray] | None:
    """(keyframe -> frame, share that agrees, numbers of corners near it, where they are seen), or None."""
    start = keyframe.corners
    predicted = (apply(guess, start[:, 0] + 0.5) - 0.5).astype(np.float32)[:, None]
    options = {"winSize": WINDOW, "maxLevel": 3, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    stop, ok, _ = cv2.calcOpticalFlowPyrLK(keyframe.view.grey, view.grey, start, predicted.copy(), **options)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(view.grey, keyframe.view.grey, stop, start.copy(), **options)
    height, width = view.grey.shape
    inside = ((stop[:, 0] > 2) & (stop[:, 0] < [width - 3, height - 3])).all(1)
    good = (ok[:, 0] > 0) & (ok_back[:, 0] > 0) & inside
    good &= np.linalg.norm((back - start)[:, 0], axis=1) < BACK_AND_FORTH_PX
    if good.sum() < LEAST_INLIERS:
        return None
    matrix, _ = cv2.estimateAffinePartial2D(
        start[good], stop[good], method=cv2.RANSAC, ransacReprojThreshold=INLIER_PX, maxIters=200, confidence=0.99
    )
    if matrix is None:
        return None
    which = np.flatnonzero(good)
    error = np.linalg.norm(apply(matrix, start[which, 0]) - stop[which, 0], axis=1)
    agree = error < INLIER_PX
    share = agree.sum() / max(1, int(inside.sum()))
    if agree.sum() < LEAST_INLIERS or share < LEAST_SHARE or not _plausible(matrix):
        return None
    near = error < 2 * INLIER_PX
    centred = matrix.copy()
    centred[:, 2] += 0.5 - matrix[:, :2] @ [0.5, 0.5]
    return centred, float(share), which[near], stop[which[near], 0].astype(np.float64)


def _plausible(matrix: np.ndarray) -> bool:
    """A torso seen by one camera neither doubles its size nor lies down."""
    size = np.hypot(matrix[0, 0], matrix[1, 0])
    return bool(0.6 < size < 1.7 and abs(np.arctan2(matrix[1, 0], matrix[0, 0])) < 0.6)


def _by_descriptors(a: View, b: View) -> list[np.ndarray]:
    """Guess from ORB matches, for the first frame after a cut."""
    orb = cv2.ORB.create(nfeatures=600, edgeThreshold=8, fastThreshold=8)
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
    return [] if matrix is None or not _plausible(matrix) else [matrix]


def _nearest_to_median(torso: np.ndarray, tracked: np.ndarray, otherwise: int) -> int:
    if not tracked.any():
        return otherwise
    distance = np.linalg.norm(torso - np.median(torso[tracked], axis=0), axis=1)
    return int(np.argmin(np.where(tracked, distance, np.inf)))
