"""A style at work: what this person does, multiplied by how the style's person differs, within this person's range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import JAW, LIPS, UPPER_GROUP, mouth_aperture
from gtalk.direct.score_edit import head_range, limited
from gtalk.direct.speaking import Split, Stress
from gtalk.direct.style import Style, idle_life, own_style, pose_numbers
from gtalk.geometry.pose import pose_matrices, pose_vectors
from gtalk.motion.edits.direct import without_torso
from gtalk.motion.idle.blinks_gaze import BLINK_BELOW
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

LEAST = np.array([0.25] * 8 + [0.2, 0.25, 0.94, 0.94, 0.4])
MOST = np.array([3.5] * 8 + [5.0, 3.5, 1.06, 1.06, 2.0])
"""Factors on the numbers of a style that still look like a person; on the mouth's, that leave the words readable."""
_ROUNDS, _STEP = 8, 0.8  # until the head moves as it is asked to
_BLINK_STARTS = 0.8  # openness


@dataclass(frozen=True)
class Gains:
    """Factors of one style on one person, and what stress adds."""

    slow: Float[np.ndarray, " 3"]
    quick: Float[np.ndarray, " 3"]
    gaze: Float[np.ndarray, " 2"]
    blinks: float
    brows: float
    mouth: float
    calm: float
    """On quick movements of the head in pauses."""
    nod_rad: float
    """Added to the head's pitch, down, for one deviation of the lips' opening."""
    brow_m: float
    """Added to the brows, up, likewise."""

    @staticmethod
    def of(style: Style, model: PersonMotionModel, share: float) -> Gains:
        """Ratios to the power of the share, within what still looks like a person."""
        own = own_style(model)
        change = share * (style.vector() - own.vector())
        ratio = np.clip(np.exp(change[:13]), LEAST, MOST)
        life, _ = idle_life(model)
        split = Split(model.fps)
        parts = np.array([split(row) for row in life])  # [T,2,8]
        slow, quick = _head_gains(Style.of_vector(own.vector() + change), model, life[:, :6], parts[..., :3])
        brows, mouth = float(ratio[9]), float(np.clip(np.exp(0.5 * change[10:12].sum()), LEAST[10], MOST[10]))
        return Gains(
            slow, quick, ratio[6:8], float(ratio[8]), brows, mouth, float(ratio[12]),
            float(change[13] * quick[0] * parts[:, 1, 0].std()),
            float(change[14] * brows * parts[:, 1, 6:].mean(1).std()),
        )  # fmt: skip


def _head_gains(
    asked: Style, model: PersonMotionModel, own: Float[np.ndarray, "T 6"], parts: Float[np.ndarray, "T 2 3"]
) -> tuple[np.ndarray, np.ndarray]:
    """(slow, quick): the factors with which this person's own sway, bent into the clip's range, has the spreads and
    speeds that are asked for, as far as it can. `parts`: its turns, slow and quick.
    """
    room, gains = head_range(model), np.ones((2, 3))
    for _ in range(_ROUNDS):
        wanted = own.copy()
        wanted[:, :3] = (parts * gains).sum(1)
        now = pose_numbers(limited(own, wanted - own, room)[:, :3], model.fps)
        gains[0] *= (np.array(asked.head_deg) / np.maximum(now[:3], 1e-6)) ** _STEP
        gains[1] *= (np.array(asked.head_speed) / np.maximum(now[3:], 1e-6)) ** _STEP
        gains = np.clip(gains, LEAST[0], MOST[0])
    return gains[0], gains[1]


def reachable(style: Style, usual: Float[np.ndarray, " 15"]) -> Float[np.ndarray, " 15"]:
    """The vector of a style as far as a person can follow it whose own talking has the vector `usual`."""
    low, high = (usual[:13] + np.log(factors) for factors in (LEAST, MOST))
    vector = style.vector()
    return np.concatenate([np.clip(vector[:13], low, high), vector[13:]])


class StyleEdit:
    """A MotionEdit. With share 0 it changes nothing."""

    def __init__(self, model: PersonMotionModel, style: Style, share: float = 1.0, seed: int = 0) -> None:
        self._model, self._share = model, share
        self.gains = Gains.of(style, model, share)
        self._rng = np.random.default_rng([seed, 6])
        self._split: Split | None = None
        self._in_blink = self._drop = False
        self._open = np.ones(2)
        self._extra = np.zeros((0, 2))  # of a blink that is added: closures to come
        code = np.zeros((1, model.basis.size))
        code[:, model.basis.groups["mouth"]] = model.face.rest
        self._rest = model.basis.decode(code)[0]
        bank = np.zeros((len(model.bank), model.basis.size))
        bank[:, model.basis.groups["mouth"]] = model.bank
        spread_m = float(mouth_aperture(model.basis.decode(bank)).std())
        self._stress = Stress(float(mouth_aperture(self._rest[None])[0]), spread_m)

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        if self._share == 0.0 or not len(motion):
            return motion
        gains, face = self.gains, self._model.face
        heard = np.array([self._stress(one, motion.fps) for one in mouth_aperture(motion.landmarks).tolist()])
        eyes = np.stack([self._lids(row, motion.fps) for row in motion.eyes])
        brows = motion.brows * gains.brows + gains.brow_m * heard[:, 1:]
        landmarks = motion.landmarks.copy()
        landmarks[:, UPPER_GROUP] += face.upper_landmarks(eyes, brows) - face.upper_landmarks(motion.eyes, motion.brows)
        for group in (JAW, LIPS):
            landmarks[:, group] = self._rest[group] + gains.mouth * (landmarks[:, group] - self._rest[group])
        mean = self._model.eyes.gaze_mean
        gaze = mean + gains.gaze * (motion.gaze - mean)
        return self._posed(motion, heard).replace(eyes=eyes, brows=brows, landmarks=landmarks, gaze=gaze)

    def _posed(self, motion: Motion, heard: Float[np.ndarray, "T 2"]) -> Motion:
        own, gains = pose_vectors(motion.head_pose, self._model.mean_pose), self.gains
        self._split = self._split or Split(motion.fps)
        wanted = own.copy()
        for i, (activity, stress) in enumerate(heard):
            slow, quick = self._split(own[i, :3])
            wanted[i, :3] = gains.slow * slow + gains.quick * gains.calm ** (1.0 - activity) * quick
            wanted[i, 0] += gains.nod_rad * stress
        vectors = limited(own, wanted - own, head_range(self._model))
        return without_torso(motion.replace(head_pose=pose_matrices(vectors, self._model.mean_pose)))

    def _lids(self, row: Float[np.ndarray, " 2"], fps: float) -> Float[np.ndarray, " 2"]:
        """Fewer blinks, dropped as they begin, or more of the person's own, between the others."""
        closing = bool(row.mean() < _BLINK_STARTS)
        if closing and not self._in_blink:
            self._drop = bool(self._rng.random() >= self.gains.blinks)
        self._in_blink = closing
        if closing and self._drop:
            return self._open
        if row.mean() > BLINK_BELOW:
            self._open = np.maximum(row, _BLINK_STARTS)
        life = self._model.eyes
        more_hz = max(0.0, self.gains.blinks - 1.0) * life.blink_rate_hz
        if not closing and not len(self._extra) and self._rng.random() < more_hz / fps:
            self._extra = life.blink_shapes[self._rng.integers(len(life.blink_shapes))]
        if len(self._extra):
            shut, self._extra = self._extra[0], self._extra[1:]
            return np.minimum(row, 1.0 - shut)
        return row
