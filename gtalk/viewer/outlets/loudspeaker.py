"""What is said, on a sound device of this machine (extra `live`)."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float, UInt8
from gtalk.types import AUDIO_RATE

_BEGIN_S = 0.06  # so much waits before any is played: ticks are not quite even
_MOST_S = 0.25  # what waits beyond this is late for ever: the oldest goes


class Loudspeaker:
    """See `Sink`: plays sound, shows nothing.

    Args:
        device: a part of a device's name, or "default".
    """

    def __init__(self, device: str) -> None:
        import soxr

        sounddevice = _library()
        self._waiting, self._lock = np.zeros(0, np.float32), threading.Lock()
        self._playing = self._gone = self._closing = False
        try:
            found = sounddevice.query_devices(None if device == "default" else device, "output")
            self._rate, self._name = int(found["default_samplerate"]), found["name"]
            self._resample = soxr.ResampleStream(AUDIO_RATE, self._rate, 1, dtype="float32", quality="HQ")
            self._stream = sounddevice.OutputStream(
                samplerate=self._rate, channels=1, dtype="float32", device=found["index"],
                callback=self._play, finished_callback=self._ended,
            )  # fmt: skip
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UserError(f"--speaker {device}", expected="a sound device that plays", got=str(error),
                            remedy="`python -m sounddevice` lists them.") from error  # fmt: skip

    def send(self, rgb: UInt8[np.ndarray, "H W 3"] | None, samples: Float[np.ndarray, " N"], time_s: float) -> None:
        """See `Sink`. Raises OSError where the device went."""
        if self._gone:
            raise OSError(f"the sound device {self._name!r} is gone")
        more = self._resample.resample_chunk(samples.astype(np.float32))
        with self._lock:
            self._waiting = np.concatenate([self._waiting, more])
            if len(self._waiting) > _MOST_S * self._rate:
                self._waiting = self._waiting[-round(_BEGIN_S * self._rate) :]

    def flush(self) -> None:
        """See `Sink`."""
        with self._lock:
            self._waiting = self._waiting[:0]

    def close(self) -> None:
        """See `Sink`."""
        self._closing = True
        self._stream.stop()
        self._stream.close()

    def _play(self, block: Any, count: int, _time: object, _status: object) -> None:
        """Of PortAudio's thread."""
        with self._lock:
            self._playing = len(self._waiting) > 0 and (self._playing or len(self._waiting) >= _BEGIN_S * self._rate)
            now, self._waiting = np.split(self._waiting, [count if self._playing else 0])
        block[:, 0] = np.pad(now, (0, count - len(now)))

    def _ended(self) -> None:
        self._gone = not self._closing


def _library() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        remedy = "pip install 'gtalk[live]' and, on Debian, apt install libportaudio2."
        raise UserError("--speaker", expected="sounddevice and PortAudio", got=str(error), remedy=remedy) from error
    return sounddevice
