"""The radiance avatar: a hash-grid head over a hash-grid torso over the plate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from gtalk.avatar import head as head_field
from gtalk.avatar import torso as torso_field
from gtalk.avatar.base import PLATE
from gtalk.avatar.expressing.codes import Asked
from gtalk.avatar.expressing.warp import WarpExpression
from gtalk.avatar.head import HeadConfig
from gtalk.avatar.parts import AvatarParts, SharedHalf, require_size, view
from gtalk.avatar.torso import TorsoConfig
from gtalk.compute.device import sent, worth_picking
from gtalk.config import from_mapping
from gtalk.geometry.similarity import undo_similarity
from gtalk.render.bounds import DepthBounds, cell_size, depth_bounds, outermost, voxel_centres
from gtalk.render.field import Traced, Volume, query, trace
from gtalk.render.image import framed_plate, over
from gtalk.render.rays import onto_plane, pixel_centres, rays_in
from gtalk.shapes import Float, UInt8
from gtalk.types import Camera, Motion, RenderOutput


@dataclass(frozen=True)
class RadianceConfig:
    """Size of a radiance avatar."""

    RANGES: ClassVar = {"plate_margin": (0, 2)}

    head: HeadConfig = field(default_factory=HeadConfig)
    torso: TorsoConfig = field(default_factory=TorsoConfig)
    plate_margin: float = 0.12
    """How far the plate reaches beyond the image, in image heights."""


@dataclass(frozen=True)
class FrameParams:
    """One frame of motion, as the fields take it."""

    code: Float[torch.Tensor, " K"]
    """Face code."""
    places: Float[torch.Tensor, " P"]
    """Where head and torso are, of unit variance over the clip."""
    torso_code: Float[torch.Tensor, " J"]
    torso: Float[torch.Tensor, " 4"]
    framing: Float[torch.Tensor, " 3"]
    T_world_head: Float[np.ndarray, "4 4"]
    asked: Asked | None = None
    """Its expression; None where there is none."""


class RadianceAvatar(SharedHalf):
    """See `gtalk.avatar.base.Avatar`."""

    kind = "radiance"
    inference_dtype = torch.bfloat16  # of blended tables: half the memory traffic, an error below one 8-bit step

    config: RadianceConfig

    def __init__(self, config: RadianceConfig, parts: AvatarParts, learned: dict[str, torch.Tensor]) -> None:
        super().__init__(config, parts, learned)
        self.head = _named(learned, "head.")
        self.torso = _named(learned, "torso.")
        self.plate_tensor = torch.from_numpy(self.plate).to(self.device).float() / 255.0
        self._plates: dict[int, torch.Tensor] = {}
        corner = self.head["origin_m"].tolist()
        self.volume = Volume(
            self.head["occupied"],
            (corner[0], corner[1], corner[2]),
            float(self.head["extent_m"]),
            config.head.step_m,
            config.head.max_samples,
        )
        self.voxels_m = voxel_centres(self.volume.occupied, self.volume.origin_m, self.volume.extent_m)
        self.outermost_m = outermost(self.volume.occupied, self.volume.origin_m, self.volume.extent_m)
        self.torso_depth_m = float((self.camera.T_camera_world @ self.pose_code.T_world_mean)[2, 3])

    @classmethod
    def from_parts(
        cls, config: Mapping[str, Any], parts: AvatarParts, learned: dict[str, torch.Tensor]
    ) -> RadianceAvatar:
        """Build from what was saved. Raises KeyError or ValueError when a tensor is missing or misshapen."""
        sizes = from_mapping(RadianceConfig, config, "avatar.json: config")
        _check_shapes(sizes, parts.basis.size, learned)
        _check_ranges(sizes, learned)
        return cls(sizes, parts, learned)

    def instants(self, motion: Motion) -> list[FrameParams]:
        """What the fields need to know of each frame."""
        codes, wanted = self.basis.encode(motion), motion.channels.get("expression")
        asked = self.division.express(codes, wanted) if wanted is not None and wanted.any() else [None] * len(motion)
        mean, spread = self.place_norm
        places = (self.pose_code.places(motion) - mean) / spread
        placed = self.pose_code.torso_and_framing(motion)
        torso_codes = np.concatenate([places, codes[:, : self.config.torso.jaw_codes]], axis=1)

        rows = [sent(rows, self.device, torch.float32) for rows in (codes, places, torso_codes, placed)]
        return [
            FrameParams(code, place, torso_code, at[:4], at[4:], motion.head_pose[i], asked[i])
            for i, (code, place, torso_code, at) in enumerate(zip(*rows, strict=True))
        ]

    @cached_property
    def place_norm(self) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
        """Mean and spread of places, on the host once: reading them at every frame would stop a GPU."""
        return self.torso["place_mean"].cpu().numpy(), self.torso["place_spread"].cpu().numpy()

    @cached_property
    def expression(self) -> WarpExpression:
        """What expressions do to the warp; made when first asked for. Raises UserError where no mesh is known."""
        origin_m = np.array(self.volume.origin_m)
        return WarpExpression(self.division, origin_m, self.volume.extent_m, self.config.head.warp_cells)

    @torch.no_grad()
    def render(
        self,
        motion: Motion,
        camera: Camera | None = None,
        size: tuple[int, int] | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE,
    ) -> RenderOutput:
        """See `gtalk.avatar.base.Avatar.render`. Raises UserError when a background has another size."""
        camera = view(self.camera, camera, size)
        frames = [self._render_one(instant, camera, background) for instant in self.instants(motion)]
        rgb, alpha, depth = (torch.stack(parts) for parts in zip(*frames, strict=True))
        return RenderOutput(rgb, alpha, depth)

    def _render_one(
        self, now: FrameParams, camera: Camera, background: np.ndarray | str | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shape = (camera.height, camera.width)
        points_px = pixel_centres(camera, self.head["basis"].device)
        near, far = self.head_bounds(now, camera).at(points_px)
        met = worth_picking(far > near)
        origin, directions = rays_in(camera, now.T_world_head, points_px[met])
        table = head_field.blended_table(self.head, now.code, self.inference_dtype)
        field = head_field.frame_field(self.config.head, self.head, now.code, now.places, table)
        if now.asked is not None:
            field = field._replace(warp=field.warp + sent(self.expression.warp(now.asked), field.warp))
        head_rgb, head_alpha, head_depth = query(field, self.volume, origin, directions, near[met], far[met])
        torso_rgb, torso_alpha = self.torso_layer(now, camera, points_px)
        layer = torch.cat([torso_rgb, torso_alpha[:, None], torso_alpha[:, None] * self.torso_depth_m], -1)
        front = torch.cat([head_rgb, head_alpha[:, None], head_depth[:, None]], -1)
        layer[met] = over(front, head_alpha, layer[met])
        rgb, alpha, depth = layer[:, :3], layer[:, 3], layer[:, 4]
        depth = torch.where(alpha > 1e-3, depth / alpha.clamp_min(1e-3), torch.zeros_like(depth))
        if background is not None:
            rgb = over(rgb, alpha, self._background(background, now.framing, camera, points_px))
        return rgb.reshape(*shape, 3), alpha.reshape(shape), depth.reshape(shape)

    def trace_head(
        self,
        now: FrameParams,
        camera: Camera,
        points_px: Float[torch.Tensor, "N 2"],
        table: torch.Tensor | None = None,
        capacity: int | None = None,
    ) -> Traced:
        """The head along the rays of some pixels. `table` overrides the blended table; `capacity` as of `march`."""
        near, far = self.head_bounds(now, camera).at(points_px)
        origin, directions = rays_in(camera, now.T_world_head, points_px)
        frame = head_field.frame_field(self.config.head, self.head, now.code, now.places, table)
        return trace(frame, self.volume, origin, directions, near, far, capacity)

    def head_bounds(self, now: FrameParams, camera: Camera) -> DepthBounds:
        """Between which depths the head can be met, across the image."""
        voxel_m = self.volume.extent_m / self.volume.occupied.shape[0]
        cell_px = cell_size(self.outermost_m, voxel_m, camera, now.T_world_head)
        T_camera_head = sent((camera.T_camera_world @ now.T_world_head)[:3], self.voxels_m)
        return depth_bounds(self.voxels_m, cell_px, voxel_m, self.volume.step_m, camera, T_camera_head)

    def torso_layer(
        self, now: FrameParams, camera: Camera, points_px: Float[torch.Tensor, "N 2"], table: torch.Tensor | None = None
    ) -> tuple[Float[torch.Tensor, "N 3"], Float[torch.Tensor, " N"]]:
        """Premultiplied colour and coverage of the torso at some pixels. `table` overrides the blended table."""
        own = self.camera
        seen = onto_plane(camera, own, self.torso_depth_m, points_px)
        rest = undo_similarity(seen, now.torso, (0.5 * own.width / own.height, 0.5))
        unit = torso_field.to_unit(rest, own.width / own.height)
        mask = torso_field.inside_area(unit, self.torso["area"].bool())
        inside = worth_picking(mask)
        rgb, alpha = torso_field.evaluate(self.config.torso, self.torso, now.torso_code, unit[inside], table)
        seen = torch.cat([rgb, alpha[:, None]], -1)
        if isinstance(inside, slice):
            layer = torch.where(mask[:, None], seen, 0.0)
        else:
            layer = points_px.new_zeros(len(points_px), 4).index_copy(0, inside, seen)
        return layer[:, :3], layer[:, 3]

    def plate_at(self, height: int) -> Float[torch.Tensor, "h w 3"]:
        """The plate, reduced where the image is much smaller; remembered by size."""
        finer = round(self.plate_tensor.shape[0] / (1.0 + 2.0 * self.config.plate_margin) / height)
        if finer not in self._plates:
            image = self.plate_tensor.permute(2, 0, 1)[None]
            reduced = torch.nn.functional.avg_pool2d(image, max(finer, 1), ceil_mode=True)
            self._plates[finer] = reduced[0].permute(1, 2, 0).contiguous()
        return self._plates[finer]

    def behind(
        self, framing: Float[torch.Tensor, " 3"], camera: Camera, points_px: Float[torch.Tensor, "N 2"]
    ) -> Float[torch.Tensor, "N 3"]:
        """The plate at some pixels."""
        size = (camera.width, camera.height)
        return framed_plate(self.plate_at(camera.height), framing, points_px, size, self.config.plate_margin)

    def _background(
        self, background: np.ndarray | str, framing: torch.Tensor, camera: Camera, points_px: torch.Tensor
    ) -> torch.Tensor:
        if isinstance(background, str):
            return self.behind(framing, camera, points_px)
        require_size(background, camera)
        return sent(background, framing.device).float().reshape(-1, 3) / 255.0


def initial_tensors(
    config: RadianceConfig, code_size: int, rng: torch.Generator | None, reached: int = 0
) -> dict[str, torch.Tensor]:
    """Fresh parameters of both fields, and empty maps of where they are. `reached` as for the head's."""
    head = head_field.initial_tensors(config.head, code_size, rng, reached)
    torso = torso_field.initial_tensors(config.torso, rng)
    resolution, area = config.head.occupancy_resolution, config.torso.area_resolution
    head["occupied"] = torch.zeros(resolution, resolution, resolution, dtype=torch.uint8)
    head["origin_m"], head["extent_m"] = torch.zeros(3, dtype=torch.float64), torch.ones((), dtype=torch.float64)
    torso["area"] = torch.zeros(area, area, dtype=torch.uint8)
    return {**{f"head.{n}": t for n, t in head.items()}, **{f"torso.{n}": t for n, t in torso.items()}}


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check_ranges(config: RadianceConfig, tensors: dict[str, torch.Tensor]) -> None:
    """What shapes do not say: a march that ends, a cube of a head's size, a plate that fits into memory."""
    head, extent = config.head, float(tensors["head.extent_m"])
    if not (1e-4 <= head.step_m <= 1.0 and 1 <= head.max_samples <= 1024 and 1e-3 <= extent <= 10.0):
        raise ValueError(f"step_m {head.step_m}, max_samples {head.max_samples}, extent_m {extent}")
    if not 0.0 <= config.plate_margin <= 2.0 or head.levels > 32 or config.torso.levels > 32:
        raise ValueError(f"plate_margin {config.plate_margin}, levels {head.levels} and {config.torso.levels}")
    if not bool((tensors["torso.place_spread"] > 1e-6).all()):
        raise ValueError("torso.place_spread is not positive")
    reach = tensors["head.reach"]
    if len(reach) and not (int(reach.min()) >= 0 and int(reach.max()) < len(tensors["head.coarse"])):
        raise ValueError("head.reach points outside the tables")
    if broken := [n for n, t in tensors.items() if t.is_floating_point() and not bool(t.isfinite().all())]:
        raise ValueError(f"{broken[0]} is not finite")


def _check_shapes(config: RadianceConfig, code_size: int, tensors: dict[str, torch.Tensor]) -> None:
    with torch.device("meta"):
        wanted = initial_tensors(config, code_size, None, len(tensors["head.reach"]))
    for name, like in wanted.items():
        if tensors[name].shape != like.shape or tensors[name].dtype != like.dtype:
            raise ValueError(
                f"{name} is {tensors[name].dtype} {tuple(tensors[name].shape)}, expected {tuple(like.shape)}"
            )
