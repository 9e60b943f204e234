"""Controls of any motion on its way to the renderer, whether it was predicted, tracked or read from a file.

controls = Controls(mouth=1.1, blink_rate=0.5)
Talker(avatar, model, edits=[ControlEdit(model, controls)])   # and change `controls` while it talks
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import MOUTH_GROUP, UPPER_GROUP
from gtalk.geometry.pose import pose_matrices, pose_vectors, rotations
from gtalk.motion.edits.lle import LandmarkLLE
from gtalk.motion.idle.blinks_gaze import BLINK_BELOW
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

_BLINK_STARTS = 0.8  # openness


@dataclass
class Controls:
    """What a person may turn while an avatar talks. The defaults change nothing but outliers."""

    mouth: float = 1.0
    """Mouth opening relative to what was predicted, 0 to 2."""
    expression: float = 1.0
    """Brow movement relative to what was predicted, 0 to 2."""
    pose: float = 1.0
    """Head movement relative to what was predicted, 0 to 2."""
    blink_rate: float = 1.0
    """Blinks relative to the person's own rate, 0 to 1; more come from the motion model."""
    gaze_offset_rad: tuple[float, float] = (0.0, 0.0)
    """Added to the gaze: yaw towards the image's right, pitch up."""
    pose_offset_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added turn of the head about its own axes: pitch, yaw, roll."""
    smoothing_s: float = 0.0
    """Time constant of a smoothing of everything but blinks; delays the motion by about as much."""
    lle: float = 1.0
    """How far mouths off the person's manifold are pulled back, 0 to 1."""
    lle_neighbours: int = 10
    """Neighbours of the landmark LLE."""


class ControlEdit:
    """All controls as one MotionEdit."""

    def __init__(self, model: PersonMotionModel, controls: Controls, seed: int = 0) -> None:
        self.controls = controls
        self._model, self._seed = model, seed
        self._lle = LandmarkLLE(model.basis, model.bank)
        code = np.zeros((1, model.basis.size))
        code[:, model.basis.groups["mouth"]] = model.face.rest
        self._rest_mouth = model.basis.decode(code)[0, MOUTH_GROUP]
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._rng = np.random.default_rng([self._seed, 4])
        self._smooth: dict[str, np.ndarray] = {}
        self._in_blink = self._drop_blink = False
        self._open = np.ones(2)

    def __call__(self, motion: Motion) -> Motion:
        """The edited frames."""
        if not len(motion):
            return motion
        controls = self.controls
        self._lle.blend, self._lle.k = controls.lle, max(2, controls.lle_neighbours)
        motion = self._posed(self._upper(self._mouth(self._lle(motion))))
        return self._smoothed(motion) if controls.smoothing_s > 0 else motion

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
        gaze = motion.gaze + np.asarray(controls.gaze_offset_rad)
        landmarks = motion.landmarks
        if controls.blink_rate < 1.0 or controls.expression != 1.0:
            landmarks = landmarks.copy()
            change = face.upper_landmarks(eyes, brows) - face.upper_landmarks(motion.eyes, motion.brows)
            landmarks[:, UPPER_GROUP] += change
        return motion.replace(landmarks=landmarks, eyes=eyes, brows=brows, gaze=gaze)

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
        controls, mean = self.controls, self._model.mean_pose
        if controls.pose == 1.0 and not any(controls.pose_offset_rad):
            return motion
        vectors = pose_vectors(motion.head_pose, mean)
        poses = pose_matrices(vectors * controls.pose, mean)
        poses[:, :3, :3] = poses[:, :3, :3] @ rotations(np.array([controls.pose_offset_rad], np.float64))
        channels = dict(motion.channels)
        if "torso" in channels and self._model.face.has_torso:
            moved = self._model.face.torso_of(pose_vectors(poses, mean)) - self._model.face.torso_of(vectors)
            channels["torso"] = channels["torso"] + moved
        return motion.replace(head_pose=poses, channels=channels)

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
            state = keep * state + (1.0 - keep) * value
            out[i] = state
        self._smooth[name] = state
        return out
