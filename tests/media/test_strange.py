"""Strangers' files are read as players show them."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.audio import read_audio
from gtalk.media.source import probe
from gtalk.media.timeline import scan
from gtalk.media.video import read_video
from tests.media.clips import texture
from tests.support.strange_media import (
    MATRICES,
    set_display_matrix,
    write_chained_ogg,
    write_container_aspect,
    write_far_apart,
    write_hdr,
    write_images_far_apart,
    write_plain,
    write_sound,
)


def ramp() -> np.ndarray:
    """Skin tones from dark to light, greys, and saturated colours, in patches large enough for 4:2:0. uint8."""
    skin = np.linspace(0.25, 0.95, 12)[:, None] * np.array([225, 172, 150])
    grey = np.linspace(10, 200, 12)[:, None] * np.ones(3)
    cloth = np.array([[180, 30, 40], [30, 120, 60], [40, 60, 170]] * 4)
    return np.repeat(np.repeat(np.stack([skin, grey, cloth]).astype(np.uint8), 32, 0), 16, 1)


@pytest.mark.parametrize("transfer", ["hlg", "pq"])
def test_high_dynamic_range_comes_back_as_it_was(transfer: str, tmp_path: Path) -> None:
    truth = ramp()
    path = write_hdr(tmp_path / "phone.mov", [truth] * 3, transfer)
    assert probe(path).transfer == transfer
    error = next(iter(read_video(path))).astype(float)[8::32, 8::16] - truth[8::32, 8::16]
    assert np.abs(error[0]).max() <= 6 and np.abs(error[1]).max() <= 6  # skin and greys, each channel of each patch
    assert np.abs(error[2]).max() <= 14


def test_ordinary_files_are_not_touched_by_it(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.mp4", [ramp()] * 3)
    assert probe(path).transfer == "sdr"
    assert np.abs(next(iter(read_video(path))).astype(float)[8::32, 8::16] - ramp()[8::32, 8::16]).max() <= 4


def test_what_is_brighter_than_white_rolls_off_without_a_step() -> None:
    from gtalk.media.colour import KNEE, PEAK, WHITE, to_standard

    signal = np.repeat(np.linspace(0, 65535, 2000).astype(np.uint16)[:, None, None], 3, 2)
    for transfer in ("hlg", "pq"):
        shown = to_standard(signal, transfer)[:, 0, 0].astype(int)
        assert (np.diff(shown) >= 0).all() and np.diff(shown).max() <= 3
        assert shown[0] == 0 and shown[-1] == 255
    assert 0 < KNEE < 1 < PEAK / WHITE


@pytest.mark.parametrize("name", MATRICES)
def test_turned_and_mirrored_as_players_show_it(name: str, tmp_path: Path) -> None:
    stored = texture((96, 64))
    path = set_display_matrix(write_plain(tmp_path / "a.mp4", [stored] * 3), MATRICES[name])
    a, b, c, d = MATRICES[name]
    # The definition, point by point: where a stored pixel goes.
    height, width = stored.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    x_new, y_new = a * x + c * y, b * x + d * y
    x_new, y_new = x_new - x_new.min(), y_new - y_new.min()
    wanted = np.zeros((y_new.max() + 1, x_new.max() + 1, 3), np.uint8)
    wanted[y_new, x_new] = stored
    reader = read_video(path)
    assert reader.size == wanted.shape[1::-1]
    assert np.abs(next(iter(reader)).astype(int) - wanted).mean() < 8  # flipped, it is 40 and more
    assert probe(path).mirrored == (np.linalg.det([[a, c], [b, d]]) < 0)


@pytest.mark.parametrize("container", ["mp4", "webm", "mkv"])
def test_pixels_are_square_where_only_the_container_says_that_they_are_not(container: str, tmp_path: Path) -> None:
    path = write_container_aspect(tmp_path / f"a.{container}", [texture((96, 64))] * 3, Fraction(4, 3))
    assert read_video(path).size == (128, 64)


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_recordings_one_after_the_other_are_all_heard(codec: str, tmp_path: Path) -> None:
    tones = [0.5 * np.sin(2 * np.pi * hz * np.arange(96_000) / 48_000) for hz in (440, 880, 1320)]
    samples = read_audio(write_chained_ogg(tmp_path / "a.ogg", tones, codec=codec)).samples
    assert abs(len(samples) - 3 * 32_000) < 200
    for hz, part in zip((440, 880, 1320), np.split(samples[: 3 * 32_000 - 300], 3), strict=True):
        spectrum = np.abs(np.fft.rfft(part[4000:20_000] * np.hanning(16_000)))
        assert abs(int(np.argmax(spectrum)) - hz) <= 2


def test_videos_one_after_the_other_are_all_seen(tmp_path: Path) -> None:
    whole = b""
    for level in (40, 200):
        write_plain(tmp_path / "part.mp4", [np.full((64, 64, 3), level, np.uint8)] * 25)
        whole += _as_transport_stream(tmp_path / "part.mp4").read_bytes()
    (tmp_path / "both.ts").write_bytes(whole)
    reader = read_video(tmp_path / "both.ts")
    levels = np.array([image.mean() for image in reader])
    assert abs(len(levels) - 50) <= 1
    assert abs((levels < 100).sum() - 25) <= 1
    assert any("2 recordings" in note for note in reader.timeline.notes)


def _as_transport_stream(path: Path) -> Path:
    import av

    output = path.with_suffix(".ts")
    with av.open(str(path)) as source, av.open(str(output), "w", format="mpegts") as file:
        template = source.streams.video[0]
        stream = file.add_stream_from_template(template)
        for packet in source.demux(template):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    return output


def test_one_wrong_stamp_is_no_new_recording() -> None:
    from gtalk.media.timeline import _join_restarts

    times = np.arange(50) / 25
    wrong = times.copy()
    wrong[30] = 0.1
    assert _join_restarts(wrong) == 0
    twice = np.concatenate([times, times])
    assert _join_restarts(twice) == 1
    assert all(abs(b - a - 0.04) < 1e-9 for a, b in pairwise(twice))


def test_pieces_that_lie_hours_apart_are_refused_in_words(tmp_path: Path) -> None:
    sound = write_far_apart(tmp_path / "a.mka", 20, 3000.0)
    video = write_images_far_apart(tmp_path / "a.mkv", 40, 3000.0)
    with pytest.raises(UserError, match="pieces that follow each other"):
        read_audio(sound)
    with pytest.raises(UserError, match="of which 40 s hold something"):
        scan(video)


def test_a_pause_of_some_minutes_is_silence(tmp_path: Path) -> None:
    assert len(read_audio(write_far_apart(tmp_path / "a.mka", 2, 400.0)).samples) > 400 * 16_000


def test_encoders_of_strangers_are_read(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)
    for name, codec in (("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.wav", "pcm_s24le")):
        samples = read_audio(write_sound(tmp_path / name, np.stack([tone, tone], 1), 44_100, codec)).samples
        assert abs(len(samples) - 16_000) < 2000
