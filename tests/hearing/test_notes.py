import numpy as np
import pytest

from gtalk.basis import mouth_aperture
from gtalk.dub.sung import events_of_song
from gtalk.hearing.notes import Note, heard_song
from gtalk.motion.edits.singing import plan_singing
from gtalk.speech.base import RATE_HZ
from gtalk.types import AUDIO_RATE
from tests.motion.talking import motion_of_openness
from tests.speech.voices import vowel


def test_notes_of_a_melody_and_their_vibrato() -> None:
    time_s = np.arange(round(1.2 * AUDIO_RATE)) / AUDIO_RATE
    shaken = 330.0 * 2 ** (0.3 / 12 * np.sin(2 * np.pi * 5.5 * time_s))
    gap = np.zeros(round(0.4 * AUDIO_RATE), np.float32)
    song = heard_song([np.concatenate([vowel("a", 1.0, 220.0), gap, vowel("a", 1.2, shaken)])])
    assert song.is_sung and [round(note.pitch - 12 * np.log2(220)) for note in song.notes] == [0, 7]
    assert song.notes[1].start_s == pytest.approx(1.4, abs=0.1) and song.notes[1].end_s == pytest.approx(2.6, abs=0.1)
    rows = song.vibrato[165:235]
    hz = np.fft.rfftfreq(len(rows), 1 / RATE_HZ)
    assert hz[np.abs(np.fft.rfft(rows - rows.mean())).argmax()] == pytest.approx(5.5, abs=0.8)
    assert np.abs(song.vibrato[10:80]).max() < 0.1


def test_what_glides_is_not_sung() -> None:
    time_s = np.arange(3 * AUDIO_RATE) / AUDIO_RATE
    glides = 150.0 * 2 ** (0.5 * np.sin(2 * np.pi * 0.9 * time_s))
    assert not heard_song([vowel("a", 3.0, glides)]).is_sung
    assert not heard_song([np.zeros(AUDIO_RATE, np.float32)]).notes


def test_a_note_is_held_trembles_and_opens_more_when_high() -> None:
    motion = motion_of_openness(0.5 + 0.5 * np.sin(np.arange(150) / 2.0), seed=1)
    spans, pitches = np.array([[1.0, 2.5], [3.5, 5.0]]), np.array([50.0, 62.0])
    vibrato = 0.5 * np.sin(2 * np.pi * 5.5 * np.arange(600) / RATE_HZ)
    plan = plan_singing(motion, spans, pitches, vibrato, RATE_HZ)
    sung, still = plan(motion), plan_singing(motion, spans, pitches, np.zeros(600), RATE_HZ)(motion)
    before, after, held = (mouth_aperture(m.landmarks) for m in (motion, sung, still))
    inside = np.r_[28:60]
    assert held[inside].std() < 0.1 * before[inside].std() and after[inside].min() > 0.0
    assert held[90:122].mean() > 1.1 * held[inside].mean(), "the higher note"
    trembles = after[inside] - held[inside]
    wanted = np.interp(inside / motion.fps, np.arange(600) / RATE_HZ, vibrato)
    assert np.corrcoef(trembles, wanted)[0, 1] > 0.99 and np.abs(trembles).max() <= 0.0009
    assert np.array_equal(after[130:], before[130:]), "what is not sung stays"
    parts = np.concatenate([plan(motion[a:b], a).landmarks for a, b in ((0, 33), (33, 34), (34, 150))])
    assert np.array_equal(parts, sung.landmarks)


def test_brows_and_chin_follow_the_melody() -> None:
    events = events_of_song([Note(1.0, 2.0, 60.0), Note(2.1, 3.0, 60.0), Note(4.0, 5.0, 66.0)])
    assert {(e.track, e.start_s) for e in events} == {
        ("head.raise", 0.7), ("head.raise", 3.7), ("shape.browInnerUp", 4.0), ("head.raise", 4.0)
    }  # fmt: skip
    assert events_of_song([]) == []
