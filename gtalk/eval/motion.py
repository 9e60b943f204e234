"""How well predicted face motion matches the truth. Pure functions of motions, landmarks and samples.

Distances are between lips seen from the front, each frame's lips centred on themselves, so that neither
head pose nor a constant shift counts. Absolute values differ from person to person by a factor of two:
`lmd_ratio`, the distance over that of a mouth which never moves, is the measure to compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import LIPS, mouth_aperture
from gtalk.shapes import Bool, Float
from gtalk.types import AUDIO_RATE, OUTER_EYE_DISTANCE_M, Motion

SILENT_DB = -42.0
"""Under the loud parts of the sound: quieter than that is silence."""
SHUT_SHARE = 0.2  # of the person's range: lips that are less open are shut
SETTLE_S = 0.2  # lips may take so long to come to rest
_LEAST_SPEED_M = 0.0004  # per frame; less than that is tracking noise


def lip_shape(motion: Motion) -> Float[np.ndarray, "T 20 2"]:
    """Lips from the front, each frame centred on itself, metres."""
    lips = motion.landmarks[:, LIPS, :2]
    return lips - lips.mean(1, keepdims=True)


def lmd(predicted: Motion, truth: Motion) -> float:
    """Mean distance of lip landmarks over valid frames, in per cent of the outer-eye distance."""
    return _mean(lip_distance(predicted, truth)[truth.valid])


def lip_distance(predicted: Motion, truth: Motion) -> Float[np.ndarray, " T"]:
    """Distance of lip landmarks in each frame, in per cent of the outer-eye distance."""
    return np.linalg.norm(lip_shape(predicted) - lip_shape(truth), axis=-1).mean(1) / OUTER_EYE_DISTANCE_M * 100.0


def lmd_ratio(predicted: Motion, truth: Motion, mean_mouth: Float[np.ndarray, "68 3"]) -> float:
    """`lmd` over that of a mouth that never moves: the mean landmarks of the *training* frames."""
    still = truth.replace(landmarks=np.broadcast_to(mean_mouth, truth.landmarks.shape))
    return lmd(predicted, truth) / max(lmd(still, truth), 1e-12)


def lmd_px(predicted: Float[np.ndarray, "T 20 2"], truth: Float[np.ndarray, "T 20 2"]) -> float:
    """The peers' measure: mean distance of lip landmarks in pixels, each frame centred on itself."""
    offset = (predicted - predicted.mean(1, keepdims=True)) - (truth - truth.mean(1, keepdims=True))
    return _mean(np.linalg.norm(offset, axis=-1).mean(1))


def aperture(motion: Motion) -> Float[np.ndarray, " T"]:
    """See `mouth_aperture`, metres."""
    return mouth_aperture(motion.landmarks)


def aperture_correlation(predicted: Motion, truth: Motion) -> float:
    """Pearson correlation of the mouth's opening over valid frames; NaN where one of them never moves."""
    return correlation(aperture(predicted)[truth.valid], aperture(truth)[truth.valid])


def correlation(a: Float[np.ndarray, " T"], b: Float[np.ndarray, " T"]) -> float:
    """Pearson's correlation; NaN for constants or fewer than three values."""
    if len(a) < 3 or a.std() < 1e-9 or b.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def best_lag(a: Float[np.ndarray, " T"], b: Float[np.ndarray, " T"], reach: int = 15) -> tuple[float, float]:
    """(lag, correlation near it): by how many frames `a` comes after `b`, within +-reach.

    A fraction: the top of the parabola through the best whole lag and its neighbours.
    """
    lags = [lag for lag in range(-reach, reach + 1) if len(a) - abs(lag) >= 10]
    if not lags:
        return 0.0, float("nan")
    pairs = [(a[max(lag, 0) : len(a) + min(lag, 0)], b[max(-lag, 0) : len(b) - max(lag, 0)]) for lag in lags]
    scores = np.nan_to_num([correlation(x, y) for x, y in pairs], nan=-2.0)
    best = int(np.argmax(scores))
    fraction = 0.0
    if 0 < best < len(lags) - 1:
        before, top, after = scores[best - 1 : best + 2]
        bend = before - 2.0 * top + after
        fraction = float(0.5 * (before - after) / bend) if bend < 0 and min(before, after) > -2.0 else 0.0
    return lags[best] + fraction, float(scores[best])


def av_offset_frames(motion: Motion, truth: Motion, reach: int = 15) -> float:
    """By how many frames the mouth of `motion` comes later than the true one (0 is right)."""
    return best_lag(aperture(motion), aperture(truth), reach)[0]


@dataclass(frozen=True)
class MouthRange:
    """Between which openings a person's lips go, metres."""

    shut: float
    wide: float

    @staticmethod
    def of(motion: Motion) -> MouthRange:
        """The 5th and the 80th percentile of the valid frames."""
        shut, wide = np.percentile(aperture(motion)[motion.valid], [5, 80])
        return MouthRange(float(shut), float(wide))

    def share(self, motion: Motion) -> Float[np.ndarray, " T"]:
        """0 where the lips are shut, 1 where they are wide open."""
        return (aperture(motion) - self.shut) / max(self.wide - self.shut, 1e-9)


def closures(truth: Motion) -> list[tuple[int, int]]:
    """[start, stop) of the stretches of at most 0.2 s in which the lips are shut amid speech: p, b and m."""
    share, most = MouthRange.of(truth).share(truth), round(0.2 * truth.fps)
    found = []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], share < SHUT_SHARE, [0]]).astype(int)))
    for start, stop in edges.reshape(-1, 2).tolist():
        around = slice(start - most, stop + most)
        inside = start >= most and stop + most <= len(share) and bool(truth.valid[around].all())
        if inside and stop - start <= most and min(share[start - most : start].max(), share[stop:][:most].max()) > 0.5:
            found.append((start, stop))
    return found


def closure_openness(predicted: Motion, truth: Motion, speaker: MouthRange) -> Float[np.ndarray, " M"]:
    """How far each closure of the truth stays open in the prediction, a frame either way allowed.

    Args:
        predicted: as long as the truth.
        truth: of the person who spoke.
        speaker: range of the person whose mouth was predicted.
    """
    share = speaker.share(predicted)
    return np.array([share[max(0, start - 1) : stop + 1].min() for start, stop in closures(truth)])


def av_offset_to_sound_frames(motion: Motion, samples: Float[np.ndarray, " N"], reach: int = 15) -> float:
    """By how many frames the mouth comes later than the loudness of vowels. Needs half a minute of speech."""
    return best_lag(aperture(motion), _vowel_loudness(samples, len(motion), motion.fps), reach)[0]


def loudness_db(samples: Float[np.ndarray, " N"], n_frames: int, fps: float) -> Float[np.ndarray, " T"]:
    """Decibels of the sound within half a frame of each frame's instant."""
    half = AUDIO_RATE / fps / 2
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    centre = np.arange(n_frames) * 2 * half
    low = np.clip(np.round(centre - half), 0, len(samples)).astype(int)
    high = np.clip(np.round(centre + half), 0, len(samples)).astype(int)
    return 10.0 * np.log10((power[high] - power[low]) / np.maximum(high - low, 1) + 1e-10)


def silent_frames(samples: Float[np.ndarray, " N"], n_frames: int, fps: float) -> Bool[np.ndarray, " T"]:
    """Frames in silence that has lasted SETTLE_S and lasts one more frame."""
    level = loudness_db(samples, n_frames, fps)
    quiet = level < max(np.percentile(level, 95) + SILENT_DB, -65.0) if n_frames else np.zeros(0, bool)
    settle = round(SETTLE_S * fps)
    runs = np.convolve(quiet, np.ones(settle + 2))[: n_frames + 1]
    return np.append(runs, 0.0)[1 : n_frames + 1] >= settle + 2


def lip_speed(motion: Motion) -> Float[np.ndarray, " T"]:
    """Mean movement of the lip landmarks since the frame before, metres."""
    shape = lip_shape(motion)
    speed = np.linalg.norm(np.diff(shape, axis=0), axis=-1).mean(1)
    return np.concatenate([speed[:1] * 0.0, speed])


def silent_speed_m(truth: Motion, samples: Float[np.ndarray, " N"]) -> float:
    """What counts as moving lips: more than this, metres a frame, the speaker's own silent frames hardly do.

    Their 99th percentile, or tracking noise where that is more or where the sound has no silent frame.
    """
    silent = silent_frames(samples, len(truth), truth.fps)
    return max(_LEAST_SPEED_M, float(np.percentile(lip_speed(truth)[silent], 99)) if silent.any() else 0.0)


def silence_leakage(motion: Motion, samples: Float[np.ndarray, " N"], limit_m: float = _LEAST_SPEED_M) -> float:
    """Share of silent frames whose lips move more than `limit_m` a frame; NaN where the sound has no silent frame."""
    silent = silent_frames(samples, len(motion), motion.fps)
    return float((lip_speed(motion)[silent] > limit_m).mean()) if silent.any() else float("nan")


def jitter_ratio(predicted: Motion, truth: Motion) -> float:
    """Mean acceleration of the lip landmarks over the truth's; above 1 is shaky."""
    return _acceleration(predicted, truth.valid) / max(_acceleration(truth, truth.valid), 1e-12)


def amplitude_ratio(predicted: Motion, truth: Motion) -> float:
    """Standard deviation of the mouth's opening over the truth's; below 1 is mumbling."""
    spread = float(aperture(truth)[truth.valid].std())
    return float(aperture(predicted)[truth.valid].std()) / max(spread, 1e-12)


def _acceleration(motion: Motion, valid: np.ndarray) -> float:
    shape = lip_shape(motion)
    second = np.linalg.norm(shape[2:] - 2.0 * shape[1:-1] + shape[:-2], axis=-1).mean(1)
    return _mean(second[valid[2:] & valid[1:-1] & valid[:-2]])


def _vowel_loudness(samples: np.ndarray, n_frames: int, fps: float) -> np.ndarray:
    level = np.maximum(loudness_db(samples, n_frames, fps), -60.0)
    return np.convolve(level, [0.25, 0.5, 0.25], mode="same")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
