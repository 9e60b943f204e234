"""A radiance fit small enough for tests."""

from __future__ import annotations

from gtalk.avatar.head import HeadConfig
from gtalk.avatar.radiance import RadianceConfig
from gtalk.avatar.torso import TorsoConfig
from gtalk.fit.losses.patches import PatchConfig
from gtalk.fit.radiance.model import FitConfig
from gtalk.fit.trainer import TrainerConfig


def small_config(steps: int, checkpoint_every: int = 0) -> FitConfig:
    """Five levels, forty pixels, one thread: a step takes some tens of milliseconds in plain torch."""
    return FitConfig(
        avatar=RadianceConfig(
            HeadConfig(levels=5, log2_table=12, finest_resolution=48, blended_levels=3, occupancy_resolution=24,
                       step_m=0.008, warp_cells=4, hidden=16, colour_hidden=16),
            TorsoConfig(levels=4, log2_table=10, finest_resolution=40, blended_levels=2, hidden=16, area_resolution=32),
        ),
        trainer=TrainerConfig(size=40, steps=steps, report_every=15 if steps < 60 else 20, preview_every=0,
                              checkpoint_every=checkpoint_every),
        patches=PatchConfig(side=20, count=3),
        device="cpu",
    )  # fmt: skip
