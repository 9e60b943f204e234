import numpy as np

from gtalk.motion.model.readout import PAST_ROWS, Readout, Readouts, taps
from gtalk.motion.training.sequences import Utterance
from gtalk.speech.features import SpeechFeatures

FEATURES = SpeechFeatures(phones=False, ears=True)
N_MOUTH = 3


def recording(frames: int = 600, seed: int = 0) -> Utterance:
    """Codes that follow the ears: one what was heard at the instant, one what comes 0.2 s later, one the loudness."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(rng.normal(size=(frames, FEATURES.size)), 4, axis=0).astype(np.float32)
    ears, energy = FEATURES.groups["ears"].start, FEATURES.groups["energy"].start
    codes = np.zeros((frames, N_MOUTH + 2))
    codes[:, 0] = 0.5 + 2.0 * rows[::4, ears]
    codes[:-5, 1] = rows[20::4, ears + 1]
    codes[:, 2] = rows[::4, energy]
    return Utterance(rows, codes, np.arange(frames) < frames - 20, ((0, frames),))


def test_it_finds_what_hangs_on_the_ears_and_looks_no_further_than_it_may() -> None:
    said = recording()
    for ahead_rows in (20, 8):
        readout = Readout.learn([said], FEATURES, N_MOUTH, ahead_rows)
        fresh = recording(seed=1)
        told = readout(fresh.rows, 0, 600, FEATURES)[:580]
        found = [np.corrcoef(told[:, i], fresh.codes[:580, i])[0, 1] for i in range(N_MOUTH)]
        assert found[0] > 0.8 and found[2] > 0.8
        assert found[1] > 0.8 if ahead_rows == 20 else abs(found[1]) < 0.3
        np.testing.assert_allclose(told.mean(0), fresh.codes[:580, :N_MOUTH].mean(0), atol=0.1)


def test_it_is_the_ridge_regression_of_what_is_heard() -> None:
    said = [recording(80, 2), recording(70, 3)]
    readout = Readout.learn(said, FEATURES, N_MOUTH, 0)
    at = [4 * np.arange(len(u.codes))[:, None] + taps(0) for u in said]
    columns = np.r_[FEATURES.groups["ears"], FEATURES.groups["energy"]]
    seen = np.concatenate(
        [u.rows[np.maximum(a, 0)][..., columns].reshape(len(a), -1)[u.usable] for u, a in zip(said, at, strict=True)]
    ).astype(np.float64)
    wanted = np.concatenate([u.codes[u.usable, :N_MOUTH] for u in said])
    spread = seen.std(0) + 0.05
    x, y = (seen - seen.mean(0)) / spread, wanted - wanted.mean(0)
    table = np.linalg.solve(x.T @ x / len(x) + 0.3 * np.eye(x.shape[1]), x.T @ y / len(x)) / spread[:, None]
    np.testing.assert_allclose(readout.table, table, atol=1e-9)
    np.testing.assert_allclose(readout.bias, wanted.mean(0) - seen.mean(0) @ table, atol=1e-9)


def test_the_share_is_kept_and_a_stretch_goes_through() -> None:
    said = recording()
    both = Readouts.learn([said], FEATURES, N_MOUTH, 0.25, 8)
    assert both is not None and taps(8)[0] == 8 and min(taps(8)) >= -PAST_ROWS
    mouth = np.ones((10, N_MOUTH))
    for live in (False, True):
        own = both.of(live)(said.rows, 40, 10, FEATURES)
        np.testing.assert_allclose(both.mixed(mouth, said.rows, 40, FEATURES, live), 0.75 * mouth + 0.25 * own)
        np.testing.assert_allclose(both.stretched(1.3).of(live)(said.rows, 40, 10, FEATURES), 1.3 * own)
    assert Readouts.learn([said], FEATURES, N_MOUTH, 0.0, 8) is None
    assert Readouts.learn([said], SpeechFeatures(phones=False), N_MOUTH, 0.4, 8) is None
