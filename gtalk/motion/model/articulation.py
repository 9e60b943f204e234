"""What lips must do for some sounds, in any voice: shut on p, b, m, nearly shut on f, v, rounded on u, o, w.

A network that has learned one voice is sure of these in that voice alone; the ears (gtalk.speech.student) hear them
in all. Where they do, the mouth code is moved by the least amount that brings the opening, or the width of the mouth,
to what this person does on such a sound; what is there already, and what the person does in silence, is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import LIPS, MotionBasis
from gtalk.motion.model.amplitude import opening_of_codes
from gtalk.motion.model.labial_closure import LipClosure
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.shapes import Float
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import VISEMES

REACH_ROWS = 3
"""Rows on either side of an instant over which the evidence is averaged."""
ACTIVITY_REACH_ROWS = 4
_SILENT, _SPOKEN = 0.15, 0.5  # mean activity: before and after speech the lips are the person's own business
_SURE = {"p": (0.15, 0.4), "f": (0.25, 0.6), "u": (0.3, 0.8), "o": (0.4, 0.9)}
"""Mean posterior of the viseme that does nothing, and that counts in full."""
_QUANTILE = {"f": 0.3, "u": 0.25, "o": 0.35}
"""Of what the person's lips do on such sounds, towards the extreme."""
_FEW = 12  # frames of a sound: fewer tell nothing of the person
_CORNERS = LIPS[[0, 6]]


@dataclass(frozen=True)
class Targets:
    """What one person's lips do, metres."""

    f_opening_m: float
    u_width_m: float
    o_width_m: float

    @staticmethod
    def learn(
        codes: list[Float[np.ndarray, "T Km"]],
        rows: list[Float[np.ndarray, "R D"]],
        features: SpeechFeatures,
        basis: MotionBasis,
    ) -> Targets:
        """From recordings of the person: mouth codes of usable frames, and the rows at their instants (T of them)."""
        mouth, heard = np.concatenate(codes), np.exp(np.concatenate(rows)[:, features.groups["ears"]])
        opening, width = (
            mean + mouth @ per_code for mean, per_code in (opening_of_codes(basis), width_of_codes(basis))
        )
        return Targets(
            *(_typical(heard, values, name) for name, values in (("f", opening), ("u", width), ("o", width)))
        )


def _typical(heard: np.ndarray, values: np.ndarray, viseme: str) -> float:
    chosen = heard[:, VISEMES.index(viseme)] > 0.5
    if chosen.sum() < _FEW:
        return float(np.quantile(values, 0.5 * _QUANTILE[viseme]))
    return float(np.quantile(values[chosen], _QUANTILE[viseme]))


@dataclass(frozen=True)
class Pull:
    """Brings a measure of the mouth down to a target where one viseme is heard."""

    column: int
    """Of a row: the viseme's log-posterior."""
    least: float
    sure: float
    mean_m: float
    per_code_m: Float[np.ndarray, " Km"]
    """The measure is mean + mouth @ per_code."""
    step: Float[np.ndarray, " Km"]
    """Codes that lower the measure by a metre."""
    target_m: float

    def __call__(self, mouth: Float[np.ndarray, "T Km"], evidence: Float[np.ndarray, " T"]) -> np.ndarray:
        """Codes after the pull."""
        excess_m = np.maximum(self.mean_m + mouth @ self.per_code_m - self.target_m, 0.0)
        return mouth - (excess_m * evidence)[:, None] * self.step


@dataclass(frozen=True)
class Articulation:
    """All pulls of one person."""

    pulls: tuple[Pull, ...]
    activity: int
    """Column of a feature row: how surely it is speech."""
    lag_rows: int
    """How much later than their instant the ears' rows come."""
    ahead_rows: int
    """Rows after a frame's instant that may be looked at."""
    strength: float

    @staticmethod
    def of(
        features: SpeechFeatures,
        basis: MotionBasis,
        rest: Float[np.ndarray, " Km"],
        targets: Targets | None,
        strength: float,
        ahead_rows: int,
    ) -> Articulation | None:
        """For a person whose closed lips have the code `rest`; None where there is nothing to hear or to do."""
        if not features.ears or strength <= 0:
            return None
        first = features.groups["ears"].start
        opening, opened = opening_of_codes(basis)
        width, widened = width_of_codes(basis)
        lower = opened / max(float(opened @ opened), 1e-18)
        narrow = widened - float(widened @ opened) * lower  # the opening stays
        narrow = narrow / max(float(narrow @ widened), 1e-18)
        shut_m = opening + float(opened @ rest)
        wanted: list[tuple[str, float, np.ndarray, np.ndarray, float]] = [("p", opening, opened, lower, shut_m)]
        if targets is not None:
            rounded = [
                (name, width, widened, narrow, m) for name, m in (("u", targets.u_width_m), ("o", targets.o_width_m))
            ]
            wanted = [*rounded, ("f", opening, opened, lower, max(shut_m, targets.f_opening_m)), *wanted]
        pulls = [
            Pull(first + VISEMES.index(name), *_SURE[name], mean, per_code, step, target)
            for name, mean, per_code, step, target in wanted
        ]
        activity = features.groups["energy"].start + 1
        return Articulation(tuple(pulls), activity, features.ears_lag_rows, ahead_rows, strength)

    def evidence(self, rows: Float[np.ndarray, "R D"], first: int, count: int) -> dict[int, Float[np.ndarray, " T"]]:
        """0 to 1 by column of the pulls, for `count` frames, the first of whose instants is row `first`."""
        now = first + ROWS_PER_FRAME * np.arange(count)[:, None]
        near = np.arange(-REACH_ROWS, REACH_ROWS + 1)
        heard_at = now + np.minimum(self.lag_rows + near, self.ahead_rows)
        spoken_at = now + np.minimum(np.arange(-ACTIVITY_REACH_ROWS, ACTIVITY_REACH_ROWS + 1), self.ahead_rows)
        heard_at, spoken_at = (np.clip(at, 0, len(rows) - 1) for at in (heard_at, spoken_at))
        spoken = _ramp(rows[spoken_at, self.activity].mean(1), _SILENT, _SPOKEN)
        return {
            pull.column: spoken * _ramp(np.exp(rows[heard_at, pull.column]).mean(1), pull.least, pull.sure)
            for pull in self.pulls
        }

    def __call__(
        self, mouth: Float[np.ndarray, "T Km"], rows: Float[np.ndarray, "R D"], first: int
    ) -> Float[np.ndarray, "T Km"]:
        """Mouth codes of frames, the first of whose instants is row `first`, with what is heard done."""
        if not len(mouth):
            return mouth
        evidence = self.evidence(rows, first, len(mouth))
        for pull in self.pulls:
            mouth = pull(mouth, self.strength * evidence[pull.column])
        return mouth


def articulations(
    features: SpeechFeatures,
    basis: MotionBasis,
    rest: Float[np.ndarray, " Km"],
    targets: Targets | None,
    strength: float,
    ahead_rows: int,
) -> tuple[LipClosure | Articulation, ...]:
    """What is done to the mouth codes of a network, in this order: by the phone scores, and by the ears."""
    by_phones = LipClosure.of(features, basis, rest, strength)
    by_ears = Articulation.of(features, basis, rest, targets, strength, ahead_rows)
    return tuple(one for one in (by_phones, by_ears) if one is not None)


def width_of_codes(basis: MotionBasis) -> tuple[float, Float[np.ndarray, " Km"]]:
    """(width of the mean mouth, what one unit of each mouth code adds to it), metres."""
    codes = np.zeros((1 + len(basis.mouth), basis.size))
    codes[1:, basis.groups["mouth"]] = np.eye(len(basis.mouth))
    corners = basis.decode(codes)[:, _CORNERS, 0]
    width = corners[:, 1] - corners[:, 0]
    return float(width[0]), width[1:] - width[0]


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0.0, 1.0)
