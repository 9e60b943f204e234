"""Which pixels of an image a step looks at: square patches, many of them on mouth and eyes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from gtalk.basis import EYES, LIPS
from gtalk.dataset.format import MaskClass
from gtalk.fit.frames import TrainingFrame
from gtalk.shapes import Float, Int
from gtalk.types import Camera


@dataclass(frozen=True)
class PatchConfig:
    """Patches of one step."""

    RANGES: ClassVar = {
        "side": (8, 1024), "count": (1, 10_000), "mouth_share": (0, 1), "eyes_share": (0, 1), "torso_share": (0, 1),
        "person_share": (0, 1),
    }  # fmt: skip

    side: int = 32
    """Pixels along a patch; never more than the image has."""
    count: int = 10
    """Patches of one image and step."""
    mouth_share: float = 0.2
    eyes_share: float = 0.1
    torso_share: float = 0.25
    person_share: float = 0.3
    """Shares of patches centred on mouth, eyes, neck or torso, and anywhere on the person; the rest lie anywhere."""


def draw_patches(
    frame: TrainingFrame, camera: Camera, config: PatchConfig, rng: torch.Generator
) -> Int[torch.Tensor, "P s s"]:
    """Flat pixel numbers (row * width + column) of square patches of one image."""
    height, width = frame.matte.shape
    side = min(config.side, height, width)
    centres = _centres(frame, camera, config, rng)
    corner = centres - side / 2 + (torch.rand(config.count, 2, generator=rng) - 0.5) * side * 0.6
    limit = torch.tensor([width - side, height - side], dtype=torch.float32)
    corner = torch.minimum(corner.round().clamp_min(0.0), limit).long()
    steps = torch.arange(side)
    rows = corner[:, 1, None] + steps
    columns = corner[:, 0, None] + steps
    return rows[:, :, None] * width + columns[:, None, :]


def _centres(
    frame: TrainingFrame, camera: Camera, config: PatchConfig, rng: torch.Generator
) -> Float[torch.Tensor, "P 2"]:
    motion = frame.motion
    world = motion.landmarks[0] @ motion.head_pose[0, :3, :3].T + motion.head_pose[0, :3, 3]
    landmarks_px = camera.project(world)
    height, width = frame.matte.shape
    person = np.argwhere(frame.matte[::4, ::4] > 127)
    torso = np.argwhere(np.isin(frame.labels[::4, ::4], (MaskClass.NECK, MaskClass.TORSO)))
    kinds = torch.rand(config.count, generator=rng)
    places = torch.rand(config.count, 2, generator=rng)
    bounds = np.cumsum([config.mouth_share, config.eyes_share, config.torso_share, config.person_share])
    centres = places * torch.tensor([width, height], dtype=torch.float32)
    mouth = landmarks_px[LIPS].mean(0)
    eyes = [landmarks_px[EYES[:6]].mean(0), landmarks_px[EYES[6:]].mean(0)]
    for i, kind in enumerate(kinds.tolist()):
        if kind < bounds[0]:
            centres[i] = torch.as_tensor(mouth)
        elif kind < bounds[1]:
            centres[i] = torch.as_tensor(eyes[int(places[i, 0] < 0.5)])
        elif kind < bounds[3]:
            among = torso if kind < bounds[2] else person
            if len(among):
                row, column = among[int(places[i, 0] * len(among))]
                centres[i] = torch.tensor([4.0 * column, 4.0 * row])
    return centres
