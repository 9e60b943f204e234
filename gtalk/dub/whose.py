"""Whose face a motion or a film shows, compared with the avatar's: nobody else is given its mouth.

A motion carries its person's shape in the points that speech and expression hardly move. Of one person, tracked in
one clip, parts of it differ by 0.1 to 2.2 % of a face's size; those of two people by 5 to 12 % (four avatars, of
which one is drawn). In films the detected shapes are compared with those of the avatar's own render: 1.3 to 1.6 %
for the person's own clip, 2.9 % and more for twenty other clips.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gtalk.basis import JAW, NOSE
from gtalk.errors import UserError
from gtalk.geometry.rotation import exp_so3
from gtalk.shapes import Float
from gtalk.talk import Character
from gtalk.types import Motion

RIGID = np.concatenate([JAW[[0, 1, 15, 16]], NOSE, np.array([36, 39, 42, 45])])
"""Of the 68 landmarks, those that speech and expression hardly move."""
OTHER_FACE = 0.035
"""Of a face's size: shapes of motions that differ more are two people's."""
GLANCES = 15
_TURNS_RAD = (0.10, 0.12, 0.05)  # pitch, yaw, roll: how far the avatar is turned to be looked at


def face_difference(motion: Motion, face: Float[np.ndarray, "68 3"]) -> float:
    """How far the shape of a motion's face is from another, in shares of that face's size; 0 where no face is seen."""
    if not motion.valid.any():
        return 0.0
    own, other = np.median(motion.landmarks[motion.valid], axis=0)[RIGID], face[RIGID]
    own, other = own - own.mean(0), other - other.mean(0)
    return float(np.sqrt(((own - other) ** 2).sum() / (other**2).sum()))


def of_this_face(character: Character, motion: Motion) -> tuple[Motion, str]:
    """The motion as it fits the avatar's face, and what was done to it, in words; nothing for its own.

    Another person's is brought to this face as `gtalk motion edit --reenact` does.
    Raises UserError when it is another's and the avatar has no motion model, which knows how.
    """
    from gtalk.motion.model.model import PersonMotionModel
    from gtalk.motion.produce import reenact

    difference = face_difference(motion, character.avatar.basis.mean)
    if difference <= OTHER_FACE:
        return motion, ""
    words = f"the motion is another person's (the face differs by {difference:.1%} of its size)"
    if not isinstance(character.motion_model, PersonMotionModel):
        raise UserError("motion", expected="one of the avatar's own face", got=f"another: {words}",
                        remedy="With a motion model (`gtalk motion train`) it is brought to this face.")  # fmt: skip
    return reenact(motion, character.motion_model), f"{words}: brought to this face, as `motion edit --reenact` does"


def shape_to_find(avatar: Any) -> Float[np.ndarray, "S 3"] | None:
    """The avatar's face as a detector sees it, to be looked for in films; None where none is found in its render."""
    from gtalk.prepare.landmarks.detectors import FaceMeshFinder
    from gtalk.prepare.landmarks.identities import face_shape

    finder = FaceMeshFinder(static=True)
    try:
        found = [finder.find(image) for image in _glances(avatar)]
    finally:
        finder.close()
    points = [max(faces, key=lambda face: float(np.ptp(face.points[:, 0]))).points for faces in found if faces]
    return face_shape(np.stack(points)) if len(points) >= GLANCES // 2 else None


def _glances(avatar: Any) -> list[np.ndarray]:
    """The avatar at rest, turned a little every way. uint8 [H,W,3]."""
    pose_code = getattr(avatar, "pose_code", None)
    if pose_code is None:
        return []
    poses = np.repeat(pose_code.T_world_mean[None], GLANCES, axis=0)
    turns = np.random.default_rng(0).uniform(-1, 1, (GLANCES, 3)) * _TURNS_RAD
    poses[:, :3, :3] = poses[:, :3, :3] @ exp_so3(turns)
    two = np.zeros((GLANCES, 2))
    faces = np.repeat(avatar.basis.mean[None], GLANCES, axis=0)
    motion = Motion(float(avatar.fps), faces, two + 1.0, two, two, poses, np.ones(GLANCES, bool))
    images = (avatar.render(motion[i]).rgb[0].clamp(0.0, 1.0) for i in range(GLANCES))
    return [(image * 255.0 + 0.5).byte().cpu().numpy() for image in images]
