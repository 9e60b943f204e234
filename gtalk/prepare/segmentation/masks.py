"""The masks stage: mattes/ (soft coverage by the person) and masks/ (what part a pixel shows)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass, Segment
from gtalk.prepare.frame_io import (
    Gains,
    fresh_folder,
    in_order,
    one_thread_each,
    read_frames,
    write_grey,
)
from gtalk.prepare.report.metrics import spans
from gtalk.prepare.segmentation.clean_plate import Background, framed_like, frames_needed, make_background
from gtalk.prepare.segmentation.labels import ColourModel, Labeller
from gtalk.prepare.segmentation.matte import NETWORK_HEIGHT, coarse_mattes, refine
from gtalk.prepare.segmentation.mouth_occlusion import covered_frames, lower_face
from gtalk.prepare.segmentation.parsing_model import ParsingModel
from gtalk.prepare.segmentation.side_colours import Plate
from gtalk.prepare.surroundings.camera_path import CameraPath
from gtalk.prepare.surroundings.mosaic import Mosaic, frames_of_mosaic, make_mosaic
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Bool, Float

COLOUR_FRAMES = 40


def make_masks(
    root: Path,
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    segments: Sequence[Segment],
    size: tuple[int, int],
    on_progress: OnProgress = silent,
    model: ParsingModel | None = None,
    gains: Gains = None,
    path: CameraPath | None = None,
) -> dict[str, Any]:
    """Write mattes/ and masks/ for the images in frames/.

    Args:
        root: the dataset folder.
        points_px: landmarks of every frame; those of faceless frames are interpolated.
        valid: where a face was seen.
        segments: parts without a cut.
        size: (width, height) of the images.
        on_progress: told after every frame.
        model: a face-parsing network whose answers go before the built-in labels.
        gains: what evens out the light of every frame.
        path: of the camera, where it moves.

    Returns:
        Mean share of the image of each class, and [start, stop) of spans in which something hides the mouth.
    """
    frames, total = root / "frames", len(points_px)
    plate, colours = _first_look(root, points_px, valid, segments, size, gains, path)
    labeller = Labeller(colours, model)
    areas, patches = np.zeros(len(MaskClass)), list[np.ndarray]()
    with fresh_folder(root / "mattes") as mattes, fresh_folder(root / "masks") as masks, one_thread_each():

        def finish(item: tuple[int, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
            index, (frame, coarse) = item
            matte = refine(frame, coarse, _plate_of(plate, index, size))
            labels = labeller.label(frame, matte, points_px[index])
            write_grey(mattes, index, matte)
            write_grey(masks, index, labels)
            shares = cv2.calcHist([labels], [0], None, [len(MaskClass)], [0, len(MaskClass)])[:, 0] / labels.size
            return shares, lower_face(frame, points_px[index])

        coarse = coarse_mattes(read_frames(frames, range(total), gains), [segment.start for segment in segments])
        for shares, patch in track(in_order(finish, enumerate(coarse)), "masks", total, on_progress):
            areas += shares / total
            patches.append(patch)
    hidden = spans(covered_frames(np.stack(patches), valid))
    return {part.name.lower(): round(float(areas[part]), 4) for part in MaskClass} | {"mouth_hidden_spans": hidden}


def _first_look(
    root: Path,
    points_px: np.ndarray,
    valid: np.ndarray,
    segments: Sequence[Segment],
    size: tuple[int, int],
    gains: Gains,
    path: CameraPath | None,
) -> tuple[Background | Mosaic, ColourModel]:
    """A small plate and a colour model, from coarse mattes of some frames."""
    frames, half = root / "frames", _plate_size(size)
    path = path.resized(half[1] / size[1]) if path is not None and path.moves else None
    needed = frames_needed(half, segments) if path is None else frames_of_mosaic(path)
    seen = needed[valid[needed]] if valid[needed].any() else needed
    samples = set(seen[np.linspace(0, len(seen) - 1, min(COLOUR_FRAMES, len(seen))).astype(int)].tolist())
    with TemporaryDirectory(prefix=".coarse.part", dir=root) as folder:

        def keep() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
            images = coarse_mattes(read_frames(frames, needed, gains), range(len(needed)))
            for index, (frame, coarse) in zip(needed.tolist(), images, strict=True):
                matte = (cv2.resize(coarse, half, interpolation=cv2.INTER_LINEAR) * 255).astype(np.uint8)
                small = cv2.resize(frame, half, interpolation=cv2.INTER_AREA)
                np.save(Path(folder) / f"{index}.npy", np.dstack([small, matte]))
                if index in samples:
                    full = (cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR) * 255).astype(np.uint8)
                    yield frame, full, points_px[index]

        colours = ColourModel.learn(keep())

        def read(index: int) -> tuple[np.ndarray, np.ndarray]:
            both = np.load(Path(folder) / f"{index}.npy")
            return np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])

        background = make_background(read, half, segments) if path is None else make_mosaic(read, half, path)
    return background, colours


def _plate_of(background: Background | Mosaic, index: int, size: tuple[int, int]) -> Plate:
    """The plate as frame `index` of images of `size` frames it."""
    if isinstance(background, Mosaic):
        return Plate(*background.behind(index, _plate_size(size)))
    framing = background.framing[index]
    return Plate(framed_like(background.plate, framing), framed_like(background.known.astype(np.float32), framing))


def _plate_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that a plate needs for mattes, which are decided at a size below it."""
    scale = min(0.5, NETWORK_HEIGHT / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
