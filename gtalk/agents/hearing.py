"""What visitors say: their sound cut into utterances by voice activity, and each made a text.

A microphone reaches this through `LiveSession.on_heard`. While the avatar speaks, nothing begins: its own voice may
come back; once it was cut off, what was said a moment before is part of what was heard.
"""

from __future__ import annotations

import io
import queue
import secrets
import threading
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.errors import UserError
from gtalk.reading.endpoint import Call
from gtalk.reading.untrusted import parse_json
from gtalk.shapes import Float
from gtalk.speech.base import HOP, RATE_HZ
from gtalk.speech.frontend import FrontEnd
from gtalk.speech.normalise import SpeechActivity
from gtalk.types import AUDIO_RATE
from gtalk.voice.transcripts import is_local, open_local

KEY_VARIABLE = "GTALK_HEAR_KEY"
"""Environment variable whose value is sent as the bearer token."""
MODEL = "whisper-1"
MOST_S, LEAST_S = 30.0, 0.25
PAUSE_S = 0.7
"""Of silence, after which somebody has finished."""
_BEFORE_S = 0.4  # kept of what came before somebody was heard
_SPEECH, _SILENCE = 0.5, 0.3  # activity
_BEGINS_ROWS, _OF_ROWS = 8, 12
_WAITING = 1500  # ticks: a minute


@runtime_checkable
class Transcriber(Protocol):
    """Makes texts of speech."""

    def transcribe(self, samples: Float[np.ndarray, " N"]) -> str:
        """What is said; mono at AUDIO_RATE. Raises UserError when it fails."""
        ...


@dataclass(frozen=True)
class TranscriptionEndpoint:
    """Any endpoint like OpenAI's /v1/audio/transcriptions. Sound is sent to it and nowhere else."""

    url: str
    model: str = MODEL
    patience_s: float = 30.0

    def transcribe(self, samples: Float[np.ndarray, " N"]) -> str:
        """See `Transcriber`; raises UserError as it does."""
        call = Call(self.url, "--hear", "an endpoint that answers with a transcript", self.patience_s, KEY_VARIABLE)
        mark = secrets.token_hex(16)
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{self.model}\r\n'.encode(),
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="said.wav"\r\n'
            f"Content-Type: audio/wav\r\n\r\n".encode(),
            wav_bytes(samples),
            f"\r\n--{mark}--\r\n".encode(),
        ]
        answer = b"".join(call.post(b"".join(parts), f"multipart/form-data; boundary={mark}"))
        try:
            text = parse_json(answer.decode("utf-8", "replace"))["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise call.failed(f"no transcript ({type(error).__name__})", "Check the address.") from error
        if not isinstance(text, str):
            raise call.failed("a transcript without text", "Use another model.")
        return text


def open_transcriber(name: str) -> Transcriber:
    """By its name: an endpoint's address, or `whisper` (gtalk/voice/transcripts.py). Raises UserError for another."""
    if is_local(name):
        return open_local(name)
    if name.startswith(("http://", "https://")):
        return TranscriptionEndpoint(name)
    raise UserError("--hear", expected="whisper, or an address such as http://localhost:8000/v1/audio/transcriptions",
                    got=repr(name[:60]), remedy="Write it with http:// or https://.")  # fmt: skip


class Hearing:
    """Hears one microphone. `hear` may be called by the live thread: it only takes note.

    Args:
        transcriber: makes the texts.
        on_text: gets each, from a thread of this.
        show: gets a line for what fails.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        on_text: Callable[[str], None],
        show: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._transcriber, self._on_text, self._show = transcriber, on_text, show
        self._sound: queue.Queue[tuple[np.ndarray, bool] | None] = queue.Queue(_WAITING)
        self._listener = Utterances()
        self._writer = ThreadPoolExecutor(1, "gtalk-hearing")
        self._thread = threading.Thread(target=self._run, name="gtalk-hearing", daemon=True)
        self._thread.start()

    def hear(self, samples: Float[np.ndarray, " N"], deaf: bool) -> None:
        """The next sound, and whether it may be the avatar's own."""
        if not self._sound.full():
            self._sound.put((samples, deaf))

    def close(self) -> None:
        """End the thread."""
        self._sound.put(None)
        self._thread.join(timeout=5)
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while (heard := self._sound.get()) is not None:
            said = self._listener.push(*heard)
            if said is not None:
                self._writer.submit(self._write, said)

    def _write(self, samples: np.ndarray) -> None:
        try:
            if text := self._transcriber.transcribe(samples).strip():
                self._on_text(text)
        except UserError as error:
            self._show(" ".join(str(error).split())[:300])
        except Exception as error:  # a transcriber of somebody's own
            self._show(f"hearing failed: {type(error).__name__}: {error}"[:300])


class Utterances:
    """Sound -> what somebody said from the first word to a pause."""

    def __init__(self) -> None:
        self._front, self._activity = FrontEnd(), SpeechActivity()
        self._kept = np.zeros(0, np.float32)
        self._recent: list[bool] = []
        self._silent_rows = 0
        self.n_rows = 0
        """Of the utterance under way, 10 ms each; 0 where nobody speaks."""

    def push(self, samples: Float[np.ndarray, " N"], deaf: bool = False) -> Float[np.ndarray, " M"] | None:
        """The next sound; an utterance that has ended with it."""
        self._kept = np.concatenate([self._kept, np.asarray(samples, np.float32)])
        activity, _ = self._activity(self._front.push(samples))
        for value in activity.tolist():
            self._row(value, deaf)
        over = self.n_rows and (self._silent_rows >= PAUSE_S * RATE_HZ or self.n_rows >= MOST_S * RATE_HZ)
        if not self.n_rows:
            self._kept = self._kept[-round(_BEFORE_S * AUDIO_RATE) :]
        if not over:
            return None
        spoken_s = (self.n_rows - self._silent_rows) / RATE_HZ
        said, self._kept = self._kept, self._kept[-HOP:]
        self.n_rows = self._silent_rows = 0
        self._recent.clear()
        return said if spoken_s >= LEAST_S else None

    def _row(self, activity: float, deaf: bool) -> None:
        if not self.n_rows:
            self._recent = [*self._recent[1 - _OF_ROWS :], activity > _SPEECH and not deaf]
            self.n_rows = _BEGINS_ROWS if sum(self._recent) >= _BEGINS_ROWS else 0
            return
        self.n_rows += 1
        self._silent_rows = self._silent_rows + 1 if activity < _SILENCE else 0


def wav_bytes(samples: Float[np.ndarray, " N"]) -> bytes:
    """A WAV file of mono samples at AUDIO_RATE."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()
