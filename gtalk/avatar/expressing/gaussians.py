"""An avatar's Gaussians with an expression: learned basis, written columns, and what openings show."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.avatar.expressing.binding import LOWER, SKIN, UPPER, bind
from gtalk.avatar.expressing.codes import Asked, Division
from gtalk.avatar.expressing.columns import Columns, write_columns
from gtalk.avatar.expressing.openings import Openings, donors, onset, openings_of
from gtalk.ops import splat
from gtalk.shapes import Float, Int

FAR_SHARE = 0.3  # of the skin's displacement: what takes less is no face


class GaussianExpression:
    """Draws expressions on the Gaussians of one avatar."""

    def __init__(
        self,
        columns: Columns,
        openings: Openings,
        tensors: dict[str, torch.Tensor],
        limits: Float[torch.Tensor, "16"],
        donor: Int[np.ndarray, " I"],
        ranges: Float[torch.Tensor, "2 F 16"],
        far: Int[np.ndarray, " J"],
    ) -> None:
        """`tensors`: the avatar's own. `donor`: whose looks each Gaussian in the mouth takes, as a row of
        `openings.inside`. `ranges`: of the face's Gaussians. `far`: those off the mesh (neck, ears), which an
        expression leaves as speech has them.
        """
        self.columns, self.openings = columns, openings
        base, face = tensors["base"], tensors["face"]
        self._limits, size = limits, len(openings.shut_code)
        self._mean, self._scale = tensors["code_mean"][:size], tensors["code_scale"][:size]
        self._face, self._learned = base[: len(face)].clone(), face.clone()
        self._inside = torch.from_numpy(openings.inside).to(base.device)
        self._far = torch.from_numpy(far).to(base.device)
        taken = self._inside[torch.from_numpy(donor).to(base.device)]
        looks = slice(splat.LOG_SCALE.start, splat.SKIN.start)
        self._face[self._inside, looks] = base[taken, looks]
        self._learned[self._inside] = face[taken]
        self._far_parts, self._inside_parts = (
            (self._face[rows].contiguous(), self._learned[rows].contiguous()) for rows in (self._far, self._inside)
        )
        self._low, self._high = ranges[0].clone(), ranges[1].clone()
        for bound in (self._low, self._high):
            bound[self._inside, looks] = bound[taken, looks]

    def gaussians(
        self, asked: Asked, face_code: Float[torch.Tensor, " K3"], T_camera_head: Float[np.ndarray, "3 4"]
    ) -> Float[torch.Tensor, "N 16"]:
        """The face's Gaussians of one instant, and what stands behind its openings.

        Looks stay within what the clip has shown of each Gaussian: a learned basis says nothing of a smile.
        `face_code`: as the face's basis takes it, expression included.
        """
        own, device = self.columns, self._face.device
        eye_m = -T_camera_head[:, :3].T @ T_camera_head[:, 3]
        mesh, share = self.openings.mesh(asked.code, asked.weights), onset(asked.weights)
        learned = splat.deform(self._face, self._learned, face_code, self._limits)
        if len(self._far):
            learned[self._far] = self._at(asked.code, self._far_parts, face_code)
        if len(self._inside):
            seen = self.openings.seen_code(asked.code, asked.weights)
            learned[self._inside] = self._at(seen, self._inside_parts, face_code)
        out = torch.lerp(learned, torch.minimum(torch.maximum(learned, self._low), self._high), share)
        out = splat.add_columns(out, own.starts, own.columns, own.values, torch.from_numpy(asked.coefs).to(device))
        if len(self._inside):
            position = out[self._inside, splat.POSITION].cpu().numpy().astype(np.float64)
            covered = self.openings.covered(position, mesh, share, eye_m)
            out[self._inside, splat.OPACITY.start] -= torch.from_numpy(covered.astype(np.float32)).to(device)
        return torch.cat([out, torch.from_numpy(self.openings.backed(mesh, share, eye_m)).to(device)])

    def _at(
        self, code: Float[np.ndarray, " K"], parts: tuple[torch.Tensor, torch.Tensor], face_code: torch.Tensor
    ) -> Float[torch.Tensor, "R 16"]:
        """Some Gaussians of the face (base, learned columns) at another code than the rest."""
        scaled = (torch.from_numpy(code.astype(np.float32)).to(self._mean) - self._mean) / self._scale
        return splat.deform(*parts, torch.cat([scaled, face_code[len(scaled) :]]), self._limits)


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
    base, face, size = tensors["base"], tensors["face"], division.basis.size
    scale = np.maximum(tensors["code_scale"][:size].cpu().numpy().astype(np.float64), 1e-6)
    learned = face[:, :size].float().cpu().numpy() / scale[None, :, None]
    rows, mouth, rig = base[: len(face)].cpu().numpy(), np.arange(size - 4), division.rig
    binding = bind(
        rig.mean,
        rows[:, splat.POSITION].astype(np.float64),
        (learned[:, mouth, splat.POSITION] * scale[None, mouth, None]).astype(np.float64),
        rig.motion[mouth] * scale[mouth, None, None],
        shown,
    )
    far = (binding.share < FAR_SHARE) & np.isin(binding.region, (UPPER, LOWER, SKIN))
    columns = write_columns(division, binding, rows, learned[..., splat.POSITION] * ~far[:, None, None])
    moved = Columns(*(v.to(base.device) for v in (columns.starts, columns.columns, columns.values)))
    openings = openings_of(rig, binding, rows, division.wanted)
    donor = donors(rows[openings.inside], shown.max(0)[openings.inside])
    return GaussianExpression(moved, openings, tensors, limits, donor, ranges, np.flatnonzero(far))
