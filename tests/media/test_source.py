"""Files that are not what they should be, and images that are stored in unusual ways."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from gtalk.errors import UserError
from gtalk.media.audio import read_audio, read_wav, write_wav
from gtalk.media.source import probe, require_video
from gtalk.media.timeline import scan
from gtalk.media.video import read_video
from gtalk.types import AUDIO_RATE, AudioTrack
from tests.media.clips import Recipe, image, write_clip


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "0 bytes"), (b"These are words, not images.\n" * 200, "Invalid data"), (None, "nothing there")],
)
def test_what_is_not_media_is_named(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    for read in (probe, read_video, read_audio):
        with pytest.raises(UserError, match=words) as error:
            read(path)
        assert "clip.mp4" in error.value.what


def test_a_folder_is_not_a_clip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder"):
        probe(tmp_path)


def test_a_file_cut_off_before_its_index_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "whole.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="can be decoded"):
        probe(path)


def test_a_stream_cut_off_in_the_middle_keeps_what_can_be_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "whole.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = read_video(path)
    assert 5 < len(video) < 55
    assert sum(1 for _ in video) == len(video)


def test_tags_that_are_no_text_do_not_matter(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv")
    before, data = probe(path), path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"La\xff\xfe"))
    assert probe(path) == before


def test_sound_only_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    write_wav(path, AudioTrack(np.zeros(16_000, np.float32)))
    with pytest.raises(UserError, match="no images, only sound"):
        require_video(probe(path))
    with pytest.raises(UserError, match="no images"):
        scan(path)


def test_silent_film_has_no_sound(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "silent.mp4", Recipe(audio_codec=None))
    assert not probe(path).has_audio
    with pytest.raises(UserError, match="no sound track"):
        read_audio(path)


def test_rotated_images_come_upright(tmp_path: Path) -> None:
    recipe = Recipe(seconds=0.4, flash_s=9)
    upright = next(iter(read_video(write_clip(tmp_path / "upright.mp4", recipe))))
    turned_recipe = Recipe(seconds=0.4, flash_s=9, rotation_deg=90)
    reader = read_video(write_clip(tmp_path / "turned.mp4", turned_recipe))
    assert reader.size == (64, 96)
    turned = next(iter(reader))
    assert turned.shape == (96, 64, 3)
    difference = [np.abs(np.rot90(upright, k).astype(int) - turned).mean() for k in (1, 3)]
    assert min(difference) < 3 < max(difference)


def test_size_limit_and_colours(tmp_path: Path) -> None:
    recipe = Recipe(seconds=0.2, flash_s=9, codec="ffv1", pixels="yuv444p", audio_codec=None)
    path = write_clip(tmp_path / "a.mkv", recipe)
    assert np.abs(next(iter(read_video(path))).astype(int) - image(0.0, recipe)).mean() < 1.5
    reader = read_video(path, max_size=48)
    assert reader.size == (48, 32)
    assert next(iter(reader)).shape == (32, 48, 3)


def test_parts_and_repeated_reading(tmp_path: Path) -> None:
    reader = read_video(write_clip(tmp_path / "a.mp4"))
    whole = list(reader)
    part = list(reader.read(10, 13))
    assert len(part) == 3
    assert all(np.array_equal(a, b) for a, b in zip(whole[10:13], part, strict=True))
    assert list(reader.read(5, 5)) == []
    assert 3 <= len(reader.glimpses(4)) <= 4


def test_wav_round_trip(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    write_wav(tmp_path / "a.wav", AudioTrack(samples, 8000))
    back = read_wav(tmp_path / "a.wav")
    assert back.sample_rate == 8000
    assert np.abs(back.samples - samples).max() <= 1 / 32768
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match="16 bits"):
        read_wav(tmp_path / "bad.wav")


@pytest.mark.parametrize("kind", ["NIST", "VOC", "IRCAM", "PVF", "AVR", "SVX"])
def test_sound_of_corpora_and_old_machines_is_what_librosa_reads(kind: str, tmp_path: Path) -> None:
    """A speech corpus comes as NIST SPHERE, under the name .wav."""
    path, rng = tmp_path / "a.wav", np.random.default_rng(1)
    soundfile.write(path, rng.uniform(-0.5, 0.5, 4000), AUDIO_RATE, format=kind, subtype="PCM_16")
    ours, (theirs, rate) = read_audio(path).samples, librosa.load(path, sr=None)
    assert rate == AUDIO_RATE and len(ours) == len(theirs) == 4000
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
