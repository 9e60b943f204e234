"""What can be chosen about a dub."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from gtalk.compute.device import Device
from gtalk.marks.label import Label
from gtalk.motion.edits.controls import Controls


@dataclass(frozen=True)
class DubConfig:
    """How a dubbed video looks and how it is written."""

    RANGES: ClassVar = {
        "crf": (0, 51),
        "fps": (0.5, 1000),
        "seed": (0, 2**63 - 1),
        "batch": (1, 4096),
        "height": (16, 8192),
    }

    codec: Literal["auto", "h264", "h265", "prores4444", "vp9", "lossless", "png"] = "auto"
    """auto: by the output's name. .mp4 H.264, .mov ProRes 4444, .webm VP9, a folder PNG images and a wav.
    lossless: H.264 that keeps every value, .mkv, for further work."""
    crf: int = 17
    """Quality of H.264, H.265 and VP9, 0 to 51: lower is better and larger. 17 looks lossless."""
    encoder: Literal["software", "nvenc"] = "software"
    """Who encodes H.264 and H.265. software: the same file on every machine. nvenc: an NVIDIA GPU where it can, and a
    warning where it cannot; parts of a split job are software's."""
    fps: float | None = None
    """Images a second; the avatar's own by default. Motion is interpolated, never images."""
    height: int | None = None
    """Height of the image in pixels; the avatar's own by default. The width follows."""
    background: str = "plate"
    """plate: the room of the clip. transparent. A colour as #rrggbb or by name. An image or video file."""
    onto: Path | None = None
    """Footage of the same person, of which only the mouth and jaw are replaced, with the shot's light and grain."""
    onto_length: Literal["loop", "retime"] = "loop"
    """When shot and sound differ in length. loop: the shot runs to and fro, or is cut. retime: it is stretched."""
    camera_from: Path | None = None
    """A shot to stand in: the person is put before it and moves as its camera does, in its size and rate. With
    --background transparent the person alone, for compositing."""
    seed: int = 0
    """Chooses head motion, gaze and blinks."""
    controls: Controls = field(default_factory=Controls)
    """How the face moves."""
    score: Path | None = None
    """A .score.yaml: what the face does when (docs/guides/direction.md)."""
    style: str = ""
    """Whose way of talking: x.style:0.8, see `gtalk style`."""
    emotion_from: Path | None = None
    """A picture or a clip of one face, which shows what is to be expressed throughout."""
    hears: Path | None = None
    """A stereo recording of what happens around meanwhile: the face turns to who speaks or what bangs, and to the
    camera when it speaks itself."""
    hears_with: Literal["camera", "own_ears"] = "camera"
    """Where its two microphones stand. camera: channel 2 is the image's right. own_ears: it is the face's own right."""
    listens: Path | None = None
    """What somebody else says meanwhile, as the other side of a call: while the face does not speak itself it looks,
    nods after phrases, smiles back a little, blinks at turns and breathes; that voice moves no lips."""
    sing: Literal["off", "auto", "on"] = "off"
    """Hold vowels through notes, with vibrato, breath and melody. auto: where the sound is found to be sung."""
    vocals: Path | None = None
    """A song's voice alone (a stem): notes and lips follow it, heard is the song."""
    accompanied: bool = False
    """No stem is there: the voice is told from its accompaniment first, as far as that can be."""
    lyrics: Path | None = None
    """What is sung when, .lrc or .srt: lips go by its words."""
    lyrics_in: str = "en-us"
    """Their language, as espeak-ng calls it."""
    lookahead: Literal["file", "live"] = "file"
    """How far ahead of the sound lips may open. file: as this person does. live: no further than in `gtalk view`."""
    audio: Path | None = None
    """Sound for a motion file, which has none."""
    save_motion: Path | None = None
    """Write the motion as .motion.npz too, to be edited and rendered again."""
    overwrite: bool = False
    """Replace an output that exists."""
    batch: int = 1
    """Images drawn at once: more is quicker on a GPU."""
    device: Device = "auto"
    """Where images are drawn. auto: on a GPU where there is one. On a Ray cluster say cuda: jobs ask for a share."""
    subtitles: Path | None = None
    """A SubRip or WebVTT file, laid beside the output under its name."""
    label: Label = "off"
    """on: small words in a corner say that it is generated. The metadata says which."""
    sign_cert: Path | None = None
    """PEM certificate chain: signs the output with a C2PA manifest (needs the extra `provenance`)."""
    sign_key: Path | None = None
    """PEM private key of the certificate (ES256)."""
