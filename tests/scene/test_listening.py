import numpy as np
import pytest

from gtalk.direct.directors.listening import events_of_conversation
from gtalk.direct.gaze import Places
from gtalk.direct.score import Event, Score
from gtalk.hearing.turns import Turn

TURNS = [Turn("ann", 0.5, 5.0), Turn("bob", 5.2, 9.0), Turn("cy", 9.1, 12.0), Turn("ann", 12.5, 15.0)]
PHRASES = {"ann": [(0.5, 2.5), (2.9, 5.0)], "bob": [(5.2, 7.0), (7.3, 9.0)], "cy": [(9.1, 12.0)]}
PLACES = {"ann": (-30.0, 2.0), "cy": (25.0, 0.0)}


def events(seed: int = 0, me: str = "bob") -> list[Event]:
    return events_of_conversation(me, TURNS, PHRASES, PLACES, 15.0, seed)


@pytest.mark.parametrize("seed", range(5))
def test_looks_at_the_speaker_and_speaking_at_whom_it_answers(seed) -> None:
    places = Places(events(seed))
    for time_s, yaw in ((1.0, -30.0), (4.7, -30.0), (5.5, -30.0), (9.6, 25.0), (13.0, -30.0), (14.9, -30.0)):
        place = places.at(time_s)
        assert place is not None and np.rad2deg(place[0]) == pytest.approx(yaw), time_s


def test_nods_after_phrases_of_others_never_while_speaking_and_not_in_step() -> None:
    nods = [[e for e in events(seed) if e.track == "head.nod"] for seed in range(20)]
    starts = [e.start_s for found in nods for e in found]
    assert starts and not any(4.9 < s < 9.0 for s in starts)
    ends = [2.5, 5.0, 12.0, 15.0]
    assert all(min(abs(s - end) for end in ends) < 0.31 for s in starts)
    assert len({tuple(e.start_s for e in found) for found in nods}) > 10


def test_smiles_a_little_blinks_at_turns_and_is_about_to_speak() -> None:
    found = events(1)
    smiles = [e for e in found if e.track == "emotion.smile"]
    assert smiles and all(float(e.value or 0.0) <= 0.2 and not 4.85 < e.start_s < 9.0 for e in smiles)
    assert any(e.track == "blink" for e in found)
    raised = [
        e for e in events_of_conversation("ann", TURNS, PHRASES, {"bob": (30.0, 0.0)}, 15.0) if e.track == "head.raise"
    ]
    soon, breaths = [e for e in raised if e.weight == 1.0], [e for e in raised if e.weight < 1.0]
    assert [(round(e.start_s, 2), e.end_s) for e in soon] == [(0.15, 0.5), (12.15, 12.5)]
    assert breaths and all(5.0 < e.start_s < 12.15 for e in breaths), "it breathes while others speak"
    assert Score(tuple(found)).events


def test_alone_or_without_turns_there_is_nothing_to_look_at() -> None:
    assert not [e for e in events_of_conversation("bob", [], {}, PLACES, 9.0) if e.track.startswith("attend")]
    alone = events_of_conversation("bob", [Turn("bob", 0.0, 3.0)], {"bob": [(0.0, 3.0)]}, {}, 4.0)
    assert not [e for e in alone if e.track.startswith(("attend", "head.nod", "emotion"))]
