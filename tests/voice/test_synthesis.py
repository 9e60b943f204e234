"""Texts that the avatar says."""

import sys
import types

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.voice.synthesis import ESPEAK_VOICES, MAX_TEXT, Speaker, speak_with_phones


def test_espeak_says_longer_texts_longer_and_in_other_languages() -> None:
    pytest.importorskip("espeakng_loader")
    speaker = Speaker()
    short, long = speaker.say("Hello."), speaker.say("Hello. " * 5)
    assert 0.3 < len(short) / AUDIO_RATE < 2.0
    assert len(long) > 3 * len(short)
    assert np.abs(short).max() > 0.05
    german = speaker.say("Hello.", "de")
    assert len(german) != len(short) or np.abs(german - short).max() > 0.01
    assert speaker.voices == ESPEAK_VOICES


def test_a_text_too_long_and_an_unknown_voice_are_the_users_fault() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(UserError, match="2000 characters"):
        Speaker().say("a" * (MAX_TEXT + 1))
    with pytest.raises(UserError, match="klingonese"):
        Speaker().say("nuqneH", "klingonese")


def test_a_piper_voice_is_used_where_it_is_given(monkeypatch, tmp_path) -> None:
    class PiperVoice:
        @staticmethod
        def load(path: str):
            assert path.endswith("ada.onnx")
            return PiperVoice()

        def synthesize(self, text: str):
            for _ in text.split():
                yield types.SimpleNamespace(
                    sample_rate=22_050, audio_int16_bytes=np.full(22_050, 8192, "<i2").tobytes()
                )

    library = types.ModuleType("piper")
    library.PiperVoice = PiperVoice
    monkeypatch.setitem(sys.modules, "piper", library)
    speaker = Speaker(tmp_path / "ada.onnx")
    assert speaker.voices[0] == "Piper"
    sound = speaker.say("two words")
    assert len(sound) / AUDIO_RATE == pytest.approx(2.0, abs=0.01)
    assert np.median(sound) == pytest.approx(0.25, abs=0.001)


def test_piper_without_its_package_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(UserError, match="piper-tts"):
        Speaker(tmp_path / "ada.onnx")


def test_phones_come_with_the_speech() -> None:
    pytest.importorskip("espeakng_loader")
    samples, phones = speak_with_phones("Papa, mama.", "en-us")
    assert phones.visemes.count("p") == 4 and phones.visemes.count("a") + phones.visemes.count("@") >= 4
    assert max(phones.ends_s) <= len(samples) / AUDIO_RATE + 0.01
    level = {"a": [0.0], "rest": [0.0]}
    for viseme, start, end in zip(phones.visemes, phones.starts_s, phones.ends_s, strict=True):
        if end > start:
            level.setdefault(viseme, []).append(np.abs(samples[int(16_000 * start) : int(16_000 * end)]).mean())
    assert max(level["a"]) > 20 * max(level["rest"])
    assert set(speak_with_phones("", "en-us")[1].visemes) <= {"rest"}
