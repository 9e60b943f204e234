"""What each ingredient of the motion model adds: same clip, same budget, several seeds.

    python tools/bench_motion.py DATASET [--cross DATASET ...] [--voices FOLDER] [--seeds 3] [--only NAME ...]

Trains on the dataset's training part and scores its held-out part; `--cross` datasets are of other people,
whose sound drives the model and whose true mouth is compared by correlation; `--voices` are sound files
of yet other people, for which only amplitude, manifold distance and silence can be checked.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.eval import motion as measures
from gtalk.media.audio import read_audio
from gtalk.motion.lle import LandmarkLLE
from gtalk.motion.model import PersonMotionModel
from gtalk.motion.produce import drive_whole
from gtalk.motion.takes import read_training_clip
from gtalk.motion.train import MotionConfig, fit_motion_model
from gtalk.speech.sound import read_samples
from gtalk.types import AUDIO_RATE, Motion

replace = dataclasses.replace
COLUMNS = ("lmd_ratio", "aperture_corr", "amplitude", "jitter", "offset", "brow_corr", "cross_corr", "train_s")


def ingredients(base: MotionConfig) -> dict[str, MotionConfig]:
    """One change each."""
    loss, net, augment = base.loss, base.net, base.augment
    return {
        "default": base,
        "no phones": replace(base, phones=False),
        "no mel": replace(base, without=("mel",)),
        "no pitch": replace(base, without=("pitch",)),
        "no energy": replace(base, without=("energy",)),
        "no augmentation": replace(base, augment=replace(augment, copies=0)),
        "stronger augmentation": replace(base, augment=replace(augment, speed=0.25, noise_db=(-35.0, -8.0))),
        "no temporal losses": replace(base, loss=replace(loss, velocity=0.0, laplacian=0.0)),
        "no amplitude loss": replace(base, loss=replace(loss, amplitude=0.0)),
        "no stretch": replace(base, amplitude=0.01),
        "squared error": replace(base, loss=replace(loss, robust=30.0)),
        "conditional VAE": replace(base, net=replace(net, style=8)),
        "half the channels": replace(base, net=replace(net, channels=net.channels // 2)),
        "no look-ahead": replace(base, net=replace(net, future_rows=0)),
        "first 20 s": replace(base, seconds=20.0),
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cross", type=Path, nargs="*", default=[])
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset, cross = Dataset(options.dataset), [Dataset(path) for path in options.cross]
    table = ingredients(MotionConfig())
    names = options.only or list(table)
    print_baselines(dataset)
    print(f"{'ingredient':24}" + "".join(f"{name:>18}" for name in COLUMNS))
    results: dict[str, list[dict[str, float]]] = {}
    model = None
    for name in names:
        for seed in range(options.seeds):
            config = replace(table[name], seed=seed)
            started = time.process_time()
            fitted = fit_motion_model([read_training_clip(dataset, config.seconds)], config)
            row = score(fitted, dataset, cross) | {"train_s": time.process_time() - started}
            results.setdefault(name, []).append(row)
            model = fitted if name == "default" or model is None else model
        print(f"{name:24}" + "".join(f"{_spread([r[c] for r in results[name]]):>18}" for c in COLUMNS), flush=True)
    if options.voices and model is not None:
        print_voices(model, dataset, options.voices)
    if model is not None:
        print_speed(model, dataset)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def score(model: PersonMotionModel, dataset: Dataset, cross: list[Dataset]) -> dict[str, float]:
    """Measures on the held-out part and on other people."""
    first = first_test_frame(dataset.n_frames)
    truth = dataset.motion[first:]
    predicted = drive_whole(model, read_samples(dataset.audio_path))[first : dataset.n_frames]
    others = []
    for other in cross:
        guess = drive_whole(model, read_samples(other.audio_path))[: other.n_frames]
        others.append(measures.aperture_correlation(guess, other.motion[: len(guess)]))
    return {
        "lmd_ratio": measures.lmd_ratio(predicted, truth, model.basis.mean),
        "aperture_corr": measures.aperture_correlation(predicted, truth),
        "amplitude": measures.amplitude_ratio(predicted, truth),
        "jitter": measures.jitter_ratio(predicted, truth),
        "offset": float(measures.av_offset_frames(predicted, truth)),
        "brow_corr": measures.correlation(predicted.brows.mean(1), truth.brows.mean(1)),
        "cross_corr": float(np.mean(others)) if others else float("nan"),
    }


def print_baselines(dataset: Dataset) -> None:
    """The trivial rows: a mouth that never moves, and the truth at the wrong time."""
    first = first_test_frame(dataset.n_frames)
    motion, truth = dataset.motion, dataset.motion[first:]
    mean = motion.landmarks[:first][motion.valid[:first]].mean(0)
    rng = np.random.default_rng(0)
    shifted = []
    for _ in range(20):
        start = int(rng.integers(0, max(1, first - len(truth))))
        guess = truth.replace(landmarks=motion.landmarks[start : start + len(truth)])
        shifted.append(measures.lmd_ratio(guess, truth, mean))
    still = truth.replace(landmarks=np.broadcast_to(mean, truth.landmarks.shape))
    print(f"mean mouth: LMD {measures.lmd(still, truth):.3f} % of the eye distance, ratio 1.000")
    print(f"true mouth at a wrong time: ratio {_spread(shifted)}")


def print_voices(model: PersonMotionModel, dataset: Dataset, folder: Path) -> None:
    """Amplitude and manifold of other people's voices."""
    lle = LandmarkLLE(model.basis, model.bank)
    first = first_test_frame(dataset.n_frames)
    own = measures.aperture(dataset.motion[:first]).std()
    print(f"{'voice':32}{'amplitude':>12}{'off manifold':>14}{'leakage':>10}")
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".wav", ".ogg", ".flac", ".mp3"}):
        samples = read_audio(path).samples
        motion = drive_whole(model, samples)
        off = float((lle.distance_m(motion) > lle.usual_distance_m).mean())
        leak = measures.silence_leakage(motion, samples)
        print(f"{path.name:32}{measures.aperture(motion).std() / own:12.2f}{off:14.3f}{leak:10.3f}", flush=True)


def print_speed(model: PersonMotionModel, dataset: Dataset) -> None:
    """CPU time on one thread, offline and in steps of one frame."""
    samples = read_samples(dataset.audio_path)[: 20 * AUDIO_RATE]
    started = time.process_time()
    drive_whole(model, samples)
    print(f"offline: {len(samples) / AUDIO_RATE / (time.process_time() - started):.0f} x real time")
    stream, steps, parts = model.stream(), [], []
    for start in range(0, len(samples), 640):
        started = time.process_time()
        parts.append(stream.push(samples[start : start + 640]))
        steps.append((time.process_time() - started) * 1e3)
    assert len(Motion.concatenate(parts))
    print(f"a step of 40 ms: p50 {np.percentile(steps, 50):.1f} ms, p95 {np.percentile(steps, 95):.1f} ms")


def _spread(values: list[float]) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.3f} +-{error:.3f}"


if __name__ == "__main__":
    main()
