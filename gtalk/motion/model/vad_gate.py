"""The silence gate: lips are shut where nobody speaks, whatever the network thinks of the noise.

People open their lips before they speak, often to breathe in half a second ahead. Live, nobody knows
that early that speech will come; where the sound is a file, the gate looks as far ahead as this person
was seen to need.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gtalk.basis import JAW, MotionBasis
from gtalk.geometry.easing import smoothstep
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.training.sequences import Utterance
from gtalk.shapes import Float

HANGOVER_ROWS = 8  # speech is taken to go on for so long after its last sign (10 ms each)
AHEAD_ROWS = 10  # live: lips open before the sound
LEADS_ROWS = (10, 22, 34, 46, 58, 66)
"""How far ahead of the sound a person may open the lips where there is time to look."""
OPEN_FRAMES, CLOSE_FRAMES = 2, 3
EARLY_FRAMES = 12  # lips that open long before the sound do so at leisure
_LOW, _HIGH = 0.15, 0.5  # activity that counts as silence, and as speech
_WORTH = 1.01  # a longer lead must make the error smaller by more than this


class SilenceGate:
    """Speech activity at 100 Hz -> how far the mouth may open at 25 fps, 0 to 1. Keeps state."""

    def __init__(self) -> None:
        self._open = 0.0

    def __call__(self, activity: Float[np.ndarray, "T W"]) -> Float[np.ndarray, " T"]:
        """One value for each frame's window of activity: HANGOVER_ROWS before its instant to some way after it."""
        near = activity[:, : HANGOVER_ROWS + AHEAD_ROWS + 1].max(1)
        wanted, soon = (np.clip((a - _LOW) / (_HIGH - _LOW), 0.0, 1.0) for a in (activity.max(1), near))
        out = np.empty(len(wanted))
        for i, (target, speech) in enumerate(zip(wanted.tolist(), soon.tolist(), strict=True)):
            rise = 1.0 / OPEN_FRAMES if speech > self._open else 1.0 / EARLY_FRAMES
            self._open += min(max(target - self._open, -1.0 / CLOSE_FRAMES), rise)
            out[i] = self._open
        return smoothstep(0.0, 1.0, out)


def activity_windows(
    activity: Float[np.ndarray, " R"], first: int, count: int, ahead: int = AHEAD_ROWS
) -> Float[np.ndarray, "T W"]:
    """Windows of the gate for `count` frames, the first of whose instants is row `first`."""
    rows = first + ROWS_PER_FRAME * np.arange(count)[:, None] + np.arange(-HANGOVER_ROWS, ahead + 1)
    return activity[np.clip(rows, 0, len(activity) - 1)]


def gated(
    utterance: Utterance,
    mouth: Float[np.ndarray, "T Km"],
    activity_column: int,
    rest: Float[np.ndarray, " Km"],
    lead: int,
) -> Float[np.ndarray, "T Km"]:
    """Predicted mouth codes of a whole recording after the gate.

    Args:
        utterance: the recording.
        mouth: codes, not gated.
        activity_column: of a row.
        rest: code of closed lips.
        lead: how far the gate looks ahead, in rows.
    """
    windows = activity_windows(utterance.rows[:, activity_column], 0, len(mouth), lead)
    return rest + SilenceGate()(windows)[:, None] * (mouth - rest)


def learned_lead(
    utterances: Sequence[Utterance],
    predicted: Sequence[Float[np.ndarray, "T Km"]],
    activity_column: int,
    rest: Float[np.ndarray, " Km"],
    basis: MotionBasis,
) -> int:
    """The lead in rows with which gated predictions lie closest to the person's own lips.

    Args:
        utterances: recordings of the person.
        predicted: mouth codes for them, not gated.
        activity_column: of a row.
        rest: code of closed lips.
        basis: the person's.
    """
    lips = basis.mouth[:, len(JAW) :, :2]
    errors = []
    for lead in LEADS_ROWS:
        distances = []
        for utterance, mouth in zip(utterances, predicted, strict=True):
            error = gated(utterance, mouth, activity_column, rest, lead) - utterance.codes[:, : len(rest)]
            moved = np.einsum("tk,kpc->tpc", error[utterance.usable], lips)
            distances.append(np.linalg.norm(moved, axis=-1).mean(1))
        errors.append(float(np.concatenate(distances).mean()))
    return next(lead for lead, error in zip(LEADS_ROWS, errors, strict=True) if error <= _WORTH * min(errors))
