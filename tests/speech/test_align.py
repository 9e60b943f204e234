from pathlib import Path

import numpy as np
import pytest

from demo_person.speaking.speech import SENTENCES
from demo_person.speaking.visemes import segments
from demo_person.truth import load_truth
from gtalk.errors import UserError
from gtalk.media.audio import read_audio
from gtalk.speech.align import align_text

pytest.importorskip("pocketsphinx")
DEMO = Path(__file__).parents[2] / "data" / "demo"
SECONDS = 10.8
TEXT = " ".join(text for _, text in SENTENCES[:2])


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return read_audio(DEMO / "clip.mp4").samples[: int(16_000 * SECONDS)]


def test_labials_are_found_where_they_are(samples: np.ndarray) -> None:
    known, truth = align_text(samples, TEXT), load_truth(DEMO)
    found = np.array([start for viseme, start in zip(known.visemes, known.starts_s, strict=True) if viseme == "p"])
    kinds = [segments(name)[0][1] for name in truth.phonemes]
    starts = truth.phoneme_starts_s
    true = np.array([s for kind, s in zip(kinds, starts, strict=True) if kind == "p" and s < SECONDS - 0.5])
    away = np.abs(found[:, None] - true).min(0)
    assert len(true) > 8 and np.median(away) < 0.04 and (away < 0.08).mean() > 0.8


def test_words_that_no_dictionary_has_are_sounded_out(samples: np.ndarray) -> None:
    known = align_text(samples, TEXT.replace("Robin", "Wobbin"))
    assert known.visemes.count("p") >= 8


@pytest.mark.parametrize("text", ["", "123 ...", "私はロビンです"])
def test_no_words_is_a_sentence(samples: np.ndarray, text: str) -> None:
    with pytest.raises(UserError, match="English words"):
        align_text(samples, text)


def test_other_words_than_those_said(samples: np.ndarray) -> None:
    with pytest.raises(UserError, match="leave it out"):
        align_text(samples[:8000], " ".join(["international cooperation"] * 40))


def test_silence_and_hours_are_sentences() -> None:
    with pytest.raises(UserError, match="leave it out"):
        align_text(np.zeros(0, np.float32), "hello")
    with pytest.raises(UserError, match="600 s"):
        align_text(np.zeros(16_000 * 601, np.float32), "hello")
