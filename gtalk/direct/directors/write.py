"""From what somebody wants to a score: words of the sound, then whichever directors were asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.llm import ModelEndpoint, ask_model
from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.tags import Tag, events_of_tags, split_tags
from gtalk.direct.directors.voice import events_of_voice
from gtalk.direct.score import Event, Score
from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.speech.words import NO_WORDS, Words
from gtalk.types import AUDIO_RATE


@dataclass(frozen=True)
class Wish:
    """What a score is to say."""

    say: str = ""
    """An instruction in English."""
    text: str = ""
    """What is spoken, in English, with tags in brackets or without."""
    words: Words | None = None
    """What is spoken when, where that is known."""
    model: ModelEndpoint | None = None
    """Who reads the instruction; the grammar where it is None."""
    voice: bool = False
    """Whether the voice directs too."""


@dataclass(frozen=True)
class Written:
    """A score, and what there is to say of it."""

    score: Score
    notes: tuple[str, ...] = ()


def write_score(samples: Float[np.ndarray, " N"], wish: Wish) -> Written:
    """The score of a speech (mono, AUDIO_RATE).

    Raises UserError when the text does not fit the sound, an instruction is not understood, or a model fails.
    """
    spoken, tags = split_tags(wish.text)
    words = _words(samples, spoken, tags, wish.words)
    speech = Speech(len(samples) / AUDIO_RATE, words)
    events: list[Event] = events_of_tags(tags, speech)
    notes: tuple[str, ...] = ()
    if wish.say and wish.model is not None:
        events += ask_model(wish.say, speech, wish.model)
    elif wish.say:
        read = read_instruction(wish.say, speech)
        events, notes = [*events, *read.events], read.notes
    if wish.voice:
        events += events_of_voice(samples, speech)
    score = Score(tuple(sorted(events, key=lambda event: event.start_s)), words)
    score.check_length(speech.duration_s)
    return Written(score, notes)


def _words(samples: np.ndarray, spoken: str, tags: list[Tag], known: Words | None) -> Words:
    if known is not None:
        late = [word for word in known if word.end_s > len(samples) / AUDIO_RATE + 0.1]
        if late:
            raise UserError("words", expected=f"times within the {len(samples) / AUDIO_RATE:.2f} s of the sound",
                            got=f"{late[0].text} to {late[0].end_s:g} s", remedy="Are they another's?")  # fmt: skip
        if tags and len(known) != len(spoken.split()):
            raise UserError("--text with tags", expected=f"the {len(known)} words of --words",
                            got=f"{len(spoken.split())} words", remedy="Leave one of them out.")  # fmt: skip
        return known
    if not spoken:
        return NO_WORDS
    from gtalk.speech.align import align_words

    return align_words(samples, spoken)
