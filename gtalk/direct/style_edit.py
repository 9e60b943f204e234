"""A style at work: what this person does, multiplied by how the style's person differs, within this person's range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import JAW, LIPS, UPPER_GROUP
from gtalk.direct.score_edit import head_range, limited
from gtalk.direct.style import Style, own_style
from gtalk.geometry.pose import pose_matrices, pose_vectors
from gtalk.motion.edits.direct import without_torso
from gtalk.motion.idle.blinks_gaze import BLINK_BELOW
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

_RANGE, _MOUTH_RANGE, _BLINK_RANGE = (0.4, 2.0), (0.94, 1.06), (0.3, 2.0)
_SLOW_S = 0.35  # time constant between what a head does slowly, as leaning, and quickly, as nodding
_BLINK_STARTS = 0.8  # openness


@dataclass(frozen=True)
class Gains:
    """Factors of one style on one person."""

    slow: Float[np.ndarray, " 3"]
    quick: Float[np.ndarray, " 3"]
    gaze: Float[np.ndarray, " 2"]
    blinks: float
    brows: float
    mouth: float

    @staticmethod
    def of(style: Style, own: Style, share: float) -> Gains:
        """Ratios to the power of the share, within what still looks like a person."""
        ratio = np.exp(share * (style.vector() - own.vector()))
        slow, quick, gaze = (np.clip(ratio[a:b], *_RANGE) for a, b in ((0, 3), (3, 6), (6, 8)))
        mouth = float(np.clip(np.sqrt(ratio[10] * ratio[11]), *_MOUTH_RANGE))
        return Gains(
            slow, quick, gaze, float(np.clip(ratio[8], *_BLINK_RANGE)), float(np.clip(ratio[9], *_RANGE)), mouth
        )


class StyleEdit:
    """A MotionEdit. With share 0 it changes nothing."""

    def __init__(self, model: PersonMotionModel, style: Style, share: float = 1.0, seed: int = 0) -> None:
        self._model, self._share = model, share
        self.gains = Gains.of(style, own_style(model), share)
        self._rng = np.random.default_rng([seed, 6])
        self._slow: np.ndarray | None = None
        self._in_blink = self._drop = False
        self._open = np.ones(2)
        self._extra = np.zeros((0, 2))  # of a blink that is added: closures to come
        code = np.zeros((1, model.basis.size))
        code[:, model.basis.groups["mouth"]] = model.face.rest
        self._rest = model.basis.decode(code)[0]

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        if self._share == 0.0 or not len(motion):
            return motion
        gains, face = self.gains, self._model.face
        eyes = np.stack([self._lids(row, motion.fps) for row in motion.eyes])
        brows = motion.brows * gains.brows
        landmarks = motion.landmarks.copy()
        landmarks[:, UPPER_GROUP] += face.upper_landmarks(eyes, brows) - face.upper_landmarks(motion.eyes, motion.brows)
        for group in (JAW, LIPS):
            landmarks[:, group] = self._rest[group] + gains.mouth * (landmarks[:, group] - self._rest[group])
        mean = self._model.eyes.gaze_mean
        gaze = mean + gains.gaze * (motion.gaze - mean)
        posed = self._posed(motion)
        return posed.replace(eyes=eyes, brows=brows, landmarks=landmarks, gaze=gaze)

    def _posed(self, motion: Motion) -> Motion:
        own = pose_vectors(motion.head_pose, self._model.mean_pose)
        keep = float(np.exp(-1.0 / (_SLOW_S * motion.fps)))
        wanted = own.copy()
        for i, row in enumerate(own[:, :3]):
            self._slow = row if self._slow is None else keep * self._slow + (1.0 - keep) * row
            wanted[i, :3] = self.gains.slow * self._slow + self.gains.quick * (row - self._slow)
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
