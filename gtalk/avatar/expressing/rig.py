"""The tracked face mesh under an avatar: what geometry holds on to where the clip never showed an expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gtalk.basis import MotionBasis
from gtalk.shapes import Float
from gtalk.topology import LIP_GAP_PAIRS, N_POINTS
from gtalk.types import Motion

RIDGE = 1e-2
SEEN = 40
_PREFIX = "rig."
_LEAST_FRAMES = 10


@dataclass(frozen=True)
class MeshRig:
    """The mesh as a linear function of the face's code: points(code) = mean + (code - code_mean) motion."""

    mean: Float[np.ndarray, "478 3"]
    """Head space, metres, at the clip's mean code."""
    motion: Float[np.ndarray, "K 478 3"]
    """Metres for one unit of each code of `MotionBasis.encode`."""
    neutral: Float[np.ndarray, "478 3"]
    """With lips closed and eyes open, as far as the clip shows it: what shapes are fitted to."""
    shut_code: Float[np.ndarray, " K"]
    """Code of such frames."""
    open_code: Float[np.ndarray, " K"]
    """Code of the frames with the widest opening: what lies in the mouth was seen then."""
    seen_codes: Float[np.ndarray, "S K"]
    """Codes of the frames that differ most from each other: what the clip has shown lies among them."""

    @staticmethod
    def fit(basis: MotionBasis, motion: Motion) -> MeshRig | None:
        """Ridge regression of the tracked mesh on the frames' codes; None where no dense mesh was tracked."""
        dense = motion.channels.get("landmarks478")
        kept = np.flatnonzero(motion.valid)
        if dense is None or len(kept) < _LEAST_FRAMES:
            return None
        codes = basis.encode(motion)[kept]
        points = dense[kept].astype(np.float64)
        mean, deviation = points.mean(0), np.maximum(codes.std(0), 1e-6)
        x = (codes - codes.mean(0)) / deviation
        slope = np.linalg.solve(
            x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (points - mean).reshape(len(x), -1)
        )
        moved = slope.reshape(-1, N_POINTS, 3) / deviation[:, None, None]
        moved[codes.std(0) < 1e-4] = 0.0  # what never moved says nothing
        gap = np.linalg.norm(points[:, LIP_GAP_PAIRS[:, 0]] - points[:, LIP_GAP_PAIRS[:, 1]], axis=-1).mean(1)
        eyes = motion.eyes[kept].mean(1)
        gap[eyes < np.median(eyes) - 0.1] = np.nan  # amid blinks
        order = np.argsort(gap)[: int(np.isfinite(gap).sum())]
        some = max(3, len(order) // 16)
        shut, wide = order[:some], order[-some:]
        return MeshRig(
            mean, moved, np.median(points[shut], 0), codes[shut].mean(0), codes[wide].mean(0), _apart(codes, x)
        )

    @staticmethod
    def of_folder(folder: Path, basis: MotionBasis) -> MeshRig | None:
        """For avatars fitted before rigs were stored: from the dataset inside their folder, if it is there."""
        path = Path(folder) / "dataset" / "motion.npz"
        return MeshRig.fit(basis, Motion.load(path)) if path.is_file() else None

    def tensors(self) -> dict[str, torch.Tensor]:
        """For an avatar's safetensors file."""
        return {
            f"{_PREFIX}{name}": torch.from_numpy(np.ascontiguousarray(value, np.float32))
            for name, value in vars(self).items()
        }

    @staticmethod
    def split(tensors: Mapping[str, torch.Tensor], code_size: int) -> tuple[dict[str, torch.Tensor], MeshRig | None]:
        """Other tensors, and the rig where one is stored. Raises ValueError when it is misshapen."""
        stored = {n.removeprefix(_PREFIX): t for n, t in tensors.items() if n.startswith(_PREFIX)}
        rest = {n: t for n, t in tensors.items() if not n.startswith(_PREFIX)}
        if not stored:
            return rest, None
        wanted = {"mean": (N_POINTS, 3), "motion": (code_size, N_POINTS, 3), "neutral": (N_POINTS, 3)}
        wanted |= {"shut_code": (code_size,), "open_code": (code_size,), "seen_codes": (SEEN, code_size)}
        for name, shape in wanted.items():
            value = stored.get(name)
            most = 1e3 if "code" in name else 1.0  # metres within a head's size
            if value is None or value.shape != shape or not bool((value.abs() < most).all()):
                raise ValueError(f"rig.{name} is no array of shape {shape} of numbers below {most:g}")
        return rest, MeshRig(*(stored[n].double().cpu().numpy() for n in wanted))


def no_rig() -> MeshRig | None:
    """Where an avatar looks for its rig when there is nowhere to look."""
    return None


def _apart(codes: Float[np.ndarray, "N K"], scaled: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "S K"]:
    """Rows each farthest from all before it, beginning with the one nearest to the mean (farthest point sampling)."""
    chosen = [int((scaled**2).sum(1).argmin())]
    nearest = np.full(len(scaled), np.inf)
    for _ in range(SEEN - 1):
        nearest = np.minimum(nearest, ((scaled - scaled[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    return codes[chosen]
