"""Frames -> 478 facial landmarks of the main person in each, in pixels, as the detector says them.

Nothing is smoothed and nothing is guessed: a frame without a face is marked. MediaPipe FaceMesh comes
with its wheel; its Face Landmarker (a model file) adds 52 blendshape scores. See `clip.faces` for both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.prepare.landmarks.detectors import (
    MAX_FACES,
    Face,
    FaceLandmarkerFinder,
    FaceMeshFinder,
    Finder,
    SmallFaceFinder,
    TwiceFinder,
)
from gtalk.prepare.landmarks.identities import IdentityTracks, Sound, describe_cast, find_cast, find_like
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Bool, Float, Int
from gtalk.topology import N_POINTS

LANDMARKER_FILE = "face_landmarker.task"


@dataclass(frozen=True)
class Landmarks:
    """What the detector saw in T frames. Rows of frames that are not valid hold zeros."""

    points_px: Float[np.ndarray, "T 478 2"]
    """float32, pixels of the source."""
    depth: Float[np.ndarray, "T 478"]
    """The network's own relative depth in pixels, smaller is nearer; irises have none (0)."""
    valid: Bool[np.ndarray, " T"]
    face_count: Int[np.ndarray, " T"]
    """Faces in the image, the main one included."""
    source: str
    """Which detector."""
    arkit52: Float[np.ndarray, "T 52"] | None = None
    """Blendshape scores of the Face Landmarker in its own order (`_neutral` first, no tongue)."""
    cast: IdentityTracks | None = None
    """Everybody who was seen; not kept in files."""
    notes: tuple[str, ...] = ()
    """What was found out about them, in plain words; not kept in files."""


def detect_landmarks(
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    n_frames: int | None = None,
    on_progress: OnProgress = silent,
    model: str | Path = "auto",
    segment_starts: Sequence[int] = (),
    twice: bool = True,
    sound: Sound | None = None,
    like: Float[np.ndarray, "S 3"] | None = None,
    late_starts: Callable[[], Sequence[int]] = tuple,
    one_person: bool = False,
) -> Landmarks:
    """Landmarks of the speaker in every frame: of several people, the one whose lips move with the sound.

    Where the sound does not tell: the largest, most central, longest seen (`clip.people`).

    Args:
        frames: uint8 [H,W,3] RGB images, consumed one at a time.
        size: (width, height) of the images.
        n_frames: how many there will be, for progress only.
        on_progress: told after every frame.
        model: "facemesh"; a path of a `face_landmarker.task`; or "auto": that file in $GTALK_ASSETS if it is
            there, else FaceMesh.
        segment_starts: frames at which a new shot begins: the detector's memory is cleared there.
        twice: look at every image and at its mirror image, and average: steadier points for twice the time.
        sound: loads the sound that belongs to the frames, at 25 of them a second.
        like: the shape (`identities.face_shape`) of who is meant: nobody else is followed.
        one_person: whoever is alone in an image is the one who is meant, see `identities.find_cast`.
        late_starts: as `segment_starts`, where they are known only when all frames have been seen.

    Raises:
        UserError: the model file is missing or unreadable.
    """
    finder, source = _make_finder(model)
    if twice:
        finder = TwiceFinder(finder, _make_finder(model, 1)[0], lambda: _make_finder(model)[0])
    small = SmallFaceFinder()
    starts = frozenset(segment_starts)
    faces: list[list[Face]] = []
    try:
        images = (np.ascontiguousarray(image) for image in frames)
        found = finder.find_each(images, starts) if isinstance(finder, TwiceFinder) else _each(finder, images, starts)
        for frame, seen in track(found, "landmarks", n_frames, on_progress):
            faces.append(seen or small.find(frame))
    finally:
        finder.close()
        small.close()
    shots = sorted({*starts, *(int(start) for start in late_starts())})
    if like is not None:
        which, difference = find_like(faces, shots, like)
        notes = (
            [] if which else [f"nobody in it looks like the one who is meant: the nearest differs by {difference:.1%}"]
        )
        return _assemble(faces, which, None, source, notes)
    cast = find_cast(faces, size, shots, sound, one_person)
    which = cast.people[0].which if cast.people else {}
    return _assemble(faces, which, cast, source, describe_cast(cast, faces, size))


def _each(
    finder: Finder, frames: Iterable[np.ndarray], starts: frozenset[int]
) -> Iterator[tuple[np.ndarray, list[Face]]]:
    for index, frame in enumerate(frames):
        if index in starts:
            finder.reset()
        yield frame, finder.find(frame)


def _make_finder(model: str | Path, most: int = MAX_FACES) -> tuple[Finder, str]:
    """(who finds faces, its name); `most`: faces that FaceMesh looks for."""
    if model == "facemesh":
        return FaceMeshFinder(most=most), "facemesh"
    if model == "auto":
        path = Path(os.environ.get("GTALK_ASSETS", "")) / LANDMARKER_FILE
        if not os.environ.get("GTALK_ASSETS") or not path.is_file():
            return FaceMeshFinder(most=most), "facemesh"
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


def _assemble(
    faces: list[list[Face]], which: dict[int, int], cast: IdentityTracks | None, source: str, notes: list[str]
) -> Landmarks:
    """One person's face of every frame."""
    points = np.zeros((len(faces), N_POINTS, 3), np.float32)
    scores = np.zeros((len(faces), 52), np.float32)
    for index, number in which.items():
        face = faces[index][number]
        points[index] = face.points
        if face.blendshapes is not None:
            scores[index] = face.blendshapes
    valid = np.isin(np.arange(len(faces)), list(which))
    counts = np.array([len(found) for found in faces], np.int64)
    arkit52 = scores if scores.any() else None
    return Landmarks(points[..., :2].copy(), points[..., 2].copy(), valid, counts, source, arkit52, cast, tuple(notes))
