"""Lips shut on p, b and m, in any voice: what the network has not learned of other voices, phonetics knows.

The acoustic model of the phone scores hears a labial closure in voices and languages that the network never met,
less surely than a network in its own voice, but without bias. Where it does, the mouth code is moved by the least
amount that brings the inner lips together; width, rounding and jaw stay as predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import MotionBasis
from gtalk.motion.model.amplitude import opening_of_codes
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.shapes import Float
from gtalk.speech.features import SpeechFeatures

LABIALS = ("P", "B", "M")
REACH_ROWS = 3
"""Rows on either side of a frame's instant over which the evidence is averaged."""
ACTIVITY_REACH_ROWS = 4
"""The same for speech activity: before and after speech the lips are the person's own business."""
_SHARPEN = 2.0  # of the tempered scores
_LEAST, _SURE = 0.08, 0.3  # mean share of the labials: less does nothing, more shuts the lips
_SILENT, _SPOKEN = 0.15, 0.5  # mean activity: likewise


@dataclass(frozen=True)
class LipClosure:
    """Shuts one person's lips where the sound says so."""

    columns: slice
    """Of a feature row: the phone scores."""
    labials: list[int]
    """Which of them are LABIALS."""
    activity: int
    """Column of a feature row: how surely it is speech."""
    per_code_m: Float[np.ndarray, " Km"]
    """What one unit of each mouth code adds to the opening."""
    mean_m: float
    """Opening of the code 0."""
    shut_m: float
    """Opening of closed lips."""
    strength: float
    """0 to 1: which share of the way."""

    @staticmethod
    def of(
        features: SpeechFeatures, basis: MotionBasis, rest: Float[np.ndarray, " Km"], strength: float
    ) -> LipClosure | None:
        """For a person whose closed lips have the code `rest`; None where there is nothing to hear or to do."""
        if not features.phones or strength <= 0:
            return None
        mean_m, per_code_m = opening_of_codes(basis)
        labials = [features.phone_names.index(name) for name in LABIALS]
        shut_m = mean_m + float(per_code_m @ rest)
        phones, activity = features.groups["phones"], features.groups["energy"].start + 1
        return LipClosure(phones, labials, activity, per_code_m, mean_m, shut_m, strength)

    def evidence(self, rows: Float[np.ndarray, "R D"], first: int, count: int) -> Float[np.ndarray, " T"]:
        """0 to 1 for `count` frames, the first of whose instants is row `first`."""
        low = max(0, first - ACTIVITY_REACH_ROWS)
        near = rows[low : first + (count - 1) * ROWS_PER_FRAME + ACTIVITY_REACH_ROWS + 1]
        share = np.exp(_SHARPEN * near[:, self.columns])
        share = share[:, self.labials].sum(1) / share.sum(1)
        heard = _means(share, first - low, count, REACH_ROWS)
        spoken = _means(near[:, self.activity], first - low, count, ACTIVITY_REACH_ROWS)
        return _ramp(heard, _LEAST, _SURE) * _ramp(spoken, _SILENT, _SPOKEN)

    def __call__(
        self, mouth: Float[np.ndarray, "T Km"], rows: Float[np.ndarray, "R D"], first: int
    ) -> Float[np.ndarray, "T Km"]:
        """Mouth codes of frames, the first of whose instants is row `first`, with the closures that are heard."""
        if not len(mouth):
            return mouth
        excess_m = np.maximum(self.mean_m + mouth @ self.per_code_m - self.shut_m, 0.0)
        excess_m *= self.strength * self.evidence(rows, first, len(mouth))
        power = max(float(self.per_code_m @ self.per_code_m), 1e-18)
        return mouth - excess_m[:, None] * (self.per_code_m / power)


def _means(values: np.ndarray, first: int, count: int, reach: int) -> np.ndarray:
    """Of the rows within `reach` of each frame's instant; ends are continued."""
    at = first + ROWS_PER_FRAME * np.arange(count)[:, None] + np.arange(-reach, reach + 1)
    return values[np.clip(at, 0, len(values) - 1)].mean(1)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0.0, 1.0)
