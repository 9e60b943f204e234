"""Masks of the prepared demo clip against its truth: intersection over union of every part.

    .venv/bin/python -m gtalk prepare data/demo/clip.mp4 -o /tmp/demo
    .venv/bin/python tools/check/masks.py /tmp/demo [--truth data/demo] [--again] [--images FOLDER]

`--again` labels the images anew from the dataset's mattes and tracked points, to see what a change of the
labels does without preparing again. `--images` writes, for some frames, the image, its labels and where
they are wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from demo_person.truth import load_truth
from gtalk.dataset.format import HEAD_CLASSES, Dataset, MaskClass
from gtalk.prepare.records import load_track
from gtalk.prepare.report.html import COLOURS
from gtalk.prepare.segmentation.labels import ColourModel, Labeller
from gtalk.prepare.segmentation.masks import COLOUR_FRAMES
from gtalk.prepare.tracking.track import model_points

PARTS = {
    "head": HEAD_CLASSES,
    "neck": (MaskClass.NECK,),
    "torso": (MaskClass.TORSO,),
    "lips": (MaskClass.LIPS,),
    "lips+mouth": (MaskClass.LIPS, MaskClass.MOUTH),
    "eyes": (MaskClass.EYES,),
    "person": tuple(part for part in MaskClass if part != MaskClass.BACKGROUND),
}
WANTED = {"head": 0.96, "neck": 0.85, "torso": 0.95, "lips": 0.85}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--truth", type=Path, default=Path("data/demo"))
    parser.add_argument("--again", action="store_true", help="label anew")
    parser.add_argument("--images", type=Path, help="folder for images of what is wrong")
    options = parser.parse_args()
    dataset, truth = Dataset(options.dataset), load_truth(options.truth)
    labels = relabelled(dataset, truth.mask_frames) if options.again else None
    found = [dataset.labels(int(i)) for i in truth.mask_frames] if labels is None else labels
    pairs = list(zip(found, truth.masks, strict=True))
    for name, parts in PARTS.items():
        values = np.array([overlap(*pair, parts) for pair in pairs])
        values = values[np.isfinite(values)]
        goal = f"  wanted {WANTED[name]:.2f}" if name in WANTED else ""
        print(f"{name:10s} IoU {pooled(pairs, parts):.4f}  per frame: mean {values.mean():.4f}, "
              f"worst {values.min():.4f}{goal}")  # fmt: skip
    if options.images:
        draw(options.images, dataset, truth.mask_frames, pairs)


def relabelled(dataset: Dataset, frames: np.ndarray) -> list[np.ndarray]:
    """Labels of some frames by today's code, from the dataset's mattes and tracked points."""
    points = model_points(load_track(dataset.root))
    seen = np.linspace(0, dataset.n_frames - 1, COLOUR_FRAMES).astype(int)
    colours = ColourModel.learn((dataset.frame(int(i)), dataset.matte(int(i)), points[i]) for i in seen)
    labeller = Labeller(colours)
    return [labeller.label(dataset.frame(int(i)), dataset.matte(int(i)), points[i]) for i in frames]


def overlap(found: np.ndarray, true: np.ndarray, parts: tuple[MaskClass, ...]) -> float:
    """Intersection over union in one frame; NaN where neither shows the part."""
    return pooled([(found, true)], parts)


def pooled(pairs: list[tuple[np.ndarray, np.ndarray]], parts: tuple[MaskClass, ...]) -> float:
    """Intersection over union of all frames together."""
    both = either = 0
    for found, true in pairs:
        a, b = np.isin(found, parts), np.isin(true, parts)
        both, either = both + int((a & b).sum()), either + int((a | b).sum())
    return both / either if either else float("nan")


def draw(folder: Path, dataset: Dataset, frames: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Image, labels over it, and wrong pixels in the colour of what they should be."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in np.linspace(0, len(frames) - 1, 6).astype(int):
        frame, (found, true) = dataset.frame(int(frames[number])), pairs[number]
        over = cv2.addWeighted(frame, 0.45, COLOURS[found], 0.55, 0)
        wrong = np.where((found != true)[..., None], COLOURS[true] // 2 + 100, frame // 3).astype(np.uint8)
        sheet = np.hstack([frame, over, wrong])
        cv2.imwrite(str(folder / f"{frames[number]:06d}.jpg"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
