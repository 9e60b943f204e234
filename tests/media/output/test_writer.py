import shutil
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.audio import read_audio, read_wav, stream_channels
from gtalk.media.output import sinks
from gtalk.media.output.writer import VideoWriter, WriteConfig, write_video
from gtalk.media.source import probe
from gtalk.media.video import read_video
from gtalk.types import AudioTrack

SIZE = (96, 64)


def gradient(index: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    return np.dstack([2 * x + index, 3 * y, 128 + 0 * x]).clip(0, 255).astype(np.uint8)


def chirp(count: int, rate: int) -> np.ndarray:
    times = np.arange(count) / rate
    return (0.5 * np.sin(2 * np.pi * (200 + 600 * times) * times)).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "auto"), ("a.mp4", "h265"), ("a.mov", "auto"), ("a.webm", "auto"), ("a.mkv", "lossless")],
)
def test_as_many_samples_come_out_as_went_in(name: str, codec: str, rate: int, tmp_path: Path) -> None:
    count = rate * 2 + 317
    samples = chirp(count, rate)
    path = tmp_path / name
    with VideoWriter(path, SIZE, 25, rate, WriteConfig(codec=codec)) as writer:
        for index in range(50):
            writer.write(gradient(index))
            writer.write_audio(samples[index * count // 50 : (index + 1) * count // 50])
    back = read_audio(path, rate).samples
    assert abs(len(back) - count) <= (1 if name == "a.webm" else 0)  # Opus counts at 48 kHz
    shared = min(len(back), count)
    lags = range(-40, 41)
    middle = slice(shared // 4, 3 * shared // 4)
    scores = [np.dot(np.roll(back[:shared], -lag)[middle], samples[middle]) for lag in lags]
    assert lags[int(np.argmax(scores))] == 0
    assert len(read_video(path)) == 50


@pytest.mark.parametrize(
    ("name", "codec", "limit"), [("a.mp4", "h264", 3.0), ("a.mp4", "h265", 3.5), ("a.mov", "auto", 1.0)]
)
def test_colours_survive(name: str, codec: str, limit: float, tmp_path: Path) -> None:
    path = tmp_path / name
    write_video(path, [gradient(i) for i in range(5)], 25, config=WriteConfig(codec=codec))
    for index, image in enumerate(read_video(path)):
        assert np.abs(image.astype(int) - gradient(index)).mean() < limit


def test_prores_and_vp9_keep_alpha(tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))
    for name, decoder in (("a.mov", None), ("a.webm", "libvpx-vp9")):
        with VideoWriter(tmp_path / name, SIZE, 25, config=WriteConfig(alpha=True)) as writer:
            for index in range(3):
                writer.write(gradient(index), alpha)
        with av.open(str(tmp_path / name)) as file:
            stream = file.streams.video[0]
            if decoder is None:
                frame = next(file.decode(stream))
            else:
                context = av.CodecContext.create(decoder, "r")
                frame = next(f for packet in file.demux(stream) for f in context.decode(packet))
            back = frame.to_ndarray(format="rgba")[..., 3]
        assert np.abs(back.astype(int) - alpha).mean() < 4


def test_images_in_a_folder(tmp_path: Path) -> None:
    alpha = np.full(SIZE[::-1], 128, np.uint8)
    with VideoWriter(tmp_path / "out", SIZE, 25, 16_000, WriteConfig(alpha=True)) as writer:
        writer.write(gradient(0) // 2, alpha, premultiplied=True)
        writer.write_audio(chirp(640, 16_000))
    image = cv2.imread(str(tmp_path / "out" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image[..., 3], alpha)
    assert np.abs(cv2.cvtColor(image, cv2.COLOR_BGRA2RGB).astype(int) - gradient(0)).max() <= 3
    assert len(read_wav(tmp_path / "out" / "audio.wav").samples) == 640
    with pytest.raises(UserError, match="a folder with files in it"):
        VideoWriter(tmp_path / "out", SIZE, 25)


def test_says_who_made_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [gradient(0)], 25, AudioTrack(chirp(640, 16_000)))
    with av.open(str(path)) as file:
        assert file.metadata["comment"] == "made with gtalk"
    assert probe(path).fps == 25


def test_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", SIZE, 25, 16_000) as writer:
        writer.write(gradient(0))
        raise RuntimeError("the renderer died")
    with pytest.raises(ValueError, match="no image"), VideoWriter(tmp_path / "a.mp4", SIZE, 25):
        pass
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "images", SIZE, 25) as writer:
        writer.write(gradient(0))
        raise RuntimeError("the renderer died")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "config", "size", "words"),
    [
        ("a.gif", WriteConfig(), SIZE, "a name ending in"),
        ("a.mp4", WriteConfig(alpha=True), SIZE, "transparency"),
        ("a.webm", WriteConfig(codec="h264"), SIZE, "for h264"),
        ("a.mp4", WriteConfig(), (95, 64), "even width and height"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_first_frame(
    name: str, config: WriteConfig, size: tuple[int, int], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        VideoWriter(tmp_path / name, size, 25, config=config)
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="can be written"):
        VideoWriter(tmp_path / "file" / "a.mp4", SIZE, 25)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("channels", [2, 6, 8])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "out"])
def test_every_channel_comes_out_where_it_went_in(name: str, channels: int, tmp_path: Path) -> None:
    rate, count = 48_000, 48_317
    times = np.arange(count) / rate
    # Every channel has a tone of its own, so that a swapped or mixed one is found.
    tones = [150.0 + 170 * c for c in range(channels)]
    if channels in (6, 8):
        tones[3] = 60.0  # compressed formats keep only the lows of the LFE channel
    samples = np.stack([0.2 * np.sin(2 * np.pi * f * times) for f in tones], 1).astype(np.float32)
    with VideoWriter(tmp_path / name, SIZE, 25, rate, audio_channels=channels) as writer:
        for index in range(26):
            writer.write(gradient(index))
        for piece in np.array_split(samples, 7):
            writer.write_audio(piece)
    sound = tmp_path / name / "audio.wav" if name == "out" else tmp_path / name
    back = np.concatenate(list(stream_channels(sound)))
    assert back.shape == (count, channels)
    spectrum = np.abs(np.fft.rfft(back[8000:40_000] * np.hanning(32_000)[:, None], axis=0))
    np.testing.assert_allclose(spectrum.argmax(0) * rate / 32_000, tones, atol=2)
    loud = np.sqrt((back[8000:40_000] ** 2).mean(0))
    np.testing.assert_allclose(loud, 0.2 / np.sqrt(2), rtol=0.15)


def test_a_fault_of_the_encoder_is_raised_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(28, "no room")

    monkeypatch.setattr(sinks.Container, "image", refuse)
    with pytest.raises(UserError, match="enough room"), VideoWriter(tmp_path / "a.mp4", SIZE, 25) as writer:
        for index in range(20):
            writer.write(gradient(index))
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_video_does_not_wait_for_its_encoder(tmp_path: Path, monkeypatch) -> None:
    done = []
    monkeypatch.setattr(sinks.Container, "image", lambda *args: (time.sleep(0.05), done.append(1)))
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", SIZE, 25) as writer:
        for index in range(6):
            writer.write(gradient(index))
        raise KeyboardInterrupt
    assert len(done) < 5
    assert not [t for t in threading.enumerate() if t.name == "gtalk-encoder"]
    assert list(tmp_path.iterdir()) == []
