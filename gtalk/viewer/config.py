"""Options of the live view."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gtalk.compute.device import Device
from gtalk.errors import UserError
from gtalk.marks.label import Label
from gtalk.motion.edits.controls import Controls
from gtalk.viewer.outlets.config import OutConfig
from gtalk.viewer.webrtc.ice import ice_servers

QUALITIES, _SIZES = (10, 100), (16, 4096)


@dataclass(frozen=True)
class ViewConfig:
    """Where the live view listens and what it starts with."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback asks visitors for a token, printed once."""
    port: int = 8080
    """Port of the page, the view, the microphone and /push; 0 picks a free one."""
    mic: Literal["browser", "local", "stdin", "off"] = "browser"
    """browser: the visitor's microphone. local: this machine's sound card (extra `live`). stdin: sound piped in, of any
    length, played as it comes: raw (mono, 16-bit, little-endian), WAV, or compressed. off: no microphone."""
    mic_device: str | None = None
    """Which sound card for `--mic local`, a part of its name; the system's default otherwise."""
    barge_in: bool = True
    """A voice in the microphone cuts off what the avatar says; its own voice coming back does not."""
    listens: bool = False
    """The microphone is listened to and not mouthed: the face looks at who speaks, nods after phrases, smiles back a
    little, and keeps its lips still."""
    stdin_rate: int = 16000
    """Samples a second of raw sound on stdin; a header goes before it."""
    play: Path | None = None
    """A sound file to play at the start, at its own pace."""
    score: Path | None = None
    """A score (`.score.yaml`) that directs what --play plays; docs/guides/direction.md says what it may ask for."""
    size: int = 512
    """Height of the image in pixels."""
    draw: Literal["auto", "browser", "server"] = "auto"
    """Who draws a Gaussian avatar. browser: the visitor's own, where it has WebGL2: sharp at any size, few kilobytes a
    second, and ten visitors cost what one costs; it is given the avatar for that. auto: the browser where it draws fast
    enough. server: always here. Recordings and /live.mjpg are drawn here."""
    device: Device = "auto"
    """Where images are drawn. auto: on a GPU where there is one."""
    controls: Controls = field(default_factory=Controls)
    """How the face moves at the start; the panel changes it."""
    seed: int = 0
    """Chooses head motion, gaze and blinks."""
    threads: int = 0
    """Processor threads that draw. 0: one for Gaussians, which are drawn in time by it and then leave the other cores
    in peace; as many as there are cores for the radiance field."""
    ice: tuple[str, ...] = ()
    """Servers that help WebRTC find a way through routers: stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT. None are asked
    unless they are named here."""
    out: OutConfig = field(default_factory=OutConfig)
    """Where picture and sound go beside the page."""
    jpeg_quality: int = 85
    """Quality of the images sent to the page, 10 to 100."""
    max_sessions: int = 4
    """Separate conversations at once: the page at /s/NAME/ is one of its own, with its own clock and controls."""
    label: Label = "on"
    """on: the page, /live.mjpg and recordings say in words that what speaks is generated. off: the metadata of
    recordings says that they do not."""
    sign_cert: Path | None = None
    """PEM certificate chain: signs recordings with a C2PA manifest (needs the extra `provenance`)."""
    sign_key: Path | None = None
    """PEM private key of the certificate (ES256)."""
    piper_voice: Path | None = None
    """A Piper voice (.onnx) for the text box, when piper-tts is installed; espeak-ng otherwise."""
    tls_cert: Path | None = None
    """Certificate (PEM) for https; browsers give the microphone only to https or localhost."""
    tls_key: Path | None = None
    """Its private key (PEM)."""
    token: str | None = None
    """The token to ask for; a fresh one by default. Never asked for on loopback unless given here."""

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("--port", self.port, (0, 65_535)),
            ("--seed", self.seed, (0, 2**63 - 1)),
            ("--jpeg-quality", self.jpeg_quality, QUALITIES),
            ("--size", self.size, _SIZES),
            ("--max-sessions", self.max_sessions, (1, 64)),
            ("--threads", self.threads, (0, 256)),
        ):
            if not low <= value <= high:
                raise UserError(name, expected=f"{low} to {high}", got=str(value), remedy="Choose one of these.")
        ice_servers(self.ice)
        if self.token is not None and (not self.token.strip() or not self.token.isprintable()):
            raise UserError("--token", expected="characters that can be typed", got=repr(self.token),
                            remedy="Leave it out: then a fresh one is made where one is needed.")  # fmt: skip
        if self.score is not None and self.play is None:
            raise UserError("--score", expected="a speech that it directs, with --play", got="none",
                            remedy="Add --play SPEECH.wav, or load the score in the page's timeline.")  # fmt: skip
        if (self.sign_cert is None) != (self.sign_key is None):
            raise UserError("--sign-cert and --sign-key", expected="both or none", got="one of them",
                            remedy="Give both files.")  # fmt: skip
        if self.tls_key is not None and self.tls_cert is None:
            raise UserError("--tls-cert and --tls-key", expected="both, or the certificate alone with its key inside",
                            got="a key without a certificate", remedy="Give the certificate too.")  # fmt: skip
