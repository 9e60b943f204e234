"""When each image of a video really is: timestamps, duplicated images, and the frames of another rate.

Files lie about time. A clip shot at 25 frames a second is often stored at 30 with every sixth image
doubled; its timestamps are then up to 20 ms wrong, in a sawtooth that a tracker takes for jitter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.media.source import (
    LONGEST_GAP_S,
    check_gaps,
    decode,
    image_time,
    not_media,
    open_media,
    probe,
    require_video,
    video_stream,
)
from gtalk.shapes import Bool, Float, Int

THUMBNAIL = 96
DUPLICATE_SHARE = 0.2  # a duplicate changes less than this share of what its neighbours change
NOTICEABLE = 0.2 / 256
CADENCE_TOLERANCE = 0.75  # of a period: how far a regular cadence may stray from a straight line
LEAST_DUPLICATES = 0.02
FEWEST_STEPS = 3  # from copy to copy, before a rhythm is believed
LEAST_STRETCH = 1.02  # a cadence makes images last longer by at least this (24 stored as 25: 1.04)
FAINT_CADENCES = ((6, 5), (5, 4), (25, 24), (12, 5))
"""(stored, distinct) images of a cycle that are looked for where compression has blurred what is a copy."""
FAINT_CYCLES = 20  # on either side, over which a cycle is averaged
FEWEST_CYCLES = 24
FAINT_CHANGE, FAINT_PHASE, FAINT_SIGMA = 0.75, 0.8, 5.0
"""Copies change less than this share of what others do; so do all of their places in the cycle; and by so many
standard errors. Clips without copies: 0.81 or more, 0.82 or more, or far fewer standard errors."""
FEWEST_ASTRAY, SHARE_ASTRAY = 1.5, 0.25
"""Copies may be more or fewer than the rate makes by so many, or by this share of them."""
WINDOW = 50  # unique images on either side in the local straight line of a cadence
RESTART_S = 0.5  # images of one recording are never out of order by so much
COMMON_RATES = (10.0, 12.0, 12.5, 14.985, 15.0, 20.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0)


@dataclass(frozen=True)
class Timeline:
    """The distinct images of a video, in order.

    `index` counts decoded images, so a reader can skip the duplicates.
    """

    times_s: Float[np.ndarray, " N"]
    """When each distinct image is shown, seconds after the first one."""
    index: Int[np.ndarray, " N"]
    """Its number among all decoded images."""
    duration_s: float
    stored_fps: float
    """Rate of the stored images."""
    true_fps: float
    """Rate of the distinct images."""
    notes: tuple[str, ...] = ()
    """What was found out, in plain words."""

    def frames_at(self, fps: float) -> Int[np.ndarray, " T"]:
        """For each instant i / fps: which distinct image is nearest in time."""
        count = max(1, round(self.duration_s * fps))
        wanted = np.arange(count) / fps
        after = np.searchsorted(self.times_s, wanted).clip(1, max(1, len(self.times_s) - 1))
        if len(self.times_s) == 1:
            return np.zeros(count, dtype=np.int64)
        nearer_before = wanted - self.times_s[after - 1] <= self.times_s[after] - wanted
        return after - nearer_before


def scan(path: Path, retime: bool = True) -> Timeline:
    """Decode a video once, small, and work out its true times.

    Raises UserError when the file is not a video.
    """
    info = probe(path)
    require_video(info)
    times, differences, last_duration = _read_times(path)
    if not len(times):
        raise not_media(path, "a video of which no image can be decoded")
    notes = []
    if info.declared_frames and len(times) < 0.98 * info.declared_frames:
        notes.append(f"the file is damaged or cut off: {len(times)} of {info.declared_frames} images can be decoded")
    if restarts := _join_restarts(times):
        notes.append(f"{1 + restarts} recordings in one file: they follow each other")
    times = np.maximum.accumulate(times - times[0])
    times += 1e-6 * _ranks_of_equals(times)  # images stamped alike would break the search; they follow at once
    step = float(np.median(np.diff(times))) if len(times) > 1 else last_duration or 0.04
    duration = float(times[-1]) + step
    check_gaps(path, duration, float(len(times)))
    stored = (len(times) - 1) / times[-1] if len(times) > 1 else 1.0 / step
    index = np.arange(len(times))
    if len(times) > 2 and np.diff(times).std() > 0.15 * step:
        notes.append("variable frame rate: resampled by timestamps")
    found = find_cadence(times, differences) if retime else None
    rate = stored
    if found is not None:
        index, times, rate = found
        notes.append(f"{rate:.3f} fps stored as {stored:.3f} by doubling images: duplicates dropped and retimed")
    return Timeline(times, index, duration, stored, rate, tuple(notes))


def find_cadence(
    times_s: Float[np.ndarray, " N"], differences: Float[np.ndarray, " N"]
) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, " M"], float] | None:
    """Find images doubled in a regular cadence.

    Args:
        times_s: when each image is shown.
        differences: mean absolute difference of each image to the one before it, 0 to 1.

    Returns:
        (indices of the distinct images, their true times, their rate), or None where images are
        not doubled, or doubled without a rhythm (a frozen image is then really frozen).
    """
    found = [_retimed(times_s, copies) for copies in (_duplicates(differences), _faint_duplicates(differences))]
    rates = [rate for *_, rate in filter(None, found)]
    # Of copies that are not all clear, some are found by the first only: whoever finds more is right.
    return next((f for f in found if f is not None and f[2] < 1.01 * min(rates)), None)


def _retimed(
    times_s: Float[np.ndarray, " N"], duplicate: Bool[np.ndarray, " N"]
) -> tuple[Int[np.ndarray, " M"], Float[np.ndarray, " M"], float] | None:
    """`find_cadence` where it is known which images are copies."""
    distinct = np.flatnonzero(~duplicate)
    if duplicate.mean() < LEAST_DUPLICATES or len(distinct) < 12 or not _rhythmic(np.flatnonzero(duplicate)):
        return None
    shown = times_s[distinct]
    # Over whole cycles of the usual cadences (5 of 6, 4 of 5, 24 of 25) their unevenness cancels.
    lag = max((lag for lag in (120, 60, 20, 4) if lag <= len(shown) // 2), default=1)
    period = float(np.median((shown[lag:] - shown[:-lag]) / lag))
    nearest = min(COMMON_RATES, key=lambda rate: abs(rate * period - 1.0))
    if abs(nearest * period - 1.0) < 0.01:
        period = 1.0 / nearest
    if period * (len(times_s) - 1) < LEAST_STRETCH * times_s[-1]:
        return None  # a still moment or two, not a cadence
    copies = len(times_s) - 1 - times_s[-1] / period
    if abs(float(duplicate.sum()) - copies) > max(FEWEST_ASTRAY, SHARE_ASTRAY * copies):
        return None  # so many copies do not make this rate: images that compression has left as they were
    # The cadence may slip at an edit, so the line is local: the mean phase of the neighbours.
    phase = shown - np.arange(len(shown)) * period
    local = _running_quantile(phase, WINDOW)
    regular = np.abs(phase - local) < CADENCE_TOLERANCE * period
    if regular.mean() < 0.9:
        return None
    true = np.where(regular, local + np.arange(len(shown)) * period, shown)
    order = np.maximum.accumulate(true)
    return distinct, order - order[0], 1.0 / period


def _rhythmic(duplicates: np.ndarray) -> bool:
    """Whether copies follow each other in equal steps, as a conversion makes them, and a still moment does not."""
    steps = np.diff(duplicates)
    return len(steps) >= FEWEST_STEPS and bool((np.abs(steps - np.median(steps)) <= 1).mean() > 0.5)


def _duplicates(differences: np.ndarray) -> np.ndarray:
    # Up to three of four images may be copies, so what a real change is like shows near the top.
    typical = _running_quantile(differences, 6, 0.8)
    duplicate = (differences < DUPLICATE_SHARE * typical) & (typical > NOTICEABLE)
    duplicate[0] = False
    return duplicate


def _faint_duplicates(differences: np.ndarray) -> np.ndarray:
    """Copies that compression has made different: told by their rhythm, over many cycles, or nowhere.

    Each cycle that conversions use is laid over the clip at all its offsets; the best offset may change
    slowly (an edit). Of several cycles that fit, the one that parts copies from others most clearly counts.
    """
    typical = np.maximum(_running_quantile(differences, 6, 0.8), NOTICEABLE)
    change = np.clip(differences / typical, 0.0, 1.5)
    number = np.arange(len(change))
    best, clearest = np.zeros(len(change), bool), FAINT_PHASE
    for stored, distinct in FAINT_CADENCES:
        if len(change) < FEWEST_CYCLES * stored:
            continue
        shown = np.arange(-1, stored) * distinct // stored
        copy = shown[1:] == shown[:-1]
        weight = np.where(copy, -1 / copy.mean(), 1 / (1 - copy.mean()))
        contrast = [_running_mean(change * weight[(number - o) % stored], FAINT_CYCLES * stored) for o in range(stored)]
        phase = (number - np.argmax(contrast, axis=0)) % stored
        use = number >= 3  # a clip's first images are coded apart
        if len(np.unique(phase[use])) < stored:
            continue  # it never settles
        copies, others = change[use & copy[phase]], change[use & ~copy[phase]]
        error = np.sqrt(copies.var() / len(copies) + others.var() / len(others))
        mean = np.array([change[use & (phase == p)].mean() for p in range(stored)])
        clear = mean[copy].max() / max(mean[~copy].min(), 1e-9)
        certain = others.mean() - copies.mean() > FAINT_SIGMA * error
        if certain and copies.mean() < FAINT_CHANGE * others.mean() and clear < clearest:
            best, clearest = copy[phase], clear
    return best


def _running_mean(values: np.ndarray, half: int) -> np.ndarray:
    box = np.ones(min(2 * half + 1, len(values)))
    return np.convolve(values, box, "same") / np.convolve(np.ones(len(values)), box, "same")


def _running_quantile(values: np.ndarray, half: int, quantile: float = 0.5) -> np.ndarray:
    half = min(half, max(1, (len(values) - 1) // 2))
    padded = np.pad(values, half, mode="reflect" if len(values) > half else "edge")
    return np.quantile(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), quantile, axis=-1)


def _join_restarts(times_s: np.ndarray) -> int:
    """Times that begin again, as where recordings were put one after the other, go on instead. In place; how many."""
    count = 0
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    for index in np.flatnonzero(np.diff(times_s) < -RESTART_S) + 1:
        shift = times_s[index - 1] + max(step, 0.0) - times_s[index]
        alone = index + 1 < len(times_s) and times_s[index + 1] >= times_s[index - 1]
        if shift > 0 and not alone:  # a single wrong stamp is none
            times_s[index:] += shift
            count += 1
    return count


def _ranks_of_equals(times_s: np.ndarray) -> np.ndarray:
    """For each of the sorted times, how many before it are the same."""
    first = np.searchsorted(times_s, times_s)
    return np.arange(len(times_s)) - first


def _read_times(path: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Times of all images, their change to the one before (0 to 1), duration of the last one."""
    times: list[float] = []
    differences: list[float] = []
    previous = None
    duration = 0.0
    with open_media(path) as container:
        stream = video_stream(container)
        step = 1.0 / float(stream.average_rate or 25) if stream is not None else 0.04
        for frame in decode(container, stream):
            guess = times[-1] + step if times else 0.0
            time_s = image_time(frame, guess)
            times.append(guess if times and abs(time_s - times[-1]) > LONGEST_GAP_S else time_s)
            small = frame.to_ndarray(format="gray8", width=THUMBNAIL, height=THUMBNAIL, interpolation="POINT")
            small = small.astype(np.int16)
            differences.append(float(np.abs(small - previous).mean()) / 255 if previous is not None else 1.0)
            previous = small
            if frame.duration and frame.time_base:
                duration = float(frame.duration * frame.time_base)
    return np.array(times), np.array(differences), duration
