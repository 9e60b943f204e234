"""What an exported head looks like: the avatar's mesh at rest, and its own picture as the texture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gtalk.avatar.base import Avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.avatar.radiance import RadianceAvatar
from gtalk.rig.person import PersonRig, mesh_of_landmarks
from gtalk.shapes import Float, UInt8
from gtalk.topology import LANDMARKS68, N_FACE
from gtalk.types import Motion

_MARGIN_PX = 8


@dataclass(frozen=True)
class Skin:
    """What the face is painted with."""

    jpeg: bytes
    uv: Float[np.ndarray, "468 2"]
    """Of every point, 0 to 1, v down."""


def rig_of_avatar(folder: Path, avatar: Avatar) -> PersonRig:
    """The person's rig: corrected by the clip where the avatar's folder holds it, else sculpted on the mesh that the
    avatar stores, else on one bent to its mean landmarks.
    """
    tracked = Path(folder) / "dataset" / "motion.npz"
    if tracked.is_file() and "landmarks478" in (motion := Motion.load(tracked)).channels:
        return PersonRig.of_motion(motion)
    stored = getattr(avatar, "rig", None)
    if stored is not None:
        return PersonRig.of_mesh(stored.neutral)
    return PersonRig.of_mesh(mesh_of_landmarks(avatar.basis.mean))


def skin_of_avatar(avatar: GaussianAvatar | RadianceAvatar, rig: PersonRig) -> Skin:
    """The avatar drawn at rest, in its usual pose."""
    T_world_head = avatar.pose_code.T_world_mean
    zeros = np.zeros((1, 2))
    landmarks = rig.neutral[None, LANDMARKS68]
    motion = Motion(avatar.fps, landmarks, zeros + 1.0, zeros, zeros, T_world_head[None], np.ones(1, bool))
    rgb = avatar.render(motion).rgb[0].clamp(0.0, 1.0)
    image = (rgb * 255.0 + 0.5).byte().cpu().numpy()
    points_world = rig.neutral @ T_world_head[:3, :3].T + T_world_head[:3, 3]
    return skin_of_picture(image, avatar.camera.project(points_world))


def skin_of_picture(
    image: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "478 2"], quality: int = 92
) -> Skin:
    """The face in a picture as its own texture.

    Args:
        image: RGB, the face at rest, seen from the front.
        points_px: where the mesh's points lie in it.
        quality: of the JPEG, 0 to 100.
    """
    points_px = points_px[:N_FACE]
    low = np.maximum(np.floor(points_px.min(0)) - _MARGIN_PX, 0).astype(int)
    high = np.minimum(np.ceil(points_px.max(0)) + _MARGIN_PX, image.shape[1::-1]).astype(int)
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0], ::-1])
    ok, coded = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise OSError("cannot encode the texture")
    return Skin(coded.tobytes(), (points_px - low) / (high - low))
