"""NVENC: used where it can be opened, told where it cannot; an encoder of our own stands in for it."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from gtalk.media import hardware
from gtalk.media.output import sinks
from gtalk.media.output.writer import VideoWriter, WriteConfig

NO_GPU = shutil.which("nvidia-smi") is None


@pytest.fixture(autouse=True)
def asked_anew():
    hardware.nvenc_of.cache_clear()
    yield
    hardware.nvenc_of.cache_clear()


def write(path: Path, config: WriteConfig) -> tuple[tuple[str, ...], bytes]:
    rng = np.random.default_rng(0)
    with VideoWriter(path, (64, 48), 25, config=config) as writer:
        for _ in range(5):
            writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return writer.told, path.read_bytes()


def test_pyav_brings_the_encoders_that_are_asked_for():
    assert set(hardware.NVENC.values()) <= set(av.codecs_available)


@pytest.mark.skipif(not NO_GPU, reason="this machine has a GPU")
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_without_a_gpu_software_makes_the_same_file_and_it_is_told(tmp_path, codec):
    assert hardware.nvenc_of(codec) is None
    told, wanted = write(tmp_path / "a.mp4", WriteConfig(codec=codec))
    assert told == ()
    told, got = write(tmp_path / "b.mp4", WriteConfig(codec=codec, encoder="nvenc"))
    assert got == wanted
    assert told == (f"encoder nvenc: none can be opened on this machine; {codec} was encoded by software",)


def test_a_codec_without_one_is_told(tmp_path):
    told, _ = write(tmp_path / "a.mov", WriteConfig(encoder="nvenc"))
    assert told == ("encoder nvenc: only H.264 and H.265 have one; prores4444 was encoded by software",)


def test_the_gpus_encoder_gets_its_own_options(tmp_path, monkeypatch):
    """MPEG-4's stands in: it is told apart in the file."""
    asked: list[dict] = []
    monkeypatch.setitem(hardware.NVENC, "h264", "mpeg4")
    monkeypatch.setattr(hardware, "OPTIONS", {"b": "400000"})
    monkeypatch.setattr(sinks, "OPTIONS", {"b": "400000"})
    add = sinks.Container._add_images

    def watched(self, plan):
        stream = add(self, plan)
        asked.append(dict(stream.options))
        stream.options = {"b": "400000"}  # MPEG-4 knows no cq
        return stream

    monkeypatch.setattr(sinks.Container, "_add_images", watched)
    assert hardware.nvenc_of("h264") == "mpeg4"
    told, _ = write(tmp_path / "a.mp4", WriteConfig(encoder="nvenc", crf=21))
    assert told == () and asked == [{"b": "400000", "cq": "21"}]
    with av.open(str(tmp_path / "a.mp4")) as file:
        assert file.streams.video[0].codec_context.name == "mpeg4"
        assert len(list(file.decode(video=0))) == 5


def test_an_encoder_that_cannot_be_opened_is_none(monkeypatch):
    monkeypatch.setitem(hardware.NVENC, "h264", "no_such_encoder")
    assert hardware.nvenc_of("h264") is None and hardware.nvenc_of("vp9") is None
