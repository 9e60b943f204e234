"""Texts that the avatar says."""

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.voice.process import NativeSpeech
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


@pytest.mark.parametrize("voice", ["en-us", "de"])
@pytest.mark.parametrize(
    "text",
    ["Hello мир, 你好 مرحبا שלום 🙂!", "e\u0301\u200b\u202ea\ufeff \x07 b", '<happy>[unclosed {tags & "quotes'],
    ids=["scripts", "marks", "tags"],
)
def test_texts_of_mixed_scripts_and_strange_marks_are_said(text: str, voice: str) -> None:
    pytest.importorskip("espeakng_loader")
    said = Speaker().say(text, voice)
    assert len(said) > 0.3 * AUDIO_RATE and np.isfinite(said).all() and np.abs(said).max() > 0.05


def test_two_thousand_letters_are_said_at_once() -> None:
    pytest.importorskip("espeakng_loader")
    text = ("Bonjour, мир, and good day. " * 100)[:MAX_TEXT]
    assert len(text) == MAX_TEXT == 2000
    assert 60 < len(Speaker().say(text)) / AUDIO_RATE < 300


def test_a_text_too_long_and_an_unknown_voice_are_the_users_fault() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(UserError, match="2000 characters"):
        Speaker().say("a" * (MAX_TEXT + 1))
    with pytest.raises(UserError, match="klingonese"):
        Speaker().say("nuqneH", "klingonese")


PIPER = """
import types
class PiperVoice:
    @staticmethod
    def load(path):
        if not path.endswith("ada.onnx"):
            raise ValueError("no voice")
        return PiperVoice()
    def synthesize(self, text):
        for _ in text.split():
            yield types.SimpleNamespace(sample_rate=22050, audio_int16_bytes=b"\\0\\x20" * 22050)
"""


def test_a_piper_voice_is_used_where_it_is_given(monkeypatch, tmp_path) -> None:
    (tmp_path / "piper.py").write_text(PIPER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    speaker = Speaker(tmp_path / "ada.onnx")
    assert speaker.voices[0] == "Piper"
    sound = speaker.say("two words")
    assert len(sound) / AUDIO_RATE == pytest.approx(2.0, abs=0.01)
    assert np.median(sound) == pytest.approx(0.25, abs=0.001)
    with pytest.raises(UserError, match="300 s"):
        speaker.say("a " * 400)
    with pytest.raises(UserError, match="ValueError: no voice"):
        Speaker(tmp_path / "bob.onnx")


def test_piper_without_its_package_is_told(monkeypatch, tmp_path) -> None:
    (tmp_path / "piper.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match="piper-tts"):
        Speaker(tmp_path / "ada.onnx")


NO_VOICES = [
    "..",
    "+" * 59,
    "en-us" + "+" * 59,
    "../../../etc/passwd",
    "mb/mb-en1",
    "a" * 5000,
    "en us",
    "en-us+",
    "\ud800",
]


@pytest.mark.parametrize("voice", NO_VOICES, ids=range(len(NO_VOICES)))
def test_a_name_that_is_no_voice_never_reaches_native_code(voice: str, monkeypatch) -> None:
    monkeypatch.setattr("gtalk.voice.process.NativeSpeech.ask", lambda *_: pytest.fail("was asked"))
    for say in (Speaker().say, speak_with_phones):
        with pytest.raises(UserError, match="voice: expected"):
            say("hello", voice)


def test_a_synthesiser_that_dies_is_told_and_started_again() -> None:
    pytest.importorskip("espeakng_loader")
    engine = NativeSpeech("espeak")
    question = {"text": "hello", "voice": "en-us", "words_per_minute": 165, "most_s": 9.0}
    try:
        facts, sound = engine.ask(question)
        assert len(sound) == facts["bytes"] > 10_000
        first = engine.pid
        with pytest.raises(UserError, match=r"the end of its process \(status 1\)"):
            engine.ask({**question, "voice": 7})  # what no name can do any more
        assert engine.pid is None
        assert len(engine.ask(question)[1]) > 10_000 and engine.pid not in {None, first}
        assert engine.ask({**question, "text": "hello " * 50, "most_s": 3.0})[0] == {"error": "long"}
    finally:
        engine.close()


def test_a_synthesiser_that_hangs_is_ended(tmp_path, monkeypatch) -> None:
    (tmp_path / "piper.py").write_text(PIPER.replace("for _ in text.split():", "while True:\n            continue"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine = NativeSpeech("piper", "ada.onnx", patience_s=3.0)
    with pytest.raises(UserError, match="signal 9"):
        engine.ask({"text": "hello", "most_s": 9.0})
    engine.close()


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
