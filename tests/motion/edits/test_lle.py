import numpy as np
import pytest

from gtalk.basis import LIPS, MOUTH_GROUP, MotionBasis
from gtalk.motion.base import MotionEdit
from gtalk.motion.edits.lle import LandmarkLLE
from tests.motion.talking import OPEN_M, motion_of_openness


def rich_motion(count: int = 900):
    """A mouth that opens, widens and goes askew independently of each other."""
    rng = np.random.default_rng(0)
    kernel = np.hanning(15) / np.hanning(15).sum() * 3.0
    opening, width, askew = (np.convolve(rng.normal(size=count), kernel, mode="same") for _ in range(3))
    motion = motion_of_openness(np.clip(0.4 + 0.4 * opening, 0, 1))
    landmarks = motion.landmarks.copy()
    landmarks[:, LIPS, 0] *= (1.0 + 0.12 * np.tanh(width))[:, None]
    landmarks[:, LIPS, 1] += 0.06 * np.tanh(askew)[:, None] * landmarks[:, LIPS, 0]
    return motion.replace(landmarks=landmarks)


MOTION = rich_motion()
BASIS = MotionBasis.fit(MOTION)
PIXEL_M = 0.09 / 100  # where the outer eye corners are 100 px apart


def edit(**options) -> LandmarkLLE:
    bank = BASIS.encode(MOTION[:800])[:, BASIS.groups["mouth"]]
    return LandmarkLLE(BASIS, bank, **options)


def lip_distance(a, b) -> np.ndarray:
    return np.linalg.norm(a.landmarks[:, LIPS] - b.landmarks[:, LIPS], axis=-1).mean(1)


def test_good_mouths_move_less_than_a_tenth_of_a_pixel() -> None:
    good = MOTION[800:]
    assert lip_distance(edit()(good), good).max() < 0.1 * PIXEL_M


@pytest.mark.parametrize("kind", ["inside the basis", "outside the basis"])
def test_outliers_come_back(kind: str) -> None:
    good = MOTION[820:840]
    pushed = good.landmarks.copy()
    if kind == "inside the basis":
        code = BASIS.encode(good)
        code[:, 1:3] += [7.0, -7.0]
        pushed[:, MOUTH_GROUP] = BASIS.decode(code)[:, MOUTH_GROUP]
    else:
        pushed[:, 48:54, 1] += 0.6 * OPEN_M
    outlier = good.replace(landmarks=pushed)
    lle = edit()
    before = lle.distance_m(outlier)
    after = lle.distance_m(lle(outlier))
    assert (before > lle.usual_distance_m).all()
    assert (after < 0.5 * before).all()
    assert (lip_distance(lle(outlier), good) < 0.8 * lip_distance(outlier, good)).all()


def test_a_known_mouth_is_rebuilt_as_it_is_and_the_ridge_keeps_weights_moderate() -> None:
    lle = edit(ridge=1e-6)
    rebuilt, distance = lle.rebuild(lle.bank[100:103])
    np.testing.assert_allclose(rebuilt, lle.bank[100:103], atol=5e-3)
    assert (distance < 2 * lle.usual_distance_m).all()
    far = lle.bank[100:103] + 30.0
    low, high = lle.bank.min(0), lle.bank.max(0)
    wild, calm = (edit(ridge=r).rebuild(far)[0] for r in (1e-9, 0.03))
    assert ((calm < high + 0.5 * (high - low)) & (calm > low - 0.5 * (high - low))).all()
    assert np.abs(calm - lle.bank.mean(0)).max() < np.abs(wild - lle.bank.mean(0)).max()


def test_single_frames_batches_and_live_settings() -> None:
    lle = edit()
    assert isinstance(lle, MotionEdit)
    pushed = MOTION[800:830].landmarks.copy()
    pushed[::3, 57, 1] -= 2 * OPEN_M
    motion = MOTION[800:830].replace(landmarks=pushed)
    whole = lle(motion)
    single = np.concatenate([lle(motion[i]).landmarks for i in range(30)])
    np.testing.assert_allclose(single, whole.landmarks, atol=1e-9)
    lle.blend = 0.0
    np.testing.assert_array_equal(lle(motion).landmarks, pushed)
    lle.blend, lle.k = 1.0, 3
    assert np.isfinite(lle(motion).landmarks).all()
    assert len(lle(motion[:0])) == 0


def test_a_tiny_bank_still_works() -> None:
    bank = BASIS.encode(MOTION[:3])[:, BASIS.groups["mouth"]]
    assert np.isfinite(LandmarkLLE(BASIS, bank)(MOTION[:5]).landmarks).all()
