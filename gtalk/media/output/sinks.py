"""Where a VideoWriter's images and sound go: a file with streams, a folder of images; both in a thread beside."""

from __future__ import annotations

import queue
import shutil
import threading
import time
import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np

from gtalk.media.hardware import OPTIONS

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
"""Channels that every format keeps, in FFmpeg's order. Other counts are mixed to mono."""
MADE_WITH = "made-with.txt"
"""In every folder of images: who made it."""
_AAC_BITS_A_SAMPLE = 5  # it takes 6 at most, for each channel
_PIXELS_A_THREAD = 500_000
_MOST_THREADS = 8
_BEHIND = 6  # images that may wait for the encoder


@dataclass(frozen=True)
class Format:
    """How one codec is set up."""

    encoder: str
    pixels: str
    alpha_pixels: str | None
    containers: tuple[str, ...]
    sound: str
    options: dict[str, str] = field(default_factory=dict)


FORMATS = {
    # veryfast: half the work of fast, no larger, 1.2 dB less at 42.6 dB (512x512 portrait, crf 17).
    "h264": Format("libx264", "yuv420p", None, (".mp4", ".mov"), "aac", {"preset": "veryfast"}),
    # Fixed frame threads: their number changes the result, and machines of a cluster differ in cores.
    "h265": Format("libx265", "yuv420p", None, (".mp4", ".mov"), "aac",
                   {"preset": "fast", "x265-params": "log-level=error:frame-threads=2"}),
    # Ultrafast: half the work of the next preset for a third more bytes.
    "lossless": Format("libx264", "yuv420p", None, (".mkv",), "pcm_s16le", {"preset": "ultrafast", "qp": "0"}),
    "prores4444": Format("prores_ks", "yuv444p10le", "yuva444p10le", (".mov",), "pcm_s16le", {"profile": "4444"}),
    # cpu-used 4: half the work of its default 1 for 0.1 dB and 4 % more bytes (512x512 portrait, crf 17).
    "vp9": Format("libvpx-vp9", "yuv420p", "yuva420p", (".webm",), "libopus",
                  {"b": "0", "row-mt": "1", "cpu-used": "4"}),
}  # fmt: skip


@dataclass(frozen=True)
class StreamPlan:
    """What a sink has to know before the first image."""

    codec: str
    size: tuple[int, int]
    fps: Fraction
    crf: int
    alpha: bool
    audio_rate: int | None
    audio_channels: int
    audio_bit_rate: int
    """Of each channel."""
    tags: dict[str, str]
    hardware: str | None = None
    """Encoder that takes the place of the codec's own."""


@runtime_checkable
class Sink(Protocol):
    """Takes images and sound in order."""

    def image(self, rgb: np.ndarray, alpha: np.ndarray | None, premultiplied: bool, index: int) -> None:
        """Image number `index`: uint8 [H,W,3], with alpha uint8 [H,W] where the plan says so."""
        ...

    def sound(self, samples: np.ndarray, position: int) -> None:
        """float32 [N,C] in [-1, 1], the first of which is sample number `position`."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...

    def abort(self) -> None:
        """Let go of the file; it need not be usable."""
        ...


class Container:
    """A file with streams, by FFmpeg."""

    def __init__(self, path: Path, plan: StreamPlan) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self.form, self.rate, self.layout = FORMATS[plan.codec], plan.audio_rate or 0, LAYOUTS[plan.audio_channels]
        # An absolute path, so that no name is taken for a protocol ("take1:final.mp4").
        self.file = av.open(str(path.absolute()), "w", options=container_options(path, plan.audio_rate))
        self.file.metadata.update(plan.tags)
        self.video: Any = self._add_images(plan)
        self.reformat = VideoReformatter()
        self.audio: Any = (
            None
            if plan.audio_rate is None
            else add_sound(self.file, self.form.sound, plan.audio_rate, plan.audio_channels, plan.audio_bit_rate)
        )

    def _add_images(self, plan: StreamPlan) -> Any:
        video: Any = self.file.add_stream(plan.hardware or self.form.encoder, rate=plan.fps)
        video.width, video.height = plan.size
        video.pix_fmt = self.form.alpha_pixels if plan.alpha else self.form.pixels
        video.options = dict(self.form.options if plan.hardware is None else OPTIONS)
        context = video.codec_context
        if plan.codec in ("h264", "h265", "vp9"):
            video.options["crf" if plan.hardware is None else "cq"] = str(plan.crf)
        if plan.codec != "prores4444" and plan.hardware is None:
            # By size, not by core: the number changes H.264's result, and threads cost small images more
            # than they bring.
            context.thread_count = min(_MOST_THREADS, 1 + plan.size[0] * plan.size[1] // _PIXELS_A_THREAD)
        if plan.codec == "h265":
            context.codec_tag = "hvc1"  # or Apple's players refuse the file
        if plan.codec == "vp9" and plan.alpha:
            video.options["auto-alt-ref"] = "0"  # hidden frames would lose their alpha
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # studio swing
        video.time_base = context.time_base = 1 / plan.fps
        return video

    def image(self, rgb: np.ndarray, alpha: np.ndarray | None, premultiplied: bool, index: int) -> None:
        """See `Sink.image`."""
        import av

        pixels = with_alpha(rgb, alpha, premultiplied)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24")
        frame = self.reformat.reformat(
            frame, format=self.video.pix_fmt, dst_colorspace=1, dst_color_range=1, interpolation="BICUBIC"
        )
        self.encode(frame, index)

    def encode(self, frame: Any, index: int) -> None:
        """Image number `index` as a frame of FFmpeg's that has the stream's size and pixels."""
        frame.pts, frame.time_base = index, self.video.codec_context.time_base
        self.file.mux(self.video.encode(frame))

    def sound(self, samples: np.ndarray, position: int) -> None:
        """See `Sink.sound`."""
        self.file.mux(self.audio.encode(audio_frame(samples, self.audio, self.layout, self.rate, position)))

    def close(self) -> None:
        """See `Sink.close`."""
        for stream in (self.video, self.audio):
            if stream is not None:
                self.file.mux(stream.encode(None))
        self.file.close()

    def abort(self) -> None:
        """See `Sink.abort`."""
        with suppress(OSError):  # on a full disk the trailer cannot be written; the file goes anyway
            self.file.close()


def container_options(path: Path, audio_rate: int | None) -> dict[str, str]:
    """FFmpeg's options of the file at `path`."""
    if path.suffix.lower() not in (".mp4", ".mov"):
        return {}
    # The length of a track is kept in this unit: milliseconds would cost up to 24 samples.
    # Fragments would spare the second pass over the file, but edit lists need the plain layout.
    return {"movflags": "+faststart", "movie_timescale": str(audio_rate or 90_000)}


def add_sound(file: Any, codec: str, rate: int, channels: int, bit_rate: int) -> Any:
    """A sound stream of an open output file; `bit_rate` is that of each channel."""
    if (codec == "aac" and rate not in AAC_RATES) or codec == "libopus":
        rate = 48_000
    stream: Any = file.add_stream(codec, rate=rate, layout=LAYOUTS[channels])
    if codec != "pcm_s16le":
        stream.codec_context.bit_rate = channels * min(bit_rate, _AAC_BITS_A_SAMPLE * rate)
    return stream


def audio_frame(samples: np.ndarray, stream: Any, layout: str, rate: int, position: int) -> Any:
    """float32 [N,C] as a frame for the stream's encoder."""
    import av

    if stream.codec_context.format.name.startswith("s16"):
        data, form = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16), "s16"
    else:
        data, form = samples, "flt"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data).reshape(1, -1), format=form, layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
    return frame


class Images:
    """A folder of PNG files, and the sound beside them."""

    def __init__(self, path: Path, plan: StreamPlan) -> None:
        self.folder = path
        path.mkdir(parents=True)
        (path / MADE_WITH).write_text("".join(f"{k}: {v}\n" for k, v in plan.tags.items()), encoding="utf-8")
        self.wav: wave.Wave_write | None = None
        if plan.audio_rate is not None:
            self.wav = wave.open(str(path / "audio.wav"), "wb")  # noqa: SIM115 (closed in close and abort)
            self.wav.setparams((plan.audio_channels, 2, plan.audio_rate, 0, "NONE", ""))

    def path_of(self, index: int) -> Path:
        """File of image `index`."""
        return self.folder / f"{index:06d}.png"

    def image(self, rgb: np.ndarray, alpha: np.ndarray | None, premultiplied: bool, index: int) -> None:
        """See `Sink.image`."""
        pixels = with_alpha(rgb, alpha, premultiplied)
        code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        done, data = cv2.imencode(".png", cv2.cvtColor(pixels, code))
        assert done
        self.path_of(index).write_bytes(data.tobytes())  # by us, since OpenCV does not say why it cannot write

    def sound(self, samples: np.ndarray, position: int) -> None:
        """See `Sink.sound`."""
        del position
        if self.wav is not None:
            self.wav.writeframes(np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes())

    def close(self) -> None:
        """See `Sink.close`."""
        if self.wav is not None:
            self.wav.close()

    def abort(self) -> None:
        """See `Sink.abort`."""
        if self.wav is not None:
            with suppress(OSError):  # on a full disk not even the header can be mended
                self.wav.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def with_alpha(rgb: np.ndarray, alpha: np.ndarray | None, premultiplied: bool) -> np.ndarray:
    """uint8 [H,W,3] or, with alpha, [H,W,4] in straight colour."""
    if alpha is None:
        return np.ascontiguousarray(rgb)
    if premultiplied:
        straight = rgb.astype(np.float32) * (255.0 / np.maximum(alpha, 1)[..., None]).astype(np.float32)
        rgb = np.clip(np.rint(straight), 0, 255).astype(np.uint8)
    return np.dstack([rgb, alpha])


class AsyncSink:
    """Does another sink's work in a thread, at most a few images behind the caller.

    Encoders let go of the interpreter's lock, so that drawing and encoding share two cores. What goes wrong
    there is raised by the next call here.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._todo: queue.Queue[Callable[[], None] | None] = queue.Queue(_BEHIND)
        self._error: BaseException | None = None
        self.busy_s = 0.0
        """How long the sink has worked."""
        self._thread = threading.Thread(target=self._work, name="gtalk-encoder", daemon=True)
        self._thread.start()

    def image(self, rgb: np.ndarray, alpha: np.ndarray | None, premultiplied: bool, index: int) -> None:
        """See `Sink.image`. The arrays are read later: they must not change."""
        self._put(lambda: self._sink.image(rgb, alpha, premultiplied, index))

    def sound(self, samples: np.ndarray, position: int) -> None:
        """See `Sink.sound`."""
        self._put(lambda: self._sink.sound(samples, position))

    def close(self) -> None:
        """Wait for everything and finish the file."""
        self._put(self._sink.close)
        self._end()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Drop what waits and let go of the file."""
        with suppress(queue.Empty):
            while True:
                self._todo.get_nowait()
        self._end()
        self._sink.abort()

    def _put(self, work: Callable[[], None]) -> None:
        if self._error is not None:
            raise self._error
        self._todo.put(work)

    def _end(self) -> None:
        if self._thread.is_alive():
            self._todo.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (work := self._todo.get()) is not None:
            if self._error is None:
                start_s = time.perf_counter()
                try:
                    work()
                except BaseException as error:
                    self._error = error
                self.busy_s += time.perf_counter() - start_s
