import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.basis import INNER_LIP_PAIRS, LIPS, UPPER_GROUP, MotionBasis, lip_gap, mouth_aperture
from gtalk.types import Motion


def motion_of(landmarks: np.ndarray) -> Motion:
    frames = len(landmarks)
    return Motion(
        25.0, landmarks, np.ones((frames, 2)), np.zeros((frames, 2)), np.zeros((frames, 2)),
        np.tile(np.eye(4), (frames, 1, 1)), np.ones(frames, bool),
    )  # fmt: skip


def low_rank_motion(frames: int = 60, rank: int = 3) -> Motion:
    rng = np.random.default_rng(1)
    mean = rng.normal(size=(68, 3)) * 0.05
    directions = rng.normal(size=(rank, 68, 3)) * 0.005
    return motion_of(mean + np.einsum("tk,kpc->tpc", rng.normal(size=(frames, rank)), directions))


def test_codes_reproduce_low_rank_motion() -> None:
    motion = low_rank_motion()
    basis = MotionBasis.fit(motion)
    assert len(basis.mouth) == 3
    decoded = basis.decode(basis.encode(motion))
    for group in (LIPS, UPPER_GROUP):
        np.testing.assert_allclose(decoded[:, group], motion.landmarks[:, group], atol=1e-9)


def test_mouth_codes_ignore_the_upper_face() -> None:
    motion = low_rank_motion()
    basis = MotionBasis.fit(motion)
    moved = motion.landmarks.copy()
    moved[:, UPPER_GROUP] += 0.01
    before, after = basis.encode(motion), basis.encode(motion.replace(landmarks=moved))
    np.testing.assert_array_equal(before[:, basis.groups["mouth"]], after[:, basis.groups["mouth"]])


def test_components_have_unit_deviation_on_their_clip() -> None:
    motion = low_rank_motion()
    basis = MotionBasis.fit(motion)
    code = basis.encode(motion)
    np.testing.assert_allclose((code[:, basis.groups["mouth"]] ** 2).mean(0), 1.0, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(1.0, 1e4))
def test_far_motion_is_clamped_near_the_clip(scale: float) -> None:
    motion = low_rank_motion()
    basis = MotionBasis.fit(motion)
    far = motion.replace(landmarks=basis.mean + (motion.landmarks - basis.mean) * scale)
    margin = 0.15 * (basis.high - basis.low)
    code = basis.encode(far)
    assert (code <= basis.high + margin + 1e-9).all()
    assert (code >= basis.low - margin - 1e-9).all()


def test_basis_round_trips_through_arrays() -> None:
    basis = MotionBasis.fit(low_rank_motion())
    again = MotionBasis.from_arrays(basis.to_arrays())
    np.testing.assert_array_equal(again.mouth, basis.mouth)
    assert again.groups == basis.groups


def test_a_mouth_opened_by_a_millimetre_has_that_aperture() -> None:
    landmarks = np.random.default_rng(0).normal(size=(4, 68, 3)) * 0.05
    landmarks[:, INNER_LIP_PAIRS[:, 0]] = landmarks[:, INNER_LIP_PAIRS[:, 1]] + [0.0, 1e-3, 0.0]
    np.testing.assert_allclose(mouth_aperture(landmarks), 1e-3)
    np.testing.assert_allclose(mouth_aperture(landmarks * [1.0, -1.0, 1.0]), -1e-3)  # crossed lips are below closed
    np.testing.assert_allclose(lip_gap(landmarks), 1e-3)
    np.testing.assert_allclose(lip_gap(landmarks[0] * [1.0, -1.0, 1.0]), 1e-3)
