"""`gtalk scene`: several avatars in one film."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gtalk.cli.bars import Bars
from gtalk.cli.options import OutputPath
from gtalk.scene.config import SceneConfig


@dataclass(frozen=True)
class Scene:
    """Render several avatars in one picture: who is silent listens to who speaks.

    gtalk scene talk.yaml -o talk.mp4

    The file says who is there, where, and with which voice (docs/guides/scenes.md).
    """

    scene: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SCENE.yaml")]
    """Cast, layout, background, sounds."""
    output: OutputPath
    """The video to write."""
    config: SceneConfig = field(default_factory=SceneConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.compute.threads import compute_on
        from gtalk.scene.render import render_scene

        compute_on()
        with Bars() as bars:
            result = render_scene(self.scene, self.output, self.config, bars)
            for note in result.notes:
                bars.say(f"note: {note}")
            bars.say(f"{self.output}: {result.duration_s:.1f} s at {result.duration_s / result.wall_s:.2f}x real time")
