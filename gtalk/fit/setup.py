"""Where the fits of both renderers start: the avatar's parts, a config to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gtalk.avatar.expressing.rig import MeshRig
from gtalk.avatar.parts import AvatarParts
from gtalk.avatar.pose_code import PoseCode
from gtalk.config import to_mapping
from gtalk.dataset.split import first_test_frame
from gtalk.fit.losses.perceptual import PerceptualLoss
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.plate import widened_plate

LEAST_SPREAD = 0.05  # codes that hardly vary in the clip are not blown up to unit variance


def clip_parts(context: FitContext, margin: float) -> AvatarParts:
    """What does not depend on the renderer: where head and torso are in the frames that may be learned from, the
    tracked mesh, and the background, `margin` image heights wider on every side than the clip shows at once.
    """
    dataset, basis = context.dataset, context.basis
    segment_of = np.zeros(first_test_frame(dataset.n_frames), np.int64)
    for number, segment in enumerate(dataset.segments):
        segment_of[segment.start : segment.stop] = number
    motion = dataset.motion[context.indices]
    pose_code = PoseCode.fit(motion, segment_of[context.indices])
    framing = dataset.motion.channels.get("framing", np.zeros((dataset.n_frames, 3)))
    plate = widened_plate(context, framing, margin)
    return AvatarParts(basis, context.camera, dataset.fps, plate, pose_code, MeshRig.fit(basis, context.face_motion))


def config_values(config: Any) -> dict[str, Any]:
    """A fit's config as an avatar tells it to others: LPIPS where it was used, by its file's name alone."""
    values = to_mapping(config)
    lpips = values["loss"].pop("lpips")
    if lpips["path"]:
        values["loss"]["lpips"] = {**lpips, "path": Path(lpips["path"]).name}
    return values


def model_mapping(config: Any, perceptual: PerceptualLoss | None) -> dict[str, Any]:
    """A fit's config as plain values, but for the trainer's part. See `Model.config_mapping`.

    Weights of LPIPS count by what they are: a fit goes on when their file was moved, not when it was changed.
    """
    values = config_values(config)
    values.pop("trainer")
    if perceptual is not None:
        values["loss"]["lpips"]["path"] = perceptual.sha256
    return values
