"""The expression of the one face in a picture or a clip, for `--emotion-from`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.prepare.landmarks.detectors import Face, FaceLandmarkerFinder, Finder
from gtalk.reading.assets import find_asset
from gtalk.reading.untrusted import read_image
from gtalk.rig.reading import Reading, read_expression
from gtalk.shapes import UInt8

DETECTOR = "face_landmarker.task"
PICTURES = (".jpg", ".jpeg", ".png")
_MOST_FRAMES = 48
_LEAST_FACES = 0.2  # of the frames that were looked at
_SECOND = 0.4  # of the largest face's height: smaller ones are passers-by


def expression_of(path: Path, intensity: float = 1.0, finder: Finder | None = None) -> Reading:
    """What the face in a picture (.jpg, .png) or a clip expresses; of a clip where it expresses most.

    `finder`: tells blendshapes; the Face Landmarker by default. Raises UserError for a file that is neither, no face,
    several faces, a face that is not expressing anything, and where the Face Landmarker is not at hand.
    """
    path = Path(path)
    images = [_picture(path)] if path.suffix.lower() in PICTURES else _frames(path)
    own = finder is None
    finder = _landmarker() if finder is None else finder
    try:
        found = [_large(finder.find(np.ascontiguousarray(image))) for image in images]
    finally:
        if own:
            finder.close()
    what = f"emotion from {path}"
    several = sum(len(faces) > 1 for faces in found)
    seen = [faces[0] for faces in found if len(faces) == 1]
    if several > 0.3 * len(found):
        most = max(len(faces) for faces in found)
        raise UserError(what, expected="one face", got=f"{most} faces", remedy="Cut the picture to one of them.")
    if len(seen) < max(1.0, _LEAST_FACES * len(found)):
        raise UserError(what, expected="a face", got="none that is found" if not seen else "one in few frames",
                        remedy="Use a picture that shows a face from the front, 100 pixels high or more.")  # fmt: skip
    reading = read_expression(np.array([face.blendshapes for face in seen]), intensity)
    if reading.is_quiet:
        raise UserError(what, expected="a face that expresses something", got="a quiet one",
                        remedy="Use another picture, or leave it out: the dub is quiet by itself.")  # fmt: skip
    return reading


def _large(faces: list[Face]) -> list[Face]:
    """Those that are not much smaller than the largest, that first."""
    faces = sorted((f for f in faces if f.blendshapes is not None), key=_height, reverse=True)
    return [face for face in faces if _height(face) >= _SECOND * _height(faces[0])]


def _height(face: Face) -> float:
    return float(np.ptp(face.points[:, 1]))


def _picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    try:
        return cv2.cvtColor(read_image(path), cv2.COLOR_BGR2RGB)
    except (OSError, ValueError) as error:
        raise UserError(f"emotion from {path}", expected="a picture (.jpg, .png) or a clip", got=str(error)[:200],
                        remedy="Check the path.") from error  # fmt: skip


def _frames(path: Path) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Frames of a clip, evenly, in bounded memory: every second one goes whenever there are too many."""
    from gtalk.media.source import probe, require_video
    from gtalk.media.video import read_video

    require_video(probe(path))
    kept: list[np.ndarray] = []
    step = 1
    for number, image in enumerate(read_video(path)):
        if number % step == 0:
            kept.append(image)
        if len(kept) > 2 * _MOST_FRAMES:
            kept, step = kept[::2], 2 * step
    return kept


def _landmarker() -> FaceLandmarkerFinder:
    model = find_asset(DETECTOR)
    if model is None:
        raise UserError("emotion from a picture", expected=f"{DETECTOR}, which reads faces", got="none at hand",
                        remedy="Run `gtalk assets get face_landmarker`.")  # fmt: skip
    return FaceLandmarkerFinder(model)
