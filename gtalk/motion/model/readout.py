"""A second opinion on the mouth: a plain regression from what the ears hear around an instant.

A network learns one voice by heart. A ridge regression (Hoerl and Kennedy, 1970) from visemes and hidden numbers of
the ears is too stiff to, so that it follows strangers better, and errs elsewhere: the mean of both follows everybody
better. It looks two tenths of a second ahead where the sound is a file; live another one makes do with what the
network sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.training.sequences import Utterance
from gtalk.shapes import Float
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import STUDENT_SIZE

AHEAD_ROWS, PAST_ROWS, STEP_ROWS = 20, 22, 4
N_HEARD = STUDENT_SIZE + 2
"""Columns of a row that it sees: the ears', loudness, activity."""
_RIDGE = 0.3  # of a column's variance
_LEAST_SPREAD = 0.05  # a column that hardly changes is not blown up


def taps(ahead_rows: int) -> tuple[int, ...]:
    """Rows around an instant that are seen, the last `ahead_rows` after it."""
    return tuple(range(ahead_rows, -PAST_ROWS - 1, -STEP_ROWS))


@dataclass(frozen=True)
class Readout:
    """Mouth codes = bias + what is heard at the taps @ table."""

    ahead_rows: int
    table: Float[np.ndarray, "F Km"]
    """F = taps x N_HEARD."""
    bias: Float[np.ndarray, " Km"]

    def __call__(
        self, rows: Float[np.ndarray, "R D"], first: int, count: int, features: SpeechFeatures
    ) -> Float[np.ndarray, "T Km"]:
        """Of `count` frames, the first of whose instants is row `first`; beyond the ends the end rows are taken."""
        return self.bias + _heard(rows, first, count, self.ahead_rows, features) @ self.table

    def stretched(self, gain: float) -> Readout:
        """The same with `gain` times as large codes."""
        return Readout(self.ahead_rows, self.table * gain, self.bias * gain)

    @staticmethod
    def learn(utterances: Sequence[Utterance], features: SpeechFeatures, n_mouth: int, ahead_rows: int) -> Readout:
        """From the usable frames of recordings of a person."""
        size = len(taps(ahead_rows)) * N_HEARD
        count, total, wanted = 0, np.zeros(size), np.zeros(n_mouth)
        gram, cross = np.zeros((size, size)), np.zeros((size, n_mouth))
        for utterance in utterances:
            codes = utterance.codes[:, :n_mouth]
            seen = _heard(utterance.rows, 0, len(codes), ahead_rows, features)[utterance.usable].astype(np.float64)
            codes = codes[utterance.usable]
            count, total, wanted = count + len(seen), total + seen.sum(0), wanted + codes.sum(0)
            gram += seen.T @ seen
            cross += seen.T @ codes
        mean, mean_code = total / max(count, 1), wanted / max(count, 1)
        gram, cross = gram / max(count, 1) - np.outer(mean, mean), cross / max(count, 1) - np.outer(mean, mean_code)
        spread = np.sqrt(np.maximum(np.diag(gram), 0.0)) + _LEAST_SPREAD
        scaled = gram / np.outer(spread, spread) + _RIDGE * np.eye(size)
        table = np.linalg.solve(scaled, cross / spread[:, None]) / spread[:, None]
        return Readout(ahead_rows, table, mean_code - mean @ table)


@dataclass(frozen=True)
class Readouts:
    """Both of one person, and what they count for."""

    share: float
    """Of them in the mouth, 0 to 1; the network has the rest."""
    dubbed: Readout
    live: Readout

    def of(self, live: bool) -> Readout:
        """The one for a file, or the one that answers soon."""
        return self.live if live else self.dubbed

    def mixed(
        self,
        mouth: Float[np.ndarray, "T Km"],
        rows: Float[np.ndarray, "R D"],
        first: int,
        features: SpeechFeatures,
        live: bool = False,
    ) -> Float[np.ndarray, "T Km"]:
        """The network's mouth codes and these together; as `Readout` is called."""
        own = self.of(live)(rows, first, len(mouth), features)
        return (1.0 - self.share) * mouth + self.share * own

    def stretched(self, gain: float) -> Readouts:
        """See `Readout`."""
        return Readouts(self.share, self.dubbed.stretched(gain), self.live.stretched(gain))

    @staticmethod
    def learn(
        utterances: Sequence[Utterance], features: SpeechFeatures, n_mouth: int, share: float, future_rows: int
    ) -> Readouts | None:
        """See `Readout`; `future_rows` may be seen live. None without ears, or where they are to count for nothing."""
        if not features.ears or share <= 0:
            return None
        both = [Readout.learn(utterances, features, n_mouth, ahead) for ahead in (AHEAD_ROWS, future_rows)]
        return Readouts(share, *both)


def _heard(
    rows: np.ndarray, first: int, count: int, ahead_rows: int, features: SpeechFeatures
) -> Float[np.ndarray, "T F"]:
    groups = features.groups
    columns = np.r_[groups["ears"], groups["energy"]]
    at = first + ROWS_PER_FRAME * np.arange(count)[:, None] + np.array(taps(ahead_rows))
    return rows[np.clip(at, 0, len(rows) - 1)][..., columns].reshape(count, -1)
