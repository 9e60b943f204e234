import numpy as np

from gtalk.hearing import diarise
from gtalk.hearing.diarise import found_turns
from gtalk.hearing.turns import Turn, error_of
from gtalk.types import AUDIO_RATE
from tests.speech.voices import vowel


def two_voices() -> tuple[np.ndarray, list[Turn], float]:
    """(a conversation, who speaks when, its length in seconds)."""
    rng = np.random.default_rng(0)
    parts, truth, time_s = [], [], 0.0
    for turn in range(6):
        low = turn % 2 == 0
        for _ in range(7):
            name = str(rng.choice(["a", "e"] if low else ["i", "u"]))
            parts.append(vowel(name, 0.22, (110.0 if low else 210.0) * rng.uniform(0.9, 1.1)))
        truth.append(Turn("low" if low else "high", time_s, time_s + 7 * 0.22))
        time_s += 7 * 0.22 + 0.4
        parts.append(np.zeros(round(0.4 * AUDIO_RATE), np.float32))
    return np.concatenate(parts), truth, time_s


def test_two_voices_are_told_apart_and_named_as_they_begin() -> None:
    sound, truth, length_s = two_voices()
    found = found_turns(sound, 2, at_hand=False)
    assert found[0].speaker == "1" and {turn.speaker for turn in found} == {"1", "2"}
    assert error_of(found, truth, length_s) < 0.2


def test_a_long_sound_is_divided_by_no_more_windows_than_a_short_one(monkeypatch) -> None:
    sound, truth, length_s = two_voices()
    monkeypatch.setattr(diarise, "_MOST_WINDOWS", 12)
    assert error_of(found_turns(sound, 2, at_hand=False), truth, length_s) < 0.3


def test_silence_has_no_turns_and_one_speaker_needs_no_clusters() -> None:
    assert found_turns(np.zeros(3 * AUDIO_RATE, np.float32), 2) == []
    assert {turn.speaker for turn in found_turns(vowel("a", 2.0), 1)} == {"1"}
