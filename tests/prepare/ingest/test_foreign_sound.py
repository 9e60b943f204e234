"""Sound that is not the person's: found where it was put in, and nowhere else."""

import numpy as np

from demo_person.truth import load_truth
from gtalk.media.audio import read_audio
from gtalk.prepare.ingest.foreign_sound import ANOTHER, BEHIND, UNFIT, foreign_stretches
from gtalk.types import AUDIO_RATE
from tests.prepare.ingest.test_av_offset import DEMO, FPS, talking


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


def test_a_voice_in_place_of_the_persons_does_not_fit_the_lips() -> None:
    truth = load_truth(DEMO).points_px[: 40 * 25]
    points = (truth + np.random.default_rng(0).normal(0, 0.3, truth.shape)).astype(np.float32)
    own = read_audio(DEMO / "clip.mp4").samples[: 40 * AUDIO_RATE]
    assert found(points, own) == []
    dubbed = own.copy()
    dubbed[16 * AUDIO_RATE : 24 * AUDIO_RATE] = np.resize(read_audio(DEMO / "speech.wav").samples, 8 * AUDIO_RATE)
    unfit = [one for one in found(points, dubbed) if one[2] == UNFIT]
    assert len(unfit) == 1
    assert abs(unfit[0][0] - 400) <= 50 and abs(unfit[0][1] - 600) <= 50


def test_silence_and_too_little_are_no_trouble() -> None:
    points, samples = talking()
    assert found(points, np.zeros_like(samples)) == []
    assert found(points[:10], samples[:6400]) == []
