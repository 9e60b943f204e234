"""An avatar's Gaussians with an expression: learned basis, written columns, and what openings show."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from gtalk.avatar.expressing.binding import JAW, LOWER, SKIN, SKULL, UPPER, bind
from gtalk.avatar.expressing.codes import Asked, Division
from gtalk.avatar.expressing.columns import Columns, write_columns
from gtalk.avatar.expressing.openings import Openings, donors, onset, openings_of
from gtalk.ops import splat
from gtalk.shapes import Float, Int

FAR_SHARE = 0.3  # of the skin's displacement: what takes less is no face
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
        basis: tuple[Float[torch.Tensor, "F 16"], Float[torch.Tensor, "F K3 16"], Float[torch.Tensor, "16"]],
        code_norm: tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]],
        ranges: Float[torch.Tensor, "2 F 16"],
    ) -> None:
        """All in the order of `groups`. `basis`: base, learned columns and how far those may move a Gaussian.

        `code_norm`: mean and spread of the face's codes. `ranges`: least and largest numbers of each Gaussian.
        """
        self.columns, self.openings = columns, openings
        self.groups, self._basis, self._code_norm, self._ranges = groups, basis, code_norm, ranges
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
        mesh, share = openings.mesh(asked.code, asked.weights), onset(asked.weights)
        mean, scale = self._code_norm
        codes, lids = np.tile(face_code.cpu().numpy(), (4, 1)), slice(len(mean) - 4, len(mean) - 2)
        codes[:2, lids] = (asked.eyes - mean[lids]) / scale[lids]
        codes[2, : len(mean)] = (asked.code - mean) / scale
        codes[3, : len(mean)] = (openings.seen_code(asked.code, asked.weights) - mean) / scale
        coefs = torch.from_numpy(asked.coefs[~self.columns.is_still]).to(device)
        still = asked.coefs[self.columns.is_still]
        held = self._held(still.tobytes()) if still.any() else None
        (base, learned, limits), lively = self._basis, self.columns.lively
        out = splat.express(
            base,
            learned,
            torch.from_numpy(codes).to(device),
            self._ends,
            limits,
            self._ranges,
            share,
            held,
            lively,
            coefs,
            len(openings.backing),
        )
        mouth = out[self.groups.inside]
        position = mouth[:, splat.POSITION].cpu().numpy().astype(np.float64)
        covered, behind = openings.shown(position, mesh, asked.weights, eye_m)
        mouth[:, splat.OPACITY.start] -= torch.from_numpy(covered.astype(np.float32)).to(device)
        out[len(base) :] = torch.from_numpy(behind).to(device)
        return out

    @property
    def _ends(self) -> list[int]:
        return [group.stop for group in self.groups[1:]]

    def _sum_of_still(self, coefs: bytes) -> Float[torch.Tensor, "F 16"]:
        """What shapes add that speech leaves alone."""
        base, _, limits = self._basis
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
    openings = openings_of(rig, binding, rows, division.wanted)
    donor = donors(rows[groups.inside], shown.max(0)[order][groups.inside])
    moved = torch.from_numpy(order).to(device)
    own = base[moved], face[moved], ranges[:, moved]
    _lend_looks(own, groups.inside, torch.from_numpy(donor).to(device))
    norm = tensors["code_mean"][:size].cpu().numpy(), tensors["code_scale"][:size].cpu().numpy()
    still, lively = (splat.SparseColumns(*(v.to(device) for v in part)) for part in (columns.still, columns.lively))
    columns = Columns(still, lively, columns.is_still)
    return GaussianExpression(columns, openings, groups, (own[0], own[1], limits), norm, own[2])


def _lend_looks(own: tuple[torch.Tensor, torch.Tensor, torch.Tensor], inside: slice, donor: torch.Tensor) -> None:
    """Give what lies in the mouth the looks of the Gaussians that `donor` names, in place."""
    base, learned, ranges = own
    taken, looks = donor + inside.start, slice(splat.LOG_SCALE.start, splat.SKIN.start)
    base[inside, looks] = base[taken, looks]
    learned[inside] = learned[taken]
    ranges[:, inside, looks] = ranges[:, taken, looks]
