"""A text in, a video out: `[smile .6] Hello! [nod]` is said by a voice, and its tags direct the face."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.tags import Tag, check_tags, events_of_tags, split_tags
from gtalk.direct.score import Score
from gtalk.dub.config import DubConfig
from gtalk.dub.render import DubResult, check_dub, dub
from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.progress import OnProgress, silent
from gtalk.reading.untrusted import read_text
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.voice.utterance import Voice
from gtalk.voice.voices import say_all


@dataclass(frozen=True)
class Lines:
    """A text that can be said: what is spoken, and what directs the face. Made by `read_lines`."""

    spoken: str
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class Said:
    """What a dub of a text is made of; the files are there as long as `said` is open."""

    source: Path
    config: DubConfig
    known: KnownPhones | None
    """What is said when, where the voice tells."""


def say(
    avatar: Path,
    text: str,
    output: Path,
    voice: Voice,
    config: DubConfig | None = None,
    on_progress: OnProgress = silent,
) -> DubResult:
    """Render an avatar that says a text.

    Args:
        text: with the tags of `gtalk.direct.directors.tags`, which are obeyed and never spoken.

    Raises UserError as `dub` does, for a text without words, a tag that says nothing known, and a voice that fails.
    """
    config = config or DubConfig()
    lines = read_lines(text, config)
    check_dub(None, output, config)
    with said(lines, voice, config) as speech:
        return dub(avatar, speech.source, output, speech.config, on_progress, known=speech.known)


def read_lines(text: str, config: DubConfig) -> Lines:
    """A text, checked before any voice is asked.

    Raises UserError for one without words, a tag that says nothing known, and tags beside a score.
    """
    spoken, tags = split_tags(text)
    if not spoken:
        raise UserError("text", expected="something to say", got="nothing", remedy="Write a sentence.")
    check_tags(tags)
    if tags and config.score is not None:
        raise UserError("--score", expected="tags in the text, or a score", got="both",
                        remedy="Write the events of the score as tags, or leave the tags out.")  # fmt: skip
    return Lines(spoken, tuple(tags))


@contextmanager
def said(lines: Lines, voice: Voice, config: DubConfig) -> Iterator[Said]:
    """Speech of a text as a dub takes it. Raises UserError for a voice that fails."""
    speech = say_all(voice, lines.spoken)
    events = events_of_tags(list(lines.tags), Speech(speech.duration_s, speech.words))
    with TemporaryDirectory(prefix="gtalk-") as folder:
        sound = Path(folder) / "said.wav"
        write_wav(sound, AudioTrack(speech.samples, AUDIO_RATE))
        if events:
            score = Path(folder) / "said.score.yaml"
            Score(tuple(events), speech.words).save(score)
            config = replace(config, score=score)
        yield Said(sound, config, speech.phones)


def text_or_file(text: str, folder: Path = Path()) -> str:
    """A text, or what is in the .txt file that it names. Raises UserError for a file that cannot be read."""
    if not text.endswith(".txt"):
        return text
    try:
        return read_text(folder / text)
    except (OSError, ValueError) as error:
        raise UserError(f"text {text}", expected="a readable text file", got=f"{type(error).__name__}",
                        remedy="Check the path.") from error  # fmt: skip
