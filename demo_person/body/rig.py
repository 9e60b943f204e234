"""What the face can do: jaw, lips, lids and brows as motions of the control points."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from demo_person.body.head import EYE_RINGS, EYEBALL_RADIUS, LID_THICKNESS, Skin, _inside_lips, iris_points
from demo_person.drawing.geometry import harmonic
from gtalk.geometry.easing import smoothstep
from gtalk.topology import (
    BROW_POINTS,
    EYE_CORNERS,
    FACE_OVAL,
    INNER_LIPS_RING,
    LIP_GAP_PAIRS,
    N_FACE,
    OUTER_LIPS_RING,
    RIGID,
)

JAW_HINGE = np.array([0.0, -0.028, 0.010])
BROW_LOWER = np.array([[46, 53, 52, 65, 55], [276, 283, 282, 295, 285]])
JAW_ON_OVAL = {0: 1.0, 1: 1.0, 2: 0.97, 3: 0.93, 4: 0.87, 5: 0.76, 6: 0.58, 7: 0.36, 8: 0.18, 9: 0.06}
CHIN = (175, 171, 396, 199, 208, 428, 200, 201, 421, 140, 369)
STILL_NOSE = (2, 98, 97, 326, 327, 94, 19, 1, 4, 64, 294, 48, 278, 129, 358, 60, 290)


@dataclass(frozen=True)
class Expression:
    """One instant of the face."""

    jaw: float = 0.0
    """Opening of the jaw, radians."""
    spread: float = 0.0
    """Corners of the mouth apart, 0 to 1."""
    rounded: float = 0.0
    """Lips narrow and forward, 0 to 1."""
    upper: float = 0.0
    """Upper lip raised, 0 to 1."""
    lower: float = 0.0
    """Lower lip lowered, 0 to 1."""
    tuck: float = 0.0
    """Lower lip under the upper teeth, 0 to 1."""
    seal: float = 0.0
    """Lips brought together, 0 to 1."""
    smile: float = 0.0
    """Corners of the mouth up, 0 to 1."""
    tongue: float = 0.0
    """Tip of the tongue raised, 0 to 1."""
    blink: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Closing of the eyes on the picture's left and right, 0 to 1."""
    brows: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Raise of the brows, metres."""
    gaze: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """Yaw towards the picture's right and pitch up, radians."""


class Rig:
    """Moves the control points of a `Skin`."""

    def __init__(self, skin: Skin) -> None:
        self.skin = skin
        self.rest = skin.cage
        self._solve_mouth()
        self._solve_lids()
        self._solve_brows()
        self._find_lid_skin()
        self._calibrate_lids()

    def _weights(self, fixed: dict[int, float]) -> np.ndarray:
        return harmonic(self.skin.triangles, len(self.rest), fixed)

    def _solve_mouth(self) -> None:
        rings = self.skin.rings
        half = len(OUTER_LIPS_RING) // 2
        lower = np.concatenate([OUTER_LIPS_RING[1:half], INNER_LIPS_RING[1:half]])
        upper = np.concatenate([OUTER_LIPS_RING[half + 1 :], INNER_LIPS_RING[half + 1 :]])
        corners = np.concatenate([OUTER_LIPS_RING[[0, half]], INNER_LIPS_RING[[0, half]]])
        self.lip_pairs = np.concatenate([LIP_GAP_PAIRS, [[191, 95], [80, 88], [310, 318], [415, 324]]])
        self.lip_gap = self.skin.matrix[self.lip_pairs[:, 0]] - self.skin.matrix[self.lip_pairs[:, 1]]
        still = dict.fromkeys((*RIGID.tolist(), *STILL_NOSE, *np.concatenate(EYE_RINGS).tolist()), 0.0)
        neck = rings["neck"]
        oval_jaw = np.array([JAW_ON_OVAL.get(abs(i - 18), 0.0) for i in range(len(FACE_OVAL))])
        fade = np.clip(1 - (np.arange(1, len(neck) + 1)) / 7, 0, 1)
        neck_jaw = dict(zip(neck.ravel().tolist(), (fade[:, None] * oval_jaw).ravel().tolist(), strict=True))
        still_neck = dict.fromkeys(neck.ravel().tolist(), 0.0)
        oval_still = dict.fromkeys(FACE_OVAL.tolist(), 0.0)
        jaw = still | neck_jaw | dict(zip(FACE_OVAL.tolist(), oval_jaw.tolist(), strict=True))
        jaw |= dict.fromkeys(CHIN, 1.0) | dict.fromkeys(lower.tolist(), 1.0) | dict.fromkeys(upper.tolist(), 0.0)
        jaw |= dict.fromkeys(corners.tolist(), 0.42)
        for row in rings["mouth"]:
            jaw |= {int(v): jaw[int(r)] for v, r in zip(row, INNER_LIPS_RING, strict=True)}
        self.jaw = self._weights(jaw)

        bag = {int(v): w for row, w in zip(rings["mouth"], (1.0, 0.8, 0.2, 0.0), strict=True) for v in row}
        base = still | still_neck | oval_still | dict.fromkeys((175, 171, 396), 0.0)
        inside = _inside_lips(self.rest[:N_FACE]).tolist()
        lips = dict.fromkeys((*lower.tolist(), *upper.tolist(), *corners.tolist(), *inside), 1.0)
        self.lips = self._weights(base | bag | lips)
        width = np.abs(self.rest[OUTER_LIPS_RING[0], 0])

        def profile(index: np.ndarray) -> dict[int, float]:
            return {int(i): float(np.cos(np.pi / 2 * min(1.0, abs(self.rest[i, 0]) / width)) ** 0.8) for i in index}

        none = dict.fromkeys(corners.tolist(), 0.0)
        up_bag, low_bag = self._bag_profile(upper, profile), self._bag_profile(lower, profile)
        self.upper = self._weights(base | none | up_bag | dict.fromkeys(lower.tolist(), 0.0) | profile(upper))
        self.lower = self._weights(base | none | low_bag | dict.fromkeys(upper.tolist(), 0.0) | profile(lower))
        self.corner = self._weights(
            base
            | dict.fromkeys(rings["mouth"][2:].ravel().tolist(), 0.0)
            | {int(i): float(np.abs(self.rest[i, 0] / width) ** 2) for i in (*lower, *upper)}
            | dict.fromkeys(corners.tolist(), 1.0)
        )

    def _bag_profile(self, side: np.ndarray, profile) -> dict[int, float]:
        values = profile(side)
        result = {}
        for row, share in zip(self.skin.rings["mouth"], (1.0, 0.8, 0.2, 0.0), strict=True):
            result |= {int(v): share * values.get(int(r), 0.0) for v, r in zip(row, INNER_LIPS_RING, strict=True)}
        return result

    def _solve_lids(self) -> None:
        """Angles about the eyeball's axis that shut the upper and the lower lid."""
        self.lid_angle = np.zeros((2, 2, len(self.rest)))
        self._still_lids: list[dict[int, float]] = []
        brows = {int(i): 0.0 for i in (*BROW_POINTS.ravel(), *BROW_LOWER.ravel())}
        for eye, (ring, centre) in enumerate(zip(EYE_RINGS, self.skin.eye_centres, strict=True)):
            offset = self.rest[ring] - centre
            angle = np.arctan2(offset[:, 1], offset[:, 2])
            lower, upper = np.arange(1, 8), np.arange(15, 8, -1)
            gap = angle[upper] - angle[lower]
            corner = {int(ring[0]): 0.0, int(ring[8]): 0.0}
            others = dict.fromkeys((*EYE_RINGS[1 - eye].tolist(), *FACE_OVAL.tolist(), *RIGID.tolist()), 0.0)
            others |= brows | dict.fromkeys(OUTER_LIPS_RING.tolist(), 0.0) | dict.fromkeys(STILL_NOSE, 0.0) | corner
            self._still_lids.append(others | {int(i): 0.0 for i in ring})
            margin = self.skin.rings[("left_lid", "right_lid")[eye]]
            for lid, moving, resting, share in ((0, upper, lower, -0.90), (1, lower, upper, 0.17)):
                fixed = others | {int(ring[i]): 0.0 for i in resting}
                fixed |= {int(ring[i]): float(share * g) for i, g in zip(moving, gap, strict=True)}
                for row in margin:
                    fixed |= {int(v): fixed[int(r)] for v, r in zip(row, ring, strict=True)}
                self.lid_angle[eye, lid] = self._weights(fixed)

    def _solve_brows(self) -> None:
        self.brow = np.zeros((2, len(self.rest)))
        still = dict.fromkeys((*FACE_OVAL.tolist(), *np.concatenate(EYE_RINGS).tolist(), *STILL_NOSE), 0.0)
        still |= dict.fromkeys((*EYE_CORNERS.ravel().tolist(), 168, 6, 197, 116, 345, 117, 346), 0.0)
        for side in range(2):
            fixed = still | dict.fromkeys((*BROW_POINTS[1 - side].tolist(), *BROW_LOWER[1 - side].tolist()), 0.12)
            fixed |= dict.fromkeys(BROW_POINTS[side].tolist(), 1.0) | dict.fromkeys(BROW_LOWER[side].tolist(), 0.85)
            self.brow[side] = self._weights(fixed)

    def _find_lid_skin(self) -> None:
        surface = self.skin.matrix @ self.rest
        skin = np.zeros(len(surface), bool)
        skin[self.skin.fine_triangles[self.skin.fine_label == 1]] = True
        self.lid_skin = []
        for centre in self.skin.eye_centres:
            offset = surface - centre
            near = (np.linalg.norm(offset, axis=1) < 0.024) & (offset[:, 2] > 0) & skin
            self.lid_skin.append(np.flatnonzero(near))

    def _calibrate_lids(self) -> None:
        """Lids must meet on the surface, which lies off the control points: how much farther the upper one turns."""
        self.lid_extra = np.zeros((2, len(self.rest)))
        lower, upper = np.arange(1, 8), np.arange(15, 8, -1)
        farther = np.zeros((2, len(upper)))
        for _ in range(3):
            surface = self.surface(self.control_points(Expression(blink=np.ones(2))))
            for eye, ring in enumerate(EYE_RINGS):
                left = surface[ring[upper], 1] - surface[ring[lower], 1]
                farther[eye] -= left / (EYEBALL_RADIUS + LID_THICKNESS)
                fixed = self._still_lids[eye] | dict(zip(ring[upper].tolist(), farther[eye].tolist(), strict=True))
                for row in self.skin.rings[("left_lid", "right_lid")[eye]]:
                    fixed |= {int(v): fixed[int(r)] for v, r in zip(row, ring, strict=True)}
                self.lid_extra[eye] = self._weights(fixed)

    def control_points(self, e: Expression) -> np.ndarray:
        """[N,3] of an expression."""
        p = self.rest.copy()
        lips, x = self.lips, self.rest[:, 0]
        across = np.clip(np.abs(x) / np.abs(self.rest[OUTER_LIPS_RING[0], 0]), 0, 1)
        p[:, 0] += x * lips * (0.17 * e.spread - 0.34 * e.rounded)
        p[:, 2] += lips * (0.0062 * e.rounded * (1 - 0.3 * across) - 0.0015 * e.spread * across)
        p[:, 1] += 0.0012 * e.rounded * (self.lower * -1 + self.upper)
        p[:, 1] += self.corner * (0.0050 * e.smile + 0.0012 * e.spread)
        p[:, 0] += np.sign(x) * self.corner * 0.0030 * e.smile
        p[:, 1] += 0.0046 * e.upper * self.upper - 0.0055 * e.lower * self.lower
        p[:, 1] += e.tuck * (0.0030 * self.lower + 0.0016 * self.upper)
        p[:, 2] -= e.tuck * 0.0042 * self.lower
        p = self._open_jaw(p, e.jaw)
        if e.seal > 0:
            p = self._seal(p, e.seal)
        for side in range(2):
            p[:, 1] += e.brows[side] * self.brow[side]
            p = self._close_lids(p, side, e)
        return p

    def _open_jaw(self, p: np.ndarray, angle: float) -> np.ndarray:
        turn = angle * self.jaw
        offset = p - JAW_HINGE
        c, s = np.cos(turn), np.sin(turn)
        y = offset[:, 1] * c - offset[:, 2] * s
        z = offset[:, 1] * s + offset[:, 2] * c
        p = p.copy()
        # The chin goes down and a little back; cheeks hollow slightly.
        p[:, 1], p[:, 2] = JAW_HINGE[1] + y, JAW_HINGE[2] + z
        return p

    def _seal(self, p: np.ndarray, amount: float) -> np.ndarray:
        # The gap is the surface's, not the control points': those lie off it.
        x, gap = self.rest[self.lip_pairs[:, 0], 0], self.lip_gap @ p[:, 1] + 0.0001
        order = np.argsort(x)
        amount = min(1.0, 1.12 * amount) ** 1.5
        edge = self.rest[INNER_LIPS_RING[0], 0]
        here = np.interp(self.rest[:, 0], [edge, *x[order], -edge], [0, *gap[order], 0])
        here = np.maximum(here, 0) * amount
        p = p.copy()
        p[:, 1] += here * (0.66 * self._flat(self.lower) - 0.34 * self._flat(self.upper))
        pressed = amount * np.clip(self.lips, 0, 1) ** 2
        p[:, 2] -= 0.0006 * pressed
        return p

    def _flat(self, weight: np.ndarray) -> np.ndarray:
        """A lip's weight without its profile across: the gap already has one."""
        width = np.abs(self.rest[OUTER_LIPS_RING[0], 0])
        profile = np.cos(np.pi / 2 * np.minimum(0.97, np.abs(self.rest[:, 0]) / width)) ** 0.8
        return np.clip(weight / profile, 0, 1)

    def _close_lids(self, p: np.ndarray, side: int, e: Expression) -> np.ndarray:
        upper, lower = self.lid_angle[side]
        open_ = 1 - e.blink[side]
        # The upper lid follows a gaze that turns down or up.
        follow = -0.42 * e.gaze[1] * open_ / 0.9
        turn = (
            e.blink[side] * (upper + lower)
            + smoothstep(0.15, 1.0, e.blink[side]) * self.lid_extra[side]
            + follow * upper
            + 0.10 * e.gaze[1] * lower * open_
        )
        moving = np.abs(turn) > 1e-6
        centre = self.skin.eye_centres[side]
        offset = p[moving] - centre
        c, s = np.cos(turn[moving]), np.sin(turn[moving])
        p = p.copy()
        p[moving, 1] = centre[1] + offset[:, 1] * c + offset[:, 2] * s
        p[moving, 2] = centre[2] + offset[:, 2] * c - offset[:, 1] * s
        return p

    def surface(self, control: np.ndarray) -> np.ndarray:
        """[V,3] of the subdivided surface; lids lie on the eyeballs."""
        points = self.skin.matrix @ control
        for side, index in enumerate(self.lid_skin):
            centre = self.skin.eye_centres[side]
            offset = points[index] - centre
            distance = np.linalg.norm(offset, axis=1, keepdims=True)
            least = EYEBALL_RADIUS + LID_THICKNESS * smoothstep(0.030, 0.014, distance)
            points[index] = centre + offset * np.maximum(1, least / distance)
        return points

    def landmarks(self, surface: np.ndarray, gaze: np.ndarray) -> np.ndarray:
        """[478,3] in head space."""
        return np.concatenate([surface[:N_FACE], iris_points(self.skin.eye_centres, gaze)])
