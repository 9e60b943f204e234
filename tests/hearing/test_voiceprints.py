import io
import pickle
import zipfile
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from gtalk.errors import UserError
from gtalk.hearing import voiceprints
from gtalk.hearing.diarise import found_turns
from gtalk.hearing.turns import error_of
from gtalk.hearing.voiceprints import WINDOW, VoiceEncoder, encoder_at_hand, mel_rows
from gtalk.types import AUDIO_RATE
from tests.hearing.test_diarise import two_voices


class Runs:
    """What a stranger's pickle would do."""

    def __reduce__(self):
        return Path.touch, (Path("harm"),)


def wheel(folder: Path, content: bytes) -> Path:
    with zipfile.ZipFile(folder / voiceprints.ASSET, "w") as file:
        file.writestr("resemblyzer/pretrained.pt", content)
    return folder / voiceprints.ASSET


def stored(value) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


@pytest.fixture
def encoder() -> VoiceEncoder:
    torch.manual_seed(0)
    return VoiceEncoder().eval()


def test_the_mel_bands_are_librosas_however_long_the_sound_is(monkeypatch) -> None:
    sound = (0.3 * np.random.default_rng(0).standard_normal(AUDIO_RATE)).astype(np.float32)
    want = librosa.feature.melspectrogram(y=sound, sr=AUDIO_RATE, n_fft=400, hop_length=160, n_mels=40).T
    np.testing.assert_allclose(mel_rows(sound), want, rtol=2e-3, atol=1e-6)
    monkeypatch.setattr(voiceprints, "_PIECE_ROWS", 30)
    np.testing.assert_allclose(mel_rows(sound), want, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(mel_rows(1e-3 * sound).mean(), mel_rows(1e-2 * sound).mean(), rtol=1e-3)
    assert mel_rows(np.zeros(0, np.float32)).shape == (1, 40)


def test_weights_are_read_from_the_wheel_and_nothing_else_runs(tmp_path, monkeypatch, encoder) -> None:
    monkeypatch.chdir(tmp_path)
    weights = {"model_state": encoder.state_dict() | {"similarity_weight": torch.ones(1)}}
    path = wheel(tmp_path, stored(weights))
    monkeypatch.setattr(voiceprints, "find_asset", lambda _: path)
    voiceprints._loaded.cache_clear()
    found = encoder_at_hand()
    assert found is not None
    windows = torch.rand(3, WINDOW, 40)
    torch.testing.assert_close(found(windows), encoder(windows))
    torch.testing.assert_close(found(windows).norm(dim=1), torch.ones(3))
    for bad in (pickle.dumps({"model_state": Runs()}), stored({"model_state": {}}), b"no weights"):
        wheel(tmp_path, bad)
        voiceprints._loaded.cache_clear()
        with pytest.raises(UserError, match="voice encoder"):
            encoder_at_hand()
    assert not (tmp_path / "harm").exists()
    monkeypatch.setattr(voiceprints, "find_asset", lambda _: None)
    assert encoder_at_hand() is None


class ByTimbre(VoiceEncoder):
    """The mean spectrum of a window."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        bands = (windows + 1e-8).log().mean(1)
        return torch.nn.functional.normalize(torch.nn.functional.pad(bands, (0, 216)), dim=1)


def test_two_voices_are_told_apart_by_an_encoder() -> None:
    sound, truth, length_s = two_voices()
    found = found_turns(sound, 2, ByTimbre())
    assert found[0].speaker == "1" and {turn.speaker for turn in found} == {"1", "2"}
    assert error_of(found, truth, length_s) < 0.2


def test_a_sound_too_short_for_two_and_more_speakers_than_there_are(encoder) -> None:
    sound, _, _ = two_voices()
    assert {turn.speaker for turn in found_turns(sound[: 3 * AUDIO_RATE], 6, encoder)} <= set("123456")
    assert found_turns(np.zeros(AUDIO_RATE, np.float32), 2, encoder) == []
