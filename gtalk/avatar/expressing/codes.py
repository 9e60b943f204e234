"""Who shows an expression: the person's own codes as far as the clip's range goes, written geometry beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gtalk.avatar.expressing.rig import MeshRig
from gtalk.basis import GAZE_UNIT_RAD, MotionBasis
from gtalk.errors import UserError
from gtalk.rig.expression import region_of
from gtalk.rig.shapes import SHAPES, WHOLE, displacements
from gtalk.shapes import Bool, Float, Int
from gtalk.topology import INNER_LIPS_RING, IRIS_CENTRES, LIPS, N_FACE, N_POINTS

CODE_COST_M = 1.5e-4  # a code of one deviation is worth this much error of the mesh
RANGE_SHARE = 0.9  # of the clip's range, for what an expression asks of the codes
LEAST_SHOWN = 0.25  # of a shape, by codes: whoever shows less of it is not asked
LEAST_CODE, MOST_CODE = 0.15, 2.5  # deviations: of one code for a whole shape, and of all for an expression
MOST_ASKED = 3.5  # of all codes by a shape: what lies beyond comes from geometry as a whole, not from ten twins' sums
FULL_GAZE_RAD = 0.45
LIVELY = ("jaw", "mouthClose", "mouthFunnel", "mouthUpperUp", "mouthLowerDown", "mouthShrugLower")
"""Shapes whose weights change with every frame of speech, by the beginning of their names."""


class Asked(NamedTuple):
    """The expression of one frame, divided between who can show it."""

    weights: Float[np.ndarray, " E"]
    code: Float[np.ndarray, " K"]
    """The face's code without the expression."""
    coefs: Float[np.ndarray, " C"]
    """Of the written columns, in the order of `Division.fields`."""
    eyes: Float[np.ndarray, "2 2"]
    """What the codes of the right and the left eye are taken for in the face's right half and in its left half.

    People blink with both eyes, so what the fit learned of one eye's code it learned of the other's too: a wink by
    code alone would shut both.
    """


@dataclass(frozen=True)
class Division:
    """One person's shapes, and how each is divided between codes and geometry."""

    basis: MotionBasis
    rig: MeshRig
    wanted: Float[np.ndarray, "E 478 3"]
    """Displacements of the person's mesh by each whole shape, metres; 0 for shapes that others make up."""
    to_codes: Float[np.ndarray, "K E"]
    """What one whole shape asks of the person's codes."""
    beyond: Float[np.ndarray, "E 478 3"]
    """What is left of each shape when the codes have done so."""

    @staticmethod
    def of(rig: MeshRig | None, basis: MotionBasis) -> Division:
        """Of a person's mesh. Raises UserError where it is not known."""
        rig = require_rig(rig)
        wanted = displacements(rig.neutral)
        for whole in WHOLE:
            wanted[SHAPES.index(whole)] = 0.0
        to_codes, own = codes_for(wanted, rig.motion, basis), eye_codes(basis.size)
        to_codes[:, list(own)] = np.stack(list(own.values()), 1)
        beyond = wanted - np.einsum("ke,kpc->epc", to_codes, rig.motion)
        beyond[list(own)] = 0.0
        return Division(basis, rig, wanted, to_codes, beyond)

    @property
    def fields(self) -> Float[np.ndarray, "C 478 3"]:
        """Displacements of the written columns: the shapes' remainders, the codes' twins, and what `large` shapes ask
        of the codes.
        """
        return np.concatenate([self.beyond, self.rig.motion, self.of_codes[self.large]])

    @cached_property
    def large(self) -> Int[np.ndarray, " L"]:
        """Shapes that ask more of the codes than the clip can show of all: a jaw that speech opens by a third."""
        components = self.to_codes[: self.basis.groups["eyes"].start]
        return np.flatnonzero(np.linalg.norm(components, axis=0) > MOST_ASKED)

    @cached_property
    def is_lively(self) -> Bool[np.ndarray, " C"]:
        """Which of `fields` have coefficients that change with every frame of speech."""
        by_shape = np.array([name.startswith(LIVELY) for name in SHAPES])
        return np.concatenate([by_shape, np.ones(self.basis.size, bool), by_shape[self.large]])

    @property
    def _large_lively(self) -> Bool[np.ndarray, " L"]:
        return self.is_lively[len(self.is_lively) - len(self.large) :]

    @cached_property
    def of_codes(self) -> Float[np.ndarray, "E 478 3"]:
        """What the codes that each shape asks for would move."""
        return np.einsum("ke,kpc->epc", self.to_codes, self.rig.motion)

    def divide(
        self, weights: Float[np.ndarray, " E"], code: Float[np.ndarray, " K"]
    ) -> tuple[Float[np.ndarray, " K"], Asked]:
        """(change of the code, what is asked) for `weights` on top of `code`, which stays within the clip's range."""
        basis, large = self.basis, self.large
        over = np.zeros(len(large))  # what geometry does instead
        for some in (self._large_lively, ~self._large_lively):  # so that speech does not change what a smile asks for
            by_some = self.to_codes[:, large[some]] @ weights[large[some]]
            share = min(1.0, MOST_ASKED / max(float(np.linalg.norm(by_some)), 1e-9))
            over[some] = (1.0 - share) * weights[large[some]]
        asked = self.to_codes @ weights - self.to_codes[:, large] @ over
        middle, half = 0.5 * (basis.high + basis.low), 0.5 * RANGE_SHARE * (basis.high - basis.low)
        low, high = np.minimum(middle - half, code), np.maximum(middle + half, code)
        change = np.clip(code + asked, low, high) - code
        components = slice(0, basis.groups["eyes"].start)
        size = float(np.linalg.norm(change[components]))
        change[components] *= MOST_CODE * np.tanh(size / MOST_CODE) / max(size, 1e-9)  # seen together, not one by one
        lids = slice(basis.size - 4, basis.size - 2)
        wink = change[lids] - change[lids][::-1]  # of the right eye, of the left
        eyes = (code + change)[lids] + np.array([[0.0, wink[0]], [wink[1], 0.0]])
        coefs = np.concatenate([weights, asked - change, over]).astype(np.float32)
        return change, Asked(weights, code.copy(), coefs, eyes)

    def express(self, codes: Float[np.ndarray, "T C"], wanted: Float[np.ndarray, "T E"] | None) -> list[Asked | None]:
        """What each frame asks of geometry; what it asks of the face's codes is added to `codes` in place.

        `codes` may have further numbers behind the face's. Frames without an expression stay as they are: None.
        """
        out: list[Asked | None] = [None] * len(codes)
        if wanted is None or not wanted.any():
            return out
        weights, size = single(wanted), self.basis.size
        for i in np.flatnonzero(weights.any(1)):
            change, out[i] = self.divide(weights[i], codes[i, :size])
            codes[i, :size] += change
        return out


def single(weights: Float[np.ndarray, "T E"]) -> Float[np.ndarray, "T E"]:
    """Weights without shapes that others make up: those of the parts instead."""
    out = np.array(weights, np.float64)
    for whole, parts in WHOLE.items():
        for part in parts:
            out[:, SHAPES.index(part)] += out[:, SHAPES.index(whole)]
        out[:, SHAPES.index(whole)] = 0.0
    return out


def require_rig(rig: MeshRig | None) -> MeshRig:
    """Raises UserError where there is no mesh to write columns from."""
    if rig is None:
        raise UserError("expression", expected="an avatar that knows the tracked face mesh",
                        got="one fitted by an older gtalk, without its dataset",
                        remedy="Fit it again, or put its dataset into AVATAR/dataset.")  # fmt: skip
    return rig


def codes_for(
    wanted: Float[np.ndarray, "E 478 3"], motion: Float[np.ndarray, "K 478 3"], basis: MotionBasis
) -> Float[np.ndarray, "K E"]:
    """The person's codes that come nearest to each shape: ridge regression, in which lips count most.

    The opening between the lips counts above all: what stands behind parted lips is known to the codes alone. Shapes
    of mouth and jaw ask the mouth's codes, the others those of brows and lids, and nobody asks for little.
    """
    groups, below = basis.groups, np.array([region_of(name) == "mouth" for name in SHAPES])
    out = np.zeros((len(motion), len(wanted)))
    for rows, shapes in ((groups["mouth"], below), (slice(groups["upper"].start, groups["eyes"].stop), ~below)):
        out[rows, shapes] = _nearest(wanted[shapes], motion[rows])
    return np.where(np.abs(out) < LEAST_CODE, 0.0, out)


def _nearest(wanted: Float[np.ndarray, "E 478 3"], motion: Float[np.ndarray, "K 478 3"]) -> Float[np.ndarray, "K E"]:
    weight = np.full(N_POINTS, 0.5)
    weight[LIPS] = 2.0
    weight[N_FACE:] = 0.0
    weight[IRIS_CENTRES] = 1.0
    lower, upper = INNER_LIPS_RING[1:10], INNER_LIPS_RING[19:10:-1]
    gap = motion[:, upper] - motion[:, lower], wanted[:, upper] - wanted[:, lower]
    root = np.sqrt(weight / weight.sum())[:, None]
    pull = np.sqrt(10.0 / weight.sum())
    x = np.concatenate([(motion * root).reshape(len(motion), -1), (gap[0] * pull).reshape(len(motion), -1)], 1)
    y = np.concatenate([(wanted * root).reshape(len(wanted), -1), (gap[1] * pull).reshape(len(wanted), -1)], 1)
    out = np.linalg.solve(x @ x.T + CODE_COST_M**2 * np.eye(len(x)), x @ y.T)
    left = ((y - out.T @ x) ** 2).sum(1) / np.maximum((y**2).sum(1), 1e-18)
    return out * (left < 1.0 - LEAST_SHOWN)


def eye_codes(size: int) -> dict[int, Float[np.ndarray, " K"]]:
    """Codes of the shapes that are codes themselves, by their column: blinks and gaze, as far as the clip shows them.

    The eyes share one gaze: each eye's shape is worth half of it.
    """
    shut, right, up = (np.zeros((2, size)), np.zeros(size), np.zeros(size))
    shut[0, size - 4] = shut[1, size - 3] = -2.0  # see MotionBasis.encode: twice the openness less one
    right[size - 2] = up[size - 1] = 0.5 * FULL_GAZE_RAD / GAZE_UNIT_RAD
    out = {SHAPES.index("eyeBlinkRight"): shut[0], SHAPES.index("eyeBlinkLeft"): shut[1]}
    for side, outward in (("Left", right), ("Right", -right)):  # the person's own left is the image's right
        looks = {"Out": outward, "In": -outward, "Up": up, "Down": -up}
        out |= {SHAPES.index(f"eyeLook{way}{side}"): code for way, code in looks.items()}
    return out
