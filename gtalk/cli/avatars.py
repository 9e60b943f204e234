"""`gtalk view | eval | export`: look at an avatar, measure it, take it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gtalk.cli.bars import Bars
from gtalk.cli.options import AvatarFolder, OutputPath
from gtalk.errors import UserError
from gtalk.eval.config import EvalConfig
from gtalk.viewer.config import ViewConfig


@dataclass(frozen=True)
class View:
    """Open an avatar in the browser: talk to it through your microphone, play files, orbit, record.

    gtalk view me

    gtalk view me --play speech.wav

    my_tts "hello" | gtalk view me --mic stdin --stdin-rate 24000

    The page is at the address that is printed; /s/NAME/ is a conversation of its own; /live.mjpg is a picture
    stream for OBS. A program (a text-to-speech engine, a chat agent) speaks through the WebSocket /push: it
    sends {"do": "begin", "rate": 24000}, then mono 16-bit little-endian sound in binary pieces of any size for
    as long as it likes, then {"do": "end"}, or {"do": "stop"} to be cut off; it is told "speaking", "ended" or
    "interrupted". Without a certificate, reach a remote machine through `ssh -L 8080:localhost:8080 HOST`.
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    config: ViewConfig = field(default_factory=ViewConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.viewer.server import serve

        serve(self.avatar, self.config)


@dataclass(frozen=True)
class Eval:
    """Measure an avatar on the held-out end of its clip: pictures, lips, silence, jitter, speed.

    gtalk eval me --json me/eval.json --html me/eval.html

    Self-driven rows use the tracked motion of the held-out frames, audio-driven rows only their sound.
    Everything is scored as rendered; the row `real` is the same measure on the real video.
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    dataset: Path | None = None
    """Folder of the dataset; AVATAR/dataset by default."""
    json: Path | None = None
    """Write the numbers there."""
    html: Path | None = None
    """Write a report with tables, curves, worst frames and a film there: one file, for any browser."""
    config: EvalConfig = field(default_factory=EvalConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.eval.report import table, write_html
        from gtalk.eval.run import evaluate
        from gtalk.files import write_json

        dataset = self.dataset or self.avatar / "dataset"
        with Bars() as bars:
            result = evaluate(self.avatar, dataset, self.config, bars)
        print(table(result))
        if self.json is not None:
            write_json(self.json, result)
        if self.html is not None:
            write_html(self.html, result)


@dataclass(frozen=True)
class Export:
    """Write an avatar in a format that other programs read.

    gtalk export me --format ply -o me.ply
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    output: OutputPath
    """File or folder to write."""
    format: Literal["ply"] = "ply"
    """ply: the canonical Gaussians as a standard 3DGS file."""

    def run(self) -> None:
        """Do it."""
        from gtalk.avatar.bundle import load_avatar
        from gtalk.avatar.gaussian import GaussianAvatar
        from gtalk.avatar.gaussian_export import write_ply

        avatar = load_avatar(self.avatar)
        if not isinstance(avatar, GaussianAvatar):
            raise UserError(
                f"avatar {self.avatar}", expected="one of kind gaussian", got=f"kind {avatar.kind}",
                remedy="Fit it with --renderer gaussian; a radiance field holds no Gaussians to export.",
            )  # fmt: skip
        write_ply(avatar, self.output)
        print(self.output)
