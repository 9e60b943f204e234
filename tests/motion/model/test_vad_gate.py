import numpy as np
import pytest

from gtalk.basis import MotionBasis
from gtalk.motion.model.vad_gate import (
    AHEAD_ROWS,
    CLOSE_FRAMES,
    HANGOVER_ROWS,
    PAUSES_ROWS,
    SilenceGate,
    Timing,
    activity_windows,
)
from gtalk.motion.training.sequences import Utterance
from tests.motion.talking import motion_of_openness


def gate(activity: np.ndarray) -> np.ndarray:
    return SilenceGate()(activity_windows(activity, 0, len(activity) // 4))


def test_opens_before_speech_and_shuts_within_200_ms_of_its_end() -> None:
    activity = np.zeros(400)
    activity[100:200] = 1.0
    out = gate(activity)
    assert out[: 25 - 3].max() == 0.0
    assert out[26:49].min() == 1.0
    assert out[50 + 5 :].max() == 0.0
    assert HANGOVER_ROWS / 100 + CLOSE_FRAMES / 25 <= 0.2 + 1e-9
    assert AHEAD_ROWS / 100 <= 0.1


def test_short_stops_inside_words_do_not_shut_it() -> None:
    activity = np.ones(400)
    activity[200:208] = 0.0
    assert gate(activity)[5:].min() == 1.0


def test_lips_that_open_early_do_so_at_leisure() -> None:
    activity = np.zeros(400)
    activity[200:300] = 1.0
    early = SilenceGate()(activity_windows(activity, 0, 100, 60))
    assert early[: 50 - 15].max() == 0.0
    assert np.diff(early[: 50 - 3]).max() < 0.15 and early[50 - 3] > 0.9
    assert (early >= SilenceGate()(activity_windows(activity, 0, 100)) - 1e-12).all()


def test_chunks_do_not_matter() -> None:
    windows = activity_windows(np.random.default_rng(0).uniform(size=400), 0, 100)
    stream = SilenceGate()
    parts = [stream(windows[a:b]) for a, b in ((0, 1), (1, 1), (1, 50), (50, 100))]
    np.testing.assert_array_equal(np.concatenate(parts), SilenceGate()(windows))


def test_live_a_pause_of_the_persons_shuts_nothing_and_a_longer_one_does() -> None:
    activity = np.zeros(800)
    activity[100:200] = activity[260:400] = 1.0
    out = SilenceGate(70)(activity_windows(activity, 0, 200, pause_rows=70))
    assert out[26 : 100 + 17].min() == 1.0
    assert out[100 + 17 + 1 + CLOSE_FRAMES :].max() == 0.0


@pytest.mark.parametrize(
    ("ahead_s", "held_s", "timing"),
    [(0.04, 0.08, Timing(10, 8)), (0.32, 0.08, Timing(34, 8)), (0.04, 0.9, Timing(10, 90))],
)
def test_the_timing_is_the_persons(ahead_s: float, held_s: float, timing: Timing) -> None:
    rng = np.random.default_rng(0)
    activity = np.repeat(rng.integers(0, 2, 80), 50).astype(np.float32)  # pauses and speech of half a second or more
    ahead, held = round(ahead_s * 100) + 4, round(held_s * 100)
    opened = SilenceGate(held)(activity_windows(activity, 0, 1000, ahead, held))
    basis = MotionBasis.fit(motion_of_openness(rng.uniform(size=400)))
    mouth = np.zeros((1000, len(basis.mouth)))
    mouth[:, 0] = 2.0
    utterance = Utterance(activity[:, None], opened[:, None] * mouth, np.ones(1000, bool), ((0, 1000),))
    learned = Timing.learn([utterance], [mouth], 0, np.zeros(len(basis.mouth)), basis)
    assert timing.pause_rows in PAUSES_ROWS
    assert learned.pause_rows == timing.pause_rows
    assert held_s > 0.1 or learned.lead_rows == timing.lead_rows
