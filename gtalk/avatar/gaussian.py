"""The Gaussian avatar: 3D Gaussians whose every number is a linear function of a short code.

    code (face, head rotation, places) ─▶ motion basis ─▶ Gaussians ─▶ skinning (head pose, torso) ─▶ splats over plate

Two groups: the `face` (mesh, mouth, eyes, chin, neck) follows the face's code and the head's rotation; the
`rest` (hair, torso) follows the head's rotation and where head and torso are, so that nothing there
speckles when the face does what it seldom did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np
import torch

from gtalk.avatar.base import PLATE
from gtalk.avatar.expressing.codes import Asked
from gtalk.avatar.expressing.gaussians import GaussianExpression, draw_expressions
from gtalk.avatar.parts import AvatarParts, SharedHalf, require_size, view
from gtalk.avatar.pose_code import BENDS, PLACE_UNITS, PoseCode
from gtalk.avatar.sway import ANCHOR, WEIGHT, Carried, Transforms
from gtalk.basis import MotionBasis
from gtalk.compute.device import sent, worth_picking
from gtalk.config import from_mapping
from gtalk.geometry.similarity import apply, matrices
from gtalk.ops import splat
from gtalk.shapes import Float, UInt8
from gtalk.types import Camera, Motion, RenderOutput

ROTATIONS = 3  # of the head
PLACES = 7 + BENDS  # the head's translation (3), the torso's similarity (4) and bend
REST_CODES = ROTATIONS + PLACES
SHOWN = 14  # codes at which is looked what the clip shows of each Gaussian
LOOKS_SPARE = 0.15  # of the range of a Gaussian's looks over the clip, for expressions
Pair = tuple[torch.Tensor, torch.Tensor]  # of the face, and of the rest


@dataclass(frozen=True)
class GaussianConfig:
    """Size of a Gaussian avatar, and how far its basis may move a Gaussian."""

    RANGES: ClassVar = {
        "count": (1, 5_000_000), "face_share": (0, 1), "plate_margin": (0, 2), "limit_position_m": (0, 1),
        "limit_log_scale": (0, 10), "limit_quaternion": (0, 10), "limit_opacity": (0, 100), "limit_colour": (0, 10),
    }  # fmt: skip

    count: int = 18000
    """Gaussians in all."""
    face_share: float = 0.6
    """Share of them that follows the whole code; the rest follows the head's rotation only."""
    plate_margin: float = 0.12
    """How far the plate reaches beyond the image, in image heights."""
    limit_position_m: float = 0.03
    limit_log_scale: float = 0.7
    limit_quaternion: float = 0.7
    limit_opacity: float = 4.0
    """Of the logit."""
    limit_colour: float = 0.35

    def limits(self) -> Float[torch.Tensor, "16"]:
        """How far each number may move from its base."""
        limit = torch.zeros(splat.CHANNELS)
        limit[splat.POSITION], limit[splat.LOG_SCALE] = self.limit_position_m, self.limit_log_scale
        limit[splat.QUATERNION], limit[splat.OPACITY] = self.limit_quaternion, self.limit_opacity
        limit[splat.COLOUR] = self.limit_colour
        return limit


class FrameParams(NamedTuple):
    """One frame of motion, as the Gaussians take it."""

    code: Float[torch.Tensor, " K"]
    """Face code, head rotation, places; zero mean and unit variance over the clip."""
    T_camera_head: Float[np.ndarray, "3 4"]
    T_camera_torso: Float[np.ndarray, "3 4"]
    framing: tuple[float, float, float]
    asked: Asked | None = None
    """Its expression; None where there is none."""
    shift: Float[torch.Tensor, "N 3"] | None = None
    """Of the Gaussians in head space, for what sways as it was tracked; None: it does as it usually does."""

    def transforms(self) -> Float[torch.Tensor, "2 3 4"]:
        """Both transforms, as the rasteriser takes them."""
        return torch.from_numpy(np.stack([self.T_camera_head, self.T_camera_torso]).astype(np.float32))


class GaussianAvatar(SharedHalf):
    """See `gtalk.avatar.base.Avatar`."""

    kind = "gaussian"

    config: GaussianConfig

    def __init__(self, config: GaussianConfig, parts: AvatarParts, learned: dict[str, torch.Tensor]) -> None:
        """`learned`: base [N,16], face [Nf,K,16], rest [Nr,R,16], code_mean [K+R], code_scale [K+R],
        R = REST_CODES.
        """
        super().__init__(config, parts, learned)
        self.limits = config.limits().to(self.device)
        self._plates: dict[tuple[int, int], torch.Tensor] = {}

    @classmethod
    def from_parts(
        cls, config: Mapping[str, Any], parts: AvatarParts, learned: dict[str, torch.Tensor]
    ) -> GaussianAvatar:
        """Build from what was saved. Raises KeyError or ValueError when a tensor is missing or misshapen."""
        sizes = from_mapping(GaussianConfig, config, "avatar.json: config")
        if not 0.0 <= sizes.plate_margin <= 2.0:
            raise ValueError(f"plate_margin {sizes.plate_margin}")
        _check_shapes(learned, parts.basis.size)
        return cls(sizes, parts, learned)

    def instants(self, motion: Motion, camera: Camera | None = None) -> list[FrameParams]:
        """What the Gaussians need to know of each frame."""
        camera = camera or self.camera
        codes = raw_codes(self.basis, self.pose_code, motion)
        wanted = motion.channels.get("expression")
        asked = self.division.express(codes, wanted) if wanted is not None and wanted.any() else [None] * len(motion)
        mean, scale = self.code_norm
        codes = ((codes - mean) / scale).astype(np.float32)
        placed = self.pose_code.torso_and_framing(motion)
        heads = camera.T_camera_world @ motion.head_pose
        torso_rest = self.camera.T_camera_world @ self.pose_code.T_world_mean
        T_new_own = camera.T_camera_world @ np.linalg.inv(self.camera.T_camera_world)
        rows = sent(codes, self.device)
        return [
            FrameParams(
                rows[i],
                heads[i, :3],
                (T_new_own @ torso_motion(self.camera, placed[i, :4]) @ torso_rest)[:3],
                (float(placed[i, 4]), float(placed[i, 5]), float(placed[i, 6])),
                asked[i],
                shift,
            )
            for i, shift in enumerate(self.shifts(motion))
        ]

    def shifts(self, motion: Motion) -> list[Float[torch.Tensor, "N 3"] | None]:
        """What sways in each frame as it was tracked; None where nothing is known of that."""
        anchors, sway = self.learned.get("anchors"), motion.channels.get("sway")
        if anchors is None or sway is None:
            return [None] * len(motion)
        rows = worth_picking(anchors[:, WEIGHT] != 0)
        out: list[Float[torch.Tensor, "N 3"] | None] = []
        for field, transforms in zip(sent(sway, anchors), self.carriers(motion), strict=True):
            carried = Carried(anchors[rows], transforms)
            shift = carried.shift(carried.measured(field, self.camera))
            whole = anchors.new_zeros(len(anchors), 3)
            whole[rows] = shift
            out.append(whole)
        return out

    def carriers(self, motion: Motion) -> list[Transforms]:
        """Where head and torso are for the clip's own camera."""
        own, placed = self.camera, self.pose_code.torso_and_framing(motion)
        heads, rest = own.T_camera_world @ motion.head_pose, own.T_camera_world @ self.pose_code.T_world_mean
        return [(head[:3], (torso_motion(own, at[:4]) @ rest)[:3]) for head, at in zip(heads, placed, strict=True)]

    @cached_property
    def usual(self) -> GaussianAvatar:
        """The same without anchors: its bases do what usually sways, to first order around the mean pose."""
        anchors = self.learned.get("anchors")
        if anchors is None:
            return self
        own = {n: t.clone() for n, t in self.learned.items() if n != "anchors"}
        place = self.pose_code.regression[0, :4]
        T_torso = torso_motion(self.camera, place) @ self.camera.T_camera_world @ self.pose_code.T_world_mean
        carried = Carried(anchors, (self._T_camera_rest, T_torso[:3]))
        still, size = carried.shift(carried.usual(torch.zeros(6).to(anchors))), self.basis.size
        moved = (
            torch.stack([carried.shift(carried.usual(unit)) for unit in torch.eye(6).to(anchors)], 1) - still[:, None]
        )
        moved = torch.cat([moved[:, 3:], moved[:, :3]], 1)  # codes begin with the rotation
        codes = slice(size, size + 6)
        own["base"][:, splat.POSITION] += still + torch.einsum("k,nkc->nc", own["code_mean"][codes], moved)
        moved, split = moved * own["code_scale"][codes, None], len(own["face"])
        own["face"][:, -ROTATIONS:, splat.POSITION] += moved[:split, :ROTATIONS].to(own["face"])
        own["rest"][:, :6, splat.POSITION] += moved[split:].to(own["rest"])
        return GaussianAvatar(self.config, self.parts, own)

    @cached_property
    def code_norm(self) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """Mean and spread of codes, on the host once: reading them at every frame would stop a GPU."""
        return self.learned["code_mean"].cpu().numpy(), self.learned["code_scale"].cpu().numpy()

    def gaussians(self, instant: FrameParams) -> Float[torch.Tensor, "N 16"]:
        """The Gaussians of one instant, in head space of the mean pose, with their skinning still to apply."""
        parts = zip(*self._parts(instant), strict=True)
        return torch.cat([splat.deform(base, basis, code, self.limits) for base, basis, code in parts])

    def _parts(self, instant: FrameParams) -> tuple[Pair, Pair, Pair]:
        """(base, bases, codes) of face and rest as the rasteriser takes them; a face with an expression has moved."""
        own, codes = (self.usual if instant.shift is None else self).learned, split_code(instant.code)
        face, rest = shifted(own["base"], instant.shift).split([len(own["face"]), len(own["rest"])])
        if instant.asked is None:
            return (face, rest), (own["face"], own["rest"]), (codes["face"], codes["rest"])
        face = self.expression.gaussians(instant.asked, codes["face"], instant.T_camera_head)
        unmoved = own["face"].new_empty(len(face), 0, splat.CHANNELS)
        return (face, rest), (unmoved, own["rest"]), (codes["face"][:0], codes["rest"])

    @cached_property
    def expression(self) -> GaussianExpression:
        """What expressions do to the Gaussians; made when first asked for. Raises UserError where no mesh is known."""
        rig, own = self.division.rig, self.usual.learned
        codes = np.concatenate([rig.shut_code[None], rig.open_code[None], rig.seen_codes])
        shown = np.stack([self._shown(code) for code in codes[:SHOWN]])
        base = own["base"][: len(own["face"])]
        looks = torch.stack([splat.deform(base, own["face"], self._still(c)[1], self.limits) for c in codes])
        low, high = looks.amin(0), looks.amax(0)
        spare = LOOKS_SPARE * (high - low)
        ranges = torch.stack([low - spare, high + spare])
        for free in (splat.POSITION, splat.QUATERNION, slice(splat.SKIN.start, None)):
            ranges[0, :, free], ranges[1, :, free] = -1e6, 1e6
        rest = splat.deform(own["base"][len(base) :], own["rest"], self._still(codes[0])[0][-REST_CODES:], self.limits)
        drawn = draw_expressions(self.division, own, self.limits, shown, ranges)
        return drawn.thinned(lambda face: self._covered(torch.cat([face, rest]))[: len(face)], self._T_camera_rest)

    def _still(self, face_code: Float[np.ndarray, " K"]) -> tuple[torch.Tensor, torch.Tensor]:
        """A face's code in the clip's mean pose, as (whole code, the face's part)."""
        own, size = self.learned, self.basis.size
        code = torch.zeros_like(own["code_mean"])
        code[:size] = torch.from_numpy(face_code).to(code) - own["code_mean"][:size]
        code = code / own["code_scale"]
        return code, split_code(code)["face"]

    def _shown(self, face_code: Float[np.ndarray, " K"]) -> Float[np.ndarray, " F"]:
        """Pixels that each Gaussian of the face fills at a code, in the clip's mean pose."""
        T_rest = self._T_camera_rest
        now = FrameParams(self._still(face_code)[0], T_rest, T_rest, (0.0, 0.0, 0.0))
        return self._covered(self.gaussians(now))[: len(self.learned["face"])]

    @property
    def _T_camera_rest(self) -> Float[np.ndarray, "3 4"]:
        return (self.camera.T_camera_world @ self.pose_code.T_world_mean)[:3]

    def _covered(self, gaussians: Float[torch.Tensor, "N 16"]) -> Float[np.ndarray, " N"]:
        """Pixels that each Gaussian fills, in the clip's mean pose."""
        camera = self.camera
        view = torch.from_numpy(self._T_camera_rest).to(self.limits).expand(2, 3, 4).contiguous()
        planes, saved = splat.rasterise_planes(gaussians, view, intrinsics(camera), camera.width, camera.height)
        ones = torch.zeros_like(planes)
        ones[0] = 1.0  # the gradient of the sum of red by a Gaussian's red is what it covers
        covers = splat.rasterise_backward(gaussians, view, intrinsics(camera), camera.width, planes, saved, ones)[0]
        return covers[:, splat.COLOUR.start].cpu().numpy()

    @torch.no_grad()
    def render(
        self,
        motion: Motion,
        camera: Camera | None = None,
        size: tuple[int, int] | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE,
    ) -> RenderOutput:
        """See `gtalk.avatar.base.Avatar.render`. Raises UserError when a background has another size."""
        frames = self._frames(motion, camera, size, background, as_bytes=False)
        rgb, alpha, depth = (torch.stack(parts) for parts in zip(*frames, strict=True))
        return RenderOutput(rgb, alpha, depth)

    @torch.no_grad()
    def render_bytes(
        self,
        motion: Motion,
        camera: Camera | None = None,
        size: tuple[int, int] | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE,
    ) -> tuple[UInt8[torch.Tensor, "B H W 3"], UInt8[torch.Tensor, "B H W"]]:
        """Images and coverage as bytes, without the detour through floats that `render` takes."""
        frames = self._frames(motion, camera, size, background, as_bytes=True)
        if len(frames) == 1:  # nothing to copy
            return frames[0][0][None], frames[0][1][None]
        return torch.stack([f[0] for f in frames]), torch.stack([f[1] for f in frames])

    def _frames(
        self,
        motion: Motion,
        camera: Camera | None,
        size: tuple[int, int] | None,
        background: np.ndarray | str | None,
        *,
        as_bytes: bool,
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        camera = view(self.camera, camera, size)
        plate = (None, 0) if background is None else self.plate_planes(background, camera)
        frames = []
        for now in self.instants(motion, camera):
            framing = now.framing if isinstance(background, str) else (0.0, 0.0, 0.0)
            base, bases, codes = self._parts(now)
            frames.append(
                splat.render_frame(
                    base[0],
                    bases,
                    codes,
                    self.limits,
                    now.transforms(),
                    intrinsics(camera),
                    (camera.width, camera.height),
                    *plate,
                    framing,
                    scale=camera.focal_px / self.camera.focal_px,
                    as_bytes=as_bytes,
                    rest=base[1],
                )
            )
        return frames

    def plate_planes(self, background: np.ndarray | str, camera: Camera) -> tuple[torch.Tensor, int]:
        """What stands behind, as planes, and their width in pixels."""
        if not isinstance(background, str):
            require_size(background, camera)
            return splat.plate_planes(sent(background, self.limits.device)), camera.width
        pad = 2 * round(self.config.plate_margin * camera.height)
        size = (camera.width + pad, camera.height + pad)
        if size not in self._plates:
            if len(self._plates) > 4:
                self._plates.clear()
            shrinks = size[0] < self.plate.shape[1]
            resized = cv2.resize(self.plate, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            self._plates[size] = splat.plate_planes(sent(resized, self.limits.device))
        return self._plates[size], size[0]


def intrinsics(camera: Camera) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels."""
    return camera.focal_px, camera.focal_px, camera.cx_px, camera.cy_px


def raw_codes(basis: MotionBasis, pose_code: PoseCode, motion: Motion) -> Float[np.ndarray, "T K"]:
    """Codes of the face, the head's rotation, the head's and torso's places: all clamped to the clip's range."""
    pose, placed, bend = pose_code.parts(motion)
    torso = np.clip(placed[:, :4], pose_code.predicted_low[:4], pose_code.predicted_high[:4]) / PLACE_UNITS
    return np.concatenate([basis.encode(motion), pose[:, 3:], pose[:, :3], torso, bend], axis=1)


def split_code(code: Float[torch.Tensor, " K"]) -> dict[str, torch.Tensor]:
    """The part of a code that each group of Gaussians follows."""
    return {"face": code[:-PLACES].contiguous(), "rest": code[-REST_CODES:].contiguous()}


def shifted(base: Float[torch.Tensor, "N 16"], shift: Float[torch.Tensor, "N 3"] | None) -> Float[torch.Tensor, "N 16"]:
    """Gaussians that sway."""
    if shift is None:
        return base
    moved = base.clone()
    moved[:, splat.POSITION] += shift
    return moved


def torso_motion(camera: Camera, similarity: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4 4"]:
    """The affine map of camera space whose image is a similarity of the image plane; depths stay."""
    matrix = matrices(similarity, (camera.width, camera.height))
    centre = np.array([camera.cx_px, camera.cy_px])
    out = np.eye(4)
    out[:2, :2] = matrix[:, :2]
    out[:2, 2] = (apply(matrix, centre[None])[0] - centre) / camera.focal_px
    return out


def _check_shapes(tensors: dict[str, torch.Tensor], code_size: int) -> None:
    base, face, rest = tensors["base"], tensors["face"], tensors["rest"]
    ok = base.ndim == 2 and base.shape[1] == splat.CHANNELS and base.dtype == torch.float32
    ok = ok and face.shape[1:] == (code_size + ROTATIONS, splat.CHANNELS)
    ok = ok and rest.shape[1:] == (REST_CODES, splat.CHANNELS)
    ok = ok and len(face) + len(rest) == len(base)
    ok = ok and all(tensors[n].shape == (code_size + REST_CODES,) for n in ("code_mean", "code_scale"))
    ok = ok and ("anchors" not in tensors or tensors["anchors"].shape == (len(base), ANCHOR))
    ok = ok and all(t.dtype in {torch.float16, torch.float32} for t in (face, rest))
    if not ok or not all(bool(tensors[n].isfinite().all()) for n in tensors):
        shapes = {n: tuple(t.shape) for n, t in tensors.items()}
        raise ValueError(f"tensors of other shapes or types than a Gaussian avatar of this basis has: {shapes}")
