"""Every example runs, on a small avatar, and says what it says it does."""

import importlib.util
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

import gtalk
from gtalk.media.source import probe
from tests.support.toys import speech_like

FOLDER = Path(__file__).parents[2] / "examples"
SHORT = ("dub", "reenact", "edit_motion", "orbit", "stream", "train")


def example(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def me(small_person) -> str:
    return str(small_person)


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((speech_like(0.8) * 32767).astype("<i2").tobytes())
    return str(path)


def test_each_is_short_and_says_how_it_is_called():
    for name in SHORT:
        text = (FOLDER / f"{name}.py").read_text()
        assert text.count("\n") < 40 and f"python examples/{name}.py" in text.partition("\n")[0]


def test_dub(me, speech, tmp_path, capsys):
    example("dub").main(me, speech, str(tmp_path / "dub.mp4"), 64)
    assert probe(tmp_path / "dub.mp4").height == 64 and "0.80 s of Ada" in capsys.readouterr().out


def test_reenact(me, speech, tmp_path, capsys):
    gtalk.load(me).predict(speech).save(tmp_path / "other.motion.npz")
    example("reenact").main(me, str(tmp_path / "other.motion.npz"), str(tmp_path / "a.mp4"), 64)
    assert probe(tmp_path / "a.mp4").width == 64 and "20 of 20 showed a face" in capsys.readouterr().out


def test_edit_motion(me, speech, tmp_path):
    example("edit_motion").main(me, speech, str(tmp_path / "e.mp4"), 64)
    changed, plain = gtalk.Motion.load(tmp_path / "e.mp4.motion.npz"), gtalk.load(me).predict(speech, seed=1)
    np.testing.assert_allclose((changed.gaze - plain.gaze)[:, 0], 0.2, atol=1e-9)
    assert len(changed) == 20 and (tmp_path / "e.mp4").is_file()


def test_orbit(me, tmp_path):
    example("orbit").main(me, str(tmp_path / "views"), 48, 3)
    images = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in sorted((tmp_path / "views").glob("*.png"))]
    assert [image.shape for image in images] == [(48, 48, 4)] * 3
    assert images[0][..., 3].max() > 100 and np.abs(images[0].astype(int) - images[2]).max() > 20


def test_stream(me, speech, capsys):
    example("stream").main(me, speech, 48)
    assert "20 frames and 0.80 s of sound" in capsys.readouterr().out


def test_train_takes_events(monkeypatch, tmp_path, capsys):
    from gtalk.fit.events import StepEvent

    def fake(clip, out, consent):
        assert (clip, out, consent) == ("me.mp4", "me", gtalk.Consent("Ada", "I agree."))
        yield gtalk.Progress("landmarks", 5, 5)
        yield gtalk.Note("report: me/dataset/report.html")
        yield StepEvent(500, 2500, 0.1, 27.5, 3.0)

    module = example("train")
    monkeypatch.setattr(module.gtalk, "train", fake, raising=False)
    module.main("me.mp4", "me", "Ada", "I agree.")
    told = capsys.readouterr().out
    assert "landmarks: 5 done" in told and "report:" in told and "step 500 of 2500, 27.5 dB" in told
