"""The microphone of this machine's sound card (extra `live`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gtalk.errors import UserError
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession

_BLOCK_S = 0.01


class SoundCard:
    """Feeds an input device into a live session until closed, at the device's own rate.

    Args:
        session: what listens.
        device: a part of a device's name, or None for the system's default.
        report: gets a line when the device goes.
    """

    def __init__(self, session: LiveSession, device: str | None, report: Callable[[str], None]) -> None:
        sounddevice = _library()
        source = PushSource("sound card", audible=False)
        try:
            found = sounddevice.query_devices(device, "input")
            rate = int(found["default_samplerate"])

            def heard(block: Any, _count: int, _time: object, _status: object) -> None:
                source.push(block[:, 0].copy(), rate)

            def gone() -> None:
                if not self._closing:
                    source.close()
                    report(f"the microphone {found['name']!r} is gone; plug it in and start again")

            self._closing = False
            self._stream = sounddevice.InputStream(
                samplerate=rate,
                blocksize=round(rate * _BLOCK_S),
                channels=1,
                device=found["index"],
                callback=heard,
                finished_callback=gone,
            )
            self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UserError("--mic local", expected="a sound card with a microphone", got=str(error),
                            remedy="Plug one in, choose it by --mic-device, or --mic browser.") from error  # fmt: skip
        self._session, self._source = session, source
        session.hear(source)

    def close(self) -> None:
        """Let the device go."""
        self._closing = True
        self._stream.stop()
        self._stream.close()
        if self._session.microphone is self._source:
            self._session.hear(None)


def _library() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise UserError("--mic local", expected="the package sounddevice and PortAudio", got=str(error),
                        remedy="pip install 'gtalk[live]', or --mic browser.") from error  # fmt: skip
    return sounddevice
