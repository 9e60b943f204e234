"""Reading sound: mono float at a rate of our choice, in time with the images."""

from __future__ import annotations

import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.media.source import (
    LONGEST_GAP_S,
    audio_stream,
    check_gaps,
    decode,
    image_time,
    not_media,
    open_media,
    video_stream,
)
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE, AudioTrack

_PLANES_PYAV_READS = 8  # it walks past the end of its list of planes, into a crash, when there are so many
GAP_S = 0.04  # timestamps that disagree with the sample count by more are gaps or overlaps


def read_audio(path: Path, rate: int = AUDIO_RATE, track: int | None = None) -> AudioTrack:
    """All sound of a file, mono float32 in [-1, 1].

    Sample j is the instant j / rate after the first *image* (after the first sample where there is no
    video): sound that starts late is preceded by silence, sound that starts early loses its beginning.

    Raises UserError when the file has no sound.
    """
    pieces = list(stream_audio(path, rate, track))
    samples = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    return AudioTrack(samples, rate)


def stream_audio(path: Path, rate: int = AUDIO_RATE, track: int | None = None) -> Iterator[Float[np.ndarray, " N"]]:
    """The sound of `read_audio`, piece by piece, in constant memory."""
    with open_media(path) as container:
        stream = audio_stream(container, track)
        if stream is None:
            raise no_sound(path)
        source_rate = stream.codec_context.sample_rate
        zero = _video_start(path)
        resample = _Resampler(source_rate, rate)
        decoded = False
        for piece in _placed(decode(container, stream), path, source_rate, zero, _end_s(stream)):
            decoded = True
            yield from resample(piece)
        if not decoded:
            raise not_media(path, "a sound track that cannot be decoded")
        yield from resample(None)


def stream_channels(path: Path, track: int | None = None) -> Iterator[Float[np.ndarray, "N C"]]:
    """The sound of `read_audio` at its own rate with all its channels, piece by piece, in constant memory.

    The number of channels is that of the first piece; a file that changes it later is mixed to mono and
    spread again.
    """
    with open_media(path) as container:
        stream = audio_stream(container, track)
        if stream is None:
            raise no_sound(path)
        n_channels = stream.codec_context.channels

        def channels(frame) -> np.ndarray:
            values = _channels(frame).T
            return values if values.shape[1] == n_channels else np.repeat(mono(frame)[:, None], n_channels, axis=1)

        rate = stream.codec_context.sample_rate
        yield from _placed(decode(container, stream), path, rate, _video_start(path), _end_s(stream), channels)


def stream_channel(
    path: Path, channel: int, rate: int = AUDIO_RATE, track: int | None = None
) -> Iterator[Float[np.ndarray, " N"]]:
    """One channel, from 0, of the sound of `read_audio`, piece by piece. Raises UserError where there is none such."""
    with open_media(path) as container:
        stream = audio_stream(container, track)
        if stream is None:
            raise no_sound(path)
        count, own_rate = stream.codec_context.channels, stream.codec_context.sample_rate
    if channel >= count:
        raise UserError(f"sound {path}", expected=f"a channel from 1 to {count}", got=str(channel + 1),
                        remedy="Name a channel that the file has.")  # fmt: skip
    resample = _Resampler(own_rate, rate)
    for piece in stream_channels(path, track):
        yield from resample(np.ascontiguousarray(piece[:, channel]))
    yield from resample(None)


def no_sound(path: Path) -> UserError:
    """The error for a file without a sound track."""
    return UserError(
        f"media file {path}",
        expected="a file with sound",
        got="no sound track",
        remedy="Use a recording with the person's voice.",
    )


def read_wav(path: Path) -> AudioTrack:
    """Read a 16-bit PCM wav file, mixed to mono, at its own rate. Needs no FFmpeg. Raises UserError for others."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise wave.Error(f"{8 * file.getsampwidth()} bits a sample")
            # A header may promise more than the file holds.
            count = min(file.getnframes(), Path(path).stat().st_size // (2 * file.getnchannels()))
            data = np.frombuffer(file.readframes(count), dtype="<i2")
            data = data[: len(data) // file.getnchannels() * file.getnchannels()]
            samples = data.reshape(-1, file.getnchannels()).mean(1, dtype=np.float32) / 32768
            if not 1000 <= file.getframerate() <= 1_000_000:
                raise wave.Error(f"{file.getframerate()} samples a second")
            return AudioTrack(samples.astype(np.float32), file.getframerate())
    except (OSError, EOFError, ValueError, RuntimeError, struct.error, wave.Error) as error:
        raise UserError(
            f"sound file {path}",
            expected="a wav file with 16 bits a sample",
            got=f"{type(error).__name__}: {error}",
            remedy="Check the path, or convert the file.",
        ) from error


def write_wav(path: Path, track: AudioTrack) -> None:
    """Write mono sound as 16-bit PCM wav; values beyond [-1, 1] are clipped."""
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(track.sample_rate)
        file.writeframes(np.clip(np.rint(track.samples * 32768), -32768, 32767).astype("<i2").tobytes())


class _Resampler:
    """Mono float32 pieces at one rate to pieces at another."""

    def __init__(self, source_rate: int, rate: int) -> None:
        import av

        self.source_rate, self.rate = source_rate, rate
        self.inner = av.AudioResampler(format="flt", layout="mono", rate=rate) if source_rate != rate else None
        self.n_in = self.n_out = 0

    def __call__(self, piece: np.ndarray | None) -> Iterator[np.ndarray]:
        import av

        if self.inner is None:
            if piece is not None:
                yield piece
            return
        frame = None
        if piece is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece[None]), format="flt", layout="mono")
            frame.sample_rate, frame.pts = self.source_rate, self.n_in
            self.n_in += len(piece)
        for out in self.inner.resample(frame):
            values = out.to_ndarray()[0]
            if piece is None:  # the flushed tail of the filter must not lengthen the sound
                values = values[: max(0, round(self.n_in * self.rate / self.source_rate) - self.n_out)]
            self.n_out += len(values)
            yield values


def _placed(
    frames: Iterator,
    path: Path,
    rate: int,
    zero_s: float | None,
    end_s: float | None,
    values_of: Callable[..., np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """Pieces in sequence so that sample j is the instant zero_s + j / rate: gaps become silence.

    Where times begin again (recordings put one after the other in one file), the new ones follow the old.
    `values_of` makes an array out of an audio frame, samples first; mono by default.
    """
    position = held = 0  # in samples after zero; of them, those that are no gap
    before_s = -np.inf  # when the piece before this one begins
    strayed: float | None = None  # what zero was before times began again
    for frame in frames:
        piece = (values_of or mono)(frame)
        held += len(piece)
        start_s = image_time(frame, float("nan"))
        if zero_s is None:
            zero_s = 0.0 if np.isnan(start_s) else start_s
        if not np.isnan(start_s):
            if start_s < before_s - GAP_S:
                strayed, zero_s, end_s = zero_s, start_s - position / rate, None
            elif strayed is not None and abs((start_s - strayed) * rate - position) <= GAP_S * rate:
                zero_s, strayed = strayed, None  # it was a single wrong stamp
            before_s = start_s
            offset = round((start_s - zero_s) * rate) - position
            if abs(offset) > LONGEST_GAP_S * rate:
                offset = 0
            if position == 0 or abs(offset) > GAP_S * rate:
                if offset > 0:
                    check_gaps(path, (position + offset) / rate, held / rate)
                    yield from _silence(offset, rate, piece.shape[1:])
                    position += offset
                elif offset < 0:
                    piece = piece[-offset:]
        if end_s is not None:
            piece = piece[: max(0, round((end_s - zero_s) * rate) - position)]
        if len(piece):
            position += len(piece)
            yield piece


def _silence(count: int, rate: int, channels: tuple[int, ...]) -> Iterator[np.ndarray]:
    while count > 0:
        yield np.zeros((min(count, rate), *channels), dtype=np.float32)
        count -= rate


def mono(frame) -> np.ndarray:
    """Samples of an audio frame as mono float32: the mean of its channels."""
    return _scaled(frame, _values(frame).mean(0, dtype=np.float32 if frame.format.name.startswith("fl") else float))


def _channels(frame) -> np.ndarray:
    """Samples of an audio frame as float32 [C,N]."""
    return _scaled(frame, _values(frame))


def _values(frame) -> np.ndarray:
    """[C,N] as stored."""
    if frame.format.is_planar and len(frame.layout.channels) >= _PLANES_PYAV_READS:
        import av

        packed = av.AudioResampler(frame.format.packed.name, frame.layout.name, frame.sample_rate)
        frame = packed.resample(frame)[0]
    values = frame.to_ndarray()
    return values if frame.format.is_planar else values.reshape(-1, len(frame.layout.channels)).T


def _scaled(frame, values: np.ndarray) -> np.ndarray:
    """Stored values to [-1, 1]; what is not finite becomes 0."""
    scale = {"u8": 128.0, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}.get(frame.format.name.rstrip("p"))
    if frame.format.name.startswith("u8"):
        values = values - 128.0
    return np.nan_to_num(values / (scale or 1.0), posinf=0.0, neginf=0.0).astype(np.float32)


def _video_start(path: Path) -> float | None:
    """Instant of the first image on the container's clock; None where there is no video."""
    with open_media(path) as container:
        stream = video_stream(container)
        first = next(decode(container, stream), None) if stream is not None else None
        return image_time(first, 0.0) if first is not None else None


def _end_s(stream) -> float | None:
    """End of the sound, where the container knows it to the sample (encoders pad the last packet)."""
    known = stream.container.format.name.startswith(("mov", "matroska")) and stream.duration
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base) if known else None
