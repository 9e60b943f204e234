import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.lexicon import lexicon
from gtalk.direct.directors.speech import Speech
from gtalk.direct.score import Event, Score
from gtalk.direct.tracks import track_of
from gtalk.errors import UserError
from gtalk.rig.expression import names
from gtalk.speech.words import Words
from tests.direct.sentences import END, SENTENCES, WORDS

SPEECH = Speech(END, Words.of(WORDS))


def sign(event: Event) -> int:
    if isinstance(event.value, str):
        return 1
    off = float(event.value or 0.0) - track_of(event.track).neutral
    return (off > 0) - (off < 0)


def matches(event: Event, expected: tuple[str, int, float, float]) -> bool:
    track, wanted, start, end = expected
    if (event.track, sign(event)) != (track, wanted):
        return False
    if track_of(track).kind == "swing":
        return start - 0.3 <= 0.5 * (event.start_s + event.end_s) <= end + 0.3
    both = min(event.end_s, end) - max(event.start_s, start)
    return both >= 0.5 * (max(event.end_s, end) - min(event.start_s, start))


def judged(say: str, expected: list) -> tuple[int, list[Event], list]:
    """(right, too many, missed)."""
    try:
        events = list(read_instruction(say, SPEECH).events)
    except UserError:
        events = []
    missed = list(expected)
    wrong = []
    for event in events:
        found = next((one for one in missed if matches(event, one)), None)
        if found is None:
            wrong.append(event)
        else:
            missed.remove(found)
    return len(expected) - len(missed), wrong, missed


def test_sixty_sentences_that_were_written_before() -> None:
    right = asked = given_ = 0
    for say, expected in SENTENCES:
        hits, wrong, _ = judged(say, expected)
        right, asked, given_ = right + hits, asked + len(expected), given_ + hits + len(wrong)
    f1 = 2 * right / (asked + given_)
    assert len(SENTENCES) == 60 and f1 >= 0.8


@pytest.mark.parametrize(
    ("say", "says"),
    [
        ("", "1 to 2000"),
        ("x" * 3000, "1 to 2000"),
        ("smle at 'finally'", "Did you mean smile"),
        ("frobnicate the zorblax", "unknown words"),
        ("smile at 'finaly'", "Did you mean finally"),
        ("wear a crown", "would repaint|unknown words"),
        ("wearing a crown and smiling", "would repaint"),
    ],
)
def test_what_is_not_understood_is_said(say: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_instruction(say, SPEECH)


def test_a_word_beside_what_is_understood_is_a_note() -> None:
    read = read_instruction("smile brodly", SPEECH)
    assert [e.track for e in read.events] == ["emotion.smile"] and "did you mean broadly" in read.notes[0]
    assert read_instruction("don't smile", SPEECH).events == ()


def test_degrees_and_angles_are_ordered() -> None:
    def value(say: str) -> float:
        return float(read_instruction(say, SPEECH).events[0].value)  # type: ignore[arg-type]

    assert value("slightly happy") < value("happy") < value("very happy") == 1.0
    assert 0 > value("turn slightly left") > value("turn left") > value("turn far to the left")
    assert value("nod slightly") < value("nod") < value("nod deeply")
    slow, quick = (read_instruction(f"nod {how} twice", SPEECH).events[0] for how in ("slowly", "quickly"))
    assert slow.times == quick.times == 2 and slow.length_s > 2 * quick.length_s


def test_every_word_of_the_lexicon_is_an_expression() -> None:
    assert len(lexicon().expressions) >= 300
    for word, name in lexicon().expressions.items():
        assert name in names()
        events = read_instruction(f"look {word}", SPEECH).events
        assert name == "neutral" or [e.track for e in events] == [f"emotion.{name}"], word


PIECES = [
    "a",
    "b",
    "smile",
    "'finally'",
    "then",
    "nod",
    "twice",
    "and",
    ",",
    "at",
    "not",
    "the",
    "from",
    "until",
    "look",
    "left",
    "<0>",
    "[1]",
    "for",
    "seconds",
    "3",
    "'",
]


@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_whatever_is_written_is_a_score_or_a_sentence(text: str) -> None:
    try:
        Score(read_instruction(text, SPEECH).events).check_length(END)
    except UserError as error:
        assert "--say" in str(error) or "word" in str(error)


def test_a_person_s_own_expressions_by_name() -> None:
    (laugh,) = read_instruction("slightly own.laugh at 'finally'", SPEECH).events
    assert (laugh.track, laugh.value, laugh.start_s) == ("emotion.own.laugh", 0.35, 4.8)


def test_the_end_is_the_end_although_the_is_said() -> None:
    speech = Speech(10.0, Words.of([["the", 0.2, 0.4], ["queen", 5.3, 5.7]]))
    (happy,) = read_instruction("is happy at the end", speech).events
    assert happy.start_s >= 8.0
