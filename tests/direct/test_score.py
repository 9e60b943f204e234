import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.direct.score import MOST_EVENTS, Event, Score
from gtalk.direct.tracks import TRACKS, every_track, track_of
from gtalk.errors import UserError
from gtalk.speech.words import Words
from tests.direct.sentences import WORDS
from tests.direct.test_composer import events

HEAD = "version: 1\n"


@given(st.lists(events(), max_size=6))
def test_what_is_written_is_read(asked) -> None:
    score = Score(tuple(asked), Words.of(WORDS))
    again = Score.parse(score.text())
    assert again.words == score.words
    for one, other in zip(score.events, again.events, strict=True):
        assert (one.track, one.value, one.times, one.weight) == (other.track, other.value, other.times, other.weight)
        assert other.start_s == pytest.approx(one.start_s, abs=6e-4)


def test_a_file_is_whole_and_comes_back(tmp_path) -> None:
    score = Score((Event("emotion.happy", 0.7, 1.0, 2.5, by="me"), Event("region.mouth", "smile:0.5")), Words.of(WORDS))
    score.save(tmp_path / "a.score.yaml")
    assert Score.load(tmp_path / "a.score.yaml") == score
    assert [p.name for p in tmp_path.iterdir()] == ["a.score.yaml"]


def test_events_are_pinned_to_words() -> None:
    text = (
        HEAD
        + f"words: {json.dumps(WORDS)}\nevents:\n"
        + "\n".join(
            f"  - {entry}"
            for entry in (
                "{track: emotion.smile, value: 0.6, at: finally}",
                "{track: head.nod, times: 2, at: thank you}",
                "{track: gaze.pitch, at: 'I#2', lasts: 1.5}",
                "{track: key.open, value: 0.9, at: last}",
            )
        )
    )
    smile, nod, gaze, key = Score.parse(text).events
    assert (smile.start_s, smile.end_s) == (4.8, 5.4)
    assert nod.start_s + 0.25 * nod.length_s == pytest.approx(12.25) and nod.times == 2 and nod.value == 8
    assert (gaze.start_s, gaze.end_s) == (6.2, 7.7) and gaze.value == -18
    assert key.start_s == key.end_s == 11.0
    assert Score.parse(Score.parse(text).text()).events[0] == smile


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a mapping"),
        ("[1, 2]", "a mapping"),
        ("version: 2\nevents: []", "version: 1"),
        ("version: true\nevents: []", "version: 1"),
        (HEAD + "evnts: []", "Did you mean `events`"),
        (HEAD + "events: 3", "a list"),
        (HEAD + "events: [3]", r"events\[0\]"),
        (HEAD + "events:\n- {track: emotion.hapy}", "Did you mean emotion.happy"),
        (HEAD + "events:\n- {track: gase.yaw}", "Did you mean gaze.yaw"),
        (HEAD + "events:\n- {track: head.nod, tims: 2}", "Did you mean `times`"),
        (HEAD + "events:\n- {track: emotion.happy, value: .nan}", "a number from 0 to 1"),
        (HEAD + "events:\n- {track: emotion.happy, value: 1.2}", "a number from 0 to 1"),
        (HEAD + "events:\n- {track: emotion.happy, value: true}", "a number from 0 to 1"),
        (HEAD + "events:\n- {track: emotion.happy, value: .7, start: .inf}", "start"),
        (HEAD + "events:\n- {track: emotion.happy, value: .7, start: -1}", "0 to"),
        (HEAD + "events:\n- {track: emotion.happy, value: .7, start: 3, end: 2}", "from its start"),
        (HEAD + "events:\n- {track: emotion.happy, weight: 99}", "weight"),
        (HEAD + "events:\n- {track: head.nod, times: 1.5}", "a whole number"),
        (HEAD + "events:\n- {track: head.nod, times: 900}", "1 to 20"),
        (HEAD + "events:\n- {track: emotion.happy, at: 3}", "words behind `at`"),
        (HEAD + "events:\n- {track: gaze.yaw, at: finally, by: 3}", "words behind `at`"),
        (HEAD + "events:\n- {track: emotion.happy, at: finally, start: 2}", "either `at`"),
        (HEAD + "events:\n- {track: emotion.happy, at: finally}", "no words"),
        (HEAD + "words: [[finally, 1, 2]]\nevents:\n- {track: emotion.happy, at: finaly}", "Did you mean finally"),
        (HEAD + "words: [[finally, 2, 1]]", "a start and an end"),
        (HEAD + "words: [[b, 2, 3], [a, 1, 2]]", "in the order"),
        (HEAD + "events:\n- {track: region.brows, value: sadd}", "Did you mean sad"),
        (HEAD + "events:\n- {track: region.brows, value: 'sad:7'}", "from 0 to 1"),
        (HEAD + "events:\n- {track: region.ears, value: sad}", "unknown"),
        (HEAD + "events:\n- {track: key.open, start: 1}\n- {track: key.open, start: 1.02}", "at 1.020 s"),
        (HEAD + "a: &x [1]\nevents: *x", "an alias"),
        ("[" * 500, "nested too deeply"),
        ("[" * 5000, "YAML"),
        (HEAD + "events:\n- !!python/object/apply:os.system ['true']", "YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Score.parse(text)


def test_a_million_events_are_refused_soon(tmp_path) -> None:
    line = "- {track: emotion.happy}\n"
    (tmp_path / "x.score.yaml").write_text(HEAD + "events:\n" + line * 1_000_000)
    before = time.process_time()
    with pytest.raises(UserError, match="bytes"):
        Score.load(tmp_path / "x.score.yaml")
    assert time.process_time() - before < 5
    with pytest.raises(UserError, match=str(MOST_EVENTS)):
        Score.parse(HEAD + "events:\n" + line * (MOST_EVENTS + 1))


def test_spans_lie_within_the_sound() -> None:
    score = Score((Event("emotion.happy", 0.5, 1.0), Event("emotion.sad", 0.5, 2.0, 4.0)))
    score.check_length(4.0)
    with pytest.raises(UserError, match=r"emotion\.sad.*within the 3\.00 s"):
        score.check_length(3.0)
    with pytest.raises(UserError, match=r"emotion\.happy"):
        score.check_length(0.5)


def test_a_score_for_a_speech_that_begins_later() -> None:
    score = Score((Event("emotion.happy", 0.5, 1.0), Event("emotion.sad", 0.5, 9.0), Event("key.open", 0.5, 1.0)))
    event, key = score.later(100.0, 4.0).events
    assert (event.start_s, event.end_s) == (101.0, 104.0) and (key.track, key.start_s) == ("key.open", 101.0)


def test_every_track_can_be_asked_for() -> None:
    for name in every_track():
        track = track_of(name)
        value = {"words": "sad:0.5"}.get(track.kind, "a.motion.npz@1" if name == "key.frame" else None)
        event = Event(name, value, 1.0)
        assert event.end_s == math.inf if track.kind in ("level", "words", "place") else event.end_s < 10
    assert all(track.says for track in TRACKS)


def test_words_as_others_write_them(tmp_path) -> None:
    (tmp_path / "w.json").write_text(json.dumps({"words": [{"word": "Où", "start": 0.1, "end": 0.4}]}))
    words = Words.load(tmp_path / "w.json")
    assert words.find("où").end_s == 0.4
    words.save(tmp_path / "v.json")
    assert Words.load(tmp_path / "v.json") == words
    (tmp_path / "bad.json").write_text('{"words": [["a", NaN, 1]]}')
    with pytest.raises(UserError, match="readable JSON"):
        Words.load(tmp_path / "bad.json")
    with pytest.raises(UserError, match=r"at most the 1\. time"):
        words.find("où#2")
