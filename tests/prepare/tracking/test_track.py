from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from gtalk.dataset.format import Segment
from gtalk.errors import UserError
from gtalk.geometry.rotation import FLIP, exp_so3, log_so3, mean_rotation
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.prepare.tracking.flow import track_texture
from gtalk.prepare.tracking.model import Model, States
from gtalk.prepare.tracking.to_motion import motion_from_track
from gtalk.prepare.tracking.track import Track, model_points, track_face
from gtalk.topology import EYE_CORNERS, EYELID_PAIRS, LIP_GAP_PAIRS, MIRROR, N_FACE
from gtalk.types import OUTER_EYE_DISTANCE_M
from tests.prepare.tracking.synthetic_face import SyntheticFace, make_face, observe, paint, skin_texture

SIDE = 320


def track(face: SyntheticFace, landmarks: Landmarks, cuts=(), frames=None) -> Track:
    edges = [0, *cuts, len(landmarks.valid)]
    segments = [Segment(a, b, "") for a, b in pairwise(edges)]
    return track_face(landmarks, (SIDE, SIDE), segments, frames=frames)


def rotation_errors_deg(track: Track, face: SyntheticFace) -> np.ndarray:
    """After one alignment for the whole clip."""
    offset = face.T_world_head[:, :3, :3].transpose(0, 2, 1) @ track.T_world_head[:, :3, :3]
    return np.degrees(np.linalg.norm(log_so3(mean_rotation(offset).T @ offset), axis=1))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def bend(points: np.ndarray) -> np.ndarray:
    return np.diff(points, 2, axis=0)


@pytest.fixture(scope="module")
def turning():
    face = make_face(200, turn_deg=12.0, focal_px=500.0)
    landmarks = observe(face)
    return face, landmarks, track(face, landmarks)


def test_recovers_rotation_focal_and_shape(turning):
    face, _, found = turning
    assert rms(rotation_errors_deg(found, face)) < 0.2
    # The prior, 2.2 image widths, is 40 % off.
    assert found.camera.focal_px == pytest.approx(500.0, rel=0.06)
    assert "measured" in found.notes[0]
    error_m = np.linalg.norm(found.person.shape - face.shape, axis=1)[:N_FACE]
    assert rms(error_m) < 0.002


def test_reprojects_better_than_it_was_told_and_shakes_less(turning):
    face, landmarks, found = turning
    points = model_points(found)[:, :N_FACE]
    truth = face.points_px[:, :N_FACE]
    assert rms(np.linalg.norm(points - truth, axis=-1)) < 0.55  # pixels; told: 0.6
    bone = 168
    assert rms(bend(points[:, bone])) < 1.2 * rms(bend(truth[:, bone]))
    assert rms(bend(landmarks.points_px[:, bone])) > 2.5 * rms(bend(truth[:, bone]))


def test_lips_keep_their_amplitude(turning):
    face, _, found = turning
    upper, lower = LIP_GAP_PAIRS.T
    gap = (found.landmarks478()[:, upper] - found.landmarks478()[:, lower])[..., 1].mean(1)
    true = (face.landmarks478[:, upper] - face.landmarks478[:, lower])[..., 1].mean(1)
    assert np.corrcoef(gap, true)[0, 1] > 0.98  # the landmarks themselves: 0.99
    assert gap.std() / true.std() == pytest.approx(1.0, abs=0.06)


def test_head_space_is_canonical(turning):
    _, _, found = turning
    shape = found.person.shape
    outer = shape[EYE_CORNERS[:, 0]]
    assert np.linalg.norm(outer[1] - outer[0]) == pytest.approx(OUTER_EYE_DISTANCE_M)
    assert np.abs(shape[:N_FACE, 0] + shape[MIRROR[:N_FACE], 0]).mean() < 5e-4
    assert outer[:, 2].mean() == pytest.approx(0.065, abs=1e-6)
    assert abs(log_so3(mean_rotation(found.T_world_head[:, :3, :3]))[0]) < np.radians(0.5)  # nobody nods on average
    assert found.coefficients.std(0) == pytest.approx(np.ones(found.coefficients.shape[1]), abs=0.05)


def test_hardly_any_rotation_falls_back_to_the_prior_and_says_so():
    face = make_face(80, turn_deg=0.5, focal_px=500.0)
    found = track(face, observe(face))
    assert "assumed" in found.notes[0]
    assert found.camera.focal_px == pytest.approx(2.2 * SIDE, rel=0.3)
    assert rms(rotation_errors_deg(found, face)) < 1.0


def test_faceless_frames_lie_between_their_neighbours_of_the_same_shot():
    face = make_face(90, turn_deg=8.0)
    seen = observe(face)
    valid = np.ones(90, bool)
    valid[20:26] = valid[50:56] = False  # the second gap touches the cut at 50
    points = np.where(valid[:, None, None], seen.points_px, 0.0)
    found = track(face, Landmarks(points, seen.depth * valid[:, None], valid, valid.astype(int), "x"), cuts=(50,))
    assert np.isfinite(found.T_world_head).all()
    assert (found.valid == valid).all()
    assert not found.residual_px[~valid].any()
    assert rms(rotation_errors_deg(found, face)[20:26]) < 1.5
    np.testing.assert_allclose(found.T_world_head[50:56], np.repeat(found.T_world_head[56:57], 6, 0), atol=1e-9)


def test_nothing_is_smoothed_across_a_cut():
    face = make_face(80, turn_deg=4.0)
    poses = face.T_world_head.copy()
    poses[40:, :3, 3] += [0.03, 0.01, 0.0]
    face = SyntheticFace(face.camera, face.shape, face.basis, face.coefficients, poses)
    found = track(face, observe(face), cuts=(40,))
    jump = found.T_world_head[40, :3, 3] - found.T_world_head[39, :3, 3]
    scale = found.camera.focal_px / face.camera.focal_px
    expected = face.T_world_head[40, :3, 3] - face.T_world_head[39, :3, 3]
    assert jump[:2] == pytest.approx(expected[:2], abs=0.002), scale
    points, truth = model_points(found)[38:42, 168], face.points_px[38:42, 168]
    assert np.abs((points - points[0]) - (truth - truth[0])).max() < 1.0


def test_texture_steadies_the_pose():
    face = make_face(50, turn_deg=6.0)
    landmarks = observe(face, noise_px=0.4, shake_px=0.8)
    texture = skin_texture()
    images = [paint(face, i, texture) for i in range(50)]
    alone = track(face, landmarks)
    helped = track(face, landmarks, frames=lambda: iter(images))
    bone = np.array([168, 6, 197, 195, 151, 9, 127, 356])
    truth = face.points_px[:, bone]

    def error(found: Track) -> float:
        left = model_points(found)[:, bone] - truth
        return rms(left - left.mean(0))

    assert error(helped) < 0.25  # pixels
    assert error(helped) < 0.6 * error(alone)
    assert rms(bend(model_points(helped)[:, bone])) < 1.15 * rms(bend(truth))


def test_texture_corrects_landmarks_that_understate_nods():
    face = make_face(60, turn_deg=10.0)
    turns = log_so3(face.T_world_head[:, :3, :3]) * [0.7, 1.0, 1.0]
    understated = face.T_world_head.copy()
    understated[:, :3, :3] = exp_so3(turns)
    landmarks = observe(replace(face, T_world_head=understated))
    texture = skin_texture()
    images = [paint(face, i, texture) for i in range(60)]
    alone = track(face, landmarks)
    helped = track(face, landmarks, frames=lambda: iter(images))
    assert rms(rotation_errors_deg(alone, face)) > 2.0
    assert rms(rotation_errors_deg(helped, face)) < 0.65 * rms(rotation_errors_deg(alone, face))


def test_texture_that_changed_is_no_witness():
    face = make_face(12, turn_deg=3.0)
    model = Model(face.camera.focal_px, np.array([SIDE / 2, SIDE / 2]), face.shape, np.zeros((0, 478, 3)))
    states = States(FLIP @ face.T_world_head[:, :3, :3], face.T_world_head[:, :3, 3] @ FLIP, np.zeros((12, 0)))
    images = [paint(face, i, skin_texture()) for i in range(12)]
    images[6:] = [paint(face, i, skin_texture(seed=9)) for i in range(6, 12)]
    found = track_texture(images, model, states, np.ones(12, bool), [Segment(0, 12, "")])
    seen = np.bincount(found.frame, minlength=12)
    assert seen[:6].min() > 30
    assert seen[6:].max() < 0.1 * seen[:6].min()


def test_too_few_faces_is_the_users_problem():
    nothing = Landmarks(
        np.zeros((10, 478, 2), np.float32), np.zeros((10, 478), np.float32), np.zeros(10, bool), np.zeros(10, int), "x"
    )
    with pytest.raises(UserError, match="a face in 0 of 10 frames"):
        track_face(nothing, (SIDE, SIDE), [Segment(0, 10, "")])


def test_a_clip_of_three_frames_has_a_track():
    face = make_face(3, turn_deg=5.0)
    found = track(face, observe(face))
    assert found.coefficients.shape[0] == 3
    assert rms(np.linalg.norm(model_points(found)[:, :N_FACE] - face.points_px[:, :N_FACE], axis=-1)) < 2.0


def test_motion_shows_blinks_gaze_and_brows():
    face = make_face(150, turn_deg=6.0)
    points = face.landmarks478
    blink = np.zeros(150)
    for start in (30, 70, 120):
        blink[start : start + 5] = [0.5, 1.0, 1.0, 0.6, 0.3]
    for eye in range(2):
        for upper, lower in EYELID_PAIRS[eye]:
            gap = face.shape[upper, 1] - face.shape[lower, 1]
            points[:, upper, 1] -= 0.9 * gap * blink
    look = 0.3 * np.sin(np.arange(150) / 15.0)
    points[:, 468:, 0] += 0.0115 * np.sin(look)[:, None]
    world = points @ face.T_world_head[:, :3, :3].transpose(0, 2, 1) + face.T_world_head[:, None, :3, 3]
    seen = observe(face)
    noise = np.random.default_rng(5).normal(0.0, 0.2, (150, 478, 2))
    pixels = (face.camera.project(world) + noise).astype(np.float32)
    landmarks = Landmarks(pixels, seen.depth, seen.valid, seen.face_count, "x")
    found = track(face, landmarks)
    motion = motion_from_track(found, landmarks, 25.0)
    motion._check()
    assert len(motion) == 150
    assert (motion.eyes[blink == 1.0] < 0.15).all()
    assert motion.eyes[blink == 0.0].mean() == pytest.approx(1.0, abs=0.08)
    steady = blink == 0.0
    assert np.corrcoef(motion.gaze[steady, 0], look[steady])[0, 1] > 0.95
    assert motion.gaze[:, 0].std() == pytest.approx(look.std(), rel=0.2)
    raise_m = face.coefficients[:, 3] * face.basis[3][[105, 334], 1].mean()
    assert np.corrcoef(motion.brows.mean(1), raise_m)[0, 1] > 0.95
    assert motion.channels["landmarks478"].shape == (150, 478, 3)
