"""A text becomes a film whose tags are obeyed and never spoken."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.say import say
from gtalk.errors import UserError
from gtalk.media.source import probe
from gtalk.types import Motion
from gtalk.voice.utterance import Utterance, words_by_length
from tests.support.toys import speech_like


@dataclass
class Told:
    """A voice that notes what it is to say."""

    texts: list[str] = field(default_factory=list)

    def say(self, text: str) -> Utterance:
        self.texts.append(text)
        samples = speech_like(3.0)
        return Utterance(text, samples, words_by_length(text, samples))


def test_tags_direct_the_face_and_are_not_spoken(small_person: Path, tmp_path: Path) -> None:
    voice, config = Told(), DubConfig(save_motion=tmp_path / "a.motion.npz")
    said = say(small_person, "Hello my friend, [nod] how are you?", tmp_path / "a.mp4", voice, config)
    assert voice.texts == ["Hello my friend, how are you?"]
    assert said.n_frames == 75 and probe(tmp_path / "a.mp4").has_audio
    still = DubConfig(save_motion=tmp_path / "b.motion.npz")
    say(small_person, "Hello my friend, how are you?", tmp_path / "b.mp4", voice, still)
    heads = [Motion.load(tmp_path / f"{name}.motion.npz").head_pose for name in "ab"]
    turned = np.abs(heads[0] - heads[1]).max((1, 2))
    assert turned[5:20].max() < 1e-6, "before its word nothing nods"
    assert turned[30:70].max() > 1e-3


def test_what_cannot_be_said_is_told_before_anything_is_drawn(small_person: Path, tmp_path: Path) -> None:
    voice = Told()
    for text, config, words in (
        ("[smile]", None, "nothing"),
        ("[flibber] Hello.", None, "flibber"),
        ("[smile] Hello.", DubConfig(score=tmp_path / "x.score.yaml"), "both"),
    ):
        with pytest.raises(UserError, match=words):
            say(small_person, text, tmp_path / "a.mp4", voice, config)
    (tmp_path / "a.mp4").write_text("mine")
    voice.texts.clear()
    with pytest.raises(UserError, match="exists"):
        say(small_person, "Hello.", tmp_path / "a.mp4", voice)
    assert voice.texts == [], "a voice may cost money"
