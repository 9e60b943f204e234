import numpy as np
import pytest

from gtalk.basis import MotionBasis
from gtalk.motion.model.pause_gate import LONGEST_S, PauseGate, PauseHabit
from gtalk.motion.training.sequences import Utterance
from gtalk.speech.base import encode
from gtalk.speech.features import SpeechFeatures
from gtalk.types import AUDIO_RATE
from tests.motion.talking import motion_of_openness
from tests.speech.voices import room_noise, vowel

FEATURES = SpeechFeatures(phones=False)
MEL, ACTIVITY = FEATURES.groups["mel"], FEATURES.groups["energy"].start + 1
HABIT = PauseHabit(early=0.9, later=0.4, breath=1.0, longest_s=1.2)
AHEAD = 10


def rows_of(activity: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(activity), FEATURES.size), np.float32)
    rows[:, MEL] = np.where(activity > 0.5, 0.0, -2.5)[:, None]
    rows[:, ACTIVITY] = activity
    return rows


def pause_of(seconds: float, before_s: float = 1.0) -> np.ndarray:
    return rows_of(np.concatenate([np.ones(round(before_s * 100)), np.zeros(round(seconds * 100))]))


def gate(rows: np.ndarray, habit: PauseHabit = HABIT) -> np.ndarray:
    return PauseGate(habit, FEATURES)(rows, 0, len(rows) // 4, AHEAD)


def test_lips_rest_as_the_person_does_and_shut_when_speech_is_over() -> None:
    out = gate(pause_of(4.0))
    assert out[25 + 8] == pytest.approx(0.9)
    assert out[25 + 20 : 25 + 29] == pytest.approx(0.4)
    assert out[25 + 34 :].max() < 1e-9


def test_speech_that_was_cut_off_leaves_no_pause_behind_and_the_next_does() -> None:
    rows = np.concatenate([pause_of(1.0), pause_of(1.0)])
    cut = PauseGate(HABIT, FEATURES)
    before = cut(rows, 0, 24, 10)
    cut.cut()
    after = cut(rows, 96, len(rows) // 4 - 24, 10)
    whole = gate(rows)
    assert np.array_equal(before, whole[:24]) and whole[26:40].max() > 0
    assert after[6:16].max() == 0.0, "shut, where a pause would have held the lips apart"
    assert np.array_equal(after[-20:], whole[-20:]), "the next speech ends as ever"


def test_before_the_first_speech_they_are_shut() -> None:
    assert gate(rows_of(np.zeros(300))).max() == 0.0
    assert gate(rows_of(np.concatenate([np.zeros(300), np.ones(100)])))[: 75 - 4].max() == 0.0


def test_a_breath_opens_them_within_the_pause_and_not_after_it() -> None:
    rows, late = pause_of(4.0), pause_of(4.0)
    rows[170:190, MEL] += 0.8  # 10 dB
    late[300:320, MEL] += 0.8
    assert gate(rows)[48:52].max() == pytest.approx(1.0)
    assert gate(rows)[25 + 34 :].max() < 1e-9
    np.testing.assert_array_equal(gate(late), gate(pause_of(4.0)))


def test_a_loud_room_is_no_breath() -> None:
    samples, speech = room_noise(5.0, -40.0, seed=2), vowel("a", 0.8, 118.0)
    samples[AUDIO_RATE : AUDIO_RATE + len(speech)] += speech
    rows = encode(FEATURES, samples)
    end = round((AUDIO_RATE + len(speech)) / AUDIO_RATE * 25)
    assert gate(rows)[end + 18 : end + 26] == pytest.approx(0.4, abs=0.05)


def test_chunks_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    rows = rows_of(np.repeat(rng.integers(0, 2, 30), 40).astype(float))
    rows[:, MEL] += 0.5 * rng.normal(size=(len(rows), 40)).astype(np.float32)
    stream, parts, at = PauseGate(HABIT, FEATURES), [], 0
    for count in (0, 1, 1, 5, 40, 0, 253):
        parts.append(stream(rows[max(0, at - 8) :], at - max(0, at - 8), count, AHEAD))
        at += 4 * count
    np.testing.assert_array_equal(np.concatenate(parts), PauseGate(HABIT, FEATURES)(rows, 0, 300, AHEAD))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_habit_is_the_persons(share: float) -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(25, 110, 40)
    activity = np.concatenate([np.concatenate([np.ones(100), np.zeros(length)]) for length in lengths])
    activity = np.append(activity, np.ones(100))
    rows, count = rows_of(activity), len(activity) // 4
    basis = MotionBasis.fit(motion_of_openness(rng.uniform(size=400)))
    mouth = np.zeros((count, len(basis.mouth)))
    mouth[:, 0] = 2.0
    true = np.where((activity[: 4 * count : 4] > 0.5)[:, None], mouth, share * mouth)
    utterance = Utterance(rows, true, np.ones(count, bool), ((0, count),))
    habit = PauseHabit.learn([utterance], [mouth], FEATURES, np.zeros(len(basis.mouth)), basis)
    assert habit.early == pytest.approx(share, abs=0.12)
    assert habit.later == pytest.approx(share, abs=0.12)
    assert habit.longest_s == pytest.approx(min(lengths.max() / 100, LONGEST_S))


def test_of_a_person_without_pauses_the_network_is_believed() -> None:
    basis = MotionBasis.fit(motion_of_openness(np.random.default_rng(0).uniform(size=400)))
    utterance = Utterance(rows_of(np.ones(400)), np.zeros((100, len(basis.mouth))), np.ones(100, bool), ((0, 100),))
    habit = PauseHabit.learn(
        [utterance], [np.zeros((100, len(basis.mouth)))], FEATURES, np.zeros(len(basis.mouth)), basis
    )
    assert habit == PauseHabit(1.0, 1.0, 1.0, 0.6)
