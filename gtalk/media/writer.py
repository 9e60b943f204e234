"""Writing video: H.264, H.265, ProRes 4444 and VP9 with alpha, PNG sequences; sound exact to the sample."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.shapes import Float, UInt8
from gtalk.types import AudioTrack

Codec = Literal["auto", "h264", "h265", "prores4444", "vp9", "png"]
COMMENT = "made with gtalk"
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


@dataclass(frozen=True)
class _Format:
    encoder: str
    pixels: str
    alpha_pixels: str | None
    containers: tuple[str, ...]
    sound: str
    options: dict[str, str] = field(default_factory=dict)


_FORMATS = {
    # veryfast: half the work of fast, no larger, 1.2 dB less at 42.6 dB (512x512 portrait, crf 17).
    "h264": _Format("libx264", "yuv420p", None, (".mp4", ".mov"), "aac", {"preset": "veryfast"}),
    "h265": _Format("libx265", "yuv420p", None, (".mp4", ".mov"), "aac", {"preset": "fast"}),
    "prores4444": _Format("prores_ks", "yuv444p10le", "yuva444p10le", (".mov",), "pcm_s16le", {"profile": "4444"}),
    "vp9": _Format("libvpx-vp9", "yuv420p", "yuva420p", (".webm",), "libopus", {"b": "0", "row-mt": "1"}),
}
_AUTO = {".mp4": "h264", ".mov": "prores4444", ".webm": "vp9"}


@dataclass(frozen=True)
class WriteConfig:
    """How a video is encoded."""

    codec: Codec = "auto"
    """auto chooses by the output's name: .mp4 H.264, .mov ProRes 4444, .webm VP9, a folder PNG pictures."""
    crf: int = 17
    """Constant rate factor of H.264, H.265 and VP9: lower is better and larger, 17 looks lossless."""
    alpha: bool = False
    """Write the person's coverage too. Only ProRes 4444, VP9 and PNG can."""
    audio_bit_rate: int = 160_000
    """Bits a second of compressed sound."""


class VideoWriter(AbstractContextManager):
    """Writes one video in constant memory; the file appears under its name only when all went well.

        with VideoWriter(path, (512, 512), 25, audio_rate=16000) as writer:
            writer.write(rgb)
            writer.write_audio(samples)

    Picture i is shown at i / fps, sample j is heard at j / audio_rate, and as many samples come out of
    the file as went in. Sound and pictures may be written in any order, best in turns.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: float | int,
        audio_rate: int | None = None,
        config: WriteConfig | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.path, self.size, self.audio_rate = Path(path), size, audio_rate
        self.fps = Fraction(fps).limit_denominator(1001)
        self.config = config or WriteConfig()
        self.codec = check_output_format(self.path, self.config)
        self.n_frames = self.n_samples = 0
        _check_free(self.path, self.codec)
        self._check_size()
        self._atomic = atomic_path(self.path)
        self._temporary = self._atomic.__enter__()
        tags = {"comment": COMMENT, **(metadata or {})}
        try:
            sink = _Pictures if self.codec == "png" else _Container
            self._sink = sink(self._temporary, self, tags)
        except BaseException as error:
            self._atomic.__exit__(type(error), error, error.__traceback__)
            raise

    def write(
        self,
        rgb: UInt8[np.ndarray, "H W 3"],
        alpha: UInt8[np.ndarray, "H W"] | None = None,
        premultiplied: bool = False,
    ) -> None:
        """Add a picture. Files hold straight colour: say so when `rgb` is already multiplied by alpha."""
        if rgb.shape != (self.size[1], self.size[0], 3) or rgb.dtype != np.uint8:
            raise ValueError(f"picture {rgb.dtype} {rgb.shape} does not fit a video of {self.size}")
        if self.config.alpha:
            if alpha is None:
                alpha = np.full(rgb.shape[:2], 255, dtype=np.uint8)
            if premultiplied:
                straight = rgb.astype(np.float32) * (255.0 / np.maximum(alpha, 1)[..., None])
                rgb = np.clip(np.rint(straight), 0, 255).astype(np.uint8)
            rgb = np.dstack([rgb, alpha])
        self._sink.picture(np.ascontiguousarray(rgb), self.n_frames)
        self.n_frames += 1

    def write_audio(self, samples: Float[np.ndarray, " N"]) -> None:
        """Add mono sound, values in [-1, 1]."""
        if self.audio_rate is None:
            raise ValueError("this video was opened without sound: give audio_rate")
        if len(samples):
            self._sink.sound(np.clip(samples, -1.0, 1.0).astype(np.float32), self.n_samples)
            self.n_samples += len(samples)

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._sink.close()
            if self.n_frames == 0:
                raise ValueError("no picture was written")
        except BaseException as error:
            self._atomic.__exit__(type(error), error, error.__traceback__)
            raise
        self._atomic.__exit__(None, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._sink.abort()
        try:
            self._atomic.__exit__(kind, error, traceback)
        except BaseException as raised:
            if raised is not error:
                raise

    def _check_size(self) -> None:
        if self.codec != "png" and "420" in _FORMATS[self.codec].pixels and (self.size[0] % 2 or self.size[1] % 2):
            raise UserError(
                "size",
                expected=f"even width and height for {self.codec}",
                got=f"{self.size[0]}x{self.size[1]}",
                remedy="Choose an even size.",
            )


def check_output_format(path: Path, config: WriteConfig) -> str:
    """The codec that an output of this name gets. Raises UserError when name, codec and alpha do not fit."""
    codec = _choose_codec(path, config.codec)
    if codec == "png":
        return codec
    form = _FORMATS[codec]
    if config.alpha and form.alpha_pixels is None:
        raise UserError(
            f"output {path}",
            expected="a format with transparency: .mov (ProRes 4444), .webm (VP9) or a folder (PNG)",
            got=codec,
            remedy="Change the output's name, or choose a background.",
        )
    if path.suffix.lower() not in form.containers:
        raise UserError(
            f"output {path}",
            expected=f"a name ending in {' or '.join(form.containers)} for {codec}",
            got=path.suffix or "no ending",
            remedy="Change the output's name or the codec.",
        )
    return codec


def _check_free(path: Path, codec: str) -> None:
    if path.is_dir() and (codec != "png" or any(path.iterdir())):
        raise UserError(
            f"output {path}",
            expected="a new file" if codec != "png" else "a new or empty folder",
            got="a folder" if codec != "png" else "a folder with files in it",
            remedy="Choose another output name.",
        )


def write_video(
    path: Path,
    pictures: Iterable[UInt8[np.ndarray, "H W 3"]],
    fps: float | int,
    audio: AudioTrack | None = None,
    config: WriteConfig | None = None,
) -> None:
    """Write pictures and sound that are at hand. See `VideoWriter`."""
    writer = None
    for picture in pictures:
        if writer is None:
            height, width = picture.shape[:2]
            writer = VideoWriter(path, (width, height), fps, audio.sample_rate if audio else None, config)
            writer.__enter__()
        writer.write(picture)
    if writer is None:
        raise ValueError("no picture to write")
    if audio is not None:
        writer.write_audio(audio.samples)
    writer.close()


class _Container:
    """A file with streams, by FFmpeg."""

    def __init__(self, path: Path, writer: VideoWriter, tags: dict[str, str]) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self.form = _FORMATS[writer.codec]
        alpha = writer.config.alpha
        # Fragments would spare the second pass over the file, but edit lists need the plain layout.
        options = {}
        if path.suffix.lower() in (".mp4", ".mov"):
            # The length of a track is kept in this unit: milliseconds would cost up to 24 samples.
            options = {"movflags": "+faststart", "movie_timescale": str(writer.audio_rate or 90_000)}
        self.file = av.open(str(path), "w", options=options)
        self.file.metadata.update(tags)
        self.video: Any = self.file.add_stream(self.form.encoder, rate=writer.fps)
        self.video.width, self.video.height = writer.size
        self.video.pix_fmt = self.form.alpha_pixels if alpha else self.form.pixels
        self.video.options = dict(self.form.options)
        if writer.codec != "prores4444":
            self.video.options["crf"] = str(writer.config.crf)
        if writer.codec == "h265":
            self.video.codec_context.codec_tag = "hvc1"  # or Apple's players refuse the file
            self.video.options["x265-params"] = "log-level=error"
        if writer.codec == "vp9" and alpha:
            self.video.options["auto-alt-ref"] = "0"  # hidden frames would lose their alpha
        context = self.video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # studio swing
        self.video.time_base = context.time_base = 1 / writer.fps
        self.reformat = VideoReformatter()
        self.audio: Any = self._add_sound(writer) if writer.audio_rate is not None else None
        self.rate = writer.audio_rate or 0

    def _add_sound(self, writer: VideoWriter) -> Any:
        rate = writer.audio_rate
        if (self.form.sound == "aac" and rate not in AAC_RATES) or self.form.sound == "libopus":
            rate = 48_000
        stream: Any = self.file.add_stream(self.form.sound, rate=rate, layout="mono")
        if self.form.sound != "pcm_s16le":
            # AAC takes at most 6 bits a sample.
            stream.codec_context.bit_rate = min(writer.config.audio_bit_rate, 5 * rate if rate else 0)
        return stream

    def picture(self, pixels: np.ndarray, index: int) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24")
        frame = self.reformat.reformat(
            frame, format=self.video.pix_fmt, dst_colorspace=1, dst_color_range=1, interpolation="BICUBIC"
        )
        frame.pts, frame.time_base = index, self.video.codec_context.time_base
        self.file.mux(self.video.encode(frame))

    def sound(self, samples: np.ndarray, position: int) -> None:
        import av

        if self.audio.codec_context.format.name.startswith("s16"):
            data, form = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16), "s16"
        else:
            data, form = samples, "flt"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data[None]), format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate, position, Fraction(1, self.rate)
        self.file.mux(self.audio.encode(frame))

    def close(self) -> None:
        for stream in (self.video, self.audio):
            if stream is not None:
                self.file.mux(stream.encode(None))
        self.file.close()

    def abort(self) -> None:
        with suppress(OSError):  # on a full disk the trailer cannot be written; the file goes anyway
            self.file.close()


class _Pictures:
    """A folder of PNG files, and the sound beside them."""

    def __init__(self, path: Path, writer: VideoWriter, tags: dict[str, str]) -> None:
        self.folder, self.owner = path, writer
        path.mkdir(parents=True)
        (path / "made-with.txt").write_text("".join(f"{k}: {v}\n" for k, v in tags.items()), encoding="utf-8")
        self.wav: wave.Wave_write | None = None
        if writer.audio_rate is not None:
            self.wav = wave.open(str(path / "audio.wav"), "wb")  # noqa: SIM115 (closed in close and abort)
            self.wav.setparams((1, 2, writer.audio_rate, 0, "NONE", ""))

    def picture(self, pixels: np.ndarray, index: int) -> None:
        code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        name = self.folder / f"{index:06d}.png"
        if not cv2.imwrite(str(name), cv2.cvtColor(pixels, code)):
            raise OSError(f"cannot write {name}")

    def sound(self, samples: np.ndarray, position: int) -> None:
        if self.wav is not None:
            self.wav.writeframes(np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes())

    def close(self) -> None:
        if self.wav is not None:
            self.wav.close()
        if self.owner.path.is_dir():  # empty, as was checked: make room for the rename
            self.owner.path.rmdir()

    def abort(self) -> None:
        if self.wav is not None:
            with suppress(OSError):  # on a full disk not even the header can be mended
                self.wav.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _choose_codec(path: Path, codec: Codec) -> str:
    if codec != "auto":
        return codec
    suffix = path.suffix.lower()
    if suffix in ("", ".png"):
        return "png"
    if suffix not in _AUTO:
        raise UserError(
            f"output {path}",
            expected=f"a name ending in {', '.join(_AUTO)}, or a folder for PNG pictures",
            got=suffix,
            remedy="Change the output's name.",
        )
    return _AUTO[suffix]
