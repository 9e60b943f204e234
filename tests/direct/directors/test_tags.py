import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.tags import events_of_tags, split_tags
from gtalk.errors import UserError
from gtalk.speech.words import Words

TEXT = "[smile .6] Hello there! [nod] I am [look down] so sorry. [/look] [worried] Really [blink 3] sorry."


def speech(text: str) -> Speech:
    spoken = split_tags(text)[0].split()
    return Speech(len(spoken) * 0.5 + 0.5, Words.of([[w, 0.5 * i, 0.5 * i + 0.4] for i, w in enumerate(spoken)]))


def test_tags_are_never_spoken_and_direct_the_words_behind_them() -> None:
    spoken, tags = split_tags(TEXT)
    assert spoken == "Hello there! I am so sorry. Really sorry."
    events = {event.track: event for event in events_of_tags(tags, speech(TEXT))}
    smile, nod, look, worried = (events[n] for n in ("emotion.smile", "head.nod", "gaze.pitch", "emotion.worried"))
    assert (smile.value, smile.start_s, smile.end_s) == (0.6, 0.0, 3.0)  # until another expression
    assert nod.start_s < 1.2 < nod.end_s
    assert (look.value, look.start_s, look.end_s) == (-18.0, 2.0, 3.0)
    assert (worried.start_s, worried.end_s) == (3.0, 4.5)
    assert events["blink"].times == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[smle] hello", "Did you mean smile"),
        ("[smile 7] hello", "a number from 0 to 1"),
        ("[] hello", "tag"),
        ("[rm -rf /] hello", "tag"),
        ("[nod]" * 1001, "at most 1000"),
    ],
)
def test_what_no_tag_says_is_a_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        events_of_tags(split_tags(text)[1], speech("hello"))


@given(st.text(alphabet="ab [].5/nodsmile", max_size=60))
def test_whatever_stands_in_brackets_is_not_spoken(text: str) -> None:
    spoken, tags = split_tags(text)
    assert len(tags) == 0 or "[" + tags[0].text + "]" not in spoken
    try:
        events = events_of_tags(tags, speech(text))
    except UserError:
        return
    assert all(event.end_s <= speech(text).duration_s + 1e-9 for event in events)
