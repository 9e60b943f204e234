"""The silence gate: lips are shut where nobody speaks, whatever the network thinks of the noise.

People open their lips before they speak, often to breathe in half a second ahead. Where the sound is a file, the
gate looks as far ahead as this person was seen to need. Live, nobody knows that early that speech will come; there
the gate stays open through pauses such as this person makes between phrases, in which the network rests as the
person does and hears the breath before the next phrase, and shuts the lips when a pause grows longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gtalk.basis import JAW, MotionBasis
from gtalk.geometry.easing import smoothstep
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.training.sequences import Utterance
from gtalk.shapes import Float

HANGOVER_ROWS = 8
"""Speech is taken to go on for so long after its last sign (10 ms each)."""
PAUSES_ROWS = (HANGOVER_ROWS, 30, 60, 90, 120, 150, 180)
"""The same live, where a pause between phrases must not shut the lips: how long a person's pauses may last."""
AHEAD_ROWS = 10  # live: lips open before the sound
LEADS_ROWS = (10, 22, 34, 46, 58, 66)
"""How far ahead of the sound a person may open the lips where there is time to look."""
OPEN_FRAMES, CLOSE_FRAMES = 2, 3
EARLY_FRAMES = 12  # lips that open long before the sound do so at leisure
_LOW, _HIGH = 0.15, 0.5  # activity that counts as silence, and as speech
_WORTH = 1.01  # a longer lead or pause must make the error smaller by more than this


class SilenceGate:
    """Speech activity at 100 Hz -> how far the mouth may open at 25 fps, 0 to 1. Keeps state.

    Args:
        pause_rows: a pause of so many rows does not shut it.
    """

    def __init__(self, pause_rows: int = HANGOVER_ROWS) -> None:
        self._open, self._pause_rows = 0.0, pause_rows

    def __call__(self, activity: Float[np.ndarray, "T W"]) -> Float[np.ndarray, " T"]:
        """One value for each frame's window of activity, see `activity_windows`."""
        near = activity[:, : self._pause_rows + AHEAD_ROWS + 1].max(1)
        wanted, soon = (np.clip((a - _LOW) / (_HIGH - _LOW), 0.0, 1.0) for a in (activity.max(1), near))
        out = np.empty(len(wanted))
        for i, (target, speech) in enumerate(zip(wanted.tolist(), soon.tolist(), strict=True)):
            rise = 1.0 / OPEN_FRAMES if speech > self._open else 1.0 / EARLY_FRAMES
            self._open += min(max(target - self._open, -1.0 / CLOSE_FRAMES), rise)
            out[i] = self._open
        return smoothstep(0.0, 1.0, out)


def activity_windows(
    activity: Float[np.ndarray, " R"],
    first: int,
    count: int,
    ahead: int = AHEAD_ROWS,
    pause_rows: int = HANGOVER_ROWS,
) -> Float[np.ndarray, "T W"]:
    """Windows of the gate for `count` frames: from `pause_rows` before an instant to `ahead` rows after it.

    The first of the instants is row `first`.
    """
    rows = first + ROWS_PER_FRAME * np.arange(count)[:, None] + np.arange(-pause_rows, ahead + 1)
    return activity[np.clip(rows, 0, len(activity) - 1)]


def gated(
    utterance: Utterance,
    mouth: Float[np.ndarray, "T Km"],
    activity_column: int,
    rest: Float[np.ndarray, " Km"],
    lead: int,
    pause_rows: int = HANGOVER_ROWS,
) -> Float[np.ndarray, "T Km"]:
    """Predicted mouth codes of a whole recording after the gate.

    Args:
        utterance: the recording.
        mouth: codes, not gated.
        activity_column: of a row.
        rest: code of closed lips.
        lead: how far the gate looks ahead, in rows.
        pause_rows: of a pause that does not shut it.
    """
    windows = activity_windows(utterance.rows[:, activity_column], 0, len(mouth), lead, pause_rows)
    return rest + SilenceGate(pause_rows)(windows)[:, None] * (mouth - rest)


@dataclass(frozen=True)
class Timing:
    """When one person's lips open and shut about speech, in rows."""

    lead_rows: int = AHEAD_ROWS
    """How long before the sound they open, where there is time to look."""
    pause_rows: int = HANGOVER_ROWS
    """How long a pause between phrases may last that does not shut them, where there is none."""

    @staticmethod
    def learn(
        utterances: Sequence[Utterance],
        predicted: Sequence[Float[np.ndarray, "T Km"]],
        activity_column: int,
        rest: Float[np.ndarray, " Km"],
        basis: MotionBasis,
    ) -> Timing:
        """That with which gated predictions lie closest to the person's own lips, the shortest of those alike.

        Args:
            utterances: recordings of the person.
            predicted: mouth codes for them, not gated.
            activity_column: of a row.
            rest: code of closed lips.
            basis: the person's.
        """
        lips = basis.mouth[:, len(JAW) :, :2]

        def error(lead: int, pause_rows: int) -> float:
            distances = []
            for utterance, mouth in zip(utterances, predicted, strict=True):
                shown = gated(utterance, mouth, activity_column, rest, lead, pause_rows)
                away = (shown - utterance.codes[:, : len(rest)])[utterance.usable]
                distances.append(np.linalg.norm(np.einsum("tk,kpc->tpc", away, lips), axis=-1).mean(1))
            return float(np.concatenate(distances).mean())

        return Timing(
            _shortest(LEADS_ROWS, [error(lead, HANGOVER_ROWS) for lead in LEADS_ROWS]),
            _shortest(PAUSES_ROWS, [error(AHEAD_ROWS, pause_rows) for pause_rows in PAUSES_ROWS]),
        )


def _shortest(candidates: Sequence[int], errors: Sequence[float]) -> int:
    return next(value for value, error in zip(candidates, errors, strict=True) if error <= _WORTH * min(errors))
