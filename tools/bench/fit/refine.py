"""What photometric refinement of the tracking is worth: held-out PSNR of Gaussian fits with and without it.

    python tools/bench/fit/refine.py DATASET [--size 256] [--steps 1200] [--seeds 0] [--frames 16] [--shake 0 1]

Fits differ in nothing else: same frames, seed and steps. `--shake` also spoils the head poses of the *training*
frames by about so many pixels (at 512, root mean square, each frame by itself) and says how much of that the
refinement found out. What it found in one clip stands in gtalk/fit/README.md.
Held-out frames (the clip's last 1/11, evenly spread) are scored under four protocols:

    as tracked   motion as `prepare` tracked it: what `gtalk eval` says, what a talking avatar can show
    rest seen    head pose and torso of each held-out frame corrected against its own image without the mouth's
                 box, avatar frozen
    pose         the same against the whole image
    pose, code   the same, and the expression's code too: how well the avatar could do if told all

The last three look at the truth of the frame that they score. They say what is lost by tracking, and are
never to be compared with the first.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gtalk.avatar.base import PLATE
from gtalk.avatar.gaussian import PLACES, REST_CODES, GaussianAvatar, intrinsics, split_code
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.eval.frames import Truth
from gtalk.eval.image import in_box, psnr
from gtalk.fit.events import DoneEvent
from gtalk.fit.frames import FrameCache, TrainingFrame
from gtalk.fit.gaussian.model import FitConfig, GaussianModel, LossConfig, make_model
from gtalk.fit.gaussian.pose_refinement import PLACED, Curvature, Instant, RefineConfig, correction_gradient, moved
from gtalk.fit.trainer import TrainerConfig, train
from gtalk.geometry.rotation import exp_so3, project
from gtalk.ops import splat

VISITS, PROBES = 6, 12  # Newton steps on a held-out frame; frames that the curvature is measured on for them
LOSS = LossConfig()
REFINE = RefineConfig()
FACE_RADIUS_M = 0.06  # of points that a turn moves
UNSEEN = 255  # label of pixels that a protocol must not look at
REGIONS = ("full", "head", "mouth")


@dataclass(frozen=True)
class Protocol:
    """What of a held-out frame is corrected against its own image."""

    name: str
    visits: int
    code: bool = False
    mouth: bool = True
    """Whether the mouth's box is looked at."""


PROTOCOLS = (
    Protocol("as tracked", 0),
    Protocol("rest seen", VISITS, mouth=False),
    Protocol("pose", VISITS),
    Protocol("pose, code", VISITS, code=True),
)


def shaken(dataset: Dataset, indices: np.ndarray, shake_px: float, folder: Path) -> Dataset:
    """The dataset with head poses of some frames moved so that the face is `shake_px` (at 512) off."""
    if shake_px == 0.0:
        return dataset
    for entry in dataset.root.iterdir():
        (folder / entry.name).symlink_to(entry.resolve())
    motion = dataset.motion
    rng, poses = np.random.default_rng(0), motion.head_pose.copy()
    distance, focal_512 = -np.median(poses[:, 2, 3]), dataset.camera.focal_px * 512 / max(dataset.size)
    unit_m = shake_px * distance / focal_512 / 2.9  # a shift of so much, and turns that move the face as far
    shift = rng.normal(0.0, unit_m, (len(indices), 3)) * [1.0, 1.0, 4.0]
    turn = exp_so3(rng.normal(0.0, unit_m / FACE_RADIUS_M, (len(indices), 3)))
    poses[indices, :3, :3] = turn @ poses[indices, :3, :3]
    poses[indices, :3, 3] += shift
    (folder / "motion.npz").unlink()
    replace(motion, head_pose=poses).save(folder / "motion.npz")
    return Dataset(folder)


def fitted(dataset: Dataset, size: int, steps: int, seed: int, gain: float) -> tuple[GaussianAvatar, GaussianModel]:
    """An avatar and the model that it comes from; `gain` is that of the refinement, 0 for none."""
    trainer = TrainerConfig(size=size, steps=steps, seed=seed, preview_every=0, checkpoint_every=0, cache_mb=1000.0)
    config = FitConfig(trainer=trainer, refine=replace(REFINE, gain=gain))
    model = make_model(config)
    with tempfile.TemporaryDirectory(prefix="bench_refine") as folder:
        for event in train(model, dataset, Path(folder), config.trainer):
            if isinstance(event, DoneEvent):
                assert isinstance(event.avatar, GaussianAvatar)
                return event.avatar, model
    raise RuntimeError("the fit ended without an avatar")


def distances_px(model: GaussianModel, tracked: Dataset) -> tuple[float, float]:
    """How far the face lay from where the unspoilt tracking has it, before and after the fit's corrections.

    Pixels at 512, root mean square over landmarks and frames, without what all frames share.
    """
    camera, motion = tracked.camera, tracked.motion
    before, after = [], []
    for index in model.context.indices:
        frame = model.context.dataset.motion[int(index)]
        now = Instant.of(model.live_avatar.instants(frame, model.context.camera)[0])
        points, true = motion.landmarks[index], (camera.T_camera_world @ motion.head_pose[index])[:3]
        true_px = project(points @ true[:, :3].T + true[:, 3], camera.focal_px, np.zeros(2))
        told = model.refinement.apply(int(index), now)
        for found, T in ((before, now.transforms[0].numpy()), (after, told.transforms[0].numpy())):
            found.append(project(points @ T[:, :3].T + T[:, 3], camera.focal_px, np.zeros(2)) - true_px)
    scale = 512 / max(tracked.size)
    off = [np.array(part) - np.mean(part, axis=0) for part in (before, after)]
    rms = [scale * float(np.sqrt((part**2).sum(-1).mean())) for part in off]
    return rms[0], rms[1]


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
        self.weights[UNSEEN] = 0.0

    def gaussians(self, now: Instant) -> torch.Tensor:
        codes, limits = split_code(now.code), self.avatar.limits
        parts = [splat.deform(self.base[self.rows[g]], self.basis[g], codes[g], limits) for g in self.rows]
        return torch.cat(parts)

    def draw(self, now: Instant) -> np.ndarray:
        """uint8 [H,W,3]."""
        codes, size = split_code(now.code), (self.camera.width, self.camera.height)
        bases, parts = (self.basis["face"], self.basis["rest"]), (codes["face"], codes["rest"])
        rgb, _, _ = splat.render_frame(
            self.base, bases, parts, self.avatar.limits, now.transforms.float(), intrinsics(self.camera), size,
            *self.plate, now.framing, as_bytes=True,
        )  # fmt: skip
        return rgb.numpy()

    def slope(self, frame: TrainingFrame, dssim: float, now: Instant) -> torch.Tensor:
        """Gradient [10+K] of the fit's loss by a correction of an instant that is drawn as `now`."""
        gaussians, camera = self.gaussians(now), self.camera
        transforms, view, width = now.transforms.float(), intrinsics(camera), camera.width
        planes, saved = splat.rasterise_planes(gaussians, transforms, view, width, camera.height)
        plate = splat.framed_plate(*self.plate, now.framing, camera.width, camera.height)
        rgb, matte, labels = (torch.from_numpy(values) for values in (frame.rgb, frame.matte, frame.labels))
        d_planes, _ = splat.photo_loss(planes, plate, rgb, matte, labels, self.weights, dssim, LOSS.coverage)
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
        return correction_gradient(now, d_transforms, d_code)

    def curvature(self, frames: Sequence[TrainingFrame], dssim: float) -> Curvature:
        """Measured on a few frames."""
        found = Curvature(len(self.avatar.instants(frames[0].motion, self.camera)[0].code), REFINE.damping)
        for frame in frames:
            now = Instant.of(self.avatar.instants(frame.motion, self.camera)[0])
            found.probe(now, REFINE.units(len(now.code)), partial(self.slope, frame, dssim))
        return found

    def told(self, now: Instant, frame: TrainingFrame, protocol: Protocol, curvature: Curvature) -> Instant:
        """The instant corrected against its own image, by the fit's own Newton steps."""
        units = REFINE.units(len(now.code))
        value = torch.zeros_like(units)
        for _ in range(protocol.visits):
            gradient = self.slope(frame, LOSS.dssim if protocol.mouth else 0.0, moved(now, value))
            step = REFINE.gain * units * curvature.newton(gradient * units).clamp(-2.0, 2.0)
            value[: None if protocol.code else PLACED] += step[: None if protocol.code else PLACED]
        return moved(now, value)


def without(frame: TrainingFrame, box: tuple[int, int, int, int]) -> TrainingFrame:
    """The frame with a box that has no weight in the loss (as long as there is no structural part)."""
    labels, (left, top, right, bottom) = frame.labels.copy(), box
    labels[top:bottom, left:right] = UNSEEN
    return replace(frame, labels=labels)


def scores(
    avatar: GaussianAvatar, dataset: Dataset, indices: Sequence[int], probes: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Mean PSNR by protocol and region. The curvature is measured on the frames `probes`."""
    stage, camera = Stage(avatar), avatar.camera
    truth = Truth(dataset, camera)
    frames = FrameCache(dataset, (camera.width, camera.height))
    curvature = {dssim: stage.curvature([frames[i] for i in probes], dssim) for dssim in (LOSS.dssim, 0.0)}
    found: dict[str, dict[str, list[float]]] = {p.name: {r: [] for r in REGIONS} for p in PROTOCOLS}
    for index in indices:
        frame, boxes = frames[index], truth.boxes(index)
        now = Instant.of(avatar.instants(frame.motion, camera)[0])
        for protocol in PROTOCOLS:
            shown_part = frame if protocol.mouth else without(frame, boxes["mouth"])
            told = stage.told(now, shown_part, protocol, curvature[LOSS.dssim if protocol.mouth else 0.0])
            shown = stage.draw(told)
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
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--shake", type=float, nargs="+", default=[0.0])
    options = parser.parse_args()
    tracked = Dataset(options.dataset)
    training, testing = train_test_split(tracked)
    chosen = testing[np.unique(np.linspace(0, len(testing) - 1, options.frames).astype(int))].tolist()
    probes = training[np.linspace(0, len(training) - 1, PROBES).astype(int)].tolist()
    print(f"{options.dataset.name}: {options.size} px, {options.steps} steps "
          f"({options.steps / len(training):.1f} visits a frame), {len(chosen)} held-out frames, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for seed, shake_px, gain in itertools.product(options.seeds, options.shake, (0.0, REFINE.gain)):
        start = time.process_time()
        with tempfile.TemporaryDirectory(prefix="bench_refine") as folder:
            dataset = shaken(tracked, training, shake_px, Path(folder))
            avatar, model = fitted(dataset, options.size, options.steps, seed, gain)
            spent = time.process_time() - start
            before_px, after_px = distances_px(model, tracked)
        refined = "with" if gain else "without"
        print(f"  shaken by {shake_px:g} px, seed {seed}, {refined} refinement: training poses {before_px:.2f} px off "
              f"the tracked ones, then {after_px:.2f}; fit {spent:.0f} s of processor")  # fmt: skip
        if gain:
            believed = ", ".join(f"{100 * float(t):.0f} %" for t in model.refinement.trust())
            print(f"    of the Newton steps of pose, torso and code believed: {believed}")
        print(f"    {'held-out':12s} " + " ".join(f"{r:>7s}" for r in REGIONS))
        for name, row in scores(avatar, tracked, chosen, probes).items():
            print(f"    {name:12s} " + " ".join(f"{row[region]:7.3f}" for region in REGIONS), flush=True)


if __name__ == "__main__":
    main()
