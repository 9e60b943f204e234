import threading

import numpy as np
import pytest

from gtalk.agents.hearing import Hearing, TranscriptionEndpoint, Utterances, wav_bytes
from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from tests.agents.scripted import endpoint, silent
from tests.viewer.live_servers import bursts

QUIET = (1e-3 * np.random.default_rng(0).standard_normal(AUDIO_RATE)).astype(np.float32)
SPOKEN = np.concatenate([QUIET, bursts(1.0, 2.0) + QUIET, QUIET])


def ticks(samples: np.ndarray) -> list[np.ndarray]:
    return [samples[start : start + 640] for start in range(0, len(samples), 640)]


def test_an_utterance_is_what_lies_between_silences() -> None:
    listener = Utterances()
    said = [one for tick in ticks(SPOKEN) if (one := listener.push(tick)) is not None]
    (one,) = said
    loud = np.flatnonzero(np.abs(one) > 0.1)
    assert 0.9 < len(loud) / (np.count_nonzero(np.abs(SPOKEN) > 0.1)) <= 1.0, "its beginning too"
    assert 1.5 < len(one) / AUDIO_RATE < 2.5
    assert listener.n_rows == 0


def test_its_own_voice_begins_nothing_but_is_kept_for_who_cut_in() -> None:
    listener = Utterances()
    assert all(listener.push(tick, deaf=True) is None for tick in ticks(SPOKEN)) and listener.n_rows == 0
    parts = [*((tick, True) for tick in ticks(bursts(0.2, 2.0))), *((tick, False) for tick in ticks(SPOKEN[8000:]))]
    said = [one for tick, deaf in parts if (one := listener.push(tick, deaf)) is not None]
    assert len(said) == 1


def test_what_is_heard_is_sent_as_a_wav_and_its_text_comes_back() -> None:
    came, texts = threading.Event(), []
    body = b'{"text": " Hello there. "}'
    with endpoint(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body) as (url, asked, _):

        def take(text: str) -> None:
            texts.append(text)
            came.set()

        hearing = Hearing(TranscriptionEndpoint(url), take)
        for tick in ticks(SPOKEN):
            hearing.hear(tick, False)
        assert came.wait(5)
        hearing.close()
    assert texts == ["Hello there."]
    assert b"RIFF" in asked[0]["body"] and b"whisper-1" in asked[0]["body"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [(b'{"txt": 1}', "no transcript"), (b'{"text": 1}', "without text"), (b"\xff\x00", "no transcript")],
)
def test_what_is_no_transcript_is_a_sentence(answer: bytes, says: str) -> None:
    with (
        endpoint(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + answer) as (url, _, _),
        pytest.raises(UserError, match=says),
    ):
        TranscriptionEndpoint(url).transcribe(QUIET)


def test_dead_and_slow_ears_are_sentences() -> None:
    with pytest.raises(UserError, match="Is the server running"):
        TranscriptionEndpoint("http://127.0.0.1:9/v1/audio/transcriptions").transcribe(QUIET)
    with endpoint(silent) as (url, _, _), pytest.raises(UserError, match=r"within 0\.3 s"):
        TranscriptionEndpoint(url, patience_s=0.3).transcribe(QUIET)


def test_a_wav_is_read_back() -> None:
    import io
    import wave

    with wave.open(io.BytesIO(wav_bytes(QUIET))) as file:
        assert file.getframerate() == AUDIO_RATE and file.getnframes() == len(QUIET)
