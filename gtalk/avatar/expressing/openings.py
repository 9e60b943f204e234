"""What is seen through parted lips and wide eyes where the clip never looked: teeth, cavity, more of the eyeball.

Two things happen as soon as an expression moves the lips, and nothing happens without one. What lies inside the
mouth is shown between the lips only: teeth that the fit left lying under a lip do not shine through when the lip goes
elsewhere. And behind everything stand plain teeth and a dark sheet that goes with the lips, behind the lids one as
light as the eye's white, so that no opening ever shows the room behind the person: invented, and seldom seen. A mouth
that is opened much farther than the clip ever did shows the invented ones alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gtalk.avatar.expressing.binding import EYEBALL, JAW, LOWER, SKIN, SKULL, UPPER, Binding
from gtalk.avatar.expressing.rig import MeshRig
from gtalk.avatar.expressing.teeth import arches
from gtalk.geometry.quaternion import facing
from gtalk.ops import splat
from gtalk.rig.shapes import facing_pairs
from gtalk.shapes import Float, Int
from gtalk.topology import INNER_LIPS_RING, LEFT_EYE_RING, OUTER_LIPS_RING, RIGHT_EYE_RING, SKIN_TRIANGLES

PARTED_M = 0.003  # between the lips: what lies behind is seen in full
ONSET = 0.15  # weights that add up to this are an expression in full
COLUMNS, ROWS = 22, 7  # of the cavity's sheet
MARGIN_M = 0.004  # it reaches beyond the lips
BEHIND_M = 0.004  # behind all that lies in the mouth
DARK = np.array([0.16, 0.06, 0.05])
TONGUE = np.array([2.6, 2.2, 2.3])  # times as light: the lower half
OUTSIDE_M, FADE_M = 0.0025, 0.002  # beyond the lips' rim: where what lies inside begins to vanish, and how fast
HIDDEN, SHOWN = -9.0, 4.0  # logits of opacity
_NEAR_LIPS = np.isin(SKIN_TRIANGLES, [*INNER_LIPS_RING, *OUTER_LIPS_RING]).any(1)
_NEAR_LIPS = np.isin(SKIN_TRIANGLES, SKIN_TRIANGLES[_NEAR_LIPS]).any(1)
UNDER = SKIN_TRIANGLES[np.isin(SKIN_TRIANGLES, SKIN_TRIANGLES[_NEAR_LIPS]).any(1)]
"""Three rows of triangles around the mouth."""
_AT_RIM = np.isin(UNDER, INNER_LIPS_RING).any(1)
USED = np.unique(np.concatenate([INNER_LIPS_RING, UNDER.ravel()]))
"""Points of the mesh that matter here."""
RING, UNDER_POINTS = np.searchsorted(USED, INNER_LIPS_RING), np.searchsorted(USED, UNDER.T)
UNDER_M = np.where(_AT_RIM, 0.006, 0.014)  # how deep the skin under the skin lies, under lips and elsewhere
UNDER_CLEAR_M = np.where(_AT_RIM, 0.0015, 0.006)  # and how far it keeps away from the opening
STRETCHED, TORN = 0.1, 0.3  # growth of a triangle's area: where the skin under it begins to be needed, and is
LEAST_PARTED_M = 0.0003  # more than at rest: the cavity begins to be needed there
BARED_M = 0.001  # beyond the lips as speech has them: what the clip knows ends, and what is invented begins
WIDER = 1.3  # than the clip's widest mouth
WIDE_M = 0.0003  # by which an expression opens the lids: the eye's white behind them is shown in full
_LIDS = [facing_pairs(eye).T for eye in ("image_left", "image_right")]
_UP = np.linspace(0.0, 1.0, ROWS)[:, None]
_ACROSS = np.linspace(-0.8, 10.8, COLUMNS)  # places of the cavity's columns along the 11 points of a lip, and beyond
ALONG = np.clip(1.0 - np.abs(_ACROSS[:, None] - np.arange(11)), 0.0, None)
ALONG[_ACROSS < 0.0, :2] = np.stack([1.0 - _ACROSS, _ACROSS], 1)[_ACROSS < 0.0]
ALONG[_ACROSS > 10.0, 9:] = np.stack([10.0 - _ACROSS, _ACROSS - 9.0], 1)[_ACROSS > 10.0]
"""Weights of a lip's points, from corner to corner, in each column."""
_CELL = np.tile(np.arange(COLUMNS), ROWS)  # column of each Gaussian of the cavity
EYE_MARGIN_M, EYE_STEP_M, EYE_BEHIND_M = 0.005, 0.0025, 0.003


class Ends(NamedTuple):
    """Rows at which the kinds of what is added end; the skin under the skin comes behind."""

    cavity: int
    eyes: int
    upper_teeth: int
    lower_teeth: int


@dataclass(frozen=True)
class Openings:
    """The mouth and the eyes of one avatar."""

    inside: Int[np.ndarray, " I"]
    """Rows of what lies in the mouth."""
    backing: Float[np.ndarray, "M 16"]
    """Gaussians that are added: the cavity's, the eyes', upper and lower teeth, skin under the skin. Hidden until an
    expression begins."""
    parts: Ends
    """Where each kind of them ends."""
    neutral: Float[np.ndarray, "P 3"]
    """The mesh at its points USED; and what one of each code and each shape moves there."""
    by_code: Float[np.ndarray, "K P 3"]
    by_shape: Float[np.ndarray, "E P 3"]
    below_m: Float[np.ndarray, "U 3"]
    """From the middle of each triangle of the skin to what lies under it."""
    shut_code: Float[np.ndarray, " K"]
    open_code: Float[np.ndarray, " K"]
    depth_m: float
    """Of the cavity, head space z."""
    widens_m: Float[np.ndarray, " E"]
    """How far each shape opens the lids."""
    jaw_by_code: Float[np.ndarray, "K 3"]
    """What one of each code and each shape moves the lower teeth; at `shut_code` they rest."""
    jaw_by_shape: Float[np.ndarray, "E 3"]
    thin: Float[np.ndarray, " U"]
    """1 where the skin lets through what lies under it as soon as what lies in the mouth is hidden, else 0."""

    def meshes(
        self, code: Float[np.ndarray, " K"], weights: Float[np.ndarray, " E"]
    ) -> tuple[Float[np.ndarray, "P 3"], Float[np.ndarray, "P 3"]]:
        """The points USED of the face mesh for a code without its expression, and with it."""
        used, size = np.flatnonzero(weights), self.neutral.size
        spoken = self.neutral.ravel() + (code - self.shut_code).astype(np.float32) @ self.by_code.reshape(-1, size)
        shown = spoken + weights[used].astype(np.float32) @ self.by_shape[used].reshape(-1, size)
        return spoken.reshape(-1, 3), shown.reshape(-1, 3)

    @staticmethod
    def lips(mesh: Float[np.ndarray, "P 3"]) -> tuple[Float[np.ndarray, "11 3"], Float[np.ndarray, "11 3"]]:
        """(lower, upper) rim of the lips from corner to corner."""
        ring = mesh[RING]
        return ring[:11], ring[[0, *range(19, 9, -1)]]

    def seen_code(self, code: Float[np.ndarray, " K"], weights: Float[np.ndarray, " E"]) -> Float[np.ndarray, " K"]:
        """The code for what lies in the mouth: as in the clip's open mouths, as far as the expression parts the lips.

        Behind closed lips nothing was ever seen, so what the fit left there means nothing.
        """
        rest, by_shape, by_code = self._gaps
        parted = rest + float(weights @ by_shape)
        share = onset(weights) * float(np.clip(parted / PARTED_M, 0.0, 1.0))
        spoken = rest + float((code - self.shut_code) @ by_code)
        share *= 1.0 - float(np.clip(spoken / PARTED_M - 0.5, 0.0, 1.0))  # speech shows its own
        return code + share * (self.open_code - code)

    @cached_property
    def _gaps(self) -> tuple[float, Float[np.ndarray, " E"], Float[np.ndarray, " K"]]:
        """How far the lips are parted in their middle, metres: at rest, and what each shape and code adds."""
        fields = (self.neutral[None], self.by_shape, self.by_code)
        rest, by_shape, by_code = ((f[:, RING[17:12:-1], 1] - f[:, RING[3:8], 1]).mean(1) for f in fields)
        return float(rest[0]), by_shape, by_code

    def shown(
        self,
        position: Float[np.ndarray, "I 3"],
        code: Float[np.ndarray, " K"],
        weights: Float[np.ndarray, " E"],
        eye_m: Float[np.ndarray, "3"],
    ) -> tuple[Float[np.ndarray, " I"], Float[np.ndarray, "M 16"]]:
        """What is to be taken off the opacity logits of what lies in the mouth, so that lips cover it; the backing.

        What the lips would cover in speech is not shown when the expression moves them away: nobody knows it. Invented
        teeth stand there. What nothing would let through is left hidden, and costs nothing.

        Args:
            position: of what lies in the mouth. eye_m: the camera, head space.
            code, weights: as `meshes` takes them.
        """
        (before, mesh), share = self.meshes(code, weights), onset(weights)
        unlike = self._unlike_seen(code, weights)
        rows, logits = self.backing.copy(), np.zeros(len(self.backing))
        (lower, upper), spoken = self.lips(mesh), self.lips(before)
        front = float(0.5 * (lower[:, 2].sum() + upper[:, 2].sum()) / len(lower))
        cavity, eyes, upper_teeth, lower_teeth = self.parts
        parted = float(((upper - lower)[:, 1] - self._rest_gap).max())
        bared = max((upper - spoken[1])[:, 1].max(), (spoken[0] - lower)[:, 1].max())
        bared = bared if parted > LEAST_PARTED_M else 0.0
        kept = np.flatnonzero(needed := self._needed(weights))
        first, second, third = UNDER_POINTS[:, kept]
        points = [position, (mesh[first] + mesh[second] + mesh[third]) / 3.0 + self.below_m[kept]]
        rows[lower_teeth + kept, splat.POSITION] = points[1]
        if parted > LEAST_PARTED_M:
            self._place_cavity(rows, lower, upper, front, eye_m)
            logits[:cavity] = min(1.0, parted / LEAST_PARTED_M - 1.0)
        if bared > BARED_M:
            jaw = (code - self.shut_code) @ self.jaw_by_code + weights @ self.jaw_by_shape
            rows[upper_teeth:lower_teeth, splat.POSITION] += jaw
            points.append(rows[eyes:lower_teeth, splat.POSITION])
        seen = _seen_in_plane(np.concatenate(points), front, eye_m)
        inside, under = slice(0, len(position)), slice(len(position), len(position) + len(kept))
        outside, bare = _beyond(lower, upper, seen), _beyond(*spoken, seen)
        clear = (outside[under] - UNDER_CLEAR_M[kept]) / FADE_M  # never in front of teeth
        logits[lower_teeth + kept] = needed[kept] * np.clip(clear, 0.0, 1.0)
        logits[cavity:eyes] = min(1.0, float(np.maximum(weights, 0.0) @ self.widens_m) / WIDE_M)
        if bared > BARED_M:
            teeth = slice(under.stop, None)
            unknown = np.maximum(np.clip(bare[teeth] / BARED_M + 0.5, 0.0, 1.0), unlike)
            logits[eyes:lower_teeth] = unknown * (1.0 - _covered(outside[teeth] - OUTSIDE_M))
        rows[:, 10] = HIDDEN + (SHOWN - HIDDEN) * share * logits
        hidden = np.maximum(_covered(outside[inside] - OUTSIDE_M), _covered(bare[inside] - BARED_M))
        return 10.0 * np.maximum(hidden, unlike) * share, rows

    def _needed(self, weights: Float[np.ndarray, " E"]) -> Float[np.ndarray, " U"]:
        """Where the skin under the skin has to be seen."""
        used = np.flatnonzero(weights)
        grown = weights[used].astype(np.float32) @ self._grows[used]
        return np.maximum(self.thin, (grown - STRETCHED) * (1.0 / (TORN - STRETCHED))).clip(0.0, 1.0)

    def _unlike_seen(self, code: Float[np.ndarray, " K"], weights: Float[np.ndarray, " E"]) -> float:
        """0 as long as the mouth is no wider open than the clip has shown it, 1 far beyond: then what was learned of
        its inside would lie in shreds.
        """
        rest, by_shape, by_code = self._gaps
        widest = max(rest + float((self.open_code - self.shut_code) @ by_code), PARTED_M)
        now = rest + float(weights @ by_shape) + float((code - self.shut_code) @ by_code)
        return float(np.clip((now / widest - WIDER) / WIDER, 0.0, 1.0))

    def _place_cavity(
        self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray, front_m: float, eye_m: np.ndarray
    ) -> None:
        """Spread the cavity's sheet behind the lips, as the camera sees them."""
        n, low, high = self.parts.cavity, ALONG @ lower, ALONG @ upper
        low[:, 1] -= MARGIN_M
        high[:, 1] += MARGIN_M
        behind = (low + (high - low) * _UP[..., None]).reshape(n, 3)
        behind[:, 2] = front_m
        rows[:n, splat.POSITION] = eye_m + (behind - eye_m) * ((self.depth_m - eye_m[2]) / (front_m - eye_m[2]))
        size = np.log(0.75 * np.maximum((high - low)[:, 1] / ROWS, (high[-1, 0] - high[0, 0]) / COLUMNS))
        rows[:n, splat.LOG_SCALE] = (size[:, None] + [0.0, 0.0, np.log(0.3)])[_CELL]

    @cached_property
    def _grows(self) -> Float[np.ndarray, "E U"]:
        """By how much of its area each shape makes a triangle around the mouth grow."""
        rest = np.maximum(_areas(self.neutral), 1e-9)
        return np.stack([_areas(self.neutral + moved) / rest - 1.0 for moved in self.by_shape]).astype(np.float32)

    @cached_property
    def _rest_gap(self) -> Float[np.ndarray, "11"]:
        lower, upper = self.lips(self.neutral)
        return (upper - lower)[:, 1]


def _areas(mesh: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, " U"]:
    """Of the triangles around the mouth, doubled."""
    first, second, third = mesh[UNDER_POINTS]
    return np.linalg.norm(np.cross(second - first, third - first), axis=1)


def _seen_in_plane(
    position: Float[np.ndarray, "I 3"], front_m: float, eye_m: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "2 I"]:
    """Where the camera sees points in the plane of the lips, metres."""
    ahead = np.clip((front_m - eye_m[2]) / np.minimum(position[:, 2] - eye_m[2], -1e-3), 0.5, 2.0)
    return (eye_m[:2] + (position[:, :2] - eye_m[:2]) * ahead[:, None]).T


def _beyond(
    lower: Float[np.ndarray, "11 3"], upper: Float[np.ndarray, "11 3"], seen: Float[np.ndarray, "2 I"]
) -> Float[np.ndarray, " I"]:
    """How far beyond the lips' rim points are seen, metres in the plane of the lips; negative between them."""
    x, y = seen
    outside = np.maximum(y - np.interp(x, upper[:, 0], upper[:, 1]), np.interp(x, lower[:, 0], lower[:, 1]) - y)
    return np.maximum(outside, np.maximum(lower[0, 0] - x, x - lower[-1, 0]))


def _covered(outside_m: Float[np.ndarray, " I"]) -> Float[np.ndarray, " I"]:
    """How much the lips hide of what is seen so far beyond where they begin to, 0 to 1."""
    beyond = np.clip(outside_m / FADE_M, 0.0, 1.0)
    return beyond * beyond * (3.0 - 2.0 * beyond)


def onset(weights: Float[np.ndarray, " E"]) -> float:
    """0 without an expression, 1 with one, smooth between."""
    share = min(float(np.abs(weights).sum()) / ONSET, 1.0)
    return share * share * (3.0 - 2.0 * share)


def openings_of(
    rig: MeshRig,
    binding: Binding,
    base: Float[np.ndarray, "N 16"],
    wanted: Float[np.ndarray, "E 478 3"],
    jaw: tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "E 3"]],
) -> Openings:
    """Find what lies in the mouth, and put something behind lips and lids.

    Args:
        jaw: what one of each code and each shape moves the lower teeth.
    """
    inside = np.flatnonzero(np.isin(binding.region, (SKULL, JAW)))
    ring = rig.neutral[INNER_LIPS_RING]
    under, below_m = _under_skin(rig.mean, binding, base)
    deepest = float(np.percentile(base[inside, 2], 2)) if len(inside) else float(ring[:, 2].mean()) - 0.015
    depth = min(deepest, float(ring[:, 2].min()) - 0.008) - BEHIND_M
    cavity = _flat(np.tile([0.0, 0.0, depth], (COLUMNS * ROWS, 1)), 0.001, _darkest(base[inside]))
    cavity[:, splat.COLOUR] *= 1.0 + (TONGUE - 1.0) * np.clip(1.0 - 2.0 * _UP, 0.0, 1.0).repeat(COLUMNS, 1).reshape(
        -1, 1
    )
    eyes = [_eye_sheet(rig.mean[eye], base[binding.region == EYEBALL]) for eye in (LEFT_EYE_RING, RIGHT_EYE_RING)]
    white = np.max([eye[:, splat.COLOUR].max(0) for eye in eyes], 0)
    teeth = [_hidden(arch) for arch in arches(rig.neutral, _lightest(base[inside]), white)]
    ends = np.cumsum([len(cavity), sum(map(len, eyes)), *map(len, teeth)]).tolist()
    return Openings(
        inside,
        np.concatenate([cavity, *eyes, *teeth, under]),
        Ends(*ends),
        rig.neutral[USED],
        np.ascontiguousarray(rig.motion[:, USED], np.float32),
        np.ascontiguousarray(wanted[:, USED], np.float32),
        below_m,
        rig.shut_code,
        rig.open_code,
        depth,
        np.max([(wanted[:, up, 1] - wanted[:, low, 1]).max(1) for up, low in _LIDS], 0).clip(0.0),
        *jaw,
        np.ones(len(under)),
    )


def _darkest(inside: Float[np.ndarray, "I 16"]) -> Float[np.ndarray, "3"]:
    """The darkest tenth of what the clip shows in the mouth, and never lighter than a mouth is."""
    if len(inside) < 20:
        return DARK
    colour = np.clip(inside[:, splat.COLOUR], 0.0, 1.0)
    dark = colour[np.argsort(colour.sum(1))[: max(5, len(colour) // 10)]].mean(0)
    return np.minimum(dark, DARK * 1.6)


def _lightest(inside: Float[np.ndarray, "I 16"]) -> Float[np.ndarray, "3"]:
    """The lightest twentieth of what the clip shows in the mouth; black where there is nothing."""
    if len(inside) < 20:
        return np.zeros(3)
    colour = np.clip(inside[:, splat.COLOUR], 0.0, 1.0)
    return colour[np.argsort(-colour.sum(1))[: len(colour) // 20]].mean(0)


def _hidden(rows: Float[np.ndarray, "M 16"]) -> Float[np.ndarray, "M 16"]:
    rows[:, 10] = HIDDEN
    return rows


def _eye_sheet(ring: Float[np.ndarray, "16 3"], eyeballs: Float[np.ndarray, "J 16"]) -> Float[np.ndarray, "S 16"]:
    """Behind one eye: the eye's white, darker farther up and down, where lids cast shade."""
    low, high = ring.min(0) - EYE_MARGIN_M, ring.max(0) + EYE_MARGIN_M
    x, y = np.meshgrid(np.arange(low[0], high[0], EYE_STEP_M), np.arange(low[1], high[1], EYE_STEP_M))
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    within = ((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 < 1.0
    points = np.stack([x[within], y[within]], 1)
    nearest = np.linalg.norm(points[:, None] - ring[None, :, :2], axis=-1).argmin(1)
    near = (
        eyeballs[np.linalg.norm(eyeballs[:, :2] - centre[:2], axis=1) < half[0] + 0.002] if len(eyeballs) else eyeballs
    )
    white = np.array([0.55, 0.5, 0.48])
    if len(near) >= 10:
        colour = np.clip(near[:, splat.COLOUR], 0.0, 1.0)
        white = colour[np.argsort(-colour.sum(1))[: max(3, len(colour) // 4)]].mean(0)
    z = ring[nearest, 2]
    if len(near) >= 10:
        z = np.minimum(z, float(np.percentile(near[:, 2], 5)))
    rows = _flat(np.column_stack([points, z - EYE_BEHIND_M]), EYE_STEP_M, white)
    rows[:, splat.COLOUR] *= (1.0 - 0.35 * np.clip(np.abs(points[:, 1] - centre[1]) / half[1], 0.0, 1.0))[:, None]
    return rows


def _under_skin(
    mesh: Float[np.ndarray, "478 3"], binding: Binding, base: Float[np.ndarray, "N 16"]
) -> tuple[Float[np.ndarray, "U 16"], Float[np.ndarray, "U 3"]]:
    """Skin under the skin, a Gaussian for each triangle: what a stretched cheek or a raised lip might let through.

    Its colour is the median of the Gaussians nearest to the triangle's middle.
    """
    corners = mesh[UNDER]
    middle = corners.mean(1)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-12)
    skin = np.isin(binding.region, (UPPER, LOWER, SKIN)) & (np.abs(binding.height_m) < 0.004) & (base[:, 10] > 0.0)
    rows = _flat(middle, 0.001, np.array([0.6, 0.45, 0.4]))
    if skin.sum() >= 12:
        position, colour = base[skin][:, splat.POSITION], np.clip(base[skin][:, splat.COLOUR], 0.0, 1.0)
        apart = (middle**2).sum(1)[:, None] + (position**2).sum(1)[None] - 2.0 * middle @ position.T
        nearest = np.argpartition(apart, 8, axis=1)[:, :8]
        rows[:, splat.COLOUR] = np.median(colour[nearest], axis=1)
    edge = np.sqrt(np.linalg.norm(cross, axis=1))
    rows[:, splat.LOG_SCALE] = np.log(np.maximum(0.7 * edge, 1e-3))[:, None] + [0.0, 0.0, np.log(0.2)]
    rows[:, splat.QUATERNION] = facing(normal)
    return rows, -UNDER_M[:, None] * normal


def _flat(position: Float[np.ndarray, "M 3"], size_m: float, colour: Float[np.ndarray, "3"]) -> np.ndarray:
    """Hidden Gaussians that face the camera and follow the head."""
    rows = np.zeros((len(position), splat.CHANNELS), np.float32)
    rows[:, splat.POSITION] = position
    rows[:, splat.LOG_SCALE] = np.log(0.75 * size_m) + np.array([0.0, 0.0, np.log(0.3)])
    rows[:, splat.QUATERNION] = [1.0, 0.0, 0.0, 0.0]
    rows[:, 10], rows[:, splat.COLOUR], rows[:, 14] = HIDDEN, colour, -8.0
    return rows
