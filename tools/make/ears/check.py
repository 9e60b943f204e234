"""How well visemes are heard in voices that were held apart, by language."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ, encode
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import LAG_ROWS, N_BANDS, VISEMES, load_student, read_student
from tools.make.ears.phones import timed, visemes_of

MERGED = (("p",), ("f",), ("u",), ("o",), ("a",), ("e", "i"), ("@",), ("t", "th"), ("sh",), ("k",))
"""The ten classes of which the mean recall is taken."""
_FEWEST = 30  # rows of a class, fewer do not count


def check(corpus: Path, weights: Path | None) -> None:
    """Print the table: each row a language, its held-out voices, sentences that were never heard."""
    student = load_student() if weights is None else read_student(weights)
    features = SpeechFeatures(phones=False)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for path in sorted(corpus.glob("test*.json")):
        facts = json.loads(path.read_text())
        samples = soundfile.read(path.with_suffix(".wav"), dtype="float32")[0]
        rows = student.stream().push(
            encode(features, np.concatenate([samples, np.zeros(3200, np.float32)]))[:, :N_BANDS]
        )
        truth = labels(facts, len(rows) - LAG_ROWS - 1)
        found.setdefault(facts["language"], []).append((rows[LAG_ROWS + 1 :, : len(VISEMES)], truth))
    print(f"{'':10}{'recall':>8}{'AUC p b m':>11}{'AUC f v':>9}{'AUC round':>11}{'rows':>7}")
    for language, parts in found.items():
        scores, truth = (np.concatenate(part) for part in zip(*parts, strict=True))
        print_row(language, scores, truth)


def labels(facts: dict, count: int) -> Float[np.ndarray, " T"]:
    """Viseme of each row; -1 where none is known."""
    out, times_s = np.full(count, -1), np.arange(count) / RATE_HZ
    for kind, start, end in visemes_of(*timed(facts)):
        out[(times_s >= start) & (times_s < end)] = VISEMES.index(kind)
    return out


def print_row(name: str, scores: Float[np.ndarray, "T 13"], truth: Float[np.ndarray, " T"]) -> None:
    """Mean recall of MERGED amid speech, and how well three classes stand out."""
    spoken = truth > 0
    scores, truth = np.exp(scores[spoken]), truth[spoken]
    merged = np.stack([scores[:, [VISEMES.index(v) for v in group]].sum(1) for group in MERGED], 1)
    wanted = np.stack([np.isin(truth, [VISEMES.index(v) for v in group]) for group in MERGED], 1).argmax(1)
    guessed = merged.argmax(1)
    counted = [i for i in range(len(MERGED)) if (wanted == i).sum() >= _FEWEST]
    recall = np.mean([(guessed[wanted == i] == i).mean() for i in counted])
    areas = [area(merged[:, part].sum(1), np.isin(wanted, part)) for part in ([0], [1], [2, 3])]
    print(f"{name:10}{recall:8.2f}{areas[0]:11.3f}{areas[1]:9.3f}{areas[2]:11.3f}{len(truth):7d}", flush=True)


def area(scores: Float[np.ndarray, " T"], positive: np.ndarray) -> float:
    """Under the receiver operating characteristic."""
    rank = np.empty(len(scores))
    rank[np.argsort(scores)] = np.arange(len(scores))
    n = positive.sum()
    return float((rank[positive].sum() - n * (n - 1) / 2) / max(n * (len(scores) - n), 1))
