"""Expression error: blendshape scores that a detector reads off images, rendered against real.

Peers print AUE, squared errors of action units summed over the face's halves. Their detector is for research
only; MediaPipe's Face Landmarker (Apache-2.0) gives 52 ARKit-like scores instead, when its file is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.prepare.landmarks.detectors import FaceLandmarkerFinder
from gtalk.reading.assets import find_asset
from gtalk.shapes import Float, UInt8

N_SCORES = 52
UPPER = np.r_[1:6, 7:23]
"""Brows, eyes and cheek squint, in the Face Landmarker's order (`_neutral` first)."""
LOWER = np.r_[6, 23:52]
"""Jaw, mouth, cheek puff and nose sneer."""
DETECTOR = "face_landmarker.task"


def expression_error(
    made: Float[np.ndarray, "T 52"], real: Float[np.ndarray, "T 52"]
) -> tuple[float, float] | tuple[None, None]:
    """(upper face, lower face): squared differences summed over a half's scores, mean over frames.

    None without frames.
    """
    if not len(made):
        return None, None
    squared = np.square(made - real)
    return float(squared[:, UPPER].sum(1).mean()), float(squared[:, LOWER].sum(1).mean())


@runtime_checkable
class ScoreReader(Protocol):
    """Reads blendshape scores off images, each by itself. Close it when done."""

    def read(self, image: UInt8[np.ndarray, "H W 3"]) -> np.ndarray | None:
        """[52] of the largest face, or None where none is seen."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class LandmarkerReader:
    """The ScoreReader of MediaPipe's Face Landmarker."""

    def __init__(self, model: Path) -> None:
        self._finder = FaceLandmarkerFinder(model)

    def read(self, image: UInt8[np.ndarray, "H W 3"]) -> np.ndarray | None:
        """[52] of the largest face, or None where none is seen."""
        faces = [face for face in self._finder.find(np.ascontiguousarray(image)) if face.blendshapes is not None]
        return max(faces, key=lambda face: float(np.ptp(face.points[:, 1]))).blendshapes if faces else None

    def close(self) -> None:
        """Free the model."""
        self._finder.close()


def open_reader() -> ScoreReader | None:
    """A reader where the detector's file and package are at hand (`gtalk assets`), else None."""
    model = find_asset(DETECTOR)
    if model is None:
        return None
    try:
        return LandmarkerReader(model)
    except ImportError:  # evaluated on a machine without mediapipe
        return None


def dataset_scores(dataset: Dataset) -> Float[np.ndarray, "T 52"] | None:
    """Scores that `prepare` kept with a dataset, one row an instant; None where it kept none."""
    stored = dataset.motion.channels.get("arkit52")
    if stored is None:
        path = dataset.root / "landmarks.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            stored = file["arkit52"] if "arkit52" in file.files else None
    if stored is None or stored.shape != (dataset.n_frames, N_SCORES):
        return None
    return stored.astype(np.float64)


def error_of(made: Mapping[int, np.ndarray], real: Mapping[int, np.ndarray]) -> tuple[float, float] | tuple[None, None]:
    """`expression_error` over the frames in which both have a face, by frame number."""
    both = sorted(made.keys() & real.keys())
    if not both:
        return None, None
    return expression_error(np.stack([made[i] for i in both]).astype(np.float64),
                            np.stack([real[i] for i in both]).astype(np.float64))  # fmt: skip
