"""The radiance avatar as the trainer's model: one joint fit of head, neck, torso and coverage."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from gtalk.avatar import head as head_field
from gtalk.avatar import radiance
from gtalk.avatar import torso as torso_field
from gtalk.avatar.radiance import FrameParams, RadianceAvatar, RadianceConfig
from gtalk.compute.device import Device, resolve_device, sent
from gtalk.dataset.format import HEAD_CLASSES, MaskClass
from gtalk.dataset.split import first_test_frame
from gtalk.fit.frames import ResidentFrames, TrainingFrame
from gtalk.fit.losses.patches import PatchConfig, draw_patches
from gtalk.fit.losses.perceptual import LpipsConfig, open_perceptual
from gtalk.fit.losses.terms import RegionWeights, alpha_loss, dssim_loss, l1_loss, pixel_weights
from gtalk.fit.optimiser import Adam
from gtalk.fit.protocol import FitContext, LateResult, StepResult
from gtalk.fit.radiance.budget import SampleBudget
from gtalk.fit.radiance.influence import face_reach
from gtalk.fit.radiance.occupancy import ShellConfig, head_volume, prune
from gtalk.fit.radiance.torso_area import torso_area
from gtalk.fit.radiance.warp_init import mesh_motion, mesh_warp
from gtalk.fit.schedule import LearningRate
from gtalk.fit.setup import LEAST_SPREAD, clip_parts, model_mapping
from gtalk.fit.trainer import TrainerConfig
from gtalk.ops.adapters import tcnn
from gtalk.render.field import Traced
from gtalk.render.image import over
from gtalk.render.rays import pixel_centres

FIELDS = ("head", "torso")
FIXED = ("occupied", "area", "reach", "origin_m", "extent_m", "place_mean", "place_spread")  # not learned by gradients
TABLES = ("coarse", "basis", "fine")
DECAY_EVERY = 16  # steps: it touches whole tables


@dataclass(frozen=True)
class LossConfig:
    """Weights of the parts of the loss, and of the regions."""

    dssim: float = 0.2
    """Share of structural dissimilarity; the rest is L1."""
    coverage: float = 0.5
    """Rendered coverage against the matte."""
    layers: float = 0.15
    """Head's coverage against head labels, torso's against torso labels; the neck is free."""
    lpips: LpipsConfig = field(default_factory=LpipsConfig)
    """Optional: needs weights that the user brings."""
    regions: RegionWeights = field(default_factory=RegionWeights)


@dataclass(frozen=True)
class RatesConfig:
    """Learning rates."""

    table: float = 8e-2
    """Hash tables."""
    basis: float = 3e-3
    """What expressions and poses add to them."""
    network: float = 5e-3
    """Small networks."""
    final_factor: float = 0.03
    """All rates at the end, as a factor of the start's."""
    basis_decay: float = 1e-4
    """Pull of basis tables towards zero a step, relative: what is not needed does not stay."""


@dataclass(frozen=True)
class FitConfig:
    """Everything that a radiance fit can be told."""

    RANGES: ClassVar = {"code_noise": (0, 10), "reach_m": (0, 1), "prune_at": (0, 1), "prune_below": (0, 1)}

    avatar: RadianceConfig = field(default_factory=RadianceConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    rates: RatesConfig = field(default_factory=RatesConfig)
    shell: ShellConfig = field(default_factory=ShellConfig)
    code_noise: float = 0.05
    """Standard deviation of noise on codes, so that neighbouring codes look alike."""
    reach_m: float = 0.02
    """The face's code changes the head within this distance of what it moves, in metres; 0: everywhere."""
    prune_at: tuple[float, ...] = (0.06, 0.12, 0.2, 0.3, 0.45, 0.6, 0.8)
    """Progress at which voxels that no ray saw since the last time are given up."""
    prune_below: float = 0.02
    """Compositing weight that a voxel must reach on some ray to stay."""
    device: Device = "auto"
    """Where to fit: auto, cpu or cuda."""


def make_model(config: FitConfig) -> RadianceModel:
    """The model that a config describes."""
    return RadianceModel(config)


class RadianceModel:
    """See `gtalk.fit.protocol.Model`."""

    kind = "radiance"
    learns_faces = False

    def __init__(self, config: FitConfig) -> None:
        self.config = config
        self.device = resolve_device(config.device)
        if config.avatar.head.backend == "tinycudann":
            tcnn.require(self.device)
        self.perceptual = open_perceptual(config.loss.lpips, self.device)

    def prepare(self, context: FitContext) -> None:
        """Fresh tensors, the head's volume, the torso's area, poses. The same for the same context."""
        config, dataset = self.config, context.dataset
        self.context = context
        rng = torch.Generator().manual_seed(context.seed)
        stop = first_test_frame(dataset.n_frames)
        self.parts = clip_parts(context, config.avatar.plate_margin)
        pose_code = self.parts.pose_code
        head = config.avatar.head
        volume = head_volume(context, head.occupancy_resolution, config.shell)
        mesh, spec = mesh_motion(context), head_field.head_encoding(head).spec
        reach = face_reach(context.basis, mesh, volume, spec, head.blended_levels, head.warp_cells, config.reach_m)
        tensors = radiance.initial_tensors(config.avatar, context.basis.size, rng, len(reach.entries))
        places = torch.from_numpy(pose_code.places(dataset.motion[context.indices]).astype(np.float32))
        tensors["torso.place_mean"] = places.mean(0)
        tensors["torso.place_spread"] = places.std(0).clamp_min(LEAST_SPREAD)
        tensors["head.occupied"] = torch.from_numpy(volume.occupied.astype(np.uint8))
        tensors["head.origin_m"] = torch.from_numpy(volume.origin_m.astype(np.float64))
        tensors["head.extent_m"] = torch.tensor(volume.extent_m, dtype=torch.float64)
        tensors["head.reach"] = torch.from_numpy(reach.entries)
        movable = torch.from_numpy(reach.warp[:, None])
        if mesh is not None:
            tensors["head.warp"][: len(movable)] = movable * mesh_warp(mesh, volume, head.warp_cells)
        self.movable = movable.to(self.device)
        self.changeable = torch.from_numpy(reach.codes[..., None]).to(self.device)
        area = torso_area(context, pose_code, config.avatar.torso.area_resolution)
        tensors["torso.area"] = torch.from_numpy(area.astype(np.uint8))
        self.tensors = {n: t.to(self.device) for n, t in tensors.items()}
        self.live_avatar = self._avatar(self.tensors)
        self.learned = [n for n in self.tensors if n.rsplit(".")[-1] not in FIXED]
        self.networks = [n for n in self.learned if n.rsplit(".")[-1] not in TABLES]
        for name in self.networks:
            self.tensors[name].requires_grad_()
        self.adam = Adam({n: self.tensors[n] for n in self.learned})
        self.pixels = pixel_centres(context.camera, self.device)
        self.instants = self.live_avatar.instants(dataset.motion[:stop])
        self.strongest = torch.full((config.avatar.head.occupancy_resolution**3,), -1.0, device=self.device)
        self.images = ResidentFrames(self.device)
        self.weights = config.loss.regions.table().to(self.device)
        self.is_head = torch.zeros(256)
        self.is_head[list(HEAD_CLASSES)] = 1.0
        self.is_head = self.is_head.to(self.device)
        patches = config.patches
        self.budget = None if self.device.type == "cpu" else SampleBudget(patches.count * patches.side**2, head)
        self.factor, self.prunes, self.steps = 1.0, 0, 0

    def train_step(self, frames: list[TrainingFrame], progress: float, rng: torch.Generator) -> StepResult | LateResult:
        """See `Model.train_step`."""
        while self.prunes < len(self.config.prune_at) and progress >= self.config.prune_at[self.prunes]:
            self._prune()
            self.prunes += 1
        gradients: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {n: [] for n in FIELDS}
        looks = [self._look(frame, rng, gradients) for frame in frames]
        self._update(progress, gradients, len(frames))
        self.steps += 1
        values = torch.stack([values for values, _ in looks])
        read = partial(self._result, looks[0][1])
        return read(values.flatten().tolist()) if self.budget is None else LateResult(values.flatten(), read)

    def _result(self, names: list[str], values: list[float]) -> StepResult:
        """Of the values of all images, one after the other: samples taken, loss, and the parts by name."""
        width = 2 + len(names)
        rows = [values[i : i + width] for i in range(0, len(values), width)]
        if self.budget is not None:
            self.budget.learn(max(row[0] for row in rows))
        loss, *parts = (sum(column) / len(rows) for column in list(zip(*rows, strict=True))[1:])
        terms = dict(zip(names, parts, strict=True))
        return StepResult(loss, terms.pop("error"), terms)

    def _look(
        self,
        frame: TrainingFrame,
        rng: torch.Generator,
        gradients: dict[str, list[tuple[torch.Tensor, torch.Tensor]]],
    ) -> tuple[torch.Tensor, list[str]]:
        """Forward and backward on one image; table gradients and codes are appended to `gradients`.

        Returns, on the device, how many samples there were, the loss and its parts; and the parts' names.
        """
        config, camera = self.config, self.context.camera
        flat = draw_patches(frame, camera, config.patches, rng)
        flat = sent(flat, self.device)
        pixels = flat.reshape(-1)
        now = self._instant(frame, rng)
        codes = {"head": now.code, "torso": now.torso_code}
        tables = {}
        for name in FIELDS:
            kind, fields = (
                (head_field, self.live_avatar.head) if name == "head" else (torso_field, self.live_avatar.torso)
            )
            tables[name] = kind.blended_table(fields, codes[name]).detach().requires_grad_()
        points = self.pixels[pixels]
        limit = None if self.budget is None else self.budget.samples
        head = self.live_avatar.trace_head(now, camera, points, tables["head"], limit)
        torso_rgb, torso_alpha = self.live_avatar.torso_layer(now, camera, points, tables["torso"])
        behind = over(torso_rgb, torso_alpha, self.live_avatar.behind(now.framing, camera, points))
        render = over(head.rgb, head.alpha, behind)
        alpha = head.alpha + (1.0 - head.alpha) * torso_alpha
        terms = self._losses(frame, flat, render, alpha, head.alpha, torso_alpha)
        loss = torch.stack([value for name, value in terms.items() if name != "error"]).sum()
        loss.backward()
        self._remember(head)
        for name in FIELDS:
            gradient = tables[name].grad
            assert gradient is not None
            gradients[name].append((gradient, codes[name]))
        samples = (head.ray_of >= 0).sum().to(loss) if self.budget is not None else loss.new_zeros(())
        return torch.stack([samples, loss.detach(), *(value.detach() for value in terms.values())]), list(terms)

    def _losses(
        self,
        frame: TrainingFrame,
        flat: torch.Tensor,
        render: torch.Tensor,
        alpha: torch.Tensor,
        head_alpha: torch.Tensor,
        torso_alpha: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        weight, index, (rgb, matte, classes) = self.config.loss, flat.reshape(-1), self.images[frame]
        truth, coverage = rgb.reshape(-1, 3)[index].float() / 255.0, matte.reshape(-1)[index].float() / 255.0
        labels = classes.reshape(-1)[index]
        weights = pixel_weights(labels, self.weights)
        patches = (*flat.shape, 3)
        is_head = self.is_head[labels.long()]
        is_torso = (labels == MaskClass.TORSO).float()
        layers = (is_head * (coverage - head_alpha) ** 2 + is_torso * head_alpha**2).mean()
        layers = layers + (is_torso * (coverage - torso_alpha) ** 2).mean()
        terms = {
            "l1": (1.0 - weight.dssim) * l1_loss(render, truth, weights),
            "dssim": weight.dssim * dssim_loss(render.reshape(patches), truth.reshape(patches)),
            "coverage": weight.coverage * alpha_loss(alpha, coverage),
            "layers": weight.layers * layers,
            "error": ((render.detach() - truth) ** 2).mean(),
        }
        if self.perceptual is not None:
            terms["lpips"] = self.perceptual(render.reshape(patches), truth.reshape(patches))
        return terms

    def _update(
        self, progress: float, gradients: dict[str, list[tuple[torch.Tensor, torch.Tensor]]], n_frames: int
    ) -> None:
        rates = self.config.rates

        def rate(start: float) -> float:
            return self.factor * LearningRate(start, rates.final_factor).at(progress)

        for name in FIELDS:
            coarse = self.tensors["head.coarse" if name == "head" else "torso.basis"].shape[-2]
            total = torch.stack([g for g, _ in gradients[name]]).sum(0) / n_frames
            self.adam.step(f"{name}.fine", total[coarse:], rate(rates.table))
            if name == "head":
                self._step_head_tables(total[:coarse], gradients[name], rate(rates.table), rate(rates.basis))
            else:
                for gradient, code in gradients[name]:
                    self.adam.step_basis("torso.basis", gradient[:coarse], code, rate(rates.table), rate(rates.basis))
        if rates.basis_decay > 0 and self.steps % DECAY_EVERY == 0:
            for basis in (self.tensors["head.basis"], self.tensors["torso.basis"][1:]):
                basis.mul_(1.0 - DECAY_EVERY * rates.basis_decay)
        if (warp := self.tensors["head.warp"].grad) is not None:
            warp[: len(self.movable)] *= self.movable
        for name in self.networks:
            tensor = self.tensors[name]
            if tensor.grad is not None:
                self.adam.step(name, tensor.grad / n_frames, rate(rates.network))
                tensor.grad = None

    @torch.no_grad()
    def _step_head_tables(
        self, total: torch.Tensor, gradients: list[tuple[torch.Tensor, torch.Tensor]], rate: float, basis_rate: float
    ) -> None:
        """Coarse tables, and what each component of the code adds to them: its gradient is its value times theirs."""
        self.adam.step("head.coarse", total.contiguous(), rate, sparse=True)
        reach, own = self.tensors["head.reach"], torch.zeros_like(self.tensors["head.basis"])
        for gradient, code in gradients:
            own += code[:, None, None] * gradient[reach] / len(gradients)
        self.adam.step("head.basis", own * self.changeable, basis_rate, sparse=True)

    def _instant(self, frame: TrainingFrame, rng: torch.Generator) -> FrameParams:
        now = self.instants[frame.index]
        noise = self.config.code_noise * torch.randn(now.code.shape[0] + now.torso_code.shape[0], generator=rng)
        face, torso = sent(noise, self.device).split([now.code.shape[0], now.torso_code.shape[0]])
        places = now.places + torso[: len(now.places)]
        return FrameParams(now.code + face, places, now.torso_code + torso, now.torso, now.framing, now.T_world_head)

    @torch.no_grad()
    def _remember(self, head: Traced) -> None:
        resolution = self.live_avatar.volume.occupied.shape[0]
        cell = torch.floor(head.points * resolution).long().clamp_(0, resolution - 1)
        place = (cell[:, 0] * resolution + cell[:, 1]) * resolution + cell[:, 2]
        weights = head.weights.detach()
        if self.budget is not None:
            weights = torch.where(head.ray_of >= 0, weights, -1.0)  # what no ray took shows nothing
        self.strongest.scatter_reduce_(0, place, weights, "amax")

    @torch.no_grad()
    def _prune(self) -> None:
        occupied = self.tensors["head.occupied"]
        kept = prune(occupied > 0, self.strongest.reshape(occupied.shape), self.config.prune_below)
        occupied.copy_(kept)
        self.strongest.fill_(-1.0)
        self.live_avatar = self._avatar(self.tensors)

    def state(self) -> dict[str, torch.Tensor]:
        """See `Model.state`."""
        counters = torch.tensor([self.factor, float(self.prunes), float(self.steps)], dtype=torch.float64)
        adam = {f"adam.{n}": t for n, t in self.adam.state().items()}
        return {
            **{n: t.detach() for n, t in self.tensors.items()},
            **adam,
            "counters": counters,
            "strongest": self.strongest,
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """See `Model.load_state`."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(state[name])
        self.strongest.copy_(state["strongest"])
        self.adam.load_state({n.removeprefix("adam."): t for n, t in state.items() if n.startswith("adam.")})
        factor, prunes, steps = state["counters"].tolist()
        self.factor, self.prunes, self.steps = factor, int(prunes), int(steps)
        self.live_avatar = self._avatar(self.tensors)

    def slow_down(self, factor: float) -> None:
        """See `Model.slow_down`."""
        self.factor *= factor

    def avatar(self) -> RadianceAvatar:
        """See `Model.avatar`."""
        return self._avatar({n: t.detach().clone() for n, t in self.tensors.items()})

    def config_mapping(self) -> dict[str, Any]:
        """See `Model.config_mapping`."""
        return model_mapping(self.config, self.perceptual)

    def _avatar(self, tensors: dict[str, torch.Tensor]) -> RadianceAvatar:
        return RadianceAvatar(self.config.avatar, self.parts, tensors)
