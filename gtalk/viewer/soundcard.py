"""The microphone of this machine's sound card (extra `live`)."""

from __future__ import annotations

from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.viewer.session import LiveSession
from gtalk.viewer.sources import PushSource


class SoundCard:
    """Feeds the default input device into a live session until closed."""

    def __init__(self, session: LiveSession, device: int | str | None = None) -> None:
        try:
            import sounddevice
        except (ImportError, OSError) as error:
            raise UserError("--mic local", expected="the package sounddevice and PortAudio", got=str(error),
                            remedy="pip install 'gtalk[live]', or use --mic browser.") from error  # fmt: skip
        source = PushSource("sound card", audible=False)

        def heard(block, _count, _time, _status) -> None:
            source.push(block[:, 0].copy())

        try:
            self._stream = sounddevice.InputStream(
                samplerate=AUDIO_RATE, blocksize=AUDIO_RATE // 50, channels=1, device=device, callback=heard
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise UserError("--mic local", expected="a sound card with a microphone", got=str(error),
                            remedy="Plug one in, or use --mic browser.") from error  # fmt: skip
        session.play(source)

    def close(self) -> None:
        """Let the device go."""
        self._stream.stop()
        self._stream.close()
