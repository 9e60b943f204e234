"""The Gaussian avatar as the trainer's model: one whole image a step, every gradient by hand-written kernels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from gtalk.avatar.base import PLATE
from gtalk.avatar.gaussian import (
    PLACES,
    REST_CODES,
    GaussianAvatar,
    GaussianConfig,
    intrinsics,
    raw_codes,
    shifted,
    split_code,
)
from gtalk.avatar.sway import learn_usual
from gtalk.compute.device import Device, resolve_device, sent
from gtalk.fit.frames import ResidentFrames, TrainingFrame
from gtalk.fit.gaussian.backing import make_backing
from gtalk.fit.gaussian.init import Seeds, make_seeds
from gtalk.fit.gaussian.pose_refinement import Instant, RefineConfig, Refinement, correction_gradient
from gtalk.fit.gaussian.relocation import relocate
from gtalk.fit.gaussian.together import learn_together
from gtalk.fit.gaussian.views import THIN, ClipView, moving_mesh
from gtalk.fit.losses.patches import PatchConfig, draw_patches
from gtalk.fit.losses.perceptual import LpipsConfig, open_perceptual
from gtalk.fit.losses.terms import RegionWeights
from gtalk.fit.protocol import FitContext, LateResult, StepResult
from gtalk.fit.radiance.occupancy import spread_frames
from gtalk.fit.schedule import LearningRate
from gtalk.fit.setup import LEAST_SPREAD, clip_parts, model_mapping
from gtalk.fit.trainer import TrainerConfig
from gtalk.geometry.quaternion import facing
from gtalk.ops import splat

BETAS, EPSILON = (0.9, 0.99), 1e-15
GROUPS = ("face", "rest")
LPIPS_PATCHES = PatchConfig(side=128, count=2)  # whole images of 512 pixels would cost seven times as much
BACKING_FRAMES = 12
USUAL_FRAMES = 100  # of which is learned what sways when nobody tracked it
TEETH_FREEDOM_M = 0.002  # how far they may come forward of where they were seeded


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss, and of the regions."""

    dssim: float = 0.2
    """Share of structural dissimilarity; the rest is L1."""
    coverage: float = 0.2
    """Rendered coverage against the matte."""
    lpips: LpipsConfig = field(default_factory=LpipsConfig)
    """Optional: needs weights that the user brings."""
    regions: RegionWeights = field(default_factory=RegionWeights)


@dataclass(frozen=True)
class RatesConfig:
    """Learning rates a step, per kind of number."""

    position: float = 1e-4
    log_scale: float = 5e-3
    quaternion: float = 2e-3
    opacity: float = 3e-2
    colour: float = 4e-3
    skin: float = 1e-2
    rest_position: float = 2.5
    """Factor on positions of hair and torso, which are seeded at guessed depths."""
    basis: float = 0.1
    """Rates of the basis, as a share of the ones above (which are for unit codes)."""
    final_factor: float = 0.03
    """All rates at the end, as a factor of the start's."""
    basis_decay: float = 0.0
    """Share of the basis that is forgotten at each step (not of positions)."""

    def table(self, group: str) -> torch.Tensor:
        """By channel, for one group of Gaussians."""
        rates = torch.zeros(splat.CHANNELS)
        rates[splat.POSITION], rates[splat.LOG_SCALE], rates[splat.QUATERNION] = (
            self.position * (self.rest_position if group == "rest" else 1.0),
            self.log_scale,
            self.quaternion,
        )
        rates[splat.OPACITY], rates[splat.COLOUR], rates[splat.SKIN] = self.opacity, self.colour, self.skin
        return rates


@dataclass(frozen=True)
class FitConfig:
    """Everything that a Gaussian fit can be told."""

    RANGES: ClassVar = {
        "relocate_every": (0, 1e6), "relocate_until": (0, 1), "code_noise": (0, 10),
        "backing_share": (0, 0.5), "backed_from": (0, 1),
    }  # fmt: skip

    avatar: GaussianConfig = field(default_factory=GaussianConfig)
    trainer: TrainerConfig = field(default_factory=lambda: TrainerConfig(size=512, steps=3000))
    loss: LossConfig = field(default_factory=LossConfig)
    rates: RatesConfig = field(default_factory=RatesConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    relocate_every: int = 100
    """Steps between looks for dead Gaussians; 0 for never."""
    relocate_until: float = 0.7
    """Progress after which none moves any more."""
    backing_share: float = 0.07
    """Share of the Gaussians that stand behind what the clip shows, so that a head that turns farther is whole."""
    backed_from: float = 0.7
    """Progress from which the fit sees them; they are never learned."""
    code_noise: float = 0.05
    """Standard deviation of noise on codes, so that neighbouring codes look alike."""
    device: Device = "auto"
    """Where to fit: auto, cpu or cuda."""


def make_model(config: FitConfig) -> GaussianModel:
    """The model that a config describes."""
    return GaussianModel(config)


class GaussianModel:
    """See `gtalk.fit.protocol.Model`."""

    kind = "gaussian"
    learns_faces = True
    BETAS, EPSILON = BETAS, EPSILON

    def __init__(self, config: FitConfig) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        self.perceptual = open_perceptual(config.loss.lpips, self.device)
        self.product = None if self.device.type == "cpu" else torch.bfloat16
        """The type of the basis product where a step's images are taken together; None: one after the other."""

    def prepare(self, context: FitContext) -> None:
        """Seeds, codes, poses. The same for the same context."""
        config, dataset = self.config, context.dataset
        self.context = context
        self.parts = clip_parts(context, config.avatar.plate_margin)
        raw = raw_codes(context.basis, self.parts.pose_code, dataset.motion[context.indices])
        mean, spread = raw.mean(0), raw.std(0)
        if context.take is not None:  # whose head poses say nothing of the clip's
            face = context.basis.encode(context.face_motion)
            mean[: face.shape[1]], spread[: face.shape[1]] = face.mean(0), face.std(0)
        scale = np.where(spread > LEAST_SPREAD, spread, 1.0)
        codes = (raw - mean) / scale
        mesh, pose_code, sizes = moving_mesh(context, codes, context.basis.size), self.parts.pose_code, config.avatar
        views = [ClipView(context, pose_code, int(i)) for i in spread_frames(context, BACKING_FRAMES)]
        backing = make_backing(views, mesh, round(config.backing_share * sizes.count))
        self.backing, self.backed = torch.from_numpy(backing).to(self.device), False
        seeds = make_seeds(context, pose_code, mesh, sizes.count - len(backing), sizes.face_share)
        tensors = _initial_tensors(seeds)
        tensors["code_mean"] = torch.from_numpy(mean.astype(np.float32))
        tensors["code_scale"] = torch.from_numpy(scale.astype(np.float32))
        self.tensors = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        self.limits = config.avatar.limits().to(self.device)
        front = np.where(seeds.mouth, seeds.position[:, 2] + TEETH_FREEDOM_M, 1.0)
        self.mouth_front = torch.from_numpy(front.astype(np.float32)).to(self.device)
        learned = ("base", *GROUPS)
        self.moments = {f"{n}.first": torch.zeros_like(self.tensors[n]) for n in learned}
        self.moments["base.second"] = torch.zeros_like(self.tensors["base"])
        self.refinement = Refinement(context.numbers, raw.shape[1], config.refine, self.device)
        self.live_avatar = self._avatar(self.tensors)
        if "anchors" in self.tensors:
            self._learn_usual_sway()
        self.plate_planes = self.live_avatar.plate_planes(PLATE, context.camera)
        self.densification_score = torch.zeros(len(self.tensors["base"]), device=self.device)
        self.instants: dict[int, Instant] = {}
        self.images = ResidentFrames(self.device)
        self.rates = {group: config.rates.table(group).to(self.device) for group in GROUPS}
        self.forgets = torch.ones(splat.CHANNELS)
        self.forgets[splat.POSITION] = 0.0
        self.forgets = self.forgets.to(self.device)
        self.steps, self.factor = 0, 1.0
        self.weights = config.loss.regions.table().to(self.device)

    def _learn_usual_sway(self) -> None:
        """What sways when nobody tracked it."""
        indices = self.context.indices
        motion = self.context.dataset.motion[indices[:: max(1, len(indices) // USUAL_FRAMES)]]
        carriers, codes = self.live_avatar.carriers(motion), self.parts.pose_code.encode(motion.head_pose)
        learn_usual(self.tensors["anchors"], codes, motion.channels["sway"], carriers.__getitem__, self.context.camera)

    def train_step(self, frames: list[TrainingFrame], progress: float, rng: torch.Generator) -> StepResult | LateResult:
        """See `Model.train_step`."""
        self.backed = len(self.backing) > 0 and progress >= self.config.backed_from
        if self.product is None:
            parts_of_loss = torch.stack([self._learn(frame, progress, rng) for frame in frames])
        else:
            parts_of_loss = learn_together(self, frames, progress, rng)
        every = self.config.relocate_every
        if every and self.steps % every == 0 and progress < self.config.relocate_until:
            self._relocate(rng)
        mean = parts_of_loss.mean(0)
        return self._result(mean.tolist()) if self.device.type == "cpu" else LateResult(mean, self._result)

    def _result(self, parts_of_loss: list[float]) -> StepResult:
        l1, dssim, coverage, error, *lpips = parts_of_loss
        loss, share = self.config.loss, self.config.loss.dssim
        terms = {"l1": (1.0 - share) * l1, "dssim": share * dssim, "coverage": loss.coverage * coverage}
        if lpips:
            terms["lpips"] = lpips[0]
        return StepResult(sum(terms.values()), error, terms)

    def _learn(self, frame: TrainingFrame, progress: float, rng: torch.Generator) -> torch.Tensor:
        """One image: forward, backward, step. Returns the loss's parts, on the device."""
        config = self.config
        now = self.refinement.apply(frame.index, self.instant(frame))
        code = now.code + config.code_noise * sent(torch.randn(now.code.shape, generator=rng), self.device)
        patches = self.patches(frame, rng)
        if self.refinement.wants_probe(self.steps, progress):
            self.refinement.probe(now, partial(self.slope, frame, patches))
        d_transforms, d_code, parts_of_loss = self._descend(frame, now, code, self.schedule(progress), patches)
        if progress >= config.refine.begin and config.refine.gain > 0.0:
            self.refinement.step(frame.index, correction_gradient(now, d_transforms, d_code))
        return parts_of_loss

    def instant(self, frame: TrainingFrame) -> Instant:
        """A frame as it was tracked; what sways is found anew each time, since Gaussians change places."""
        now = self.instants.get(frame.index)
        if now is None:
            now = Instant.of(self.live_avatar.instants(frame.motion, self.context.camera)[0])
            self.instants[frame.index] = now
        return now._replace(shift=self.live_avatar.shifts(frame.motion)[0])

    def patches(self, frame: TrainingFrame, rng: torch.Generator) -> torch.Tensor | None:
        """Where LPIPS looks."""
        if self.perceptual is None:
            return None
        return sent(draw_patches(frame, self.context.camera, LPIPS_PATCHES, rng), self.device)

    def schedule(self, progress: float) -> float:
        """Factor of all rates."""
        return LearningRate(self.factor, self.config.rates.final_factor).at(progress)

    def _descend(
        self,
        frame: TrainingFrame,
        now: Instant,
        code: torch.Tensor,
        schedule: float,
        patches: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step the Gaussians. Returns the gradients of transforms and code, and the loss's parts, on the device."""
        gaussians, d_gaussians, d_transforms, parts_of_loss = self._backward(frame, now, code, patches)
        self.steps += 1
        self.score(d_gaussians)
        return d_transforms, self._update(gaussians, d_gaussians, code, schedule), parts_of_loss

    def score(self, d_gaussians: torch.Tensor) -> None:
        """Count what pulls at each Gaussian."""
        pulls = d_gaussians[:, splat.POSITION].norm(dim=1)
        self.densification_score += pulls + 0.05 * d_gaussians[:, splat.COLOUR].abs().sum(1)

    def slope(self, frame: TrainingFrame, patches: torch.Tensor | None, now: Instant) -> torch.Tensor:
        """Gradient of the loss by a correction of the instant; nothing is learned."""
        gaussians, d_gaussians, d_transforms, _ = self._backward(frame, now, now.code, patches)
        return correction_gradient(now, d_transforms, self._code_gradients(gaussians, d_gaussians)[1])

    def _backward(
        self, frame: TrainingFrame, now: Instant, code: torch.Tensor, patches: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The frame's Gaussians without what sways, the gradients of them and of the transforms, and the loss's parts.

        These are as `photo_loss` says; where LPIPS looks at `patches`, its weighted value is a fifth.
        """
        loss, tensors, camera, codes = self.config.loss, self.tensors, self.context.camera, split_code(code)
        base, parts = tensors["base"], self._rows()
        gaussians = torch.cat([splat.deform(base[parts[g]], tensors[g], codes[g], self.limits) for g in GROUPS])
        transforms, view = now.transforms.float(), intrinsics(camera)
        placed, learned = shifted(gaussians, now.shift), len(gaussians)
        if self.backed:
            placed = torch.cat([placed, self.backing])
        planes, saved = splat.rasterise_planes(placed, transforms, view, camera.width, camera.height)
        plate = splat.framed_plate(*self.plate_planes, now.framing, camera.width, camera.height)
        rgb, matte, labels = self.images[frame]
        d_planes, parts_of_loss = splat.photo_loss(
            planes, plate, rgb, matte, labels, self.weights, loss.dssim, loss.coverage
        )
        if self.perceptual is not None and patches is not None:
            value = self.perceptual.on_planes(planes, plate, rgb, patches, d_planes)
            parts_of_loss = torch.cat([parts_of_loss, value.to(parts_of_loss)[None]])
        if frame.face is not None:
            d_planes[:, :, : camera.width] *= sent(frame.face, d_planes) / 255.0
        d_gaussians, d_transforms = splat.rasterise_backward(
            placed, transforms, view, camera.width, planes, saved, d_planes
        )
        return gaussians, d_gaussians[:learned], d_transforms, parts_of_loss

    def _rows(self) -> dict[str, slice]:
        split = len(self.tensors["face"])
        return {"face": slice(0, split), "rest": slice(split, None)}

    def _code_gradients(
        self, gaussians: torch.Tensor, d_gaussians: torch.Tensor
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """What passes the limits of the bases, by group, and the gradient of the code."""
        tensors, inner = self.tensors, {}
        d_code = torch.zeros(len(tensors["code_mean"]), device=self.device)
        for group, rows in self._rows().items():
            inner[group], d = splat.deform_backward(
                tensors["base"][rows], tensors[group], self.limits, gaussians[rows], d_gaussians[rows]
            )
            d_code[slice(-REST_CODES, None) if group == "rest" else slice(0, -PLACES)] += d
        return inner, d_code

    def _update(
        self, gaussians: torch.Tensor, d_gaussians: torch.Tensor, code: torch.Tensor, schedule: float
    ) -> torch.Tensor:
        """Adam on base and basis. Returns the gradient of the code."""
        tensors, moments, rates, codes = self.tensors, self.moments, self.config.rates, split_code(code)
        base, tables = tensors["base"], {group: self.rates[group] * schedule for group in GROUPS}
        kept = 1.0 - rates.basis_decay * schedule * self.forgets
        inner, d_code = self._code_gradients(gaussians, d_gaussians)
        for group, rows in self._rows().items():
            table = tables[group]
            first, second = moments["base.first"][rows], moments["base.second"][rows]
            splat.adam_(base[rows], d_gaussians[rows], first, second, table, BETAS, EPSILON, self.steps)
            splat.adam_basis_(
                tensors[group], inner[group], codes[group], moments[f"{group}.first"], second, table * rates.basis,
                kept, BETAS, EPSILON, self.steps,
            )  # fmt: skip
        self.keep_in_place()
        return d_code

    def keep_in_place(self) -> None:
        """Teeth stay behind lips, and no Gaussian becomes a dot or a wall."""
        base = self.tensors["base"]
        base[:, 2].clamp_(max=self.mouth_front)
        base[:, splat.LOG_SCALE].clamp_(-9.0, -3.5)

    def _relocate(self, rng: torch.Generator) -> None:
        split, count = len(self.tensors["face"]), len(self.tensors["base"])
        for group, rows in (("face", slice(0, split)), ("rest", slice(split, count))):
            relocate(self.tensors, self.moments, self.densification_score, rows, group, -3.5, count // 20, rng)
        self.densification_score.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        """See `Model.state`."""
        refined = {f"refine.{n}": t for n, t in self.refinement.state().items()}
        counters = torch.tensor([self.factor, float(self.steps)], dtype=torch.float64)
        return {**self.tensors, **self.moments, **refined, "need": self.densification_score, "counters": counters}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """See `Model.load_state`."""
        for name, tensor in {**self.tensors, **self.moments, "need": self.densification_score}.items():
            tensor.copy_(state[name])
        self.refinement.load_state({n.removeprefix("refine."): t for n, t in state.items() if n.startswith("refine.")})
        self.factor, self.steps = float(state["counters"][0]), int(state["counters"][1])

    def slow_down(self, factor: float) -> None:
        """See `Model.slow_down`."""
        self.factor *= factor

    def avatar(self) -> GaussianAvatar:
        """See `Model.avatar`."""
        tensors = {n: t.clone() for n, t in self.tensors.items()}
        for name in ("base", "rest", "anchors"):
            if name in tensors:
                behind = tensors[name].new_zeros(len(self.backing), *tensors[name].shape[1:])
                tensors[name] = torch.cat([tensors[name], self.backing if name == "base" else behind])
        return self._avatar({**tensors, **{g: tensors[g].half() for g in GROUPS}})

    def config_mapping(self) -> dict[str, Any]:
        """See `Model.config_mapping`."""
        return model_mapping(self.config, self.perceptual)

    def _avatar(self, tensors: dict[str, torch.Tensor]) -> GaussianAvatar:
        return GaussianAvatar(self.config.avatar, self.parts, tensors)


def _initial_tensors(seeds: Seeds) -> dict[str, torch.Tensor]:
    """Base and bases from seeds (face seeds first)."""
    n, code_size = len(seeds.face), seeds.motion.shape[1]
    base = np.zeros((n, splat.CHANNELS), np.float32)
    base[:, splat.POSITION] = seeds.position
    base[:, splat.LOG_SCALE] = np.log(np.maximum(seeds.size_m, 2e-4) * 0.6)[:, None]
    base[:, 5] += np.log(THIN)
    base[:, splat.QUATERNION] = facing(seeds.normal)
    base[:, splat.OPACITY] = 1.4
    base[:, splat.COLOUR] = seeds.colour
    base[:, 14] = seeds.skin
    split = int(seeds.face.sum())
    basis = np.zeros((n, code_size, splat.CHANNELS), np.float32)
    basis[:, :, splat.POSITION] = seeds.motion
    swaying = {"anchors": torch.from_numpy(seeds.anchor.astype(np.float32))} if seeds.anchor.any() else {}
    return {
        **swaying,
        "base": torch.from_numpy(base),
        "face": torch.from_numpy(basis[:split, :-PLACES].copy()),
        "rest": torch.from_numpy(basis[split:, -REST_CODES:].copy()),
    }
