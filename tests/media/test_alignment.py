"""Images and sound stay together, whatever the container, the rate and the start times."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.media.audio import read_audio
from gtalk.media.video import read_video
from tests.media.clips import Recipe, beep_time, flash_time, write_clip

IRREGULAR = tuple(np.cumsum([0.0, *np.tile([0.02, 0.05, 0.033, 0.06], 15)]).tolist())
ZOO = {
    "25.mp4": Recipe(),
    "23.976.mp4": Recipe(fps=24000 / 1001),
    "24.mkv": Recipe(fps=24),
    "29.97.mov": Recipe(fps=30000 / 1001, audio_rate=48_000, layout="stereo"),
    "30.webm": Recipe(fps=30, codec="libvpx", audio_codec="libopus", audio_rate=48_000),
    "50.mp4": Recipe(fps=50),
    "60.mkv": Recipe(fps=60, audio_codec="flac", audio_rate=44_100),
    "30.avi": Recipe(fps=30, codec="mpeg4", audio_codec="pcm_s16le", audio_rate=8_000),
    "hevc.mp4": Recipe(codec="libx265"),
    "ten_bit.mkv": Recipe(pixels="yuv420p10le"),
    "grey.mkv": Recipe(codec="ffv1", pixels="gray", audio_codec="flac"),
    "vfr.mkv": Recipe(times_s=IRREGULAR),
    "late_sound.mkv": Recipe(audio_start_s=0.5),
    "late_sound.mp4": Recipe(audio_start_s=0.5),
    "late_video.mkv": Recipe(video_start_s=0.2),
    "late_video.mp4": Recipe(video_start_s=0.2),
    "short_sound.mp4": Recipe(audio_seconds=1.6),
    "long_sound.mp4": Recipe(audio_seconds=4.0),
    "doubled.mp4": Recipe(fps=30, shown_fps=25),
    "doubled_twice.mp4": Recipe(fps=50, shown_fps=25),
    "odd.mkv": Recipe(size=(97, 63), pixels="yuv444p"),
    "rotated.mp4": Recipe(rotation_deg=90),
    "both_late.mkv": Recipe(video_start_s=0.3, audio_start_s=0.5),
}


@pytest.mark.parametrize("name", ZOO)
def test_flash_and_beep_meet_within_a_frame(name: str, tmp_path: Path) -> None:
    recipe = ZOO[name]
    path = write_clip(tmp_path / name, recipe)
    video = read_video(path, 25.0)
    flash_s = flash_time(video, 25.0)
    beep_s = beep_time(read_audio(path).samples, 16_000)
    true_s = recipe.flash_s  # the clock starts with the first image, and so do flash and beep
    assert abs(flash_s - true_s) <= 0.041
    assert abs(beep_s - (true_s - recipe.video_start_s)) <= 0.012
    assert abs(flash_s - (beep_s + recipe.video_start_s)) <= 0.041
    if recipe.times_s is None:
        assert abs(len(video) - recipe.seconds * 25) <= 1


def test_sound_of_two_channels_is_their_mean_and_sound_files_start_at_their_first_sample(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", Recipe(layout="stereo", audio_codec="flac", audio_rate=16_000))
    track = read_audio(path)
    assert len(track.samples) == round(2.4 * 16_000)
    assert abs(beep_time(track.samples, 16_000) - 1.4) < 2e-3
    assert abs(np.abs(track.samples).max() - 0.6) < 0.01


def test_resampling_keeps_length_and_pitch(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", Recipe(audio_codec="flac", audio_rate=44_100))
    samples = read_audio(path).samples
    assert abs(len(samples) - 2.4 * 16_000) <= 2
    start = int(1.405 * 16_000)
    spectrum = np.abs(np.fft.rfft(samples[start : start + 480] * np.hanning(480), 4096))
    assert abs(np.argmax(spectrum) * 16_000 / 4096 - 1000) < 12


def test_streamed_sound_equals_whole_sound(tmp_path: Path) -> None:
    from gtalk.media.audio import stream_audio

    path = write_clip(tmp_path / "a.mp4", Recipe(audio_rate=48_000))
    pieces = list(stream_audio(path))
    assert len(pieces) > 5
    assert np.array_equal(np.concatenate(pieces), read_audio(path).samples)
