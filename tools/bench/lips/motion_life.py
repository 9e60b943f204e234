"""What the head and the eyes do over half an hour.

    python tools/bench/lips/motion_life.py AVATAR DATASET [--minutes 30]

Blinks, gaze and head against the clip's own statistics, loops, and the seen pose range.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.geometry.pose import pose_vectors
from gtalk.motion.idle.blinks_gaze import EyeStream, blink_frames
from gtalk.motion.idle.head_motion import SwayStream, voice_columns
from gtalk.motion.model.model import PersonMotionModel, load_motion_model
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.speech.base import encode
from gtalk.speech.sound import read_samples
from gtalk.types import VIDEO_FPS

BANDS_HZ = ((0.1, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0))


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    model, dataset = load_motion_model(options.avatar), Dataset(options.dataset)
    print_life(model, dataset, round(options.minutes * 60 * VIDEO_FPS))


def print_life(model: PersonMotionModel, dataset: Dataset, count: int) -> None:
    """The generator against the clip."""
    stop = first_test_frame(dataset.n_frames)
    clip = dataset.motion[:stop]
    runs = [(s.start, min(s.stop, stop)) for s in dataset.segments if s.start < stop]
    rows = encode(model.features, read_samples(dataset.audio_path))
    rows = np.tile(rows, (-(-count * ROWS_PER_FRAME // len(rows)), 1))[: count * ROWS_PER_FRAME]
    prosody = rows[:, model.prosody_columns].astype(np.float64)
    prosody[:, 1] *= rows[:, model.features.groups["pitch"].start + 1]
    sway = SwayStream(model.sway, 0)(voice_columns(prosody, 0, count), prosody[::ROWS_PER_FRAME, 2])
    eyes, _ = EyeStream(model.eyes, VIDEO_FPS, 0)(sway[:, :6])
    own = pose_vectors(clip.head_pose, model.mean_pose)
    whole, always = [(0, count)], np.ones(count, bool)
    table = {
        "blinks a minute": (_blinks(clip.eyes, runs, clip.valid)[0], _blinks(eyes, whole, always)[0]),
        "blink, frames under half": (_blinks(clip.eyes, runs, clip.valid)[1], _blinks(eyes, whole, always)[1]),
        "head turn, rms degrees": (_rms(own, runs), _rms(sway[:, :6], whole)),
        "head speed, degrees/s": (_speed(own, runs), _speed(sway[:, :6], whole)),
    }
    for low, high in BANDS_HZ:
        table[f"pose {low:g} to {high:g} Hz, dB"] = (_band(own, runs, low, high), _band(sway[:, :6], whole, low, high))
    print(f"{'':28}{'clip':>10}{'generated':>12}   ({count / VIDEO_FPS / 60:.0f} min)")
    for name, (true, made) in table.items():
        print(f"{name:28}{true:10.2f}{made:12.2f}")
    centred = sway[:, :3] - sway[:, :3].mean(0)
    spectrum = np.abs(np.fft.rfft(centred, 1 << int(np.ceil(np.log2(2 * count))), axis=0)) ** 2
    correlation = np.fft.irfft(spectrum.sum(1))[: count - 1500]
    print(f"largest autocorrelation beyond one minute: {(correlation[1500:] / correlation[0]).max():.3f}")
    deviation = np.concatenate([own[a:b] - own[a:b].mean(0) for a, b in runs if b - a > 12])
    moved = sway[:, :6] - model.sway.mean[:6]
    outside = (moved > deviation.max(0) + 1e-9) | (moved < deviation.min(0) - 1e-9)
    print(f"frames outside the seen pose range: {outside.any(1).mean():.4f}")


def _blinks(eyes: np.ndarray, runs: list[tuple[int, int]], valid: np.ndarray) -> tuple[float, float]:
    """(blinks a minute, mean frames with the eyes less than half open)."""
    bottoms = blink_frames(eyes, runs, valid)
    shut = [int((eyes[b - 4 : b + 10].mean(1) < 0.5).sum()) for b in bottoms]
    return len(bottoms) / (valid.sum() / VIDEO_FPS / 60.0), float(np.mean(shut)) if shut else float("nan")


def _rms(pose: np.ndarray, runs: list[tuple[int, int]]) -> float:
    parts = [pose[a:b, :3] - pose[a:b, :3].mean(0) for a, b in runs]
    return float(np.degrees(np.sqrt((np.concatenate(parts) ** 2).sum(1).mean())))


def _speed(pose: np.ndarray, runs: list[tuple[int, int]]) -> float:
    steps = np.concatenate([np.diff(pose[a:b, :3], axis=0) for a, b in runs])
    return float(np.degrees(np.linalg.norm(steps, axis=1).mean()) * VIDEO_FPS)


def _band(pose: np.ndarray, runs: list[tuple[int, int]], low: float, high: float) -> float:
    """Power of the head's turns in a band, over windows of ten seconds."""
    size, powers = round(10 * VIDEO_FPS), []
    for a, b in runs:
        for start in range(a, b - size + 1, size // 2):
            part = pose[start : start + size, :3]
            powers.append(np.abs(np.fft.rfft((part - part.mean(0)) * np.hanning(size)[:, None], axis=0)) ** 2)
    hz = np.fft.rfftfreq(size, 1 / VIDEO_FPS)
    if not powers:
        return float("nan")
    return float(10 * np.log10(np.mean(powers, axis=0)[(hz >= low) & (hz < high)].sum() + 1e-20))


if __name__ == "__main__":
    main()
