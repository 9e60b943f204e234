"""`gtalk view | eval | export`: look at an avatar, measure it, take it elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gtalk.cli.bars import Bars
from gtalk.cli.options import AvatarFolder, OutputPath
from gtalk.errors import UserError
from gtalk.eval.config import EvalConfig
from gtalk.files import require_replaceable
from gtalk.reading.untrusted import read_text
from gtalk.viewer.config import ViewConfig

if TYPE_CHECKING:
    from gtalk.export.formats import Format
    from gtalk.talk import Character
    from gtalk.types import Motion


@dataclass(frozen=True)
class View:
    """Open an avatar in the browser: talk to it through your microphone, play files, orbit, record.

    gtalk view me

    gtalk view me --play speech.wav

    gtalk view talk.yaml

    my_tts "hello" | gtalk view me --mic stdin --stdin-rate 24000

    The page is at the address that is printed; /s/NAME/ is a conversation of its own; /live.mjpg is an image
    stream for OBS. A program (a text-to-speech engine, a chat agent) speaks through the WebSocket /push: it
    sends {"do": "begin", "rate": 24000}, then mono 16-bit little-endian sound in binary pieces of any size for
    as long as it likes, then {"do": "end"}, or {"do": "stop"} to be cut off; it is told "speaking", "ended" or
    "interrupted", and how much has been shown. Without a certificate, reach a remote machine through
    `ssh -L 8080:localhost:8080 HOST`.
    """

    avatar: AvatarFolder
    """Folder of the avatar; or a scene.yaml, for several faces (docs/guides/scenes.md)."""
    config: ViewConfig = field(default_factory=ViewConfig)

    def run(self) -> None:
        """Do it."""
        if self.avatar.suffix.lower() in (".yaml", ".yml"):
            from gtalk.scene.live import serve_scene

            serve_scene(self.avatar, self.config)
            return
        from gtalk.viewer.server import serve

        serve(self.avatar, self.config)


@dataclass(frozen=True)
class Eval:
    """Measure an avatar on the held-out end of its clip: images, lips, silence, jitter, speed.

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

        for path, suffix in ((self.json, ".json"), (self.html, ".html")):
            if path is not None:  # an earlier report is replaced, nothing else
                require_replaceable(path, overwrite=path.suffix.lower() == suffix)
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

    gtalk export me --format ply -o smile.ply --motion act.motion.npz --frame 40

    gtalk export me --format ply-sequence -o frames/ --motion act.motion.npz

    gtalk export me --format glb -o me.glb --motion act.motion.npz

    gtalk export me --format web -o site/ --audio hello.wav && python -m http.server -d site

    glb is the person's head mesh with ARKit's 52 shapes as morph targets, jaw, eyes and head as nodes, and with a
    motion its animation: Blender, three.js and game engines open it. ply files are standard 3D Gaussian splatting,
    which public viewers open; one frame is 1.2 MB. web is a folder for any static host: the visitor's browser draws
    the person, and no gtalk runs anywhere; message is one more file for that page to play.
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    output: OutputPath
    """File, or folder for a sequence or a page, to write."""
    format: Literal["ply", "splat", "spz", "splats-glb", "ply-sequence", "glb", "web", "message"] = "ply"
    """ply, splat, spz, splats-glb (glTF with KHR_gaussian_splatting): the Gaussians at rest, or at one frame of a
    motion; 1.2, 0.6, 0.25 and 1.5 MB. ply-sequence: a file for every frame of a motion.
    glb: a mesh with 52 shapes, animated where a motion is given. web: a page, with a message where there is sound or
    motion. message: a .gtm file."""
    motion: Path | None = None
    """A motion file: `gtalk motion drive` or `gtalk motion track` makes one."""
    audio: Path | None = None
    """web, message: speech. Without --motion the person says it."""
    subtitles: Path | None = None
    """web, message: a WebVTT file; the page shows its cues."""
    frame: int = 0
    """ply, splat, spz, splats-glb: which frame of the motion."""
    axes: Literal["viewers", "gtalk"] = "viewers"
    """ply, splat: viewers: y down, as public viewers expect, so that the face is upright. gtalk: y up, as its world."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.export import formats
        from gtalk.talk.load import load_character

        form = formats.FORMATS[self.format]
        self._check_output(form)
        captions = self._captions()
        character = load_character(self.avatar)
        motion = self._motion(character)
        asked = formats.Export(self.avatar, character, self.output, motion, self.frame, self.audio, captions, self.axes)
        with Bars() as bars:
            formats.export(self.format, asked, bars)
        print(self.output)

    def _captions(self) -> str:
        try:
            text = "" if self.subtitles is None else read_text(self.subtitles)
        except (OSError, ValueError) as error:
            raise UserError(f"--subtitles {self.subtitles}", expected="a WebVTT file",
                            got=f"{type(error).__name__}: {error}", remedy="Check the path.") from error  # fmt: skip
        return text

    def _check_output(self, form: Format) -> None:
        if not form.is_folder:
            require_replaceable(self.output, self.overwrite)
            return
        held = [path.name for path in self.output.iterdir()] if self.output.is_dir() else []
        others = bool(held) and not form.ours(self.output)
        if (held and not self.overwrite) or others or (self.output.exists() and not self.output.is_dir()):
            raise UserError(
                f"output {self.output}", expected="a new or empty folder, or with --overwrite one of the same format",
                got=f"one that holds {', '.join(sorted(held)[:3])}" if held else "a file",
                remedy="Choose another name, or pass --overwrite.",
            )  # fmt: skip
        for name in held:  # a longer sequence would leave its end
            (self.output / name).unlink()

    def _motion(self, character: Character) -> Motion | None:
        """The motion as it fits this face, or that of the speech."""
        from gtalk.dub.whose import of_this_face
        from gtalk.media.audio import stream_audio
        from gtalk.types import AUDIO_RATE, Motion

        if self.motion is None:
            if self.audio is None:
                return None
            moments = character.talker().moments(stream_audio(self.audio, AUDIO_RATE))
            return Motion.concatenate([moment.motion for moment in moments])
        motion, words = of_this_face(character, Motion.load(self.motion))
        if words:
            print(f"warning: {words}", file=sys.stderr)
        return motion
