"""Frames -> 478 facial landmarks of the main person in each, in pixels, as the detector says them.

Nothing is smoothed and nothing is guessed: a frame without a face is marked. MediaPipe FaceMesh comes
with its wheel; its Face Landmarker (a model file) adds 52 blendshape scores. See `clip.faces` for both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.clip.faces import FaceLandmarkerFinder, FaceMeshFinder, Finder, SmallFaceFinder, TwiceFinder
from gtalk.errors import UserError
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Bool, Float, Int
from gtalk.topology import N_POINTS

LANDMARKER_FILE = "face_landmarker.task"
FORGET_AFTER = 12  # faceless frames after which any face may become the main one again


@dataclass(frozen=True)
class Landmarks:
    """What the detector saw in T frames. Rows of frames that are not valid hold zeros."""

    points_px: Float[np.ndarray, "T 478 2"]
    """float32, pixels of the source."""
    depth: Float[np.ndarray, "T 478"]
    """The network's own relative depth in pixels, smaller is nearer; irises have none (0)."""
    valid: Bool[np.ndarray, " T"]
    face_count: Int[np.ndarray, " T"]
    """Faces in the picture, the main one included."""
    source: str
    """Which detector."""
    arkit52: Float[np.ndarray, "T 52"] | None = None
    """Blendshape scores of the Face Landmarker in its own order (`_neutral` first, no tongue)."""


def detect_landmarks(
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    n_frames: int | None = None,
    on_progress: OnProgress = silent,
    model: str | Path = "auto",
    segment_starts: Sequence[int] = (),
    twice: bool = True,
) -> Landmarks:
    """Landmarks of the main face (largest, most central, the same from frame to frame) in every frame.

    Args:
        frames: uint8 [H,W,3] RGB pictures, consumed one at a time.
        size: (width, height) of the pictures.
        n_frames: how many there will be, for progress only.
        on_progress: told after every frame.
        model: "facemesh"; a path of a `face_landmarker.task`; or "auto": that file in $GTALK_ASSETS if it is
            there, else FaceMesh.
        segment_starts: frames at which a new shot begins: the detector's memory is cleared there.
        twice: look at every picture and at its mirror image, and average: steadier points for twice the time.

    Raises:
        UserError: the model file is missing or unreadable.
    """
    finder, source = _make_finder(model)
    if twice:
        finder = TwiceFinder(finder, _make_finder(model)[0])
    small = SmallFaceFinder()
    starts = frozenset(segment_starts)
    rows: list[np.ndarray] = []
    counts: list[int] = []
    scores: list[np.ndarray | None] = []
    previous, missed = None, 0
    try:
        for index, picture in enumerate(track(frames, "landmarks", n_frames, on_progress)):
            if index in starts:
                finder.reset()
                previous = None
            frame = np.ascontiguousarray(picture)
            faces = finder.find(frame) or small.find(frame)
            chosen = _main_face([face.points for face in faces], previous, size)
            if chosen is None:
                missed += 1
                previous = previous if missed < FORGET_AFTER else None
            else:
                missed, previous = 0, faces[chosen].points
            rows.append(np.zeros((N_POINTS, 3), np.float32) if chosen is None else faces[chosen].points)
            scores.append(None if chosen is None else faces[chosen].blendshapes)
            counts.append(len(faces))
    finally:
        finder.close()
        small.close()
    return _assemble(rows, counts, scores, source)


def _make_finder(model: str | Path) -> tuple[Finder, str]:
    if model == "facemesh":
        return FaceMeshFinder(), "facemesh"
    if model == "auto":
        path = Path(os.environ.get("GTALK_ASSETS", "")) / LANDMARKER_FILE
        if not os.environ.get("GTALK_ASSETS") or not path.is_file():
            return FaceMeshFinder(), "facemesh"
    else:
        path = Path(model)
    if not path.is_file():
        raise UserError(
            f"landmark model {model}",
            expected='"auto", "facemesh" or the path of a face_landmarker.task file',
            got="nothing there",
            remedy="Check the path, or leave the default.",
        )
    return FaceLandmarkerFinder(path), "face_landmarker"


def _main_face(faces: list[np.ndarray], previous: np.ndarray | None, size: tuple[int, int]) -> int | None:
    """Index of the face to follow: the one nearest to where it just was, else the largest and most central."""
    if not faces:
        return None
    centres = np.array([points[:, :2].mean(0) for points in faces])
    extents = np.array([np.sqrt(np.ptp(points[:, 0]) * np.ptp(points[:, 1])) for points in faces])
    if previous is not None:
        distance = np.linalg.norm(centres - previous[:, :2].mean(0), axis=1)
        extent = np.sqrt(np.ptp(previous[:, 0]) * np.ptp(previous[:, 1]))
        nearest = int(np.argmin(distance + np.abs(extents - extent)))
        # Farther than its own size from where it was, it is someone else.
        return nearest if distance[nearest] < extent else None
    off_centre = np.linalg.norm(centres - np.array(size) / 2, axis=1) / np.hypot(*size)
    return int(np.argmax(extents * (1.0 - off_centre)))


def _assemble(rows: list[np.ndarray], counts: list[int], scores: list[np.ndarray | None], source: str) -> Landmarks:
    points = np.array(rows, np.float32).reshape(-1, N_POINTS, 3)
    valid = points.any(axis=(1, 2))
    arkit52 = None
    if any(score is not None for score in scores):
        arkit52 = np.array([np.zeros(52) if score is None else score for score in scores], np.float32)
    return Landmarks(
        points[:, :, :2].copy(), points[:, :, 2].copy(), valid, np.array(counts, np.int64), source, arkit52
    )
