"""A text in, a video out: `[smile .6] Hello! [nod]` is said by a voice, and its tags direct the face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.tags import events_of_tags, split_tags
from gtalk.direct.score import Score
from gtalk.dub.config import DubConfig
from gtalk.dub.outputs import check_output
from gtalk.dub.render import DubResult, dub
from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.progress import OnProgress, silent
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.voice.utterance import Voice
from gtalk.voice.voices import say_all


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
    check_output(output, config)
    plain, tags = split_tags(text)
    if tags and config.score is not None:
        raise UserError("--score", expected="tags in the text, or a score", got="both",
                        remedy="Write the events of the score as tags, or leave the tags out.")  # fmt: skip
    said = say_all(voice, plain)
    events = events_of_tags(tags, Speech(said.duration_s, said.words))
    with TemporaryDirectory(prefix="gtalk-") as folder:
        sound = Path(folder) / "said.wav"
        write_wav(sound, AudioTrack(said.samples, AUDIO_RATE))
        if events:
            score = Path(folder) / "said.score.yaml"
            Score(tuple(events), said.words).save(score)
            config = replace(config, score=score)
        return dub(avatar, sound, output, config, on_progress)
