"""Writing video: H.264, H.265, ProRes 4444 and VP9 with alpha, PNG sequences; sound exact to the sample."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.media.hardware import NVENC, nvenc_of
from gtalk.media.output.sinks import FORMATS, LAYOUTS, AsyncSink, Container, Images, StreamPlan
from gtalk.shapes import Float, UInt8
from gtalk.types import AudioTrack

Codec = Literal["auto", "h264", "h265", "prores4444", "vp9", "lossless", "png"]
COMMENT = "made with gtalk"
_AUTO = {".mp4": "h264", ".mov": "prores4444", ".webm": "vp9"}


@dataclass(frozen=True)
class WriteConfig:
    """How a video is encoded."""

    codec: Codec = "auto"
    """auto chooses by the output's name: .mp4 H.264, .mov ProRes 4444, .webm VP9, a folder PNG images."""
    crf: int = 17
    """Constant rate factor of H.264, H.265 and VP9: lower is better and larger, 17 looks lossless."""
    alpha: bool = False
    """Write the person's coverage too. Only ProRes 4444, VP9 and PNG can."""
    encoder: Literal["software", "nvenc"] = "software"
    """Who encodes H.264 and H.265. software: the same file on every machine. nvenc: an NVIDIA GPU where it can."""
    audio_bit_rate: int = 160_000
    """Bits a second of compressed sound, for each channel."""


class VideoWriter(AbstractContextManager):
    """Writes one video in constant memory; the file appears under its name only when all went well.

        with VideoWriter(path, (512, 512), 25, audio_rate=16000) as writer:
            writer.write(rgb)
            writer.write_audio(samples)

    Image i is shown at i / fps, sample j is heard at j / audio_rate, and as many samples come out of
    the file as went in. Sound and images may be written in any order, best in turns. Encoding goes on in a
    thread beside: arrays that were given must not change, and a fault may be raised by a later call.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: float | int,
        audio_rate: int | None = None,
        config: WriteConfig | None = None,
        metadata: dict[str, str] | None = None,
        audio_channels: int = 1,
    ) -> None:
        """`audio_channels`: 1, 2, 6 (5.1) or 8 (7.1)."""
        self.path, self.size = Path(path), size
        self.audio_rate, self.audio_channels = audio_rate, audio_channels
        self.fps = Fraction(fps).limit_denominator(1001)
        self.config = config or WriteConfig()
        self.codec = check_output_format(self.path, self.config)
        self.n_frames = self.n_samples = 0
        self._closed = False
        if audio_channels not in LAYOUTS:
            raise ValueError(f"{audio_channels} channels; known are {sorted(LAYOUTS)}")
        _check_free(self.path, self.codec)
        self._check_size()
        self._atomic = atomic_path(self.path)
        self._temporary = self._atomic.__enter__()
        hardware, self.told = self._hardware()
        plan = StreamPlan(
            self.codec, size, self.fps, self.config.crf, self.config.alpha, audio_rate, audio_channels,
            self.config.audio_bit_rate, {"comment": COMMENT, **(metadata or {})}, hardware,
        )  # fmt: skip
        try:
            if self.codec == "png":
                self._sink = AsyncSink(Images(self._temporary, plan))
            else:
                self._sink = AsyncSink(Container(self._temporary, plan))
        except BaseException as error:
            self._atomic.__exit__(type(error), error, error.__traceback__)
            raise

    def write(
        self,
        rgb: UInt8[np.ndarray, "H W 3"],
        alpha: UInt8[np.ndarray, "H W"] | None = None,
        premultiplied: bool = False,
    ) -> None:
        """Add an image. Files hold straight colour: say so when `rgb` is already multiplied by alpha.

        Raises ValueError for an image of another size or type, UserError when the disk is full.
        """
        if rgb.shape != (self.size[1], self.size[0], 3) or rgb.dtype != np.uint8:
            raise ValueError(f"image {rgb.dtype} {rgb.shape} does not fit a video of {self.size}")
        if self.config.alpha and alpha is None:
            alpha = np.full(rgb.shape[:2], 255, dtype=np.uint8)
        self._sink.image(rgb, alpha if self.config.alpha else None, premultiplied, self.n_frames)
        self.n_frames += 1

    def write_audio(self, samples: Float[np.ndarray, "*shape"]) -> None:
        """Add sound, values in [-1, 1]: [N] of mono, [N,C] of `audio_channels`. Raises ValueError for others."""
        if self.audio_rate is None:
            raise ValueError("this video was opened without sound: give audio_rate")
        samples = samples[:, None] if samples.ndim == 1 else samples
        if samples.shape[1] != self.audio_channels:
            raise ValueError(f"{samples.shape[1]} channels do not fit a video with {self.audio_channels}")
        if len(samples):
            self._sink.sound(np.clip(samples, -1.0, 1.0).astype(np.float32), self.n_samples)
            self.n_samples += len(samples)

    @property
    def encode_s(self) -> float:
        """How long the encoder has worked, beside the caller."""
        return self._sink.busy_s

    def close(self) -> None:
        """Finish the file and give it its name. The second time does nothing. Raises ValueError without an image."""
        if self._closed:
            return
        self._closed = True
        try:
            self._sink.close()
            if self.n_frames == 0:
                raise ValueError("no image was written")
            if self.path.is_dir():  # empty, as was checked: make room for the rename
                self.path.rmdir()
        except BaseException as error:
            try:
                self._atomic.__exit__(type(error), error, error.__traceback__)  # it looks whether the disk is full
            finally:
                with suppress(Exception):  # what stopped it may stop this too; the file must not stay open
                    self._sink.abort()
            raise
        self._atomic.__exit__(None, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None or self._closed:
            self.close()
            return
        self._closed = True
        try:
            self._atomic.__exit__(kind, error, traceback)
        except BaseException as raised:
            if raised is not error:
                raise
        finally:
            self._sink.abort()
            if self._temporary.is_file():  # the encoder's thread opened it after it was removed
                self._temporary.unlink(missing_ok=True)

    def _hardware(self) -> tuple[str | None, tuple[str, ...]]:
        """The GPU's encoder where it is wanted and there, and what is to be told where it is not."""
        if self.config.encoder == "software":
            return None, ()
        found = nvenc_of(self.codec)
        missing = "only H.264 and H.265 have one" if self.codec not in NVENC else "none can be opened on this machine"
        return found, () if found else (f"encoder nvenc: {missing}; {self.codec} was encoded by software",)

    def _check_size(self) -> None:
        if self.codec != "png" and "420" in FORMATS[self.codec].pixels and (self.size[0] % 2 or self.size[1] % 2):
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
    form = FORMATS[codec]
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
    images: Iterable[UInt8[np.ndarray, "H W 3"]],
    fps: float | int,
    audio: AudioTrack | None = None,
    config: WriteConfig | None = None,
) -> None:
    """Write images and sound that are at hand. See `VideoWriter`. Raises ValueError when there is no image."""
    writer = None
    with ExitStack() as stack:
        for image in images:
            if writer is None:
                height, width = image.shape[:2]
                writer = VideoWriter(path, (width, height), fps, audio.sample_rate if audio else None, config)
                stack.enter_context(writer)
            writer.write(image)
        if writer is None:
            raise ValueError("no image to write")
        if audio is not None:
            writer.write_audio(audio.samples)


def _choose_codec(path: Path, codec: Codec) -> str:
    if codec != "auto":
        return codec
    suffix = path.suffix.lower()
    if suffix in ("", ".png"):
        return "png"
    if suffix not in _AUTO:
        raise UserError(
            f"output {path}",
            expected=f"a name ending in {', '.join(_AUTO)}, or a folder for PNG images",
            got=suffix,
            remedy="Change the output's name.",
        )
    return _AUTO[suffix]
