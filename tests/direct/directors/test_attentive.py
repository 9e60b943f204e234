import numpy as np
import pytest

from gtalk.direct.composer import Composer
from gtalk.direct.directors.attentive import BY, Attentive
from gtalk.direct.score import Event
from gtalk.types import AUDIO_RATE
from tests.speech.voices import room_noise, vowel

TICK = AUDIO_RATE // 25


def says(*parts: float) -> np.ndarray:
    """Phrases (positive lengths in seconds) and pauses (negative), over the noise of a room."""
    pieces = [vowel("a", part) if part > 0 else np.zeros(round(-part * AUDIO_RATE), np.float32) for part in parts]
    sound = np.concatenate(pieces)
    return sound + room_noise(len(sound) / AUDIO_RATE, -60.0)[: len(sound)]


def events_of(sound: np.ndarray, seed: int = 0, deaf=lambda _now_s: False) -> list[Event]:
    listens, out = Attentive(seed), []
    for i in range(0, len(sound), TICK):
        now_s = (i + TICK) / AUDIO_RATE
        found = listens.push(sound[i : i + TICK], now_s, deaf(now_s))
        assert all(event.start_s >= now_s - 0.1 - event.ease_in_s for event in found), "nobody knows before"
        out += found
    return out


def starts(events: list[Event], track: str) -> list[float]:
    return [event.start_s for event in events if event.track == track]


TALK = says(-1.0, 2.0, -0.4, 2.5, -0.4, 2.5, -2.0, 3.0, -2.0)
"""Phrases that end at 3.0, 5.9, 8.8 and 13.8 s; turns from 1.0 to 8.8 and from 10.8 to 13.8 s."""


def test_looks_nods_smiles_and_blinks_when_it_hears_a_voice_and_only_then() -> None:
    found = [events_of(TALK, seed) for seed in range(8)]
    nods = np.concatenate([starts(events, "head.nod") for events in found])
    ends = np.array([3.0, 5.9, 8.8, 13.8])
    assert len(nods) >= 8 and all(0.2 < (nod - ends[ends < nod]).min() < 0.75 for nod in nods), "after phrases"
    assert len({tuple(starts(events, "head.nod")) for events in found}) > 4, "no two nod in step"
    for events in found:
        looks = starts(events, "attend.yaw")
        assert 1.1 < looks[0] < 1.6 and all(1.0 < s < 10.6 or 10.9 < s < 15.5 for s in looks)
        smiles = [e for e in events if e.track == "emotion.smile"]
        assert smiles and all(3.0 <= e.start_s < 9.2 or e.start_s > 12.6 for e in smiles)
    blinks = np.concatenate([starts(events, "blink") for events in found])
    turns = np.array([1.0, 8.8, 10.8, 13.8])
    assert len(blinks) > 8 and all(0.0 < (blink - turns[turns < blink]).min() < 1.5 for blink in blinks)


def test_a_smile_that_is_asked_for_again_is_one_smile() -> None:
    composer = Composer([e for e in events_of(says(-0.5, 7.0)) if e.track == "emotion.smile"])
    shown = [moment.get("emotion.smile", 0.0) for moment in composer(0, 200, 25.0)]
    assert max(shown) == pytest.approx(0.14) and np.ptp(shown[100:180]) < 1e-9


def test_breathes_the_whole_time_and_moves_no_lips() -> None:
    events = events_of(np.zeros(20 * AUDIO_RATE, np.float32))
    breaths = starts(events, "head.raise")
    assert 4 <= len(breaths) <= 6 and set(np.diff(breaths) > 3.0) == {True}
    assert {event.track for event in events} == {"head.raise"}
    raised = [moment.get("head.raise", 0.0) for moment in Composer(events)(0, 500, 25.0)]
    assert 0.5 < max(raised) < 0.7 and min(raised) >= 0.0
    tracks = {event.track for seed in range(5) for event in events_of(TALK, seed)}
    assert not [track for track in tracks if track.startswith(("key.", "articulation", "shape.mouth", "shape.jaw"))]


def test_while_it_speaks_itself_it_does_not_listen_and_its_turn_is_over_then() -> None:
    events = events_of(TALK, 1, lambda now_s: now_s > 4.0)
    assert events and all(event.start_s < 5.5 for event in events) and all(event.by == BY for event in events)
    assert all(event.start_s < 4.6 for event in events if event.track in ("head.nod", "blink", "emotion.smile"))


def test_noise_and_silence_are_no_voice() -> None:
    listens = Attentive()
    for i in range(0, 5 * AUDIO_RATE, TICK):
        listens.push(room_noise(0.04, -35.0, seed=i), deaf=False)
        assert not listens.hears_a_voice


def test_whom_it_sees_elsewhere_it_looks_at_there() -> None:
    listens = Attentive()
    listens.place = (20.0, -3.0)
    sound = says(-0.5, 2.0)
    events = [e for i in range(0, len(sound), TICK) for e in listens.push(sound[i : i + TICK])]
    assert {e.value for e in events if e.track == "attend.yaw"} == {20.0}
    assert {e.value for e in events if e.track == "attend.pitch"} == {-3.0}


def test_events_of_hours_are_not_kept() -> None:
    composer = Composer()
    for number in range(2000):
        now_s = 0.5 * number
        composer.add_late([Event("emotion.smile", 0.14, now_s, now_s + 1.7, by=BY)], now_s)
    assert len(composer.events) < 20
    assert composer(round(25 * now_s), 1, 25.0)[0]["emotion.smile"] == pytest.approx(0.14)
