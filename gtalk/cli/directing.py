"""`gtalk score | style`: what the face is to do becomes a score that can be edited; how somebody talks, a style."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gtalk.cli.options import AvatarFolder, OutputPath
from gtalk.errors import UserError
from gtalk.files import require_replaceable


@dataclass(frozen=True)
class StyleLearn:
    """Learn how somebody talks from films: how far and fast head, gaze, brows and mouth move, how often they blink.

    gtalk style learn talk.mp4 -o talk.style

    gtalk dub me speech.wav -o out.mp4 --style talk.style:0.8
    """

    clips: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="CLIP [CLIP ...]")]
    """Films of one person who talks, or their .motion.npz of `gtalk motion track`."""
    output: OutputPath
    """The .style to write."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.cli.bars import Bars
        from gtalk.direct.style import learn_style
        from gtalk.prepare.pipeline import track_motion
        from gtalk.types import Motion

        require_replaceable(self.output, self.overwrite)
        with Bars() as bars:
            motions = [Motion.load(c) if c.suffix == ".npz" else track_motion(c, bars) for c in self.clips]
            style = learn_style(motions, ", ".join(clip.name for clip in self.clips)[:80] or "clips")
            style.save(self.output)
            bars.say(f"{self.output}: {style}")


@dataclass(frozen=True)
class StyleShow:
    """Say what is in a style, beside what is usual of an avatar's person.

    gtalk style show talk.style --avatar me
    """

    style: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="X.style")]
    """A file of `gtalk style learn`."""
    avatar: Path | None = None
    """Folder of an avatar to compare with."""

    def run(self) -> None:
        """Do it."""
        from dataclasses import asdict

        from gtalk.direct.style import Style, own_style
        from gtalk.motion.model.model import load_motion_model

        style = Style.load(self.style)
        own = None if self.avatar is None else asdict(own_style(load_motion_model(self.avatar)))
        for name, value in asdict(style).items():
            print(f"{name:<12}{value}" + ("" if own is None else f"   avatar {own[name]}"))


@dataclass(frozen=True)
class Style:
    """How somebody talks, learned from films, for `gtalk dub --style`: `gtalk style learn --help`."""

    action: Annotated[StyleLearn, tyro.conf.subcommand("learn")] | Annotated[StyleShow, tyro.conf.subcommand("show")]

    def run(self) -> None:
        """Do it."""
        self.action.run()


@dataclass(frozen=True)
class Score:
    """Write a score: what the face does when, for `gtalk dub --score`. It can be read and edited.

    gtalk score me speech.wav --text "We did it, finally." --say "nod at 'finally', then smile" -o x.score.yaml

    gtalk score me speech.wav --text "[smile .6] Hello! [nod] It is good to see you." -o x.score.yaml

    gtalk score me speech.wav --say "cheerful" --llm http://localhost:11434/v1 --model NAME -o x.score.yaml

    Instructions know expressions, looks, nods, shakes, turns, tilts, blinks, lips, degrees and times: see
    docs/guides/direction.md. English text is aligned to the sound; for other languages give the words with --words.
    """

    avatar: AvatarFolder
    """Folder of the avatar: its range is compared with what is asked."""
    speech: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SPEECH")]
    """Any sound or video file with speech."""
    output: OutputPath
    """The .score.yaml to write."""
    say: str = ""
    """What the face is to do, in English."""
    text: str = ""
    """What is spoken, in English; tags in brackets direct too."""
    words: Path | None = None
    """What is spoken when, in any language: JSON, [["hello", 0.31, 0.72], ...]."""
    llm: str = ""
    """Address of an OpenAI-compatible endpoint that reads --say instead of the grammar; its key is $GTALK_LLM_KEY."""
    model: str = ""
    """Name of the model there."""
    llm_timeout_s: float = 60.0
    """How long its answer may take."""
    voice: bool = False
    """Let the voice direct too: how aroused it sounds against the speaker's own neutral, as `dub --emotion auto`."""
    emotion_from: Path | None = None
    """A picture or a clip of one face, which shows what is to be expressed throughout."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.direct.directors.llm import ModelEndpoint
        from gtalk.direct.directors.write import Wish, write_score
        from gtalk.direct.recipes import check_own
        from gtalk.direct.score_edit import beyond_range
        from gtalk.media.audio import read_audio
        from gtalk.motion.model.model import load_motion_model
        from gtalk.speech.words import Words

        require_replaceable(self.output, self.overwrite)
        self._check()
        model = load_motion_model(self.avatar)
        endpoint = ModelEndpoint(self.llm, self.model, self.llm_timeout_s) if self.llm else None
        words = None if self.words is None else Words.load(self.words)
        written = write_score(read_audio(self.speech).samples, Wish(self.say, self.text, words, endpoint, self.voice))
        score, shown = written.score, tuple[str, ...]()
        if self.emotion_from is not None:
            from gtalk.dub.shown import events_of_picture

            events, shown = events_of_picture(self.emotion_from)
            score = score.plus(events)
        check_own(score.events, model.expressions)
        score.save(self.output)
        for note in (*written.notes, *beyond_range(score.events, model)):
            print(f"warning: {note}", file=sys.stderr)
        for note in shown:
            print(f"note: {note}", file=sys.stderr)
        print(f"{self.output}: {len(score.events)} events, {len(score.words)} words")
        for event in score.events:
            print(f"  {event.plain()}")

    def _check(self) -> None:
        if not (self.say or self.text or self.words or self.voice or self.emotion_from):
            raise UserError("score", expected="what it is to say", got="neither --say nor --text",
                            remedy="Add --say \"smile at 'finally'\", or --text with what is spoken.")  # fmt: skip
        if bool(self.llm) != bool(self.model):
            raise UserError("--llm and --model", expected="both or neither", got="one of them",
                            remedy="Write --llm http://localhost:11434/v1 --model NAME.")  # fmt: skip
        if self.llm and not self.say:
            raise UserError("--llm", expected="an instruction for it", got="none", remedy="Add --say.")
