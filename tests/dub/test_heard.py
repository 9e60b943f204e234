import numpy as np
import pytest

from gtalk.direct.directors.attentive import Attentive
from gtalk.dub.heard import events_of_listening
from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.types import AUDIO_RATE, AudioTrack
from tests.speech.voices import vowel

PAUSE = np.zeros(AUDIO_RATE, np.float32)


def test_a_dub_listens_as_the_live_face_does_and_not_while_it_speaks(tmp_path) -> None:
    sound = np.concatenate([PAUSE, vowel("a", 2.5), PAUSE, vowel("e", 3.0), PAUSE])
    write_wav(tmp_path / "other.wav", AudioTrack(sound))
    found, told = events_of_listening(tmp_path / "other.wav", [], 8.5, 3)
    live = Attentive(3)
    as_live = [e for i in range(0, len(sound), 640) for e in live.push(sound[i : i + 640], (i + 640) / AUDIO_RATE)]
    assert told == () and len(found) > 10
    assert [(e.track, round(e.start_s, 6)) for e in found] == [
        (e.track, round(e.start_s, 6)) for e in as_live if e.start_s < 8.5
    ]
    answered, _ = events_of_listening(tmp_path / "other.wav", [(4.0, 8.0)], 8.5, 3)
    assert answered and max(e.start_s for e in answered) < 5.0
    assert events_of_listening(tmp_path / "other.wav", [], 2.0, 3)[0][-1].start_s < 2.0


def test_a_silent_other_is_said_and_no_sound_is_refused(tmp_path) -> None:
    write_wav(tmp_path / "silent.wav", AudioTrack(np.zeros(AUDIO_RATE, np.float32)))
    _, told = events_of_listening(tmp_path / "silent.wav", [], 1.0, 0)
    assert "nobody is listened to" in told[0]
    with pytest.raises(UserError):
        events_of_listening(tmp_path / "gone.wav", [], 1.0, 0)
