import dataclasses

import numpy as np
import pytest

from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.speech import Speech
from gtalk.direct.look import Look
from gtalk.direct.score import Event, Score
from gtalk.dub.batch.chunks import is_long
from gtalk.dub.config import DubConfig
from gtalk.media.audio import write_wav
from gtalk.types import AudioTrack

RGB = np.random.default_rng(0).integers(40, 160, (40, 60, 3), dtype=np.uint8)
ALPHA = np.full((40, 60), 255, np.uint8)


def seen(track: str, value: float, number: int = 50) -> tuple[np.ndarray, np.ndarray]:
    look = Look.of(Score((Event(track, value, 1.0, 3.0),)))
    assert look is not None
    for before in range(number):
        look(RGB, ALPHA, before, 25.0)
    return look(RGB, ALPHA, number, 25.0)


def test_the_mean_colour_moves_as_it_is_asked_to_and_alpha_stays() -> None:
    mean = RGB.reshape(-1, 3).mean(0)
    bright, alpha = seen("look.light", 0.5)
    np.testing.assert_allclose(bright.reshape(-1, 3).mean(0) / mean, 2**0.5, rtol=0.02)
    assert alpha is ALPHA
    warm = seen("look.warmth", 1.0)[0].reshape(-1, 3).mean(0) / mean
    assert warm[0] == pytest.approx(1.125, abs=0.01) and warm[1] == 1.0 and warm[2] == pytest.approx(0.875, abs=0.01)
    assert seen("look.warmth", 1.0, number=0)[0] is RGB, "nothing before its time"


def test_closer_is_nearer_about_the_face() -> None:
    look = Look.of(Score((Event("look.closer", 1.0),)))
    assert look is not None
    image, alpha = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), np.uint8)
    image[32:52, 40:60] = alpha[32:52, 40:60] = 200
    near, cover = look(image, alpha, 0, 25.0)
    assert (near[:, :, 0] > 100).sum() == pytest.approx(20 * 20 * 2.25, rel=0.1)
    assert (cover > 100).sum() == pytest.approx(20 * 20 * 2.25, rel=0.1)


def test_a_score_without_looks_costs_nothing_and_one_with_them_is_not_split(tmp_path) -> None:
    assert Look.of(None) is None and Look.of(Score((Event("emotion.smile"),))) is None
    write_wav(tmp_path / "a.wav", AudioTrack(np.zeros(16_000 * 4, np.float32)))
    config = DubConfig()
    assert is_long(tmp_path / "a.wav", config, 1.0)
    Score((Event("look.light", 0.5),)).save(tmp_path / "x.score.yaml")
    assert not is_long(tmp_path / "a.wav", dataclasses.replace(config, score=tmp_path / "x.score.yaml"), 1.0)


def test_manner_in_words() -> None:
    asked = read_instruction("closer, warmer, looking slightly up", Speech(5.0)).events
    assert [(e.track, e.value > 0) for e in asked] == [
        ("look.closer", True),
        ("look.warmth", True),
        ("gaze.pitch", True),
    ]
    assert [e.track for e in read_instruction("a little darker at the end", Speech(5.0)).events] == ["look.light"]
