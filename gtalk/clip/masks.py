"""The masks stage: mattes/ (soft coverage by the person) and masks/ (what part a pixel shows)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gtalk.clip.labels import ColourModel, Labeller
from gtalk.clip.matte import coarse_mattes, refine
from gtalk.clip.pictures import fresh_folder, in_order, read_frames, write_grey
from gtalk.dataset.format import MaskClass, Segment
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Bool, Float

COLOUR_FRAMES = 40


def make_masks(
    root: Path,
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    segments: Sequence[Segment],
    on_progress: OnProgress = silent,
) -> dict[str, float]:
    """Write mattes/ and masks/ for the pictures in frames/.

    Args:
        root: the dataset folder.
        points_px: landmarks of every frame; those of faceless frames are interpolated.
        valid: where a face was seen.
        segments: parts without a cut.

    Returns:
        Share of the picture that is person, on average, and the share of each class.
    """
    frames = root / "frames"
    labeller = Labeller(_learn_colours(frames, points_px, valid))
    starts = [segment.start for segment in segments]
    areas = np.zeros(len(MaskClass))
    with fresh_folder(root / "mattes") as mattes, fresh_folder(root / "masks") as masks:

        def finish(item: tuple[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
            index, (frame, coarse) = item
            matte = refine(frame, coarse)
            labels = labeller.label(frame, matte, points_px[index])
            write_grey(mattes, index, matte)
            write_grey(masks, index, labels)
            return np.bincount(labels.ravel(), minlength=len(MaskClass)) / labels.size

        coarse = coarse_mattes(read_frames(frames, range(len(points_px))), starts)
        done = in_order(finish, enumerate(coarse))
        for shares in track(done, "masks", len(points_px), on_progress):
            areas += shares
    areas /= len(points_px)
    return {part.name.lower(): round(float(areas[part]), 4) for part in MaskClass}


def _learn_colours(frames: Path, points_px: np.ndarray, valid: np.ndarray) -> ColourModel:
    seen = np.flatnonzero(valid)
    chosen = seen[np.linspace(0, len(seen) - 1, min(COLOUR_FRAMES, len(seen))).astype(int)]
    pictures = coarse_mattes(read_frames(frames, chosen), range(len(chosen)))
    return ColourModel.learn(
        (frame, (coarse * 255).astype(np.uint8), points_px[index])
        for index, (frame, coarse) in zip(chosen, pictures, strict=True)
    )
