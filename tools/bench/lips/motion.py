"""How well lips follow speech: held out, from another person's voice, from voices without a truth, in silence.

    python tools/bench/lips/motion.py DATASET [--test DATASET | --part 2/4] [--seconds S] [--seeds 0 1]   held-out table
    python tools/bench/lips/motion.py DATASET --ingredients [--only NAME ...]                what each ingredient adds
    python tools/bench/lips/motion.py DATASET --cross DATASET ... --voices FOLDER            other people's voices

Trains on the dataset's training part and scores its held-out part, or all of `--test`; with `--part 2/4` it holds out
the second of four parts instead, since the end of a clip is short. `--cross` datasets are
of other people, whose sound drives the model and whose true mouth is compared by correlation; `--voices` are
sound files of yet other people, for which amplitude, manifold distance and silence can be checked. The lips
open as early as the person does (as for a file); columns named "live" answer within 160 ms. "unshut" says how far
the lips stay open, of the person's range, where the true ones shut amid speech.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.eval import motion as measures
from gtalk.eval.motion_silence import SETTLE_S, silence_test
from gtalk.geometry.pose import pose_vectors
from gtalk.media.audio import read_audio
from gtalk.motion.base import EditFactory
from gtalk.motion.edits.lle import LandmarkLLE
from gtalk.motion.model.articulation import Articulation
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.produce import drive_whole
from gtalk.motion.training.sequences import TrainingClip, read_training_clip
from gtalk.motion.training.train import MotionConfig, fit_material
from gtalk.motion.training.training_data import GUARD_FRAMES, TrainingData, gather
from gtalk.speech.sound import read_samples
from gtalk.types import AUDIO_RATE, Motion

replace = dataclasses.replace
LIPS = ("lmd_ratio", "aperture_corr", "amplitude", "jitter", "offset", "leakage", "unshut")
COLUMNS = (
    *LIPS,
    "live_ratio",
    "live_corr",
    "width_corr",
    "cross_corr",
    "cross_width",
    "cross_unshut",
    "brow_corr",
    "nod_corr",
)
PAIR = ("opening r", "width r", "left open")
BLOCK_FRAMES = 25  # of the bootstrap: errors of neighbouring frames belong together


def ingredients(base: MotionConfig) -> dict[str, MotionConfig]:
    """One change each."""
    loss, net, augment = base.loss, base.net, base.augment
    return {
        "default": base,
        "ears": replace(base, phones=False, ears=True, net=replace(net, future_rows=13)),
        "ears and phones": replace(base, ears=True),
        "ears, no mel": replace(base, phones=False, ears=True, net=replace(net, future_rows=13), without=("mel",)),
        "no phones": replace(base, phones=False, net=replace(net, future_rows=13)),
        "no mel": replace(base, without=("mel",)),
        "no pitch": replace(base, without=("pitch",)),
        "no energy": replace(base, without=("energy",)),
        "no augmentation": replace(base, augment=replace(augment, copies=0)),
        "stronger augmentation": replace(base, augment=replace(augment, speed=0.25, noise_db=(-35.0, -8.0))),
        "no sync expert": replace(base, loss=replace(loss, sync=0.0)),
        "sync expert x 2": replace(base, loss=replace(loss, sync=2.0 * loss.sync)),
        "no closure in the loss": replace(base, loss=replace(loss, closure=0.0)),
        "no temporal losses": replace(base, loss=replace(loss, velocity=0.0, laplacian=0.0)),
        "no amplitude loss": replace(base, loss=replace(loss, amplitude=0.0)),
        "no stretch": replace(base, amplitude=0.01),
        "squared error": replace(base, loss=replace(loss, robust=30.0)),
        "half the channels": replace(base, net=replace(net, channels=net.channels // 2)),
        "no look-ahead": replace(base, net=replace(net, future_rows=0)),
        "low latency": replace(base, latency="low"),
        "look-ahead 0.3 s": replace(base, net=replace(net, future_rows=30)),
    }


def afterwards(model: PersonMotionModel) -> dict[str, tuple[PersonMotionModel, tuple[EditFactory, ...]]]:
    """What a trained model is changed by, without another training."""
    return {
        "no closure on p b m": (replace(model, closure=0.0), ()),
        "network alone": (replace(model, readouts=None), ()),
        "phone scores alone shut": (_without_ears(model), ()),
        "landmark LLE": (model, (lambda: LandmarkLLE(model.basis, model.bank),)),
    }


def _without_ears(model: PersonMotionModel) -> PersonMotionModel:
    """The same network, after which the ears do nothing."""
    changed = replace(model)
    kept = tuple(one for one in model.articulations if not isinstance(one, Articulation))
    vars(changed)["articulations"] = kept  # a cached property
    return changed


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--part", help="K/N")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--cross", type=Path, nargs="*", default=[])
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--ingredients", action="store_true")
    parser.add_argument("--only", nargs="*", choices=list(ingredients(MotionConfig())))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dataset, cross = Dataset(options.dataset), [Dataset(path) for path in options.cross]
    base = MotionConfig(seconds=options.seconds)
    table = ingredients(base) if options.ingredients else {"default": base}
    print(f"load {os.getloadavg()[0]:.1f}")
    held = HeldOut(dataset, None if options.test is None else Dataset(options.test), options.part)
    held.print_baselines()
    print(f"{'':22}" + "".join(f"{name:>15}" for name in (*COLUMNS, "cpu_s")))
    results: dict[str, list[dict[str, float]]] = {}
    model, prepared = None, {}
    for name in options.only or list(table):
        for seed in options.seeds:
            config = replace(table[name], seed=seed)
            started = time.process_time()
            fitted = fit_material(data(held.training_clip(options.seconds), config, prepared), config)
            row = {"cpu_s": time.process_time() - started}
            results.setdefault(name, []).append(row | score(fitted, held, cross))
            if options.ingredients and name == "default":
                for change, (changed, edits) in afterwards(fitted).items():
                    results.setdefault(change, []).append(row | score(changed, held, cross, edits))
            model = model or fitted
        for shown in [n for n in results if n == name or (name == "default" and n not in table)]:
            print_row(shown, results[shown])
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    print_pairs(results)
    assert model is not None
    if not options.ingredients:
        held.print_intervals(model)
        print_silence(model, dataset)
        print_speed(model, dataset)
    if options.voices:
        print_voices(model, dataset, options.voices)


def data(clip: TrainingClip, config: MotionConfig, prepared: dict[str, TrainingData]) -> TrainingData:
    """What a config learns from; kept, since most ingredients and all seeds share it."""
    key = f"{config.features} {config.augment} {config.seconds}"
    if key not in prepared:
        prepared.clear()
        prepared[key] = gather([clip], config.features, config.augment, 0, lambda progress: None)
    return prepared[key]


class HeldOut:
    """Frames with a truth that training has not seen: the end of the clip, a part of it (K/N), or another clip."""

    def __init__(self, dataset: Dataset, other: Dataset | None = None, part: str | None = None) -> None:
        source = dataset if other is None else other
        self.first, stop = first_test_frame(dataset.n_frames) if other is None else 0, source.n_frames
        if part is not None:
            number, parts = (int(n) for n in part.split("/"))
            self.first, stop = (dataset.n_frames * n // parts for n in (number - 1, number))
        self.dataset, self.part = dataset, part
        self.samples = read_samples(source.audio_path)
        self.whole = source.motion
        self.truth = source.motion[self.first : stop]
        clip = self.training_clip(None)
        self.trained = clip.motion[np.flatnonzero(clip.motion.valid)]
        self.still_m = measures.silent_speed_m(clip.motion, clip.samples)
        self.mean = self.trained.landmarks.mean(0)
        self.count = len(self.truth)

    def training_clip(self, seconds: float | None) -> TrainingClip:
        """What may be learned from."""
        if self.part is None:
            return read_training_clip(self.dataset, seconds)
        motion, frame = self.dataset.motion, np.arange(self.dataset.n_frames)
        held = (frame >= self.first - GUARD_FRAMES) & (frame < self.first + len(self.truth) + GUARD_FRAMES)
        motion = motion.replace(valid=motion.valid & ~self.dataset.foreign_sound & ~held)
        return TrainingClip(self.samples, motion, tuple(self.dataset.segments))

    def predicted(self, model: PersonMotionModel, edits: Sequence[EditFactory] = ()) -> Motion:
        """For the held-out frames, from the sound from the beginning."""
        motion = drive_whole(model, self.samples, edits=edits)[self.first : self.first + self.count]
        self.count = len(motion)  # a sound may be a frame shorter than its images
        self.truth = self.truth[: self.count]
        return motion

    def print_baselines(self) -> None:
        """The trivial rows: a mouth that never moves, and the truth at the wrong time."""
        rng, ratios, correlations = np.random.default_rng(0), [], []
        for _ in range(20):
            near = min(25, self.count // 4)
            shift = int(rng.integers(near, self.count - near))
            guess = self.truth.replace(landmarks=np.roll(self.truth.landmarks, shift, axis=0))
            ratios.append(measures.lmd_ratio(guess, self.truth, self.mean))
            correlations.append(measures.aperture_correlation(guess, self.truth))
        still = self.truth.replace(landmarks=np.broadcast_to(self.mean, self.truth.landmarks.shape))
        distance = measures.lmd(still, self.truth)
        print(f"mean mouth: LMD {distance:.3f} % of the eye distance over {self.count} frames, ratio 1.000")
        print(f"true mouth at a wrong time: ratio {_spread(ratios)}, correlation {_spread(correlations)}")

    def print_intervals(self, model: PersonMotionModel) -> None:
        """90 % bootstrap intervals of one model, over seconds of the held-out part."""
        predicted = self.predicted(model)
        rng, rows = np.random.default_rng(0), []
        starts = np.arange(0, max(1, self.count - BLOCK_FRAMES + 1), BLOCK_FRAMES)
        for _ in range(300):
            picked = rng.choice(starts, len(starts))
            frames = (picked[:, None] + np.arange(BLOCK_FRAMES)).ravel()
            frames = frames[frames < self.count]
            guess, truth = predicted[frames], self.truth[frames]
            ratio = measures.lmd_ratio(guess, truth, self.mean)
            rows.append((ratio, measures.aperture_correlation(guess, truth), measures.amplitude_ratio(guess, truth)))
        low, high = np.percentile(rows, [5, 95], axis=0)
        named = zip(("lmd_ratio", "aperture_corr", "amplitude"), low, high, strict=True)
        print("90 % intervals: " + ", ".join(f"{name} {a:.3f} to {b:.3f}" for name, a, b in named))


def score(
    model: PersonMotionModel, held: HeldOut, cross: list[Dataset], edits: Sequence[EditFactory] = ()
) -> dict[str, float]:
    """Measures on the held-out part and on other people."""
    predicted, live = held.predicted(model, edits), held.predicted(model.for_live(), edits)
    truth, sound = held.truth, held.samples[round(held.first * AUDIO_RATE / held.truth.fps) :]
    speaker = measures.MouthRange.of(held.trained)
    others, pairs = [], {}
    for other in cross:
        true = other.motion
        guess = drive_whole(model, read_samples(other.audio_path), edits=edits)[: len(true)]
        true = true[: len(guess)]
        opening, wide = measures.aperture_correlation(guess, true), _width_correlation(guess, true)
        unshut = _mean(measures.closure_openness(guess, true, speaker))
        others.append((opening, wide, unshut))
        pairs[f"{other.root.parent.name}/{other.root.name}"] = (opening, wide, unshut)
    asked = held.predicted(without_chance(model))
    nods, true_nods = (pose_vectors(m.head_pose, model.mean_pose)[:, 0] for m in (asked, truth))
    return {
        "lmd_ratio": measures.lmd_ratio(predicted, truth, held.mean),
        "aperture_corr": measures.aperture_correlation(predicted, truth),
        "amplitude": measures.amplitude_ratio(predicted, truth),
        "jitter": measures.jitter_ratio(predicted, truth),
        "offset": measures.av_offset_frames(predicted, truth),
        "leakage": measures.silence_leakage(predicted, sound, held.still_m),
        "unshut": _mean(measures.closure_openness(predicted, truth, speaker)),
        "live_ratio": measures.lmd_ratio(live, truth, held.mean),
        "live_corr": measures.aperture_correlation(live, truth),
        "brow_corr": measures.correlation(asked.brows.mean(1), truth.brows.mean(1)),
        "nod_corr": measures.correlation(nods, true_nods),
        "width_corr": _width_correlation(predicted, truth),
        "cross_corr": _mean(np.array([r for r, _, _ in others])),
        "cross_width": _mean(np.array([r for _, r, _ in others])),
        "cross_unshut": _mean(np.array([unshut for _, _, unshut in others])),
        **{f"{name} {what}": value for name, found in pairs.items() for what, value in zip(PAIR, found, strict=True)},
    }


def print_pairs(results: dict[str, list[dict[str, float]]]) -> None:
    """One row for each config and other person."""
    for config, rows in results.items():
        for name in dict.fromkeys(key.removesuffix(f" {PAIR[0]}") for key in rows[0] if key.endswith(f" {PAIR[0]}")):
            found = "".join(f"{what:>20} {_spread([row[f'{name} {what}'] for row in rows]):>15}" for what in PAIR)
            print(f"{config:28}{name:24}{found}", flush=True)


def _width_correlation(predicted: Motion, truth: Motion) -> float:
    """Of the width between the corners of the mouth."""
    wide = [m.landmarks[truth.valid, 54, 0] - m.landmarks[truth.valid, 48, 0] for m in (predicted, truth)]
    return measures.correlation(*wide)


def without_chance(model: PersonMotionModel) -> PersonMotionModel:
    """The model with only such brows and head motion as the voice asks for."""
    return replace(model, sway=replace(model.sway, innovation=np.zeros_like(model.sway.innovation)))


def print_voices(model: PersonMotionModel, dataset: Dataset, folder: Path) -> None:
    """Amplitude and manifold of other people's voices."""
    lle = LandmarkLLE(model.basis, model.bank)
    trained = dataset.motion[: first_test_frame(dataset.n_frames)]
    own, still_m = measures.aperture(trained).std(), measures.silent_speed_m(trained, read_samples(dataset.audio_path))
    print(f"{'voice':32}{'amplitude':>12}{'off manifold':>14}{'after LLE':>12}{'leakage':>10}")
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".wav", ".ogg", ".flac", ".mp3"}):
        samples = read_audio(path).samples
        motion = drive_whole(model, samples)
        off = [float((lle.distance_m(m) > lle.usual_distance_m).mean()) for m in (motion, lle(motion))]
        leak = measures.silence_leakage(motion, samples, still_m)
        amplitude = measures.aperture(motion).std() / own
        print(f"{path.name:32}{amplitude:12.2f}{off[0]:14.3f}{off[1]:12.3f}{leak:10.3f}", flush=True)


def print_silence(model: PersonMotionModel, dataset: Dataset) -> None:
    """The person's speech, then kinds of silence; live, the first of it might be a pause."""
    usual_m = float(measures.aperture(dataset.motion[: first_test_frame(dataset.n_frames)]).std())
    speech = read_samples(dataset.audio_path)
    assert model.pauses is not None
    for name, talker, pause_s in (("after speech", model, 0.0), ("live", model.for_live(), model.pauses.longest_s)):
        settle_s = SETTLE_S + pause_s
        print(f"{name:24}{'closed after':>14}{'leakage':>10}   after {settle_s:.2f} s")
        for kind, pause in silence_test(talker, speech, usual_m, settle_s).items():
            print(f"{kind:24}{pause.closed_after_s:12.2f} s{pause.leakage:10.3f}", flush=True)


def print_speed(model: PersonMotionModel, dataset: Dataset) -> None:
    """CPU time on one thread, offline and in steps of one frame."""
    samples = read_samples(dataset.audio_path)[: 20 * AUDIO_RATE]
    started = time.process_time()
    drive_whole(model, samples)
    print(f"offline: {len(samples) / AUDIO_RATE / (time.process_time() - started):.0f} x real time")
    stream, steps, parts = model.for_live().stream(), [], []
    for start in range(0, len(samples), 640):
        started = time.process_time()
        parts.append(stream.push(samples[start : start + 640]))
        steps.append((time.process_time() - started) * 1e3)
    assert len(Motion.concatenate(parts))
    print(f"a step of 40 ms: p50 {np.percentile(steps, 50):.1f} ms, p95 {np.percentile(steps, 95):.1f} ms")


def print_row(name: str, rows: list[dict[str, float]]) -> None:
    """Mean over seeds and its standard error."""
    print(f"{name:22}" + "".join(f"{_spread([r[c] for r in rows]):>15}" for c in (*COLUMNS, "cpu_s")), flush=True)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{np.mean(values):.3f}"
    return f"{np.mean(values):.3f} +-{np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


if __name__ == "__main__":
    main()
