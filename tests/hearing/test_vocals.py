import numpy as np

from gtalk.hearing.notes import heard_song
from gtalk.hearing.vocals import voice_of_song
from gtalk.types import AUDIO_RATE
from tests.speech.voices import vowel


def song(seconds: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """(stereo, the voice in it): notes of a voice in the middle; drums and a wide chord that repeat every second."""
    rng = np.random.default_rng(0)
    notes = [vowel("a" if i % 2 else "e", 0.8, 220.0 * 2 ** (rng.integers(0, 12) / 12)) for i in range(int(seconds))]
    voice = np.concatenate([np.pad(note, (0, AUDIO_RATE - len(note))) for note in notes])
    t = np.arange(AUDIO_RATE) / AUDIO_RATE
    drum = 0.5 * rng.standard_normal(AUDIO_RATE) * np.exp(-((t % 0.25) / 0.01))
    chord = [0.12 * np.sin(2 * np.pi * hz * t) for hz in (131.0, 165.0, 196.0, 262.0)]
    left, right = (np.tile(drum + chord[i] + chord[i + 2], int(seconds)) for i in (0, 1))
    return np.stack([voice + left, voice + right], 1).astype(np.float32), voice


def to_others_db(found: np.ndarray, voice: np.ndarray) -> float:
    """How much louder what belongs to the voice is than what does not."""
    own = voice * (found @ voice) / (voice @ voice)
    return float(10 * np.log10((own**2).sum() / ((found - own) ** 2).sum()))


def test_the_voice_stands_out_more_and_its_notes_are_found() -> None:
    sound, voice = song()
    found = np.concatenate(list(voice_of_song([sound], AUDIO_RATE)))
    assert len(found) == len(sound)
    assert to_others_db(found, voice) > to_others_db(sound.mean(1), voice) + 4.0
    assert len(heard_song([found]).notes) > len(heard_song([sound.mean(1)]).notes)


def test_blocks_join_and_mono_and_short_sounds_pass() -> None:
    sound, _ = song(45.0)
    pieces = [sound[i : i + 7001] for i in range(0, len(sound), 7001)]
    cut = np.concatenate(list(voice_of_song(pieces, AUDIO_RATE)))
    assert len(cut) == len(sound)
    at = 20 * AUDIO_RATE
    assert np.abs(np.diff(cut[at - 2000 : at + 2000])).max() < 1.5 * np.abs(np.diff(cut)).max()
    for short in (sound[:100, :1], sound[:5000, :1]):
        assert len(np.concatenate(list(voice_of_song([short], AUDIO_RATE)))) == len(short)
