"""What a motion model does when nobody speaks, and over half an hour.

    python tools/bench_motion_life.py AVATAR DATASET [--minutes 30]

Silence: the person's own speech ends and noises of several kinds go on; how soon do the lips close, and do they
stay so? Half an hour: blinks, gaze and head against the clip's own statistics, loops, and the seen pose range.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.eval import motion as measures
from gtalk.motion.eyes import EyeStream, blink_frames
from gtalk.motion.model import PersonMotionModel, load_motion_model
from gtalk.motion.net import ROWS_PER_FRAME
from gtalk.motion.pose import pose_vectors
from gtalk.motion.produce import drive_whole
from gtalk.motion.sway import SwayStream, voice_columns
from gtalk.speech.base import encode
from gtalk.speech.sound import read_samples
from gtalk.types import AUDIO_RATE, VIDEO_FPS

SPEECH_S, PAUSE_S = 8.0, 20.0
MOVING_M = 0.0004  # per frame: more than tracking noise
CLOSED_SHARE = 0.15  # of the person's usual opening: less is closed
BANDS_HZ = ((0.1, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0))


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    model, dataset = load_motion_model(options.avatar), Dataset(options.dataset)
    print_silence(model, dataset)
    print_life(model, dataset, round(options.minutes * 60 * VIDEO_FPS))


def noises(count: int, speech_rms: float) -> dict[str, np.ndarray]:
    """Sounds of a room in which nobody speaks, with their level under the speech."""
    rng = np.random.default_rng(0)
    white = rng.normal(size=count)
    brown = sosfilt(butter(2, 300, "low", fs=AUDIO_RATE, output="sos"), white)
    breath = sosfilt(butter(2, (400, 3000), "band", fs=AUDIO_RATE, output="sos"), white)
    time = np.arange(count) / AUDIO_RATE
    breath = breath * np.maximum(np.sin(2 * np.pi * 0.3 * time), 0.0)
    hum = sum(np.sin(2 * np.pi * k * 50.0 * time + k) / k for k in range(1, 7)) + 0.05 * white
    kinds = {"white noise": (white, (-50, -35, -25)), "room tone": (brown, (-40, -25)), "mains hum": (hum, (-40, -30))}
    out = {"digital silence": np.zeros(count)}
    for name, (wave, levels) in (kinds | {"breathing": (breath, (-35, -25))}).items():
        out |= {f"{name} {db} dB": wave / wave.std() * speech_rms * 10 ** (db / 20) for db in levels}
    return out


def print_silence(model: PersonMotionModel, dataset: Dataset) -> None:
    """One row for each kind of silence."""
    speech = read_samples(dataset.audio_path)[: round(SPEECH_S * AUDIO_RATE)].astype(np.float64)
    usual = float(measures.aperture(dataset.motion[: first_test_frame(dataset.n_frames)]).std())
    rest = measures.aperture(drive_whole(model, np.zeros(AUDIO_RATE, np.float32)))[-1]
    count = round((SPEECH_S + PAUSE_S) * AUDIO_RATE)
    print(f"{'after speech':24}{'closed after':>14}{'moving':>10}{'open':>10}")
    for name, noise in noises(count, float(speech.std())).items():
        sound = noise.copy()
        sound[: len(speech)] += speech
        motion = drive_whole(model, sound.astype(np.float32))
        end = round(SPEECH_S * VIDEO_FPS)
        opened = np.abs(measures.aperture(motion)[end:] - rest) > CLOSED_SHARE * usual
        closed_s = (np.flatnonzero(opened)[-1] + 1) / VIDEO_FPS if opened.any() else 0.0
        settled = end + round(0.2 * VIDEO_FPS)
        moving = (measures.lip_speed(motion)[settled:] > MOVING_M).mean()
        late = opened[settled - end :].mean()
        print(f"{name:24}{closed_s:12.2f} s{moving:10.3f}{late:10.3f}", flush=True)


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
