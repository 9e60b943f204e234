"""What photometric refinement of the tracking is worth: held-out PSNR of Gaussian fits with and without it.

    python tools/bench_refine.py DATASET [--size 256] [--steps 1200] [--seeds 0] [--frames 24] [--rates 1 5]

Fits differ in nothing else: same frames, seed and steps. A rate is a factor of the corrections' rates; 0 is
without. Held-out frames (the clip's last 1/11, evenly spread) are scored under three protocols:

    as tracked   motion as `prepare` tracked it: what `gtalk eval` says, what a talking avatar can show
    pose         head pose and torso of each held-out frame corrected against its own picture, avatar frozen
    pose, code   the same, and the expression's code too: how well the avatar could do if told all

The last two look at the truth of the frame that they score. They say what is lost by tracking, and are
never to be compared with the first.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from gtalk.avatar.base import PLATE
from gtalk.avatar.gaussian import PLACES, REST_CODES, GaussianAvatar, Instant, intrinsics, split_code
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.eval.image import in_box, psnr
from gtalk.eval.pictures import Truth
from gtalk.fit.events import DoneEvent
from gtalk.fit.frames import FrameCache, TrainingFrame
from gtalk.fit.gaussian_model import FitConfig, LossConfig, make_model
from gtalk.fit.gaussian_refine import (
    POSE,
    TORSO,
    RefineConfig,
    corrected_head,
    corrected_torso,
    head_gradient,
    torso_gradient,
)
from gtalk.fit.trainer import TrainerConfig, train
from gtalk.ops import splat

ITERATIONS = 24
PLACE_RATE, CODE_RATE = 1.5e-3, 0.05
LOSS = LossConfig()
NEVER = 2.0  # progress of a fit at which corrections begin
REGIONS = ("full", "head", "mouth")


@dataclass(frozen=True)
class Protocol:
    """What of a held-out frame is corrected against its own picture."""

    name: str
    iterations: int
    code: bool


PROTOCOLS = (
    Protocol("as tracked", 0, False),
    Protocol("pose", ITERATIONS, False),
    Protocol("pose, code", ITERATIONS, True),
)


def fitted(dataset: Dataset, size: int, steps: int, seed: int, rate: float) -> GaussianAvatar:
    """An avatar; `rate` is a factor of the rates of corrections, 0 for none."""
    usual = RefineConfig()
    refine = (
        replace(usual, begin=NEVER)
        if rate == 0.0
        else replace(
            usual,
            pose_rate=usual.pose_rate * rate,
            torso_rate=usual.torso_rate * rate,
            code_rate=usual.code_rate * rate,
        )
    )
    trainer = TrainerConfig(size=size, steps=steps, seed=seed, preview_every=0, checkpoint_every=0, cache_mb=1000.0)
    config = FitConfig(trainer=trainer, refine=refine)
    with tempfile.TemporaryDirectory(prefix="bench_refine") as folder:
        for event in train(make_model(config), dataset, Path(folder), config.trainer):
            if isinstance(event, DoneEvent):
                assert isinstance(event.avatar, GaussianAvatar)
                return event.avatar
    raise RuntimeError("the fit ended without an avatar")


def corrected(now: Instant, correction: np.ndarray) -> Instant:
    """An instant moved by a correction [10+K]: head pose, torso, code."""
    code = now.code + torch.from_numpy(correction[10:].astype(np.float32))
    head = corrected_head(now.T_camera_head, correction[POSE])
    return Instant(code, head, corrected_torso(now.T_camera_torso, correction[TORSO]), now.framing)


class Stage:
    """An avatar that does not change, before its plate."""

    def __init__(self, avatar: GaussianAvatar) -> None:
        self.avatar, self.camera = avatar, avatar.camera
        own = avatar.tensors()
        self.base = own["base"]
        self.basis = {name: own[name].float() for name in ("face", "rest")}
        split = len(self.basis["face"])
        self.rows = {"face": slice(0, split), "rest": slice(split, None)}
        self.plate = avatar.plate_planes(PLATE, self.camera)
        self.weights = LOSS.regions.table()

    def gaussians(self, now: Instant) -> torch.Tensor:
        codes, limits = split_code(now.code), self.avatar.limits
        parts = [splat.deform(self.base[self.rows[g]], self.basis[g], codes[g], limits) for g in self.rows]
        return torch.cat(parts)

    def draw(self, now: Instant) -> np.ndarray:
        """uint8 [H,W,3]."""
        codes, size = split_code(now.code), (self.camera.width, self.camera.height)
        bases, parts = (self.basis["face"], self.basis["rest"]), (codes["face"], codes["rest"])
        rgb, _, _ = splat.render_frame(
            self.base, bases, parts, self.avatar.limits, now.transforms(), intrinsics(self.camera), size,
            *self.plate, now.framing, as_bytes=True,
        )  # fmt: skip
        return rgb.numpy()

    def slope(self, now: Instant, frame: TrainingFrame) -> np.ndarray:
        """Gradient [10+K] of the fit's loss by a correction of an instant that is drawn as `now`."""
        gaussians, camera = self.gaussians(now), self.camera
        transforms, view, width = now.transforms(), intrinsics(camera), camera.width
        planes, saved = splat.rasterise_planes(gaussians, transforms, view, width, camera.height)
        plate = splat.framed_plate(*self.plate, now.framing, camera.width, camera.height)
        rgb, matte, labels = (torch.from_numpy(values) for values in (frame.rgb, frame.matte, frame.labels))
        d_planes, _ = splat.photo_loss(planes, plate, rgb, matte, labels, self.weights, LOSS.dssim, LOSS.coverage)
        d_gaussians, d_transforms = splat.rasterise_backward(
            gaussians, transforms, view, width, planes, saved, d_planes
        )
        d_code = torch.zeros(len(now.code))
        for group, part in (("face", slice(0, -PLACES)), ("rest", slice(-REST_CODES, None))):
            rows = self.rows[group]
            _, d = splat.deform_backward(
                self.base[rows], self.basis[group], self.avatar.limits, gaussians[rows], d_gaussians[rows]
            )
            d_code[part] += d
        d = d_transforms.double().numpy()
        head, torso = head_gradient(now.T_camera_head, d[0]), torso_gradient(now.T_camera_torso, d[1])
        return np.concatenate([head, torso, d_code.double().numpy()])

    def told(self, now: Instant, frame: TrainingFrame, protocol: Protocol) -> Instant:
        """The instant corrected against its own picture: Adam with a rate that falls to nothing."""
        value = np.zeros(10 + len(now.code))
        first, second = np.zeros_like(value), np.zeros_like(value)
        rates = np.full(len(value), CODE_RATE if protocol.code else 0.0)
        rates[POSE] = rates[TORSO] = PLACE_RATE
        for step in range(1, protocol.iterations + 1):
            gradient = self.slope(corrected(now, value), frame)
            first, second = 0.8 * first + 0.2 * gradient, 0.95 * second + 0.05 * gradient**2
            move = first / (1 - 0.8**step) / (np.sqrt(second / (1 - 0.95**step)) + 1e-12)
            value -= rates * move * (1.0 - (step - 1) / protocol.iterations)
        return corrected(now, value)


def scores(avatar: GaussianAvatar, dataset: Dataset, indices: Sequence[int]) -> dict[str, dict[str, float]]:
    """Mean PSNR by protocol and region."""
    stage, camera = Stage(avatar), avatar.camera
    truth = Truth(dataset, camera)
    frames = FrameCache(dataset, (camera.width, camera.height))
    found: dict[str, dict[str, list[float]]] = {p.name: {r: [] for r in REGIONS} for p in PROTOCOLS}
    for index in indices:
        frame = frames[index]
        now = avatar.instants(frame.motion, camera)[0]
        boxes = truth.boxes(index)
        for protocol in PROTOCOLS:
            shown = stage.draw(stage.told(now, frame, protocol))
            for region, box in boxes.items():
                found[protocol.name][region].append(psnr(in_box(shown, box), in_box(frame.rgb, box)))
    return {name: {r: float(np.mean(v)) for r, v in row.items()} for name, row in found.items()}


def main() -> None:
    """Fit, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0])
    options = parser.parse_args()
    dataset = Dataset(options.dataset)
    training, testing = train_test_split(dataset)
    chosen = testing[np.unique(np.linspace(0, len(testing) - 1, options.frames).astype(int))].tolist()
    visits = options.steps / len(training)
    print(f"{options.dataset.name}: {options.size} px, {options.steps} steps ({visits:.1f} visits a frame), "
          f"{len(chosen)} held-out frames, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"  {'refinement':12s} {'seed':>4s} {'held-out':12s} " + " ".join(f"{r:>7s}" for r in REGIONS), flush=True)
    for seed in options.seeds:
        for rate in (0.0, *options.rates):
            start = time.process_time()
            avatar = fitted(dataset, options.size, options.steps, seed, rate)
            spent = time.process_time() - start
            for name, row in scores(avatar, dataset, chosen).items():
                label = "without" if rate == 0.0 else f"rates x {rate:g}"
                values = " ".join(f"{row[region]:7.3f}" for region in REGIONS)
                print(f"  {label:12s} {seed:4d} {name:12s} {values}   fit {spent:.0f} s of processor", flush=True)


if __name__ == "__main__":
    main()
