"""Sound of any kind in a dub: channels, rates, damage."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.audio import stream_channels
from tests.dub.test_render import decoded, render
from tests.support.toys import speech_like


def wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """Any number of channels, as 32-bit float."""
    import soundfile

    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def test_sound_of_any_kind(tmp_path):
    rng = np.random.default_rng(0)
    surround = wav(tmp_path / "surround.wav", rng.normal(0, 0.1, (96_000 // 2, 6)).astype(np.float32), 96_000)
    result = render(surround, tmp_path / "a.mp4", 32)
    assert (result.n_frames, result.n_samples) == (13, 48_000)
    _, sound, facts = decoded(tmp_path / "a.mp4")
    assert facts["audio_rate"] == 96_000 and facts["channels"] == 6 and facts["n_samples"] == 48_000
    assert np.isfinite(sound).all()
    stereo = np.stack([speech_like(0.4, rate=44_100), 0.2 * speech_like(0.4, 1, 44_100)], 1)
    render(wav(tmp_path / "stereo.wav", stereo, 44_100), tmp_path / "c.mov", 32)
    heard = np.concatenate(list(stream_channels(tmp_path / "c.mov")))
    np.testing.assert_allclose(heard, stereo, atol=1 / 32768)
    trio = wav(tmp_path / "trio.wav", np.stack([stereo[:, 0]] * 3, 1), 44_100)
    render(trio, tmp_path / "d.mov", 32)  # three channels have no place in every format: they are mixed
    np.testing.assert_allclose(np.concatenate(list(stream_channels(tmp_path / "d.mov")))[:, 0], stereo[:, 0], atol=1e-4)
    holes = speech_like(0.4)
    holes[100:2000:3] = np.nan
    holes[2001] = np.inf
    result = render(wav(tmp_path / "nan.wav", holes, 16_000), tmp_path / "b.mp4", 32)
    assert result.n_frames == 10
    assert np.isfinite(decoded(tmp_path / "b.mp4")[1]).all()


@pytest.mark.parametrize("kind", ["missing", "empty", "noise", "zero", "silent video", "folder"])
def test_bad_sound_is_a_user_error_and_leaves_nothing(tmp_path, kind):
    source = tmp_path / "in.wav"
    if kind == "empty":
        source.write_bytes(b"")
    elif kind == "noise":
        source.write_bytes(np.random.default_rng(0).bytes(4000))
    elif kind == "zero":
        wav(source, np.zeros(0, np.float32), 16_000)
    elif kind == "folder":
        source.mkdir()
    elif kind == "silent video":
        from gtalk.media.output.writer import write_video

        source = tmp_path / "in.mp4"
        write_video(source, [np.zeros((32, 32, 3), np.uint8)] * 3, 25.0)
    with pytest.raises(UserError):
        render(source, tmp_path / "out" / "a.mp4", 32)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_cut_off_file_gives_what_is_left(tmp_path):
    source = wav(tmp_path / "a.wav", speech_like(1.0), 16_000)
    source.write_bytes(source.read_bytes()[:40_000])
    assert 10 <= render(source, tmp_path / "a.mp4", 32).n_frames <= 16
