"""Live picture and sound to a server: H.264 and AAC by RTMP or SRT."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.video.reformatter import VideoReformatter

from gtalk.media.output.srt import SrtPipe, has_srt
from gtalk.media.output.stall import StallGuard
from gtalk.media.raw import sound_frame
from gtalk.shapes import Float, UInt8

_CONTAINERS = {"rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
SCHEMES = tuple(_CONTAINERS)
_CLOCK_HZ = 1000  # of pictures: RTMP's own
_KEY_EVERY_S = 2.0  # a viewer waits for a whole picture no longer
_SOUND_HZ = 48_000  # what services take
_SOUND_BITS = 128_000


class BroadcastError(OSError):
    """A server that is not there, refuses, or went: in words."""


class Broadcast:
    """One connection. Opened by the first image or sound; blocks while the network does, up to `timeout_s`.

    Args:
        url: rtmp://, rtmps:// or srt://, with its key or its query.
        size: (width, height), even.
        rate: of the sound, mono.
        tags: metadata, where the container takes any.

    Raises UserError for SRT where nothing here speaks it.
    """

    def __init__(
        self,
        url: str,
        size: tuple[int, int],
        fps: float,
        rate: int,
        *,
        bits_a_second: int = 2_500_000,
        timeout_s: float = 10.0,
        tags: dict[str, str] | None = None,
    ) -> None:
        scheme = url.partition(":")[0]
        options = {"connect_timeout": str(round(timeout_s * 1e3))} if scheme == "srt" else {}
        self._rate, self._sound_end = rate, 0
        self._guard = StallGuard(url, timeout_s)
        self._pipe = SrtPipe(url) if scheme == "srt" and not has_srt() else None
        self._file: Any = _told(
            lambda: av.open(
                self._pipe or url, "w", format=_CONTAINERS[scheme], options={} if self._pipe else options,
                timeout=(timeout_s, timeout_s),
            )
        )  # fmt: skip
        self._file.metadata.update(tags or {})
        self._picture = self._add_picture(size, fps, bits_a_second)
        self._sound: Any = self._file.add_stream("aac", rate=_SOUND_HZ, layout="stereo")
        self._sound.bit_rate = _SOUND_BITS
        self._resampler = AudioResampler("fltp", "stereo", _SOUND_HZ, frame_size=1024)
        self._reformat = VideoReformatter()
        self._last = -1

    def _add_picture(self, size: tuple[int, int], fps: float, bits_a_second: int) -> Any:
        picture: Any = self._file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        picture.time_base = picture.codec_context.time_base = Fraction(1, _CLOCK_HZ)
        picture.bit_rate = bits_a_second
        picture.options = {
            "preset": "veryfast", "tune": "zerolatency", "g": str(round(_KEY_EVERY_S * fps)),
            "maxrate": str(bits_a_second), "bufsize": str(bits_a_second),
        }  # fmt: skip
        context = picture.codec_context
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1  # BT.709, studio
        return picture

    def image(self, rgb: UInt8[np.ndarray, "H W 3"], time_s: float) -> None:
        """Show an image at `time_s` since the beginning. Raises BroadcastError."""
        ticks = round(time_s * _CLOCK_HZ)
        if ticks <= self._last:
            return
        self._last = ticks
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame = self._reformat.reformat(frame, format="yuv420p", dst_colorspace=1, dst_color_range=1)
        frame.pts, frame.time_base = ticks, Fraction(1, _CLOCK_HZ)
        with self._guard.call():
            _told(lambda: self._file.mux(self._picture.encode(frame)))

    def sound(self, samples: Float[np.ndarray, " N"], time_s: float) -> None:
        """Have sound heard from `time_s` on; silence fills what was left out. Raises BroadcastError."""
        begin = round(time_s * self._rate)
        missing = min(begin - self._sound_end, 10 * self._rate)
        if missing > 0:
            samples = np.concatenate([np.zeros(missing, np.float32), samples])
        frame = sound_frame(samples, self._sound_end, self._rate)
        self._sound_end += len(samples)
        for piece in self._resampler.resample(frame):
            with self._guard.call():
                _told(lambda piece=piece: self._file.mux(self._sound.encode(piece)))

    def close(self) -> None:
        """End it; a connection that is gone already is no fault."""
        with suppress(Exception), self._guard.call():  # the server went before its trailer
            self._file.close()
        self._guard.close()
        if self._pipe is not None:
            self._pipe.close()


def _told(do: Any) -> Any:
    try:
        return do()
    except (av.FFmpegError, OSError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BroadcastError(" ".join(words.split())[:120]) from error
