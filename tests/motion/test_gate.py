import numpy as np

from gtalk.motion.gate import AHEAD_ROWS, CLOSE_FRAMES, HANG_ROWS, SilenceGate, activity_windows


def gate(activity: np.ndarray) -> np.ndarray:
    return SilenceGate()(activity_windows(activity, 0, len(activity) // 4))


def test_opens_before_speech_and_shuts_within_200_ms_of_its_end() -> None:
    activity = np.zeros(400)
    activity[100:200] = 1.0
    out = gate(activity)
    assert out[: 25 - 3].max() == 0.0
    assert out[26:49].min() == 1.0
    assert out[50 + 5 :].max() == 0.0
    assert HANG_ROWS / 100 + CLOSE_FRAMES / 25 <= 0.2 + 1e-9
    assert AHEAD_ROWS / 100 <= 0.1


def test_short_stops_inside_words_do_not_shut_it() -> None:
    activity = np.ones(400)
    activity[200:208] = 0.0
    assert gate(activity)[5:].min() == 1.0


def test_chunks_do_not_matter() -> None:
    windows = activity_windows(np.random.default_rng(0).uniform(size=400), 0, 100)
    stream = SilenceGate()
    parts = [stream(windows[a:b]) for a, b in ((0, 1), (1, 1), (1, 50), (50, 100))]
    np.testing.assert_array_equal(np.concatenate(parts), SilenceGate()(windows))
