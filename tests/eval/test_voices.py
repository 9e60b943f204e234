import dataclasses

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.eval import voices
from gtalk.eval.report import _voice_rows
from gtalk.motion.training.train import train_motion
from gtalk.speech.known_phones import KnownPhones
from tests.motion.talking import SMALL, motion_of_openness, write_dataset

FEW = dataclasses.replace(SMALL, fit=dataclasses.replace(SMALL.fit, steps=20, check_every=10), validation_share=0.0)


def test_shares_are_of_the_frames_in_which_a_sound_is_said() -> None:
    phones = KnownPhones.of_ipa(["p", "a", "u"], [0.0, 0.4, 0.8], [0.4, 0.8, 1.2])
    visemes = voices._visemes_at(phones, np.arange(40) / 25.0)
    assert {visemes[i] for i in range(3, 8)} == {"p"} and set(visemes[30:]) == {""}  # the last fifth is a border
    said = voices.Said(np.arange(40) / 40.0, np.ones(40), visemes)
    assert said.mean(said.opening, "p") == pytest.approx(np.mean([i / 40 for i in range(40) if visemes[i] == "p"]))
    assert said.mean(said.width, "u o") == 1.0
    assert said.mean(said.width, "f") is None


def test_nine_languages_of_a_trained_person(tmp_path, monkeypatch) -> None:
    pytest.importorskip("espeakng_loader")
    model = train_motion(write_dataset(tmp_path / "data", seconds=8.0), tmp_path / "avatar", FEW)
    assert len(voices.SPOKEN) == 9
    few = {name: voices.SPOKEN[name] for name in ("German", "Spanish")}
    monkeypatch.setattr(voices, "SPOKEN", few)
    table = voices.measure_voices(model, motion_of_openness(np.linspace(0, 1, 100)))
    assert list(table) == [*few, "mean"]
    assert all(np.isfinite(row["left_open_pbm"]) and np.isfinite(row["open_a"]) for row in table.values())
    assert table["Spanish"]["open_fv"] is None  # the text has none
    assert table["mean"]["open_a"] == pytest.approx((table["German"]["open_a"] + table["Spanish"]["open_a"]) / 2)
    assert [row[0] for row in _voice_rows({"voices": table})] == ["other voices", "German", "Spanish", "mean"]


def test_an_unknown_voice_is_a_sentence() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(UserError, match="voice"):
        voices.speak_with_phones("nuqneH", "klingonese")
