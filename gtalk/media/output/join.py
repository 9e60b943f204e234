"""Joining videos that one encoder setting wrote: images are copied as they are, or encoded in one go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.media.output.sinks import (
    FORMATS,
    LAYOUTS,
    Container,
    Images,
    StreamPlan,
    add_sound,
    audio_frame,
    container_options,
)
from gtalk.media.soundtrack import Soundtrack

_AHEAD_S = 0.5  # sound is written this much before its images, as players like to read it
BIT_RATE = 160_000  # of each channel


@dataclass(frozen=True)
class Joined:
    """What a joined video holds."""

    n_frames: int
    n_samples: int
    fps: float


def join_video(
    parts: Sequence[Path], output: Path, codec: str, fps: Fraction, sound: Soundtrack, tags: dict[str, str]
) -> Joined:
    """Write `parts`, one after the other, with `sound` from their start.

    Args:
        parts: videos without sound that `VideoWriter` wrote with the same settings, or its folders of images.
        output: of the same format; it appears as it is written.
        codec: of the parts, as `check_output_format` names it.
        fps: of the parts.
    """
    join = _join_folders if codec == "png" else _join_files
    return join(parts, output, codec, fps, sound, tags)


def _join_files(
    parts: Sequence[Path], output: Path, codec: str, fps: Fraction, sound: Soundtrack, tags: dict[str, str]
) -> Joined:
    import av

    n_frames = 0
    with (
        av.open(str(parts[0].absolute())) as first,
        av.open(str(output.absolute()), "w", options=container_options(output, sound.rate)) as file,
    ):
        file.metadata.update(tags)
        template = first.streams.video[0]
        video: Any = file.add_stream_from_template(template)
        video.time_base = template.time_base
        if output.suffix.lower() in (".mp4", ".mov"):  # the name that players choose their decoder by
            video.codec_context.codec_tag = template.codec_context.codec_tag
        heard = _Sound(file, add_sound(file, FORMATS[codec].sound, sound.rate, sound.channels, BIT_RATE), sound)
        for packet, index in _packets(parts, fps):
            packet.stream = video
            file.mux(packet)
            n_frames = max(n_frames, index + 1)
            heard.write_until(index / fps + Fraction(_AHEAD_S))
        heard.write_until(None)
        heard.end()
    return Joined(n_frames, heard.n_samples, float(fps))


def encode_video(
    parts: Sequence[Path], output: Path, plan: StreamPlan, sound: Soundtrack, on_frame: Callable[[int], None]
) -> Joined:
    """Write `parts`, videos that `VideoWriter` wrote without loss, as one encoder writes them: there is no seam.

    Args:
        plan: of the output; of the same pixels as the parts.
        on_frame: told how many images are written.
    """
    file = Container(output, plan)
    try:
        heard = _Sound(file.file, file.audio, sound)
        n_frames = 0
        for frame in _frames(parts):
            file.encode(frame, n_frames)
            n_frames += 1
            heard.write_until(n_frames / plan.fps + Fraction(_AHEAD_S))
            on_frame(n_frames)
        heard.write_until(None)
        file.close()
    except BaseException:
        file.abort()
        raise
    return Joined(n_frames, heard.n_samples, float(plan.fps))


def _frames(parts: Sequence[Path]) -> Iterator[Any]:
    """Decoded images of all parts, without what their encoder had decided."""
    import av
    from av.video.frame import PictureType

    for path in parts:
        with av.open(str(path.absolute())) as file:
            stream = file.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in file.decode(stream):
                frame.pict_type = PictureType.NONE
                yield frame


def _packets(parts: Sequence[Path], fps: Fraction) -> Iterator[tuple[Any, int]]:
    """Video packets of all parts with their times in the whole, and the number of the image each holds."""
    import av

    start = 0
    for path in parts:
        count = 0
        with av.open(str(path.absolute())) as file:
            stream: Any = file.streams.video[0]
            ticks = 1 / (fps * stream.time_base)  # of the part's clock, an image
            for packet in file.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue  # the empty packet at the end
                index, order = round(packet.pts / ticks), round(packet.dts / ticks)
                packet.pts, packet.dts = round((start + index) * ticks), round((start + order) * ticks)
                count += 1
                yield packet, start + index
        start += count


class _Sound:
    """Encodes a soundtrack into an open file, as far as it is wanted."""

    def __init__(self, file: Any, stream: Any, sound: Soundtrack) -> None:
        self._file, self._rate, self._layout = file, sound.rate, LAYOUTS[sound.channels]
        self._stream = stream
        self._pieces = sound.pieces()
        self.n_samples = 0

    def write_until(self, time_s: Fraction | None) -> None:
        """Up to an instant, or all that is left."""
        while time_s is None or self.n_samples < time_s * self._rate:
            piece = next(self._pieces, None)
            if piece is None:
                break
            samples = np.clip(piece, -1.0, 1.0).astype(np.float32)
            frame = audio_frame(samples, self._stream, self._layout, self._rate, self.n_samples)
            self._file.mux(self._stream.encode(frame))
            self.n_samples += len(piece)

    def end(self) -> None:
        """Let the encoder out with what it holds."""
        self._file.mux(self._stream.encode(None))


def _join_folders(
    parts: Sequence[Path], output: Path, codec: str, fps: Fraction, sound: Soundtrack, tags: dict[str, str]
) -> Joined:
    folder = Images(output, StreamPlan(codec, (0, 0), fps, 0, False, sound.rate, sound.channels, 0, tags))
    n_frames = n_samples = 0
    for part in parts:
        for image in sorted(part.glob("*.png")):
            try:
                os.link(image, folder.path_of(n_frames))  # the part stays whole, should this be cut short
            except OSError:
                shutil.copyfile(image, folder.path_of(n_frames))
            n_frames += 1
    for piece in sound.pieces():
        folder.sound(np.clip(piece, -1.0, 1.0), n_samples)
        n_samples += len(piece)
    folder.close()
    return Joined(n_frames, n_samples, float(fps))
