import numpy as np
import pytest

from gtalk.basis import MotionBasis
from gtalk.motion.model.vad_gate import (
    AHEAD_ROWS,
    CLOSE_FRAMES,
    HANGOVER_ROWS,
    SilenceGate,
    activity_windows,
    learned_lead,
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


@pytest.mark.parametrize(("ahead_s", "lead"), [(0.04, 10), (0.32, 34)])
def test_the_lead_is_the_persons(ahead_s: float, lead: int) -> None:
    rng = np.random.default_rng(0)
    activity = np.repeat(rng.integers(0, 2, 40), 50).astype(np.float32)  # pauses and speech of half a second or more
    opened = SilenceGate()(activity_windows(activity, 0, 500, round(ahead_s * 100) + 4))
    basis = MotionBasis.fit(motion_of_openness(rng.uniform(size=400)))
    mouth = np.zeros((500, len(basis.mouth)))
    mouth[:, 0] = 2.0
    utterance = Utterance(activity[:, None], opened[:, None] * mouth, np.ones(500, bool), ((0, 500),))
    assert learned_lead([utterance], [mouth], 0, np.zeros(len(basis.mouth)), basis) == lead
