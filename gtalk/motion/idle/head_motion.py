"""Head and brows: an autoregressive process fitted to the clip, nudged by the voice, endless and never repeating.

The six numbers of the head's pose and the two of the brows are decorrelated over the clip, slow from quick.
Each component is the sum of what the voice explains (a ridge regression on loudness and pitch around the frame,
kept only where it predicts held-back parts of the clip) and of an autoregressive process with the spectrum of
what remains. The result is bent softly into the range that was seen.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.shapes import Bool, Float

N_VALUES = 8
ORDER = 10
VOICE_ROWS = tuple(range(-49, 8, 8))
"""Feature rows around a frame's instant whose loudness and pitch are looked at."""
_BURN_IN = 300
_STABLE = 1.0 - 1e-6  # of a reflection coefficient: the process forgets in the end
_KNEE = 0.8  # of the range: up to there nothing is bent


@dataclass(frozen=True)
class Sway:
    """A fitted process. C = 8 components."""

    mean: Float[np.ndarray, " 8"]
    mixing: Float[np.ndarray, "8 8"]
    """Values of one standard deviation of each component."""
    coefficients: Float[np.ndarray, "8 P"]
    innovation: Float[np.ndarray, " 8"]
    """Standard deviation of the process's noise."""
    voice: Float[np.ndarray, "V 8"]
    """What the voice adds to each component."""
    low: Float[np.ndarray, " 8"]
    high: Float[np.ndarray, " 8"]
    calm: float
    """Speed of the head in pauses, relative to speech."""

    @staticmethod
    def fit(
        values: Float[np.ndarray, "T 8"],
        voice: Float[np.ndarray, "T V"],
        activity: Float[np.ndarray, " T"],
        runs: list[tuple[int, int]],
        valid: Bool[np.ndarray, " T"],
    ) -> Sway:
        """From tracked values.

        Args:
            values: head pose (radians, metres) and brows (metres).
            voice: what `voice_columns` gives for the frames.
            activity: speech activity of the frames.
            runs: [start, stop) of stretches without a cut; each is centred on itself, since where a shot
                puts the head says nothing about how the head moves.
            valid: frames in which the face was seen.
        """
        usable = [(a, b) for a, b in runs if b - a > ORDER + 2 and valid[a:b].mean() > 0.5]
        usable = usable or [(0, len(values))]
        centred = np.concatenate([values[a:b] - values[a:b].mean(0) for a, b in usable])
        index = np.concatenate([np.arange(a, b) for a, b in usable])
        spans = np.cumsum([0] + [b - a for a, b in usable])
        mixing, components = _decorrelated(centred, spans)
        gain = _voice_gain(voice[index], components, spans)
        rest = components - voice[index] @ gain
        coefficients, innovation = _autoregression([rest[a:b] for a, b in itertools.pairwise(spans)])
        speed = np.abs(np.diff(centred[:, :3], axis=0)).sum(1)
        return Sway(
            values[valid].mean(0) if valid.any() else values.mean(0),
            mixing,
            coefficients,
            innovation,
            gain,
            np.minimum(centred.min(0), -1e-6),
            np.maximum(centred.max(0), 1e-6),
            _calm(speed, activity[index][1:]),
        )


class SwayStream:
    """One endless run of a process. Frames come out in order, whatever the chunks."""

    def __init__(self, sway: Sway, seed: int) -> None:
        self._sway = sway
        self._rng = np.random.default_rng([seed, 1])
        self._past = np.zeros((ORDER, len(sway.innovation)))  # newest first
        for _ in range(_BURN_IN):
            self._advance(1.0)

    def __call__(self, voice: Float[np.ndarray, "T V"], activity: Float[np.ndarray, " T"]) -> Float[np.ndarray, "T 8"]:
        """Values of the next T frames."""
        sway = self._sway
        rest = np.empty((len(voice), N_VALUES))
        for i, active in enumerate(np.clip(activity, 0.0, 1.0).tolist()):
            rest[i] = self._advance(sway.calm + (1.0 - sway.calm) * active)
        moved = (rest + voice @ sway.voice) @ sway.mixing
        return sway.mean + soft_limited(moved, sway.low, sway.high)

    def _advance(self, liveliness: float) -> np.ndarray:
        noise = self._rng.standard_normal(N_VALUES) * self._sway.innovation * liveliness
        now = np.einsum("pc,cp->c", self._past, self._sway.coefficients) + noise
        self._past = np.concatenate([now[None], self._past[:-1]])
        return now


def voice_columns(rows: Float[np.ndarray, "R 3"], first: int, count: int) -> Float[np.ndarray, "T V"]:
    """[loudness, pitch x voicing, activity] rows around `count` frames, the first at row `first`, side by side."""
    at = first + ROWS_PER_FRAME * np.arange(count)[:, None] + np.array(VOICE_ROWS)
    return rows[np.clip(at, 0, len(rows) - 1)].reshape(count, len(VOICE_ROWS) * rows.shape[1])


def soft_limited(
    values: Float[np.ndarray, "T D"], low: Float[np.ndarray, " D"], high: Float[np.ndarray, " D"]
) -> Float[np.ndarray, "T D"]:
    """Unchanged up to _KNEE of the way to a limit (of either sign), then bent so that it is never reached."""
    limit = np.where(values < 0, -low, high)
    share = np.abs(values) / limit
    over = np.maximum(share - _KNEE, 0.0) / (1.0 - _KNEE)
    return np.sign(values) * limit * np.where(share > _KNEE, _KNEE + (1.0 - _KNEE) * np.tanh(over), share)


def _decorrelated(values: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mixing, components): values = components @ mixing; slow feature analysis (Wiskott and Sejnowski 2002).

    The components have unit variance and neither they nor their steps correlate, so that processes which know
    nothing of each other still add up to the values' own spread and speed.
    """
    scale = values.std(0) + 1e-9
    _, singular, rows = np.linalg.svd(values / scale, full_matrices=False)
    std = np.maximum(singular / np.sqrt(len(values)), 1e-6)
    white = (values / scale) @ rows.T / std
    steps = np.concatenate([np.diff(white[a:b], axis=0) for a, b in itertools.pairwise(spans)])
    _, turn = np.linalg.eigh(steps.T @ steps)
    return turn.T @ (std[:, None] * rows) * scale, white @ turn


def _voice_gain(voice: np.ndarray, components: np.ndarray, spans: np.ndarray, strength: float = 300.0) -> np.ndarray:
    """[V,C] ridge regression, shrunk to what it explains of thirds of the clip that it has not seen."""
    count = len(voice)
    if count < 300:
        return np.zeros((voice.shape[1], components.shape[1]))

    def solve(chosen: np.ndarray) -> np.ndarray:
        x = voice[chosen]
        return np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ components[chosen])

    product, power = np.zeros(components.shape[1]), np.full(components.shape[1], 1e-9)
    for k in range(3):
        held = (np.arange(count) * 3) // count == k
        guess = voice[held] @ solve(~held)
        product += (guess * components[held]).sum(0)
        power += (guess**2).sum(0)
    return solve(np.ones(count, bool)) * np.clip(product / power, 0.0, 1.0)


def _autoregression(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Burg's method over several stretches: always stable, with the stretches' own variance. -> ([C,P], [C]).

    The autocovariance of short stretches is biased by more than the slow sway of a head moves in a frame,
    and a process fitted to it trembles.
    """
    n_values = parts[0].shape[1]
    power = sum((part**2).sum(0) for part in parts) / sum(len(part) for part in parts)
    coefficients = np.zeros((n_values, 0))
    ahead, behind = list(parts), list(parts)
    for _ in range(ORDER):
        ahead, behind = [f[1:] for f in ahead], [b[:-1] for b in behind]
        product = sum((f * b).sum(0) for f, b in zip(ahead, behind, strict=True))
        energy = sum((f**2 + b**2).sum(0) for f, b in zip(ahead, behind, strict=True))
        reflection = _STABLE * 2.0 * product / np.maximum(energy, 1e-12)
        coefficients = np.concatenate(
            [coefficients - reflection[:, None] * coefficients[:, ::-1], reflection[:, None]], axis=1
        )
        pairs = list(zip(ahead, behind, strict=True))
        ahead, behind = [f - reflection * b for f, b in pairs], [b - reflection * f for f, b in pairs]
        power = power * (1.0 - reflection**2)
    return coefficients, np.sqrt(np.maximum(power, 1e-18))


def _calm(speed: np.ndarray, activity: np.ndarray) -> float:
    """Speed in pauses over speed in speech, between 0.4 and 1; 0.7 where the clip has no pauses."""
    pause, speech = speed[activity < 0.2], speed[activity > 0.6]
    if len(pause) < 50 or len(speech) < 50:
        return 0.7
    return float(np.clip(pause.mean() / max(speech.mean(), 1e-9), 0.4, 1.0))
