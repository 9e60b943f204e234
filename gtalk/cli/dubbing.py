"""`gtalk dub | batch`: speech in, video out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gtalk.cli.bars import Bars
from gtalk.cli.options import AvatarFolder, OutputPath
from gtalk.dub import DubConfig
from gtalk.errors import UserError

if TYPE_CHECKING:
    from gtalk.dub.render import DubResult


@dataclass(frozen=True)
class Dub:
    """Render an avatar that speaks a sound file, or moves as a motion file says.

    gtalk dub me speech.wav -o dub.mp4

    The output's suffix chooses the format: mp4 (H.264, H.265), mov (ProRes 4444 with alpha), webm (VP9 with
    alpha), or a folder name for a PNG sequence with its wav.
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="AUDIO_OR_MOTION")]
    """Any sound or video file with speech, or a .motion.npz."""
    output: OutputPath
    """The video to write."""
    size: int | None = None
    """Height of the image in pixels, whatever the avatar's: another word for --height."""
    config: DubConfig = field(default_factory=DubConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.compute.threads import compute_on
        from gtalk.dub import dub

        config = self.config if self.size is None else replace(self.config, height=self.size)
        compute_on()
        with Bars() as bars:
            _tell(bars, self.output, dub(self.avatar, self.source, self.output, config, bars))


@dataclass(frozen=True)
class Say:
    """Render an avatar that says a text, in a voice of yours.

    gtalk say me "[smile .6] Hello! [nod] Nice to see you." -o hello.mp4

    gtalk say me speech.txt -o hello.mp4 --voice http://localhost:8880/v1/audio/speech#af_heart

    Tags in brackets direct the face and are never spoken: [smile], [look down], [blink twice]
    (docs/guides/direction.md).
    All options of `gtalk dub` are there too.
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    text: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEXT")]
    """What is said, or a .txt file with it."""
    output: OutputPath
    """The video to write."""
    voice: str = "en-us"
    """A language of espeak-ng (en-us, de, fr-fr, ...), a Piper voice (.onnx), the address of an endpoint like OpenAI's
    /v1/audio/speech (#NAME names its voice), or cmd:PROGRAM."""
    words_per_minute: int = 165
    """How fast espeak-ng speaks."""
    config: DubConfig = field(default_factory=DubConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.compute.threads import compute_on
        from gtalk.dub.say import say, text_or_file
        from gtalk.voice.voices import open_voice

        text = text_or_file(self.text)
        compute_on()
        voice = open_voice(self.voice, self.words_per_minute)
        with Bars() as bars:
            _tell(bars, self.output, say(self.avatar, text, self.output, voice, self.config, bars))


def _tell(bars: Bars, output: Path, result: DubResult) -> None:
    for warning in result.warnings:
        bars.say(f"warning: {warning}")
    bars.say(
        f"{output}: {result.duration_s:.1f} s at {result.speed:.2f}x real time; of {result.wall_s:.1f} s "
        f"motion {result.motion_s:.1f}, drawing {result.draw_s:.1f}, encoding beside {result.encode_s:.1f}"
    )


@dataclass(frozen=True)
class Batch:
    """Render many dubs from a JSONL file, one job a line. Goes on after a kill; one bad job stops no other.

    gtalk batch jobs.jsonl --workers 2

    A line of it: {"avatar": "me", "audio": "a.wav", "output": "a.mp4"}, or with "text": "Hello! [nod]", "voice": "de"
    instead of the sound.
    """

    jobs: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="JOBS.jsonl")]
    """The jobs; every line is checked before the first frame is rendered."""
    engine: Literal["local", "ray"] = "local"
    """local: worker processes on this machine. ray: a Ray cluster."""
    workers: int | None = None
    """Processes; by default one a core."""
    workers_per_gpu: int | None = None
    """Processes that share a GPU; by default as many as there are cores and memory for."""
    resume: bool = True
    """Skip the jobs that the journal says are done."""
    split_s: float = 600.0
    """Speech longer than 1.5 times this is drawn in parts, cut at silences, by several workers. 0 splits nothing."""
    json: Path | None = None
    """Write the summary there too."""

    def run(self) -> None:
        """Do it."""
        from gtalk.dub import run_batch
        from gtalk.files import write_json

        with Bars() as bars:
            result = run_batch(
                self.jobs, self.engine, self.workers, self.resume, workers_per_gpu=self.workers_per_gpu,
                on_progress=bars, split_s=self.split_s,
            )  # fmt: skip
        print(result.table())
        if self.json is not None:
            write_json(self.json, result.to_json())
        if result.n_failed:
            raise UserError(
                f"jobs {self.jobs}",
                expected="every job to succeed",
                got=f"{result.n_failed} failed",
                remedy="See the table; mend and run the same command: finished jobs are kept.",
            )
