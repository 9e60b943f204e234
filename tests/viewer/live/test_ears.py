import numpy as np
import pytest

from gtalk.direct.score import Event
from gtalk.viewer.live.ears import Ears
from tests.speech.voices import vowel
from tests.viewer.live_servers import from_aside, live_server, run, still_session

TICK_S = 0.04


class Face:
    """Takes note of what it is asked; its time goes on with every piece that is heard."""

    def __init__(self) -> None:
        self.asked: list[Event] = []
        self.now_s = 0.0

    def obey(self, events) -> float:
        self.asked += events
        self.now_s += TICK_S * (not events)
        return self.now_s


def finish(ears: Ears) -> None:
    """Wait until all has been heard."""
    ears._sound.put(None)
    ears._thread.join(timeout=200)
    assert not ears._thread.is_alive()


def test_ears_ask_the_face_to_look_and_to_smile_and_not_while_it_speaks() -> None:
    sound = vowel("a", 4.0)
    for deaf in (False, True):
        face = Face()
        ears = Ears(face.obey)
        for piece in np.split(sound, 100):
            ears.hear(piece, deaf)
        finish(ears)
        tracks = {event.track for event in face.asked}
        assert (not tracks) if deaf else {"attend.yaw", "attend.pitch", "emotion.smile"} <= tracks


def looks_of(both: np.ndarray, rate: int = 48_000) -> tuple[list[tuple[float, float]], list[str]]:
    """((when, where) the face is asked to look, what is shown to who speaks) about two channels."""
    face, shown = Face(), list[str]()
    ears = Ears(face.obey, show=shown.append)
    for piece in np.split(both, round(len(both) / rate / TICK_S)):
        ears.hear_both(piece, rate)
    finish(ears)
    return [(e.start_s, float(e.value or 0.0)) for e in face.asked if e.track == "attend.yaw"], shown


def test_a_stereo_microphone_turns_the_face_to_who_is_heard_and_again_to_the_next() -> None:
    looks, shown = looks_of(np.concatenate([from_aside(30.0, 1.52), from_aside(-25.0, 1.52)]))
    first, second = [one for one in looks if one[1] > 0], [one for one in looks if one[1] < 0]
    assert first and second and not shown
    assert all(abs(yaw - 30) < 4 for _, yaw in first) and all(abs(yaw + 25) < 4 for _, yaw in second)
    assert first[0][0] < 0.6 and 1.5 < second[0][0] < 2.1, "heard within .6 s"


@pytest.mark.parametrize(("gains", "words"), [((1.0, 0.0), "right channel"), ((2.0, 0.2), "delayed")])
def test_one_dead_channel_and_swapped_ones_turn_nothing_and_are_said_once(gains, words) -> None:
    looks, shown = looks_of((from_aside(50.0, 3.52) * gains).astype(np.float32))
    assert not looks and len(shown) == 1 and words in shown[0]


def test_what_fails_is_said_once_and_hearing_goes_on() -> None:
    said: list[str] = []

    def obey(_events) -> float:
        raise RuntimeError("no face")

    ears = Ears(obey, report=said.append)
    for _ in range(5):
        ears.hear(np.zeros(640, np.float32), False)
    finish(ears)
    assert said == ["listening failed: RuntimeError: no face"]


def test_a_server_that_listens_gives_the_microphone_to_ears_and_one_that_does_not_to_the_face() -> None:
    with live_server(16, listens=True) as (server, _):
        assert server.main.ears is not None and server.main.session.on_heard == server.main.ears.hear
    with live_server(16) as (server, _):
        assert server.main.ears is None and server.main.session.on_heard is None


def test_a_session_tells_from_when_on_it_can_obey() -> None:
    session, clock = still_session()
    run(session, clock, 10)
    before = session.direct(())
    run(session, clock, 5)
    assert session.direct(()) - before == pytest.approx(0.2)
