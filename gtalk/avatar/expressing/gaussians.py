"""An avatar's Gaussians with an expression: learned basis, written columns, and what openings show."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from gtalk.avatar.expressing.binding import JAW, LOWER, SKIN, SKULL, UNSEEN_PX, UPPER, Binding, bind
from gtalk.avatar.expressing.codes import Asked, Division
from gtalk.avatar.expressing.columns import Columns, jaw_motion, write_columns
from gtalk.avatar.expressing.openings import HIDDEN, Openings, onset, openings_of
from gtalk.ops import splat
from gtalk.rig.shapes import SHAPES
from gtalk.shapes import Float, Int

FAR_SHARE = 0.3  # of the skin's displacement: what takes less is no face
THIN_PX = 1.0  # that the skin under the skin fills at rest
KEPT_SUMS = 4  # expressions whose still part is remembered: as many may be drawn in turn


class Groups(NamedTuple):
    """The face's Gaussians in the order in which they are drawn here, which is that of the fields behind the first."""

    order: Int[np.ndarray, " F"]
    """Rows of the avatar's own Gaussians."""
    right: slice
    """Skin of the face's right half, on the image's left."""
    left: slice
    far: slice
    """Off the mesh (neck, ears): an expression leaves it as speech has it."""
    inside: slice
    """What lies in the mouth."""


class GaussianExpression:
    """Draws expressions on the Gaussians of one avatar."""

    def __init__(
        self,
        columns: Columns,
        openings: Openings,
        groups: Groups,
        binding: Binding,
        basis: tuple[Float[torch.Tensor, "F 16"], Float[torch.Tensor, "F K3 16"], Float[torch.Tensor, "16"]],
        code_norm: tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]],
        ranges: Float[torch.Tensor, "2 F 16"],
    ) -> None:
        """All in the order of `groups`. `basis`: base, learned columns and how far those may move a Gaussian.

        `code_norm`: mean and spread of the face's codes. `ranges`: least and largest numbers of each Gaussian.
        """
        self.columns, self.openings = columns, openings
        self.groups, self.binding, self.code_norm = groups, binding, code_norm
        self.basis, self.ranges = basis, ranges
        self._held = lru_cache(KEPT_SUMS)(self._sum_of_still)

    def gaussians(
        self, asked: Asked, face_code: Float[torch.Tensor, " K3"], T_camera_head: Float[np.ndarray, "3 4"]
    ) -> Float[torch.Tensor, "M 16"]:
        """The face's Gaussians of one instant, and behind them those that stand behind its openings.

        Looks stay within what the clip has shown of each Gaussian: a learned basis says nothing of a smile.
        `face_code`: as the face's basis takes it, expression included.
        """
        openings, device = self.openings, face_code.device
        eye_m = -T_camera_head[:, :3].T @ T_camera_head[:, 3]
        share = onset(asked.weights)
        mean, scale = self.code_norm
        codes, lids = np.empty((4, len(face_code)), np.float32), slice(len(mean) - 4, len(mean) - 2)
        codes[:] = face_code.cpu().numpy()
        codes[:2, lids] = (asked.eyes - mean[lids]) / scale[lids]
        codes[2, : len(mean)] = (asked.code - mean) / scale
        codes[3, : len(mean)] = (openings.seen_code(asked.code, asked.weights) - mean) / scale
        coefs = torch.from_numpy(asked.coefs[~self.columns.is_still]).to(device)
        still = asked.coefs[self.columns.is_still]
        held = self._held(still.tobytes()) if still.any() else None
        (base, learned, limits), lively = self.basis, self.columns.lively
        out = splat.express(
            base,
            learned,
            torch.from_numpy(codes).to(device),
            self._ends,
            limits,
            self.ranges,
            share,
            held,
            lively,
            coefs,
            len(openings.backing),
        )
        behind = out[self.groups.inside.start :]  # what lies in the mouth, and the openings' backing
        rows, n = behind.cpu().numpy(), len(base) - self.groups.inside.start
        covered, rows[n:] = openings.shown(rows[:n, splat.POSITION], asked.code, asked.weights, eye_m)
        rows[:n, splat.OPACITY.start] -= covered
        if device.type != "cpu":
            behind.copy_(torch.from_numpy(rows))
        return out

    def thinned(
        self,
        covered: Callable[[Float[torch.Tensor, "M 16"]], Float[np.ndarray, " M"]],
        T_camera_head: Float[np.ndarray, "3 4"],
    ) -> GaussianExpression:
        """The same, with skin under the skin at rest only where that is thin.

        Args:
            covered: pixels that each of a face's Gaussians, as `gaussians` returns them, fills in the pose.
        """
        openings, (mean, scale) = self.openings, self.code_norm
        begun, code = np.zeros(openings.by_shape.shape[0]), openings.shut_code
        begun[SHAPES.index("eyeBlinkLeft")] = 1.0  # an expression that moves nothing near the mouth
        coefs, lids = np.zeros(len(self.columns.is_still), np.float32), code[len(mean) - 4 : len(mean) - 2]
        asked = Asked(begun, code, coefs, np.tile(lids, (2, 1)))
        face_code = torch.zeros(self.basis[1].shape[1])
        face_code[: len(mean)] = torch.from_numpy((code - mean) / scale)
        fills = covered(self.gaussians(asked, face_code.to(self.ranges.device), T_camera_head))
        thin = (fills[-len(openings.thin) :] > THIN_PX).astype(np.float64)
        self.openings = replace(openings, thin=thin)
        return self

    @property
    def _ends(self) -> list[int]:
        return [group.stop for group in self.groups[1:]]

    def _sum_of_still(self, coefs: bytes) -> Float[torch.Tensor, "F 16"]:
        """What shapes add that speech leaves alone."""
        base, _, limits = self.basis
        weights = torch.from_numpy(np.frombuffer(coefs, np.float32).copy()).to(base.device)
        none, still = torch.zeros_like(base), self.columns.still
        unmoved, code = base.new_empty(len(base), 0, splat.CHANNELS), base.new_empty(1, 0)
        return splat.express(none, unmoved, code, [len(base)], limits, None, 0.0, None, still, weights)


def draw_expressions(
    division: Division,
    tensors: dict[str, torch.Tensor],
    limits: Float[torch.Tensor, "16"],
    shown: Float[np.ndarray, "S F"],
    ranges: Float[torch.Tensor, "2 F 16"],
) -> GaussianExpression:
    """What expressions do to a Gaussian avatar.

    Args:
        tensors: the avatar's own; the learned columns are for codes divided by `code_scale`.
        limits: how far the learned columns may move a Gaussian.
        shown: pixels that each Gaussian of the face fills at some of the clip's codes, closed lips first.
        ranges: least and largest numbers that each Gaussian of the face has at the clip's codes.
    """
    face, size, rig = tensors["face"], division.basis.size, division.rig
    device, base = face.device, tensors["base"][: len(face)]
    scale = np.maximum(tensors["code_scale"][:size].cpu().numpy().astype(np.float64), 1e-6)
    learned = face[:, :size, splat.POSITION].float().cpu().numpy() / scale[None, :, None]
    rows, mouth = base.cpu().numpy(), np.arange(size - 4)
    binding = bind(
        rig.mean,
        rows[:, splat.POSITION].astype(np.float64),
        (learned[:, mouth] * scale[None, mouth, None]).astype(np.float64),
        rig.motion[mouth] * scale[mouth, None, None],
        shown,
    )
    far = (binding.share < FAR_SHARE) & np.isin(binding.region, (UPPER, LOWER, SKIN))
    half = (rows[:, 0] > 0.0).astype(int)
    group = np.where(np.isin(binding.region, (SKULL, JAW)), 3, np.where(far, 2, half))
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], range(5))
    groups = Groups(order, *(slice(int(a), int(b)) for a, b in itertools.pairwise(ends)))
    binding, rows, learned = binding.in_order(order), rows[order], learned[order]
    columns = write_columns(division, binding, rows, learned * ~far[order][:, None, None])
    openings = openings_of(rig, binding, rows, division.wanted, jaw_motion(division))
    unseen = np.flatnonzero(shown.max(0)[order] <= UNSEEN_PX)
    moved = torch.from_numpy(order).to(device)
    own = base[moved], face[moved], ranges[:, moved]
    _hide_unseen(own, torch.from_numpy(unseen[unseen >= groups.inside.start]).to(device))
    norm = tensors["code_mean"][:size].cpu().numpy(), tensors["code_scale"][:size].cpu().numpy()
    still, lively = (splat.SparseColumns(*(v.to(device) for v in part)) for part in (columns.still, columns.lively))
    columns = Columns(still, lively, columns.is_still)
    return GaussianExpression(columns, openings, groups, binding, (own[0], own[1], limits), norm, own[2])


def _hide_unseen(own: tuple[torch.Tensor, torch.Tensor, torch.Tensor], unseen: torch.Tensor) -> None:
    """Hide what lies in the mouth and no frame ever showed, in place: it would be a lump of any colour."""
    base, learned, ranges = own
    for opacity in (base[:, splat.OPACITY], ranges[0, :, splat.OPACITY], ranges[1, :, splat.OPACITY]):
        opacity[unseen] = HIDDEN
    learned[unseen, :, splat.OPACITY] = 0.0
