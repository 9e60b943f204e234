"""What can be chosen about an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gtalk.compute.device import Device


@dataclass(frozen=True)
class EvalConfig:
    """What is measured."""

    max_frames: int | None = None
    """Score at most so many held-out frames, evenly spread; all by default."""
    voices: bool = False
    """Also drive the lips by synthetic voices in nine languages whose phones are known (extra `speech`)."""
    expression: bool = False
    """Also draw every emotion amid the avatar's own speech, and have it judged (needs `gtalk assets get
    face_landmarker`)."""
    expression_model: Path | None = None
    """An ONNX classifier of seven expressions (neutral, happy, sad, angry, fearful, disgusted, surprised; a 112x112
    RGB box of the face, values 0 to 255): adds how often each emotion is recognised."""
    identity_model: Path | None = None
    """An ONNX embedding of identity (128 numbers; ArcFace's alignment, ImageNet's normalisation): adds how much of
    the person an emotion leaves."""
    expression_clips: tuple[Path, ...] = ()
    """Clips of real people to judge beside, or folders of them: person first and expression in the name, as in
    ada_happy.mp4, and a neutral one of each person."""
    seed: int = 0
    """Chooses the head motion that the motion model adds."""
    device: Device = "auto"
    """Where images are drawn. auto: on a GPU where there is one."""
    lpips: Path | None = None
    """Weights of LPIPS, safetensors: adds a perceptual distance."""
    syncnet: Path | None = None
    """Weights of SyncNet, safetensors: adds its confidence and distance."""
