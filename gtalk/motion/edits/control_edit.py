"""Controls at work on any motion on its way to the renderer: predicted, tracked or read from a file.

talker = Talker(avatar, model, edits=[lambda: ControlEdit(model, Controls(mouth=1.1))])
session = talker.session()
session.post(Controls(mouth=0.8))    # from the next frame on
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gtalk.basis import MOUTH_GROUP, UPPER_GROUP
from gtalk.geometry.pose import pose_matrices, pose_vectors
from gtalk.motion.edits.controls import Controls
from gtalk.motion.edits.direct import Gaze, Turn, without_torso
from gtalk.motion.edits.emotion import ExpressionEdit, read_emotion
from gtalk.motion.edits.lle import LandmarkLLE
from gtalk.motion.idle.blinks_gaze import BLINK_BELOW
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

_BLINK_STARTS = 0.8  # openness


class ControlEdit:
    """All controls as one EventEdit: it obeys the latest `Controls` that it received. The defaults change nothing."""

    def __init__(self, model: PersonMotionModel, controls: Controls, seed: int = 0) -> None:
        self.controls = controls
        self._model = model
        self._rng = np.random.default_rng([seed, 4])
        self._smooth: dict[str, np.ndarray] = {}
        self._in_blink = self._drop_blink = False
        self._open = np.ones(2)
        self._emotion = ExpressionEdit(model, read_emotion(controls.emotion, model.expressions))

    def receive(self, event: object) -> None:
        """Obey other controls from the next frame on."""
        if isinstance(event, Controls):
            if event.emotion != self.controls.emotion:
                self._emotion.receive(read_emotion(event.emotion, self._model.expressions))
            self.controls = event

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        if not len(motion):
            return motion
        motion = self._emotion(self._posed(self._upper(self._mouth(self._pulled(motion)))), start_frame)
        return self._smoothed(motion) if self.controls.smoothing_s > 0 else motion

    @cached_property
    def _lle(self) -> LandmarkLLE:
        return LandmarkLLE(self._model.basis, self._model.bank)

    @cached_property
    def _rest_mouth(self) -> Float[np.ndarray, "37 3"]:
        code = np.zeros((1, self._model.basis.size))
        code[:, self._model.basis.groups["mouth"]] = self._model.face.rest
        return self._model.basis.decode(code)[0, MOUTH_GROUP]

    def _pulled(self, motion: Motion) -> Motion:
        if self.controls.lle == 0.0:
            return motion
        self._lle.blend, self._lle.k = self.controls.lle, self.controls.lle_neighbours
        return self._lle(motion)

    def _mouth(self, motion: Motion) -> Motion:
        if self.controls.mouth == 1.0:
            return motion
        landmarks = motion.landmarks.copy()
        landmarks[:, MOUTH_GROUP] = self._rest_mouth + self.controls.mouth * (
            landmarks[:, MOUTH_GROUP] - self._rest_mouth
        )
        return motion.replace(landmarks=landmarks)

    def _upper(self, motion: Motion) -> Motion:
        """Brows, blinks and gaze; the landmarks of lids and brows move with them."""
        controls, face = self.controls, self._model.face
        eyes = self._fewer_blinks(motion.eyes) if controls.blink_rate < 1.0 else motion.eyes
        brows = motion.brows * controls.expression
        landmarks = motion.landmarks
        if controls.blink_rate < 1.0 or controls.expression != 1.0:
            landmarks = landmarks.copy()
            change = face.upper_landmarks(eyes, brows) - face.upper_landmarks(motion.eyes, motion.brows)
            landmarks[:, UPPER_GROUP] += change
        return Gaze(*controls.gaze_offset_rad)(motion.replace(landmarks=landmarks, eyes=eyes, brows=brows))

    def _fewer_blinks(self, eyes: Float[np.ndarray, "T 2"]) -> Float[np.ndarray, "T 2"]:
        """Holds the eyes open through blinks that the dice drop; decided as a blink begins."""
        out = eyes.copy()
        for i, row in enumerate(eyes):
            closing = bool(row.mean() < _BLINK_STARTS)
            if closing and not self._in_blink:
                self._drop_blink = bool(self._rng.random() >= self.controls.blink_rate)
            self._in_blink = closing
            if closing and self._drop_blink:
                out[i] = self._open
            elif row.mean() > BLINK_BELOW:
                self._open = np.maximum(row, _BLINK_STARTS)
        return out

    def _posed(self, motion: Motion) -> Motion:
        if self.controls.pose != 1.0:
            mean = self._model.mean_pose
            poses = pose_matrices(pose_vectors(motion.head_pose, mean) * self.controls.pose, mean)
            motion = without_torso(motion.replace(head_pose=poses))
        return Turn(*self.controls.pose_offset_rad)(motion)

    def _smoothed(self, motion: Motion) -> Motion:
        keep = float(np.exp(-1.0 / (max(self.controls.smoothing_s, 1e-3) * motion.fps)))
        mean = self._model.mean_pose
        vectors = self._filter("pose", pose_vectors(motion.head_pose, mean), keep)
        landmarks = motion.landmarks.copy()
        landmarks[:, MOUTH_GROUP] = self._filter("mouth", landmarks[:, MOUTH_GROUP], keep)
        gaze = self._filter("gaze", motion.gaze, keep)
        return motion.replace(head_pose=pose_matrices(vectors, mean), landmarks=landmarks, gaze=gaze)

    def _filter(self, name: str, values: np.ndarray, keep: float) -> np.ndarray:
        out = np.empty_like(values)
        state = self._smooth[name] if name in self._smooth else values[0]
        for i, value in enumerate(values):
            if np.isfinite(value).all():  # what is no number would stay for ever
                state = keep * state + (1.0 - keep) * value
            out[i] = state
        self._smooth[name] = state
        return out
