"""Landmark LLE: mouths that lie off the person's manifold are rebuilt from the person's own nearest mouths.

Locally linear embedding's reconstruction (Roweis & Saul 2000), as GeneFace++ uses it on landmarks: the
weights that rebuild a code best from its K nearest neighbours and sum to one, with a ridge that keeps them
moderate. Good mouths are not touched: the pull grows with the distance from the clip's own mouths.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gtalk.basis import JAW, MOUTH_GROUP, MotionBasis
from gtalk.geometry.easing import smoothstep
from gtalk.shapes import Float
from gtalk.types import Motion

_BLOCK = 512  # codes at once: the distance table stays small
_APART = 12  # bank entries; neighbours in time would make the clip's own distances too small


@dataclass
class LandmarkLLE:
    """A MotionEdit. `k`, `ridge` and `blend` may be changed while it runs."""

    basis: MotionBasis
    bank: Float[np.ndarray, "N Km"]
    """Mouth codes of the person."""
    k: int = 10
    """Neighbours."""
    ridge: float = 0.03
    """Relative to the neighbours' mean squared distance."""
    blend: float = 1.0
    """How far an outlier is pulled, 0 to 1."""
    _metric: np.ndarray = field(init=False, repr=False)
    _limits: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lips = self.basis.mouth[:, len(JAW) :]
        self._metric = np.sqrt((lips**2).sum((1, 2)) / lips.shape[1])  # metres of lip movement per unit of code
        own = self._own_distances()
        usual = max(float(np.percentile(own, 99)), 1e-12)
        self._limits = usual, 2.0 * usual

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        if not len(motion) or self.blend <= 0:
            return motion
        code = self.basis.encode(motion)[:, self.basis.groups["mouth"]]
        rebuilt, distance = self.rebuild(code)
        off_basis = self._off_basis(motion, code)
        pull = self.blend * smoothstep(*self._limits, distance + off_basis)[:, None, None]
        landmarks = motion.landmarks.copy()
        wanted = self.basis.mean[MOUTH_GROUP] + np.einsum("tk,kpc->tpc", rebuilt, self.basis.mouth)
        landmarks[:, MOUTH_GROUP] += pull * (wanted - landmarks[:, MOUTH_GROUP])
        return motion.replace(landmarks=landmarks)

    def rebuild(self, code: Float[np.ndarray, "T Km"]) -> tuple[Float[np.ndarray, "T Km"], Float[np.ndarray, " T"]]:
        """(codes rebuilt from neighbours, mean distance to the neighbours in metres of lip movement)."""
        parts = [self._rebuild(code[i : i + _BLOCK]) for i in range(0, len(code), _BLOCK)]
        if not parts:
            return code, np.zeros(0)
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    @property
    def usual_distance_m(self) -> float:
        """99th percentile of the clip's own distances, each frame's neighbours in time left out."""
        return self._limits[0]

    def distance_m(self, motion: Motion) -> Float[np.ndarray, " T"]:
        """How far each frame's mouth lies from the person's own mouths, metres of lip movement."""
        code = self.basis.encode(motion)[:, self.basis.groups["mouth"]]
        return self.rebuild(code)[1] + self._off_basis(motion, code)

    def _rebuild(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = min(self.k, len(self.bank))
        point, bank = code * self._metric, self.bank * self._metric
        squared = (point**2).sum(1)[:, None] + (bank**2).sum(1) - 2.0 * point @ bank.T
        nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
        offset = bank[nearest] - point[:, None]  # [T,K,Km]
        gram = offset @ offset.transpose(0, 2, 1)
        trace = np.trace(gram, axis1=1, axis2=2)[:, None, None] / count
        gram = gram + (self.ridge * trace + 1e-12) * np.eye(count)
        weights = np.linalg.solve(gram, np.ones((len(code), count, 1)))[..., 0]
        weights /= weights.sum(1, keepdims=True)
        distance = np.sqrt(np.maximum((offset**2).sum(-1), 0.0)).mean(1)
        return np.einsum("tk,tkc->tc", weights, self.bank[nearest]), distance

    def _off_basis(self, motion: Motion, code: np.ndarray) -> np.ndarray:
        """Distance of the lips from what the clamped code can say, beyond what tracking leaves, metres."""
        said = self.basis.mean[MOUTH_GROUP] + np.einsum("tk,kpc->tpc", code, self.basis.mouth)
        rest = (motion.landmarks[:, MOUTH_GROUP] - said)[:, len(JAW) :]
        return np.maximum(np.sqrt((rest**2).sum(-1).mean(1)) - 0.0005, 0.0)

    def _own_distances(self) -> np.ndarray:
        """Mean distance of bank entries to their neighbours, entries near in time left out."""
        chosen = np.linspace(0, len(self.bank) - 1, min(len(self.bank), 400)).round().astype(int)
        bank = self.bank * self._metric
        squared = ((bank[chosen, None] - bank[None]) ** 2).sum(-1)
        squared[np.abs(chosen[:, None] - np.arange(len(bank))) < _APART] = np.inf
        count = max(1, min(self.k, len(bank) - 2 * _APART))
        nearest = np.sort(squared, axis=1)[:, :count]
        finite = np.sqrt(nearest[np.isfinite(nearest).all(1)]).mean(1)
        return finite if len(finite) else np.full(1, 0.001)
