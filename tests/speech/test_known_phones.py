import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.errors import UserError
from gtalk.speech.known_phones import RAMP_S, KnownPhones, visemes_of_phone
from gtalk.speech.student import LAG_ROWS, STUDENT_SIZE, VISEMES

SAID = KnownPhones.of_ipa(["", "p", "ˈaɪ", "ʃ", "uː"], [0.0, 0.2, 0.3, 0.5, 0.6], [0.2, 0.3, 0.5, 0.6, 0.9])


@pytest.mark.parametrize(
    ("phone", "visemes"),
    [
        ("m", ["p"]),
        ("ʋ", ["f"]),
        ("tʃ", ["t", "sh"]),
        ("ˈoʊ", ["o", "u"]),
        ("õ", ["o"]),
        ("yː", ["u"]),
        ("_", ["rest"]),
        ("", ["rest"]),
    ],
)
def test_visemes_of_phones(phone: str, visemes: list[str]) -> None:
    assert visemes_of_phone(phone) == visemes


def test_each_sound_is_sure_in_its_middle_and_gives_way_at_its_border() -> None:
    share = np.exp(SAID.rows(0, 110))
    np.testing.assert_allclose(share.sum(1), 1.0, atol=0.05)
    middle = {25: "p", 35: "a", 45: "i", 55: "sh", 75: "u", 5: "rest", 105: "rest"}
    assert {row: VISEMES[share[row].argmax()] for row in middle} == middle
    border = share[30, [VISEMES.index("p"), VISEMES.index("a")]]
    np.testing.assert_allclose(border, 0.5, atol=0.01)
    steps = np.abs(np.diff(share, axis=0)).max()
    assert steps <= 0.01 / RAMP_S + 1e-6


@given(st.integers(0, 100), st.integers(0, 30))
def test_any_cut_gives_the_same_rows(first: int, count: int) -> None:
    np.testing.assert_array_equal(SAID.rows(first, count), SAID.rows(0, 140)[first : first + count])


def test_known_visemes_lag_as_heard_ones_do_and_elsewhere_the_ears_go_on() -> None:
    rows = np.ones((110, 44 + STUDENT_SIZE), np.float32)
    put = SAID.put_into(rows, slice(44, 44 + STUDENT_SIZE), 0)
    end = LAG_ROWS + 92  # rows until the last sound has given way to rest
    np.testing.assert_array_equal(put[LAG_ROWS:end, 44 : 44 + len(VISEMES)], SAID.rows(0, end - LAG_ROWS))
    np.testing.assert_array_equal(put[end:], 1.0)
    np.testing.assert_array_equal(put[: LAG_ROWS - 2], 1.0)
    np.testing.assert_array_equal(put[:, :44], 1.0)
    np.testing.assert_array_equal(put[:, 44 + len(VISEMES) :], 1.0)
    again = SAID.put_into(rows[50:], slice(44, 44 + STUDENT_SIZE), 50)
    np.testing.assert_array_equal(again, put[50:])


def test_lips_are_shut_long_enough_to_be_seen_however_short_the_sound() -> None:
    short = KnownPhones.of_ipa(["a", "p", "a"], [0.0, 0.3, 0.32], [0.3, 0.32, 0.6])
    shut = np.exp(short.rows(0, 60))[:, VISEMES.index("p")]
    assert shut[28:35].min() > 0.7 and shut[:25].max() < 0.1 and shut[38:].max() < 0.1
    assert abs(np.exp(short.rows(0, 60)).sum(1) - 1.0).max() < 0.05


def test_later_is_the_same_later() -> None:
    np.testing.assert_allclose(SAID.later(0.7).rows(70, 110), SAID.rows(0, 110), atol=1e-5)
    rows = np.ones((30, STUDENT_SIZE), np.float32)
    np.testing.assert_array_equal(SAID.later(5.0).put_into(rows, slice(0, STUDENT_SIZE), 0), rows)


@pytest.mark.parametrize("ends", [[0.1], [0.3, 0.1], [np.nan, 0.4]])
def test_times_that_do_not_fit_are_a_sentence(ends: list[float]) -> None:
    with pytest.raises(UserError, match="known phones"):
        KnownPhones.of_ipa(["a", "b"], [0.0, 0.2], ends)
