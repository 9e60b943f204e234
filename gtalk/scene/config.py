"""What can be chosen about the film of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from gtalk.compute.device import Device
from gtalk.dub.config import DubConfig
from gtalk.marks.label import Label


@dataclass(frozen=True)
class SceneConfig:
    """How the film of a scene is written."""

    RANGES: ClassVar = DubConfig.RANGES

    codec: Literal["auto", "h264", "h265", "vp9", "lossless", "png"] = "auto"
    """auto: by the output's name, as in `gtalk dub`."""
    crf: int = 17
    """Quality, 0 to 51: lower is better and larger."""
    fps: float = 25.0
    """Images a second."""
    seed: int = 0
    """Chooses everybody's head motion, gaze, blinks and nods."""
    overwrite: bool = False
    """Replace an output that exists."""
    batch: int = 1
    """Images of each drawn at once: more is quicker on a GPU."""
    device: Device = "auto"
    """Where images are drawn. auto: on a GPU where there is one."""
    label: Label = "off"
    """on: small words in a corner say that it is generated."""

    def as_dub(self) -> DubConfig:
        """What it means for the file that is written."""
        return DubConfig(codec=self.codec, crf=self.crf, fps=self.fps, seed=self.seed, overwrite=self.overwrite,
                         batch=self.batch, device=self.device, label=self.label)  # fmt: skip
