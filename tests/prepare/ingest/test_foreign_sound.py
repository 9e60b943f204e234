"""Sound that is not the person's: found where it was put in, and nowhere else."""

import numpy as np

from gtalk.prepare.ingest.foreign_sound import ANOTHER, BEHIND, foreign_stretches
from gtalk.types import AUDIO_RATE
from tests.prepare.ingest.test_av_offset import FPS, talking


def found(points: np.ndarray, samples: np.ndarray) -> list[tuple[int, int, str]]:
    stretches = foreign_stretches(points, np.ones(len(points), bool), samples, FPS)
    return [(one.start, one.stop, one.what) for one in stretches]


def test_a_person_alone_is_left_alone() -> None:
    assert found(*talking()) == []


def test_a_voice_that_speaks_while_the_lips_rest_is_another() -> None:
    points, samples = talking()
    points = points.copy()
    points[200:325] = points[200] + np.random.default_rng(1).normal(0, 0.3, points[200:325].shape)
    (start, stop, what), *more = found(points, samples)
    assert not more and what == ANOTHER
    assert abs(start - 200) < 25 and abs(stop - 325) < 25


def test_music_behind_the_voice_is_told_with_its_stretch() -> None:
    points, samples = talking()
    times_s = np.arange(8 * AUDIO_RATE) / AUDIO_RATE
    chord = sum(np.sin(2 * np.pi * hz * times_s) for hz in (220.0, 277.2, 329.6)) / 3
    loud = samples.copy()
    voice = float(np.sqrt((samples[np.abs(samples) > 0.02] ** 2).mean()))
    loud[6 * AUDIO_RATE : 14 * AUDIO_RATE] += (0.5 * voice * chord).astype(np.float32)
    stretches = [one for one in found(points, loud) if one[2] == BEHIND]
    assert len(stretches) == 1
    assert 100 < stretches[0][0] < 240 and 260 < stretches[0][1] < 400


def test_silence_and_too_little_are_no_trouble() -> None:
    points, samples = talking()
    assert found(points, np.zeros_like(samples)) == []
    assert found(points[:10], samples[:6400]) == []
