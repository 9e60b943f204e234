"""Do real lips follow what is heard? A ridge regression learned on one person's lips, tried on others'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.eval import motion as measures
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.shapes import Float
from gtalk.speech.base import encode
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.sound import read_samples
from gtalk.speech.student import LAG_ROWS, N_BANDS, Student, load_student, read_student
from tools.make.ears.check import area

CONTEXT_ROWS = np.arange(-20, 21, 4)
"""Rows around an instant that the regression sees."""
_RIDGE = 0.3  # of a feature's variance


@dataclass(frozen=True)
class Person:
    """Sound and lips of one dataset."""

    heard: Mapping[str, Float[np.ndarray, "R D"]]
    """Rows by kind: row (with phone scores), plain (mel, pitch, energy), ears."""
    lips: Float[np.ndarray, "T 2"]
    """Opening and width, metres."""
    valid: np.ndarray

    @staticmethod
    def read(folder: Path, student: Student) -> Person:
        """A dataset of `gtalk prepare`."""
        dataset = Dataset(folder)
        samples = read_samples(dataset.audio_path)
        features = SpeechFeatures().adapted(samples)
        rows = encode(features, samples)
        late = np.concatenate([rows[:, :N_BANDS], np.repeat(rows[-1:, :N_BANDS], LAG_ROWS, 0)])
        count = min(dataset.n_frames, len(rows) // ROWS_PER_FRAME)
        motion = dataset.motion[:count]
        wide = motion.landmarks[:, 54, 0] - motion.landmarks[:, 48, 0]
        heard = {"row": rows, "plain": rows[:, : N_BANDS + 4], "ears": student.stream().push(late)[LAG_ROWS:]}
        return Person(heard, np.stack([measures.aperture(motion), wide], 1), motion.valid)

    def design(self, kinds: tuple[str, ...]) -> Float[np.ndarray, "T F"]:
        """What a frame's regression sees."""
        rows = np.concatenate([self.heard[kind] for kind in kinds], 1)
        rows = (rows - rows.mean(0)) / (rows.std(0) + 0.05)
        at = ROWS_PER_FRAME * np.arange(len(self.lips))[:, None] + CONTEXT_ROWS
        return rows[np.clip(at, 0, len(rows) - 1)].reshape(len(self.lips), -1)


SETS = {
    "mel, pitch, energy": ("plain",),
    "with phone scores": ("row",),
    "mel, pitch, energy, ears": ("plain", "ears"),
    "phone scores and ears": ("row", "ears"),
    "ears alone": ("ears",),
}


def check_lips(folders: list[Path], weights: Path | None) -> None:
    """Print, for features by name, what lips learned of each dataset make of all others, on the mean."""
    student = load_student() if weights is None else read_student(weights)
    people = [Person.read(folder, student) for folder in folders]
    print(f"{'':28}{'opening r':>12}{'width r':>10}{'AUC shut':>10}   learned of")
    for folder, taught in zip(folders, people, strict=True):
        for name, kinds in SETS.items():
            seen, wanted = taught.design(kinds)[taught.valid], taught.lips[taught.valid]
            gram = seen.T @ seen + _RIDGE * len(seen) * np.eye(seen.shape[1])
            table = np.linalg.solve(gram, seen.T @ (wanted - wanted.mean(0)))
            scores = [score(other.design(kinds) @ table, other) for other in people if other is not taught]
            opening, width, shut = np.mean(scores, 0)
            print(f"{name:28}{opening:12.2f}{width:10.2f}{shut:10.3f}   {folder}", flush=True)


def score(guess: Float[np.ndarray, "T 2"], person: Person) -> tuple[float, float, float]:
    """(correlation of the opening, of the width, area under the curve of shut lips)."""
    guess, lips = guess[person.valid], person.lips[person.valid]
    low, high = np.percentile(lips[:, 0], [5, 80])
    shut = lips[:, 0] < low + measures.SHUT_SHARE * (high - low)
    opening, width = (measures.correlation(guess[:, i], lips[:, i]) for i in (0, 1))
    return opening, width, area(-guess[:, 0], shut)
