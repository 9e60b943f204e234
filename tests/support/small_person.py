"""A small avatar that has learned to speak: random Gaussians, and a motion model of four training steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import save_avatar
from gtalk.motion.training.train import train_motion
from tests.avatar.small_gaussian import small_gaussian
from tests.motion.talking import SMALL, write_dataset

HURRIED = replace(SMALL, fit=replace(SMALL.fit, steps=4, batch=2, crop_frames=16), validation_share=0.0)


def write_small_person(folder: Path) -> Path:
    """An avatar folder that `gtalk.load` opens, of a few seconds' work."""
    torch.set_num_threads(1)
    avatar, motion = small_gaussian()
    consent = Consent("Ada", "A drawing, not a person.")
    save_avatar(folder, avatar, provenance={}, consent=consent, preview_motion=motion)
    train_motion(write_dataset(folder.parent / "dataset", seconds=24.0), folder, HURRIED, device="cpu")
    return folder
