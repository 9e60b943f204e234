import numpy as np
import pytest

from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.voice import RunningNeutral, events_of_voice, phrases_of
from gtalk.errors import UserError
from gtalk.motion.edits.controls import Controls
from gtalk.motion.edits.emotion import VOICE_CAP, no_voice, voice_cap
from gtalk.rig.expression import Expression
from gtalk.speech.words import Words


def voice(f0_hz: float, seconds: float, brightness: float = 0.3) -> np.ndarray:
    """A buzz with vibrato; the brighter, the less its harmonics fall off. Half a second of quiet before and after."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    phase = 2 * np.pi * np.cumsum(f0_hz * (1 + 0.02 * np.sin(2 * np.pi * 5 * time_s))) / 16_000
    sound = sum(np.sin(k * phase) * k ** (-1.0 / max(brightness, 0.05) / 3) for k in range(1, 20))
    envelope = np.minimum(1, 8 * np.minimum(time_s, seconds - time_s)) * (0.7 + 0.3 * np.sin(2 * np.pi * 4 * time_s))
    sound = np.pad(0.1 * sound * envelope, 8000) + 1e-4 * rng.normal(size=len(time_s) + 16_000)
    return sound.astype(np.float32)


CALM, EXCITED = voice(110.0, 3.0), voice(220.0, 3.0, 0.6)


def asked(*sounds: np.ndarray, text: str = "") -> list:
    samples = np.concatenate(sounds)
    words = text.split()
    step = len(samples) / 16_000 / max(len(words), 1)
    known = Words.of([[w, step * i, step * i + 0.1] for i, w in enumerate(words)])
    return events_of_voice(samples, Speech(len(samples) / 16_000, known))


def test_phrases_and_their_pitch() -> None:
    first, second = phrases_of(np.concatenate([CALM, EXCITED]))
    assert second.semitones - first.semitones == pytest.approx(12.0, abs=0.5)
    assert second.tilt_db > first.tilt_db and first.start_s == pytest.approx(0.5, abs=0.15)


def test_a_steady_voice_asks_for_nothing_and_an_excited_one_for_life() -> None:
    assert asked(CALM, CALM, CALM) == [] and asked(EXCITED) == [], "the first phrase is neutral"
    (event,) = asked(CALM, CALM, EXCITED)
    assert event.track == "emotion.interested" and 0.3 < event.value <= VOICE_CAP and event.by == "voice"
    assert event.start_s > 8.0 and event.length_s >= 1.5


def test_words_tell_joy_from_anger() -> None:
    assert asked(CALM, EXCITED, text="this is what we now love so wonderful")[-1].track == "emotion.happy"
    assert asked(CALM, EXCITED, text="this is what it was an awful terrible")[-1].track == "emotion.angry"
    assert "happy" not in str(asked(CALM, EXCITED, text="this is how it was not good"))


def test_the_running_neutral_follows_the_speaker_and_forgets_no_neutral_for_shouts() -> None:
    neutral = RunningNeutral()
    calm, excited = phrases_of(CALM)[0], phrases_of(EXCITED)[0]
    assert neutral.arousal(calm) == 0.0
    assert [neutral.arousal(excited) > 0.5 for _ in range(3)] == [True] * 3
    assert abs(neutral.arousal(calm)) < 0.4


def test_silence_and_noise_ask_for_nothing() -> None:
    noise = (0.05 * np.random.default_rng(1).normal(size=48_000)).astype(np.float32)
    assert asked(np.zeros(32_000, np.float32)) == [] and asked(noise) == [] and asked(np.zeros(10, np.float32)) == []


def test_auto_is_an_emotion_of_dubs_alone() -> None:
    assert voice_cap("auto") == VOICE_CAP and voice_cap("auto:0.3") == 0.3 and voice_cap("happy") is None
    assert Controls(emotion="auto").emotion == "auto"
    from gtalk.motion.edits.emotion import read_emotion

    assert read_emotion("auto:0.4") == Expression()
    with pytest.raises(UserError, match="0 to 1"):
        Controls(emotion="auto:7")
    with pytest.raises(UserError, match="a live session"):
        no_voice("auto", "a live session")
