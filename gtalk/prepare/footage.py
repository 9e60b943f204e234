"""Tracking of a video that is not to become a dataset: the camera, and the face's motion in every image."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gtalk.dataset.format import Segment
from gtalk.errors import UserError
from gtalk.media.video import VideoReader
from gtalk.prepare.frame_io import one_thread_each
from gtalk.prepare.ingest.cuts import CutFinder
from gtalk.prepare.landmarks.detect import detect_landmarks
from gtalk.prepare.tracking.to_motion import motion_from_track
from gtalk.prepare.tracking.track import track_face
from gtalk.progress import OnProgress, silent
from gtalk.shapes import Bool, Float
from gtalk.types import Camera, Motion


def track_reader(reader: VideoReader, name: str, on_progress: OnProgress = silent) -> tuple[Camera, Motion]:
    """(camera, motion with one frame an image). Raises UserError when hardly a face is seen.

    Poses are refined by texture tracks, as those of a dataset are: what is pasted into a shot must not
    swim on it.
    """
    return track_person(reader, name, on_progress)[:2]


def track_person(
    reader: VideoReader, name: str, on_progress: OnProgress = silent, like: Float[np.ndarray, "S 3"] | None = None
) -> tuple[Camera, Motion, Bool[np.ndarray, " T"]]:
    """`track_reader`, and in which images only others are seen.

    `like`: the shape of who is meant, see `gtalk.prepare.landmarks.identities.find_like`; else the main person is.
    Raises UserError when hardly a face is seen, or nobody who looks like that.
    """
    finder = CutFinder()

    def watched():
        for image in reader:
            finder.see(image)
            yield image

    with one_thread_each():
        landmarks = detect_landmarks(
            watched(), reader.size, len(reader), on_progress, like=like, late_starts=lambda: finder.cuts().tolist()
        )
        others = (landmarks.face_count > 0) & ~landmarks.valid
        if like is not None and others.any() and not landmarks.valid.any():
            raise UserError(
                f"film {name}",
                expected="the avatar's person in it",
                got=landmarks.notes[0],
                remedy="Use a film of the same person, seen from about the front.",
            )
        bounds = [0, *finder.cuts().tolist(), len(reader)]
        segments = [Segment(a, b, name) for a, b in pairwise(bounds)]
        track = track_face(landmarks, reader.size, segments, on_progress=on_progress, frames=lambda: reader)
    return track.camera, motion_from_track(track, landmarks, reader.fps, segments=segments), others
