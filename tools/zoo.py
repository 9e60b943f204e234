"""Prepares every clip of tools/bad_clips.py and prints what came of it: input, verdict, time.

.venv/bin/python tools/zoo.py [NAME ...] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gtalk.clip.prepare import prepare
from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.topology import LANDMARKS68, LIPS
from tools.bad_clips import SOURCES, Picture, Recipe, landmarks_px, write


@dataclass(frozen=True)
class Outcome:
    """What came of one clip."""

    dataset: Dataset | None
    refusal: str
    seconds: float

    def words(self) -> str:
        """The verdict, or the refusal."""
        if self.dataset is None:
            return f"refused: {self.refusal}"
        verdict = self.dataset.manifest["verdict"]
        return f"{verdict['word']}: {'; '.join(verdict['problems'])}"


def run(recipe: Recipe, folder: Path) -> Outcome:
    """Make the clip and prepare it."""
    clip = write(folder, recipe)
    started = time.perf_counter()
    try:
        dataset = prepare([clip], folder / f"{recipe.name}.dataset")
    except UserError as error:
        return Outcome(None, str(error), time.perf_counter() - started)
    return Outcome(dataset, "", time.perf_counter() - started)


def true_points(recipe: Recipe, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """([T,478,2] true landmarks in pixels of the dataset, [T] where the face is whole)."""
    shown = recipe.shown(dataset.n_frames, dataset.fps)
    return np.stack([_in_dataset(dataset, picture) for picture in shown]), np.array([p.whole for p in shown])


def _in_dataset(dataset: Dataset, picture: Picture) -> np.ndarray:
    crop = dataset.manifest["sources"][0]["crop"]
    scale = np.array(dataset.size) / [crop["width"], crop["height"]]
    return (landmarks_px(picture) - [crop["x"], crop["y"]]) * scale


def landmark_error(dataset: Dataset, true: np.ndarray, whole: np.ndarray) -> float:
    """Median distance of the detected landmarks from the true ones, in shares of the face's height."""
    found, valid = dataset.points_px, dataset.motion.valid & whole
    height = np.ptp(true[valid][:, LANDMARKS68, 1], axis=1).mean()
    return float(np.median(np.linalg.norm(found[valid] - true[valid], axis=-1)[:, LANDMARKS68]) / height)


def best_shift(dataset: Dataset, true: np.ndarray, whole: np.ndarray) -> int:
    """By how many frames the detected lips must be moved to fit the true ones best; 0 when in time."""
    valid = dataset.motion.valid & whole
    gaps = []
    for points in (dataset.points_px, true):
        centred = points[:, LIPS] - points[:, LIPS].mean(1, keepdims=True)
        gaps.append(centred - np.median(centred[valid], axis=0))
    costs = {}
    for shift in range(-4, 5):
        rows = np.arange(4, len(valid) - 4)
        rows = rows[valid[rows] & valid[rows + shift]]
        costs[shift] = np.abs(gaps[0][rows] - gaps[1][rows + shift]).mean()
    return min(costs, key=lambda shift: costs[shift])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these clips")
    parser.add_argument("--keep", type=Path, help="folder in which clips and datasets stay")
    options = parser.parse_args()
    print(
        f"{'input':16s} {'size':>10s} {'frames':>6s} {'faceless':>8s} {'error':>6s} {'shift':>5s} {'time':>6s}  verdict"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for recipe in SOURCES:
            if not options.names or recipe.name in options.names:
                print(describe(recipe, run(recipe, folder)), flush=True)


def describe(recipe: Recipe, outcome: Outcome) -> str:
    """One line of the table."""
    head = f"{recipe.name:16s} {recipe.size[0]:5d}x{recipe.size[1]:<4d}"
    if outcome.dataset is None:
        return f"{head} {'-':>6s} {'-':>8s} {'-':>6s} {'-':>5s} {outcome.seconds:5.1f}s  {outcome.words()}"
    dataset = outcome.dataset
    true, whole = true_points(recipe, dataset)
    faceless = int((~dataset.motion.valid).sum())
    error, shift = landmark_error(dataset, true, whole), best_shift(dataset, true, whole)
    numbers = f"{dataset.n_frames:6d} {faceless:8d} {error:6.1%} {shift:+5d} {outcome.seconds:5.1f}s"
    return f"{head} {numbers}  {outcome.words()}"


if __name__ == "__main__":
    main()
