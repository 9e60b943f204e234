from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.agents.clauses import Clauses, speakable


def clauses_of(text: str, cuts: Sequence[int] = ()) -> list[str]:
    maker, out, at = Clauses(), [], 0
    for cut in [*sorted(cuts), len(text)]:
        out += maker.push(text[at:cut])
        at = max(at, cut)
    return [*out, *filter(None, [maker.end()])]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello! How are you?", ["Hello!", "How are you?"]),
        ("It costs 3.5 euros. Or 1,000.", ["It costs 3.5 euros.", "Or 1,000."]),
        ("Ask Dr. Smith, e.g. now.", ["Ask Dr. Smith, e.g. now."]),
        ("“Yes!” she said.", ["“Yes!”", "she said."]),
        ("[smile .6] Hello! [nod] So, am I. [/]", ["[smile .6] Hello!", "[nod] So, am I.", "[/]"]),
        ("[look. Down] Hm.", ["[look. Down] Hm."]),
        ("Well, this one is a rather long beginning, and it goes on.",
         ["Well, this one is a rather long beginning,", "and it goes on."]),
        ("One line\nAnother line", ["One line", "Another line"]),
        ("1. First. 2. Second.", ["1. First.", "2. Second."]),
        ("你好。我很高兴见到你！", ["你好。", "我很高兴见到你！"]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("   ", []),
    ],
)  # fmt: skip
def test_clauses(text: str, clauses: list[str]) -> None:
    assert clauses_of(text) == clauses


TEXTS = st.text(st.sampled_from("ab .,!?[]35\n。"), max_size=600) | st.text(max_size=200)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 600), max_size=5))
def test_nothing_is_lost_however_the_text_was_cut_on_its_way(text: str, cuts: list[int]) -> None:
    whole = clauses_of(text)
    assert clauses_of(text, [min(cut, len(text)) for cut in cuts]) == whole
    assert "".join("".join(whole).split()) == "".join(text.split())
    assert all(len(clause) <= 500 for clause in whole)


def test_marks_are_not_pronounced() -> None:
    assert speakable("**Bold** and `code` [unclosed # one") == "Bold and code unclosed one"
