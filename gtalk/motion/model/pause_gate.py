"""How a person's lips rest in a pause between phrases, where nobody knows yet that speech goes on.

For a file, the silence gate sees the next phrase come. Live it does not, and would shut the mouth in every short
pause, while people keep theirs parted, or shut it and part it to breathe in. So live, in a pause that is not longer
than this person's, the lips open as far as the network says, times a share that was learned from the person's own
clip: one for the beginning of a pause, one for later, one after a breath has been heard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gtalk.basis import JAW, MotionBasis
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.model.vad_gate import AHEAD_ROWS, SilenceGate, activity_windows
from gtalk.motion.training.sequences import Utterance
from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.features import SpeechFeatures

LONGEST_S = 2.0
"""After so long no pause is one between phrases, whoever speaks."""
EARLY_S = 0.4
"""Of a pause: its beginning."""
_USUAL_S, _FEW = 0.6, 4  # the longest pause of a person of whom fewer are known
_PAUSE_S = 0.2  # what is shorter is a stop of a word
_SILENT = 0.3  # activity: less is none
_HISS = slice(18, 38)  # of the mel bands: 1.5 to 7 kHz, where breath is heard
_DB = 3.0 * 10.0 / math.log(10.0)  # decibels in a unit of the mel rows
_FLOOR_RISE_DB = 6.0 / RATE_HZ  # a row: the floor over which a breath stands out follows the quietest
_FAINT_DB, _BREATH_DB = 3.0, 6.0  # over the floor: no breath, and surely one
_TAIL_ROWS = 10  # of the last sound: no breath yet
_MEAN_ROWS = 3
_RISE, _FALL = 1 / 3, 1 / 5  # of a share, a frame
_CUT_ROWS = 40  # after a cut, what is still heard of the speech that was cut off, and of its end
_PRIOR_FRAMES = 10  # of which the network is right: shares of a person with few pauses are close to 1


@dataclass(frozen=True)
class PauseHabit:
    """Shares of the opening that the network gives, and how long this person's pauses last."""

    early: float
    """In the first EARLY_S of a pause."""
    later: float
    """After it."""
    breath: float
    """Once a breath has been heard."""
    longest_s: float
    """The lips shut in a pause that grows longer."""

    @staticmethod
    def learn(
        utterances: Sequence[Utterance],
        predicted: Sequence[Float[np.ndarray, "T Km"]],
        features: SpeechFeatures,
        rest: Float[np.ndarray, " Km"],
        basis: MotionBasis,
    ) -> PauseHabit:
        """Least squares over the pauses of recordings.

        Args:
            utterances: recordings of the person.
            predicted: mouth codes for them, not gated.
            features: of their rows.
            rest: code of closed lips.
            basis: the person's.
        """
        activity = features.groups["energy"].start + 1
        lengths = np.concatenate([_pauses_s(u.rows[:, activity], u.usable) for u in utterances])
        longest_s = min(float(lengths.max()) if len(lengths) >= _FEW else _USUAL_S, LONGEST_S)
        lips = basis.mouth[:, len(JAW) :, :2].reshape(len(rest), -1)
        kinds, made, true = [], [], []
        for utterance, mouth in zip(utterances, predicted, strict=True):
            count = len(mouth)
            spoken = SilenceGate()(activity_windows(utterance.rows[:, activity], 0, count))
            heard = Pauses(features)
            kind = np.array([heard.kind(longest_s) for _ in heard.follow(utterance.rows, 0, count, AHEAD_ROWS)])
            usable = utterance.usable & (spoken < 0.5)
            kinds.append(np.where(usable, kind, -1))
            made.append((mouth - rest) @ lips)
            true.append((utterance.codes[:, : len(rest)] - rest) @ lips)
        kind, x, y = np.concatenate(kinds), np.concatenate(made), np.concatenate(true)
        early, later, breath = (_share(x[kind == k], y[kind == k]) for k in range(3))
        return PauseHabit(early, later, breath, longest_s)


class Pauses:
    """One running sound: how old a pause is, and whether a breath has been heard in it."""

    def __init__(self, features: SpeechFeatures) -> None:
        self._activity, mel = features.groups["energy"].start + 1, features.groups["mel"]
        self._bands = slice(mel.start + _HISS.start, mel.start + _HISS.stop)
        self._silent_rows, self._breath = math.inf, 0.0
        self._recent: list[float] = []
        self._floor_db = math.inf
        self._unread = 0  # rows until the next that was not heard yet, from the next frame's instant
        self._is_over, self._cut_rows = False, 0

    def cut(self) -> None:
        """Somebody cut in: what follows the speech is no pause, until something else is said."""
        self._is_over, self._cut_rows = True, _CUT_ROWS

    def follow(self, rows: Float[np.ndarray, "R D"], first: int, count: int, ahead: int) -> Iterator[int]:
        """Hear the rows up to `ahead` after each of `count` frames' instants, the first of which is row `first`."""
        hiss_db = rows[:, self._bands].mean(1) * _DB
        for i in range(count):
            now = first + i * ROWS_PER_FRAME
            for at in np.minimum(np.arange(now + self._unread, now + ahead + 1), len(rows) - 1).tolist():
                self._hear(float(hiss_db[at]), float(rows[at, self._activity]))
            self._unread = ahead + 1 - ROWS_PER_FRAME
            yield i

    def _hear(self, hiss_db: float, activity: float) -> None:
        self._recent = [*self._recent[1 - _MEAN_ROWS :], hiss_db]
        level = sum(self._recent) / len(self._recent)
        self._floor_db = min(level, self._floor_db + _FLOOR_RISE_DB)
        self._cut_rows = max(0, self._cut_rows - 1)
        if activity > _SILENT:
            self._silent_rows, self._breath = 0.0, 0.0
            self._is_over = self._is_over and self._cut_rows > 0
            return
        self._silent_rows += 1
        if self._silent_rows >= _TAIL_ROWS:
            heard = (level - self._floor_db - _FAINT_DB) / (_BREATH_DB - _FAINT_DB)
            self._breath = max(self._breath, min(heard, 1.0))

    def kind(self, longest_s: float) -> int:
        """0 for the beginning of a pause, 1 for later, 2 after a breath, 3 when speech is over."""
        age_s = self._silent_rows / RATE_HZ
        if self._is_over or age_s > longest_s + AHEAD_ROWS / RATE_HZ:
            return 3
        if self._breath > 0.5:
            return 2
        return int(age_s > EARLY_S + AHEAD_ROWS / RATE_HZ)


class PauseGate:
    """How far the mouth may open in a pause of one running sound, 0 to 1, at 25 fps."""

    def __init__(self, habit: PauseHabit, features: SpeechFeatures) -> None:
        self._habit, self._heard, self._open = habit, Pauses(features), 0.0
        self._shares = (habit.early, habit.later, habit.breath, 0.0)

    def cut(self) -> None:
        """See `Pauses.cut`."""
        self._heard.cut()

    def __call__(self, rows: Float[np.ndarray, "R D"], first: int, count: int, ahead: int) -> Float[np.ndarray, " T"]:
        """For `count` frames, the first of whose instants is row `first`; looks at `ahead` rows after an instant."""
        out = np.empty(count)
        for i in self._heard.follow(rows, first, count, ahead):
            wanted = self._shares[self._heard.kind(self._habit.longest_s)]
            self._open += min(max(wanted - self._open, -_FALL), _RISE)
            out[i] = self._open
        return out


def _pauses_s(activity: Float[np.ndarray, " R"], usable: np.ndarray) -> Float[np.ndarray, " M"]:
    """Lengths of the pauses after speech that lie in usable frames and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], activity < _SILENT, [0]]).astype(int))).reshape(-1, 2)
    found = [
        (stop - start) / RATE_HZ
        for start, stop in edges.tolist()
        if start > 0 and stop < len(activity) and usable[start // ROWS_PER_FRAME : stop // ROWS_PER_FRAME].all()
    ]
    return np.array([length_s for length_s in found if length_s >= _PAUSE_S])


def _share(made: Float[np.ndarray, "N C"], true: Float[np.ndarray, "N C"]) -> float:
    """By which predictions are multiplied to lie closest to the truth; _PRIOR_FRAMES more would have it 1."""
    power = (made**2).sum()
    prior = _PRIOR_FRAMES * power / max(len(made), 1)
    return float(np.clip(((made * true).sum() + prior) / max(power + prior, 1e-18), 0.0, 1.0)) if len(made) else 1.0
