"""Where the torso may be, in its own coordinates: elsewhere it need not be looked at."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.avatar.pose_code import PoseCode
from gtalk.avatar.torso import to_unit
from gtalk.basis import LIPS
from gtalk.dataset.format import HEAD_CLASSES, MaskClass
from gtalk.fit.frames import TrainingFrame
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.occupancy import spread_frames
from gtalk.geometry.similarity import undo_similarity
from gtalk.render.rays import pixel_centres
from gtalk.shapes import Bool
from gtalk.types import Camera

FRAMES = 48


def torso_area(context: FitContext, pose_code: PoseCode, resolution: int) -> Bool[np.ndarray, "R R"]:
    """Cells [y, x] of the torso field's unit square that neck or torso ever touch, grown by two."""
    camera = context.camera
    aspect = camera.width / camera.height
    points = pixel_centres(camera) / camera.height
    counts = torch.zeros(resolution * resolution)
    for index in spread_frames(context, FRAMES):
        frame = context.frames[int(index)]
        chosen = torch.from_numpy(_may_be_torso(frame, camera).reshape(-1))
        similarity = torch.as_tensor(pose_code.torso_and_framing(frame.motion)[0, :4], dtype=torch.float32)
        unit = to_unit(undo_similarity(points[chosen], similarity, (0.5 * aspect, 0.5)), aspect)
        cell = torch.floor(unit * resolution).long()
        cell = cell[((cell >= 0) & (cell < resolution)).all(-1)]
        counts[cell[:, 1] * resolution + cell[:, 0]] = 1.0
    area = counts.reshape(1, 1, resolution, resolution)
    return (torch.nn.functional.max_pool2d(area, 5, 1, 2)[0, 0] > 0).numpy()


def _may_be_torso(frame: TrainingFrame, camera: Camera) -> Bool[np.ndarray, "H W"]:
    """Labelled so; or of the person, unlabelled, below the mouth; or below the chin, whatever its label says."""
    motion = frame.motion
    chin, lips = motion.landmarks[0, 8], motion.landmarks[0, LIPS].mean(0)
    heights = camera.project(np.stack([chin, lips]) @ motion.head_pose[0, :3, :3].T + motion.head_pose[0, :3, 3])[:, 1]
    row = np.arange(camera.height)[:, None] + 0.5
    person = frame.matte > 24
    unlabelled = person & ~np.isin(frame.labels, HEAD_CLASSES) & (row > heights[1])
    return np.isin(frame.labels, (MaskClass.NECK, MaskClass.TORSO)) | unlabelled | (person & (row > heights[0]))
