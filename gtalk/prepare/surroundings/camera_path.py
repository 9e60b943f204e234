"""How a camera moved before its room: for every frame the homography from the plate, found on features of the room.

A camera that turns about itself, or looks at what is far or flat, changes its picture by a homography (Hartley and
Zisserman 2004, section 8.4). Corners of a key frame's room are followed into each frame (Lucas and Kanade, forwards and
back), the homography that most of them agree on is found (MAGSAC), and a new key frame is taken where too few are left;
one that was there before is taken again, so that a camera that comes back does not drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.prepare.frame_io import in_order
from gtalk.prepare.surroundings.direct import align
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float, UInt8

WORK_HEIGHT = 256
"""Pixels of images at which a camera is followed."""
CORNERS, FEWEST, FEWEST_FOR_SIMILARITY = 320, 24, 8
CELLS, FEWEST_CELLS = 4, 6  # of a grid of 4 x 4: corners in fewer say nothing of perspective
BACK_PX, AGREE_PX = 0.7, 1.0
LEFT = 0.5  # share of a key frame's corners below which another is taken
OVERLAP = 0.6  # of the image, for an earlier key frame to be taken again
MOST_KEYS = 64
LOOKS, APART = 12, 12  # pairs of frames that tell whether a camera moves at all, and how many frames they lie apart
MOVES = 0.006  # image heights that corners move in such a pair, or in all
ACROSS = 0.45  # of the width must lie between corners that tell so
COHERENT = 0.5  # of the corners must agree, or it is not the camera that moves
SAME = 0.4  # of the squared difference must be left on both sides of the person where shades are aligned instead
NOISE = 4.0  # squared levels by which aligned shades may differ more than those that are not
UNSURE = 3  # pairs in which one side moves and the other is not seen, for a closer look

Read = Callable[[int], tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]]
"""Frame index -> (grey image, 255 where the room is and 0 where the person may be), of one size."""


@dataclass(frozen=True)
class CameraPath:
    """Where the plate is seen in every frame."""

    H_frame_plate: Float[np.ndarray, "T 3 3"]
    """Takes pixels of the plate, which is the frame `reference` of a room without people, to those of a frame."""
    known: Bool[np.ndarray, " T"]
    """Frames for which it was found."""
    reference: int

    @property
    def moves(self) -> bool:
        """Whether there is anything but the identity."""
        return bool((self.H_frame_plate != np.eye(3)).any())

    def resized(self, factor: float) -> CameraPath:
        """For images that many times as large."""
        scale = np.diag([factor, factor, 1.0])
        return CameraPath(scale @ self.H_frame_plate @ np.linalg.inv(scale), self.known, self.reference)

    def reach(self, size: tuple[int, int]) -> float:
        """How far the image's corners range, image heights: 5th to 95th percentile."""
        corners = np.array([[0, 0], [size[0], 0], [0, size[1]], list(size)], float)
        places = np.stack([moved(H, corners) for H in self.H_frame_plate[self.known]])
        low, high = np.percentile(places, [5, 95], axis=0)
        return float(np.abs(high - low).max() / size[1])


def moved(homography: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """Points under a homography."""
    there = points @ homography[:, :2].T + homography[:, 2]
    return there[:, :2] / there[:, 2:]


def for_opencv(homography: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """The same map where the centre of the first pixel is (0, 0)."""
    shift = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    return np.linalg.inv(shift) @ homography @ shift


def find_path(
    read: Read,
    size: tuple[int, int],
    segments: Sequence[Segment],
    on_progress: OnProgress = silent,
    closer: Callable[[], Read] | None = None,
) -> CameraPath:
    """The path of a clip's camera; all identity where it stands still, which a few frames tell.

    Args:
        read: called on several threads.
        size: (width, height) of the images that the homographies are for; those that are read may be smaller.
        segments: parts without a cut. One whose room is not found in the longest one's is not known.
        on_progress: told after every segment.
        closer: a dearer `read` that knows better where the person is; asked where something seems to move.
    """
    total = segments[-1].stop
    longest = max(segments, key=lambda segment: segment.stop - segment.start)
    reference = (longest.start + longest.stop) // 2
    still = CameraPath(np.tile(np.eye(3), (total, 1, 1)), np.ones(total, bool), reference)
    for better in (None, closer):
        read = read if better is None else better()
        looks = [_moves_in(read, segment) for segment in segments]
        if True not in looks and (better is not None or closer is None or None not in looks):
            return still
    found, known = still.H_frame_plate.copy(), still.known.copy()
    frames = in_order(read, range(total))
    for segment in segments:
        own, seen = _follow(islice(frames, segment.stop - segment.start))
        middle = reference - segment.start if segment is longest else (segment.stop - segment.start) // 2
        own = own @ np.linalg.inv(own[middle])
        if segment is not longest:
            link = _between(read(reference), read(segment.start + middle))
            seen = seen & (link is not None)
            own = own if link is None else own @ link
        found[segment.start : segment.stop], known[segment.start : segment.stop] = own, seen
        on_progress(Progress("camera", segment.stop, total))
    return CameraPath(_at_size(found, read(reference)[0].shape[0] / size[1]), known, reference)


def path_of_frames(
    frames: Iterator[tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]],
    size: tuple[int, int],
    segments: Sequence[Segment],
    on_progress: OnProgress = silent,
) -> CameraPath:
    """The path of every frame, in order and without asking first whether anything moves.

    Each segment's homographies are from its own middle.

    Args:
        frames: (grey image, 255 where the room is), all of one size.
        size: (width, height) of the images that the homographies are for.
        segments: parts without a cut.
    """
    homographies, known, scale = [], [], 1.0
    for segment in segments:
        first = next(frames)
        scale = first[0].shape[0] / size[1]
        own, seen = _follow(chain([first], islice(frames, segment.stop - segment.start - 1)))
        homographies.append(own @ np.linalg.inv(own[len(own) // 2]))
        known.append(seen)
        on_progress(Progress("camera", segment.stop, segments[-1].stop))
    longest = max(segments, key=lambda segment: segment.stop - segment.start)
    reference = longest.start + (longest.stop - longest.start) // 2
    return CameraPath(_at_size(np.concatenate(homographies), scale), np.concatenate(known), reference)


def _at_size(homographies: np.ndarray, scale: float) -> np.ndarray:
    """OpenCV's maps of images `scale` times as large as maps of pixels whose centres lie at .5."""
    shift = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    to_size = np.diag([1 / scale, 1 / scale, 1.0]) @ shift
    return to_size @ homographies @ np.linalg.inv(to_size)


@dataclass(frozen=True)
class _Key:
    """A frame whose corners are followed, or where there are too few, its shades."""

    grey: np.ndarray
    room: np.ndarray
    corners: np.ndarray
    """[N,2] float32."""
    H: np.ndarray
    """From the segment's first frame."""

    @staticmethod
    def of(grey: np.ndarray, room: np.ndarray, homography: np.ndarray) -> _Key:
        """Corners of the room, spread over it."""
        corners = cv2.goodFeaturesToTrack(
            grey, CORNERS, 0.01, max(4, grey.shape[0] // 40), mask=cv2.erode(room, np.ones((9, 9), np.uint8))
        )
        return _Key(grey, room, np.zeros((0, 2), np.float32) if corners is None else corners[:, 0], homography)

    def shades_to(self, grey: np.ndarray, room: np.ndarray, guess: np.ndarray) -> np.ndarray | None:
        """The homography to another frame by what is blurred."""
        aligned = align((self.grey, self.room), (grey, room), guess)
        if aligned is None or not _plausible(aligned.H, grey.shape):
            return None
        seen = [side for side in (aligned.left, aligned.right) if np.isfinite(side[1])]
        return aligned.H if seen and all(after <= before + NOISE for before, after in seen) else None

    def to(self, grey: np.ndarray, room: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray | None, float]:
        """(homography to another frame, share of the corners that agree with it); `guess` is about what it is."""
        if len(self.corners) < FEWEST_FOR_SIMILARITY:
            return None, 0.0
        there = moved(guess, self.corners).astype(np.float32)
        options: dict = {"winSize": (21, 21), "maxLevel": 3, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
        there, good, _ = cv2.calcOpticalFlowPyrLK(self.grey, grey, self.corners, there.copy(), **options)
        back, good_back, _ = cv2.calcOpticalFlowPyrLK(grey, self.grey, there, self.corners.copy(), **options)
        column, row = (np.clip(np.rint(there[:, i]), 0, grey.shape[1 - i] - 1).astype(int) for i in (0, 1))
        inside = ((there >= 0) & (there < grey.shape[::-1])).all(1)
        kept = (good[:, 0] > 0) & (good_back[:, 0] > 0) & inside & (room[row, column] > 0)
        kept &= np.linalg.norm(back - self.corners, axis=1) < BACK_PX
        found, agree = _fitted(self.corners[kept], there[kept], grey.shape)
        return found, agree / len(self.corners)


def _fitted(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray | None, int]:
    """(what takes a to b, of how many points): a homography where they are spread, a similarity where they are few."""
    if len(a) < FEWEST_FOR_SIMILARITY:
        return None, 0
    if len(a) >= FEWEST and _spread(a, shape):
        found, inliers = cv2.findHomography(a, b, cv2.USAC_MAGSAC, AGREE_PX, maxIters=2000, confidence=0.999)
        if found is not None and inliers.sum() >= FEWEST and _plausible(found, shape):
            return found, int(inliers.sum())
    part, inliers = cv2.estimateAffinePartial2D(a, b, method=cv2.RANSAC, ransacReprojThreshold=AGREE_PX)
    if part is None or inliers.sum() < FEWEST_FOR_SIMILARITY:
        return None, 0
    found = np.vstack([part, [0.0, 0.0, 1.0]])
    return (found, int(inliers.sum())) if _plausible(found, shape) else (None, 0)


def _spread(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether points lie all over an image."""
    cells = np.unique((points / np.array(shape[::-1]) * CELLS).astype(int) @ [1, CELLS])
    return len(cells) >= FEWEST_CELLS


def _plausible(homography: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether the image keeps about its form and size."""
    height, width = shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    depth = corners @ homography[2, :2] + homography[2, 2]
    if depth.min() < 0.3 or depth.max() > 3.0:
        return False
    there = moved(homography, corners)
    sides = np.linalg.norm(np.roll(there, -1, axis=0) - there, axis=1) / [width, height, width, height]
    return bool((sides > 0.4).all() and (sides < 2.5).all())


def _follow(frames: Iterator[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """([N,3,3] from the first frame to each, which were found) of one segment."""
    key = _Key.of(*next(frames), np.eye(3))
    keys, found, known = [key], [np.eye(3)], [True]
    for grey, room in frames:
        before = found[-1]
        guess = before @ np.linalg.inv(key.H)
        now, agree = key.to(grey, room, guess)
        if now is None:
            now, agree = key.shades_to(grey, room, guess), LEFT
        found.append(before if now is None else now @ key.H)
        known.append(now is not None)
        if agree >= LEFT:
            continue
        key = _another(keys, key, grey, room, found)
    return np.stack([H / H[2, 2] for H in found]), np.array(known)


def _another(keys: list[_Key], key: _Key, grey: np.ndarray, room: np.ndarray, found: list[np.ndarray]) -> _Key:
    """The key frame to follow from now on: an earlier one that shows the same, else this frame."""
    here = found[-1]
    overlaps = [_overlap(here @ np.linalg.inv(old.H), grey.shape) if old is not key else 0.0 for old in keys]
    best = int(np.argmax(overlaps))
    if overlaps[best] > OVERLAP:
        again, agree = keys[best].to(grey, room, here @ np.linalg.inv(keys[best].H))
        if again is not None and agree > LEFT:
            found[-1] = again @ keys[best].H
            return keys[best]
    new = _Key.of(grey, room, here)
    if len(keys) >= MOST_KEYS:
        keys.pop(0)
    keys.append(new)
    return new


def _overlap(homography: np.ndarray, shape: tuple[int, ...]) -> float:
    """Share of the image that is seen in the other one too."""
    height, width = shape[:2]
    x, y = np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9))
    there = moved(homography, np.stack([x.ravel(), y.ravel()], 1))
    return float(((there > 0) & (there < [width, height])).all(1).mean())


def _moves_in(read: Read, segment: Segment) -> bool | None:
    """Whether the room goes somewhere, within half a second or over the segment; None: a closer look may tell."""
    length = segment.stop - segment.start
    if length < 4:
        return False
    apart = min(APART, length - 1)
    starts = np.unique(np.linspace(segment.start, segment.stop - 1 - apart, min(LOOKS, length - apart)).astype(int))
    first = read(int(starts[0]))
    pairs = [(read(int(a)), read(int(a) + apart)) for a in starts]
    pairs += [(first, read(int(a))) for a in starts[3::3]]
    votes = [_pair_moves(*pair) for pair in pairs]
    return True if votes.count(True) >= 2 else None if votes.count(None) + votes.count(True) >= UNSURE else False


def _pair_moves(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> bool | None:
    """Whether the room moved; None where only one side of it says so and the other is hidden or plain."""
    key = _Key.of(*a, np.eye(3))
    found, agree = key.to(*b, np.eye(3))
    height, width = a[0].shape
    if found is not None and agree >= COHERENT and agree * len(key.corners) >= FEWEST:
        # Corners on one side of a plain wall may be hair that moves with the head.
        across = np.ptp(np.percentile(key.corners[:, 0], [5, 95]))
        if across >= ACROSS * width and _spread(key.corners, a[0].shape):
            return _far(found, height, width)
    aligned = align(a, b, np.eye(3))
    if aligned is None or not _far(aligned.H, height, width):
        return False
    left, right = (after < SAME * before for before, after in (aligned.left, aligned.right))
    hidden = not all(np.isfinite((aligned.left[1], aligned.right[1])))
    return True if left and right else None if hidden and (left or right) else False


def _far(homography: np.ndarray, height: int, width: int) -> bool:
    """Whether it takes an image's corners farther than a camera on a stand trembles."""
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height], [width / 2, height / 2]], float)
    return bool(np.median(np.linalg.norm(moved(homography, corners) - corners, axis=1)) > MOVES * height)


def _between(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    """The homography between two far frames by descriptors of their corners (ORB, Rublee et al. 2011)."""
    finder = cv2.ORB.create(1000, fastThreshold=8)
    (points_a, words_a), (points_b, words_b) = (finder.detectAndCompute(*frame) for frame in (a, b))
    if words_a is None or words_b is None or min(len(words_a), len(words_b)) < FEWEST:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(words_a, words_b)
    if len(matches) < FEWEST:
        return None
    there = [np.array([points[i].pt for i in order]) for points, order in (
        (points_a, [m.queryIdx for m in matches]), (points_b, [m.trainIdx for m in matches]))]  # fmt: skip
    limit = 2 * AGREE_PX
    found, inliers = cv2.findHomography(there[0], there[1], cv2.USAC_MAGSAC, limit, maxIters=5000, confidence=0.999)
    if found is None or inliers.sum() < max(FEWEST, 0.25 * len(matches)) or not _plausible(found, a[0].shape):
        return None
    return found
