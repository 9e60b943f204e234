"""How much later than the lips the sound comes: files are off by up to a quarter of a second.

The loudness of speech says little about lips at a given instant, and a model that sees a wide stretch of
sound learns any offset away. So a ridge regression that sees only 80 ms of sound (mel bands, loudness,
voicing, phones) predicts the lips' shape at every lag in turn; the lag at which it does best on frames
that it was not fitted to is where sound and lips belong together. Lags of seconds, at which nothing
belongs together, say how well it does by chance; resampling the clip in blocks of two seconds says how
surely the best lag is the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gtalk.shapes import Bool, Float
from gtalk.speech.base import RATE_HZ
from gtalk.topology import LIPS, RIGID
from gtalk.types import AUDIO_RATE

LIPS_LEAD_S = 0.02
"""How much before the sound the lips move when a file is right: between -0.015 and 0.04 s, by speaker."""
SPEAKER_S = 0.04
"""How far the lead of a single speaker's lips may be from LIPS_LEAD_S: the bias that no length of a clip removes."""
TOLERANCE_S = 0.04
"""What the method promises on 20 s of speech; a file that is nearer to right is left as it is."""
REACH_S, STEP_S = 0.42, 0.02
WINDOW_S = (-0.04, -0.02, 0.0, 0.02, 0.04)
IN_TIME_S = np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
CHANCE_S = (1.0, 3.0, 0.04)  # first and last lag, and step, at which agreement is chance; both signs
SHORTEST_S = 6.0
SHORTEST_PART_S, APART_S, LEAST_GAIN = 10.0, 0.07, 0.005
"""Of parts that are off differently: their length, by how much more one is off, and what share of the lips' movement
two lags explain more than one."""
MOST_FRAMES = 15_000  # ten minutes: enough for anybody
LIP_CODES, SOUND_CODES = 4, 32
RIDGE = 0.3  # of the variance of a sound code
BLOCK, FOLDS = 50, 5  # frames, and parts of the cross-validation
SLOW_FRAMES = 51  # slower movement than this window is posture, not speech
AT_EDGES = 2  # frames beside a cut that are not used
RESAMPLINGS, LEAST_AGREEMENT = 200, 0.9
LEAST_EXPLAINED, OVER_CHANCE = 0.04, 0.05


@dataclass(frozen=True)
class Offset:
    """What a search found."""

    late_s: float
    """How much later than the lips the sound comes; negative when it comes earlier."""
    explained: float
    """Share of the lips' movement that the sound explains at the best lag, on frames not fitted to."""
    chance: float
    """The largest such share at lags at which sound and lips have nothing to do with each other."""
    confidence: float
    """Share of resampled clips whose best lag is within TOLERANCE_S of this one; 0 when no better than chance."""
    spread_s: float = 0.0
    """Standard deviation of the best lags of resampled clips."""

    @property
    def sure(self) -> bool:
        """Whether to believe it."""
        return self.confidence >= LEAST_AGREEMENT

    @property
    def limit_s(self) -> float:
        """From where on to believe that a file is off: lips lead more or less by speaker, and short clips err more."""
        return float(np.hypot(TOLERANCE_S, SPEAKER_S) + self.spread_s)

    @property
    def correction_s(self) -> float:
        """By how much to advance the sound: 0 when unsure or when it may well be right."""
        return self.late_s if self.sure and abs(self.late_s) > self.limit_s else 0.0


@dataclass(frozen=True)
class _Search:
    """All that was found out about a stretch."""

    offset: Offset
    errors: np.ndarray
    """Squared error of the lips by lag and block of BLOCK frames."""
    power: float


def find_offset(
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    samples: Float[np.ndarray, " N"],
    fps: float,
    cuts: Sequence[int] = (),
) -> Offset | None:
    """How late the sound is, or None when there is too little of face or sound to tell.

    Args:
        points_px: detected landmarks.
        valid: where a face was seen.
        samples: sound at AUDIO_RATE that is meant to belong to the frames.
        fps: frames a second.
        cuts: first frames of new shots.
    """
    search = _search(points_px, valid, samples, fps, cuts)
    return None if search is None else search.offset


def _search(
    points_px: np.ndarray, valid: np.ndarray, samples: np.ndarray, fps: float, cuts: Sequence[int]
) -> _Search | None:
    usable = away_from_edges(valid, cuts)
    keep = min(len(valid), MOST_FRAMES)
    if usable[:keep].sum() < SHORTEST_S * fps or np.abs(samples).max(initial=0.0) < 1e-3:
        return None
    lips = lip_codes(points_px[:keep], valid[:keep], usable[:keep], [cut for cut in cuts if cut < keep])
    sound = sound_codes(samples[: round((keep / fps + 1) * AUDIO_RATE)])
    near = _near_lags()
    far = np.arange(*CHANCE_S)
    errors, power = _unexplained(sound, lips, usable[:keep], near, fps)
    if power.sum() <= 0:
        return None
    by_chance, _ = _unexplained(sound, lips, usable[:keep], np.concatenate([-far, far]), fps)
    explained = 1 - errors.sum(1) / power.sum()
    chance = float(1 - by_chance.sum(1).min() / power.sum())
    best = int(np.argmax(explained))
    believable = explained[best] > max(LEAST_EXPLAINED, chance + OVER_CHANCE) and 0 < best < len(near) - 1
    confidence, spread_s = _agreement(errors, near, best) if believable else (0.0, 0.0)
    late_s = _peak(near, explained, best) - LIPS_LEAD_S
    offset = Offset(
        round(late_s, 3), round(float(explained[best]), 4), round(chance, 4), round(confidence, 3), round(spread_s, 4)
    )
    return _Search(offset, errors, float(power.sum()))


def explained_over_time(
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    samples: Float[np.ndarray, " N"],
    fps: float,
    cuts: Sequence[int] = (),
) -> Float[np.ndarray, " B"]:
    """What share of the lips' movement the sound explains, by block of BLOCK frames, each with its neighbours.

    Sound and lips must be in time with each other. Arguments as of `find_offset`.
    """
    usable = away_from_edges(valid, cuts)
    lips = lip_codes(points_px, valid, usable, cuts)
    sound = sound_codes(samples[: round((len(valid) / fps + 1) * AUDIO_RATE)])
    errors, power = _unexplained(sound, lips, usable, LIPS_LEAD_S + IN_TIME_S, fps)
    around = np.ones(3)
    missed = np.convolve(errors[np.argmin(errors.sum(1))], around, "same")
    return 1 - missed / np.maximum(np.convolve(power, around, "same"), 1e-9)


def _near_lags() -> np.ndarray:
    return LIPS_LEAD_S + np.arange(-REACH_S, REACH_S + STEP_S / 2, STEP_S)


def find_parts(
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    samples: Float[np.ndarray, " N"],
    fps: float,
    cuts: Sequence[int] = (),
) -> list[tuple[int, int, Offset | None]]:
    """Parts of a clip whose sound is off differently, as (first frame, frame after the last, its offset).

    A clip that was put together of several is split where two parts, each for itself, are surely off by different
    amounts; at cuts of the image, or anywhere where it has none. Arguments as of `find_offset`.
    """

    def look(start: int, stop: int) -> _Search | None:
        own = slice(*(round(frame * AUDIO_RATE / fps) for frame in (start, stop)))
        inside = [cut - start for cut in cuts if start < cut < stop]
        return _search(points_px[start:stop], valid[start:stop], samples[own], fps, inside)

    def split(start: int, stop: int, whole: _Search | None) -> list[tuple[int, int, Offset | None]]:
        place = None if whole is None else _border(whole, start, stop, round(SHORTEST_PART_S * fps), cuts)
        if place is not None:
            before, after = look(start, place), look(place, stop)
            if before is not None and after is not None and _differ(before.offset, after.offset):
                return [*split(start, place, before), *split(place, stop, after)]
        return [(start, stop, None if whole is None else whole.offset)]

    return split(0, len(valid), look(0, len(valid)))


def _differ(before: Offset, after: Offset) -> bool:
    """Whether two parts are surely off by different amounts."""
    return before.sure and after.sure and abs(before.late_s - after.late_s) > APART_S


def _border(whole: _Search, start: int, stop: int, least: int, cuts: Sequence[int]) -> int | None:
    """Where two parts with a lag each explain the lips clearly better than one lag does; at a cut where one is near."""
    blocks = whole.errors.shape[1]
    ends = [k for k in range(1, blocks) if k * BLOCK >= least and stop - start - k * BLOCK >= least]
    if not ends:
        return None
    before = np.cumsum(whole.errors, axis=1)
    total = before[:, -1]
    gains = [total.min() - before[:, k - 1].min() - (total - before[:, k - 1]).min() for k in ends]
    if max(gains) < LEAST_GAIN * whole.power:
        return None
    place = start + ends[int(np.argmax(gains))] * BLOCK
    near = [cut for cut in cuts if abs(cut - place) <= 3 * BLOCK and start + least <= cut <= stop - least]
    return min(near, key=lambda cut: abs(cut - place)) if near else place


def lip_codes(
    points_px: Float[np.ndarray, "T 478 2"], valid: np.ndarray, usable: np.ndarray, cuts: Sequence[int]
) -> Float[np.ndarray, "T K"]:
    """The main ways in which the lips move, free of the head's movement and of slow change. [T, LIP_CODES]."""
    points = points_px.astype(np.float64)
    rest = points[np.flatnonzero(valid)[0], RIGID]
    shapes = np.zeros((len(points), 2 * len(LIPS)))
    for index in np.flatnonzero(valid):
        around = np.column_stack([points[index, RIGID], np.ones(len(RIGID))])
        # An affine map of the rigid points takes out turns of the head too, as far as a face is flat.
        map_to_rest = np.linalg.lstsq(around, rest, rcond=None)[0]
        shapes[index] = (np.column_stack([points[index, LIPS], np.ones(len(LIPS))]) @ map_to_rest).ravel()
    shots = zip(np.split(shapes, cuts), np.split(valid, cuts), strict=True)
    moving = np.concatenate([_without_slow(*shot) for shot in shots if len(shot[0])])
    moving[~usable] = 0.0
    _, _, directions = np.linalg.svd(moving[usable], full_matrices=False)
    return moving @ directions[:LIP_CODES].T


def sound_codes(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "M D"]:
    """Principal components of speech features at RATE_HZ. [M, SOUND_CODES]."""
    return _codes_of(samples.astype(np.float32).tobytes())


@lru_cache(maxsize=1)  # a clip is listened to for its offset, and then for voices that are not its person's
def _codes_of(float32: bytes) -> np.ndarray:
    from gtalk.speech.features import extract

    features = extract(np.frombuffer(float32, np.float32))
    # Pitch moves with intonation, lips do not: only its second column, voicing, is of use.
    whole = np.concatenate([features["mel"], features["phones"], features["energy"], features["pitch"][:, 1:]], axis=1)
    whole = whole.astype(np.float64) - whole.mean(0)
    _, vectors = np.linalg.eigh(whole.T @ whole)
    return whole @ vectors[:, : -SOUND_CODES - 1 : -1]


def away_from_edges(valid: Bool[np.ndarray, " T"], cuts: Sequence[int]) -> Bool[np.ndarray, " T"]:
    """Frames with a face that are not beside a cut."""
    usable = valid.copy()
    for edge in (0, *cuts, len(valid)):
        usable[max(0, edge - AT_EDGES) : edge + AT_EDGES] = False
    return usable


def _without_slow(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Values of one shot less their running mean over frames with a face; 0 in the others."""
    width = max(1, min(SLOW_FRAMES, (len(values) - 1) // 2 * 2 - 1))
    both = np.column_stack([values * valid[:, None], valid])
    padded = np.pad(both, ((width // 2, width // 2), (0, 0)), mode="reflect" if width > 1 else "edge")
    total = np.cumsum(np.concatenate([np.zeros((1, both.shape[1])), padded]), axis=0)
    window = total[width:] - total[:-width]
    return (values - window[:, :-1] / np.maximum(window[:, -1:], 1)) * valid[:, None]


def _unexplained(
    sound: np.ndarray, lips: np.ndarray, usable: np.ndarray, lags_s: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """(squared error of the lips by lag and block, frames predicted by fits without them; the lips' power by block)."""
    rows = np.flatnonzero(usable)
    block = rows // BLOCK
    n_blocks = int(block.max()) + 1
    target = lips[rows]
    in_fold = [block % FOLDS == fold for fold in range(FOLDS)]
    errors = np.zeros((len(lags_s), n_blocks))
    for number, lag_s in enumerate(lags_s):
        instants = rows[:, None] / fps + lag_s + np.array(WINDOW_S)
        heard = sound[np.rint(instants * RATE_HZ).astype(int) % len(sound)].reshape(len(rows), -1)
        heard = heard - heard.mean(0)
        ridge = RIDGE * len(rows) * np.diag(np.full(heard.shape[1], heard.var(0).mean() + 1e-12))
        squares = [heard[own].T @ heard[own] for own in in_fold]
        products = [heard[own].T @ target[own] for own in in_fold]
        for own, square, product in zip(in_fold, squares, products, strict=True):
            weights = np.linalg.solve(sum(squares) - square + ridge, sum(products) - product)
            missed = ((target[own] - heard[own] @ weights) ** 2).sum(1)
            errors[number] += np.bincount(block[own], missed, n_blocks)
    return errors, np.bincount(block, (target**2).sum(1), n_blocks)


def _agreement(errors: np.ndarray, lags_s: np.ndarray, best: int) -> tuple[float, float]:
    """(share of clips, resampled from blocks, whose best lag is near `best`; how far those lags spread, seconds)."""
    n_blocks = errors.shape[1]
    counts = np.random.default_rng(0).multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), RESAMPLINGS)
    found = lags_s[np.argmin(errors @ counts.T, axis=0)]
    near = np.abs(found - lags_s[best]) <= TOLERANCE_S + 1e-9
    return float(near.mean()), float(found[near].std())


def _peak(lags_s: np.ndarray, explained: np.ndarray, best: int) -> float:
    """Where a parabola through the values around the best lag is highest."""
    around = slice(max(0, best - 3), best + 4)
    curve = np.polyfit(lags_s[around] - lags_s[best], explained[around], 2)
    shift = -curve[1] / (2 * curve[0]) if curve[0] < 0 else 0.0
    return float(lags_s[best] + np.clip(shift, -STEP_S, STEP_S))
