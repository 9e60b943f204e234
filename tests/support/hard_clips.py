"""Prepares every clip of tests/support/bad_clips.py and prints what came of it: input, verdict, time.

.venv/bin/python tests/support/hard_clips.py [NAME ...] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.media.audio import read_wav
from gtalk.prepare.pipeline import prepare
from gtalk.topology import LANDMARKS68, LIPS
from gtalk.types import AUDIO_RATE
from tests.support.bad_clips import SOURCES, Image, Recipe, demo_sound, landmarks_px, write


@dataclass(frozen=True)
class Outcome:
    """What came of one clip."""

    dataset: Dataset | None
    refusal: str
    seconds: float
    cpu_s: float

    def words(self) -> str:
        """The verdict, or the refusal."""
        if self.dataset is None:
            return f"refused: {self.refusal}"
        verdict = self.dataset.manifest["verdict"]
        return f"{verdict['word']}: {'; '.join(verdict['problems'])}"


def run(recipe: Recipe, folder: Path) -> Outcome:
    """Make the clip and prepare it."""
    clip = write(folder, recipe)
    started, cpu = time.perf_counter(), time.process_time()
    dataset, refusal = None, ""
    try:
        dataset = prepare([clip], folder / f"{recipe.name}.dataset")
    except UserError as error:
        refusal = str(error)
    return Outcome(dataset, refusal, time.perf_counter() - started, time.process_time() - cpu)


def true_points(recipe: Recipe, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """([T,478,2] true landmarks in pixels of the dataset, [T] where the face is whole)."""
    shown = recipe.shown(dataset.n_frames, dataset.fps)
    return np.stack([_in_dataset(dataset, image) for image in shown]), np.array([p.whole for p in shown])


def _in_dataset(dataset: Dataset, image: Image) -> np.ndarray:
    crop = dataset.manifest["sources"][0]["crop"]
    scale = np.array(dataset.size) / [crop["width"], crop["height"]]
    return (landmarks_px(image) - [crop["x"], crop["y"]]) * scale


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


def sound_lag_s(recipe: Recipe, dataset: Dataset) -> float | None:
    """How much later than it should the sound comes; None where there is none."""
    heard = read_wav(dataset.root / "sound.wav").samples
    if np.abs(heard).max() < 1e-3:
        return None
    first = round(recipe.sound_from_s * AUDIO_RATE)
    true = demo_sound()[first : first + len(heard)]
    lags = np.arange(-AUDIO_RATE // 4, AUDIO_RATE // 4)
    whole = np.fft.irfft(np.fft.rfft(heard, 2 * len(heard)) * np.conj(np.fft.rfft(true, 2 * len(heard))))
    return float(lags[np.argmax(whole[lags])] / AUDIO_RATE)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these clips")
    parser.add_argument("--keep", type=Path, help="folder in which clips and datasets stay")
    options = parser.parse_args()
    print(
        f"{'input':18s} {'size':>10s} {'frames':>6s} {'faceless':>8s} {'error':>6s} {'shift':>5s} {'sound':>7s} "
        f"{'time':>6s} {'CPU':>6s}  verdict"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for recipe in SOURCES:
            if not options.names or recipe.name in options.names:
                print(describe(recipe, run(recipe, folder)), flush=True)


def describe(recipe: Recipe, outcome: Outcome) -> str:
    """One line of the table."""
    head = f"{recipe.name:18s} {recipe.size[0]:5d}x{recipe.size[1]:<4d}"
    times = f"{outcome.seconds:5.1f}s {outcome.cpu_s:5.1f}s  {outcome.words()}"
    dataset = outcome.dataset
    if dataset is None:
        return f"{head} {'-':>6s} {'-':>8s} {'-':>6s} {'-':>5s} {'-':>7s} {times}"
    true, whole = true_points(recipe, dataset)
    faceless = int((~dataset.motion.valid).sum())
    error, shift, lag = (
        landmark_error(dataset, true, whole),
        best_shift(dataset, true, whole),
        sound_lag_s(recipe, dataset),
    )
    lag_ms = "-" if lag is None else f"{1000 * lag:+.0f} ms"
    return f"{head} {dataset.n_frames:6d} {faceless:8d} {error:6.1%} {shift:+5d} {lag_ms:>7s} {times}"


if __name__ == "__main__":
    main()
