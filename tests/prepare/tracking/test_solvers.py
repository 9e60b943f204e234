"""The tracker's parts against finite differences, dense algebra and known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.dataset.format import Segment
from gtalk.geometry.rotation import align_similarity, exp_so3, log_so3, project, symmetry_alignment
from gtalk.prepare.tracking.expression import rigid_vertices
from gtalk.prepare.tracking.flow import TextureTracks
from gtalk.prepare.tracking.gaps import fill_gaps, fill_rotations
from gtalk.prepare.tracking.model import Model, States, normalise, place, remove_rigid, residuals_px
from gtalk.prepare.tracking.pose import Observations, _joint_normals, solve_states
from gtalk.prepare.tracking.refine import RefineConfig, _Banded, conjugate_gradients, refine_poses, smoothness_weights
from gtalk.prepare.tracking.rigid import adjust_rigid, spread_over_poses
from gtalk.topology import MIRROR, N_FACE
from tests.prepare.tracking.synthetic_face import make_face

vectors = st.lists(st.floats(-1.7, 1.7), min_size=3, max_size=3).map(np.array)


@given(vectors)
@settings(max_examples=100, deadline=None)
def test_rotation_vectors_round_trip(omega):
    rotation = exp_so3(omega)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(log_so3(rotation), omega, atol=1e-7)


@given(vectors, st.floats(0.1, 9.0))
@settings(max_examples=50, deadline=None)
def test_similarity_is_recovered(omega, scale):
    rng = np.random.default_rng(0)
    source, shift = rng.normal(size=(1, 20, 3)), rng.normal(size=3)
    target = scale * source[0] @ exp_so3(omega).T + shift
    found = align_similarity(source, target, rng.uniform(0.5, 1.0, 20))
    assert found[0][0] == pytest.approx(scale)
    np.testing.assert_allclose(found[1][0], exp_so3(omega), atol=1e-9)
    np.testing.assert_allclose(found[2][0], shift, atol=1e-9)


def test_symmetry_plane_is_found():
    shape = make_face(3, 5.0).shape[:N_FACE]
    turned = shape @ exp_so3(np.array([0.0, 0.2, -0.15])).T
    back = turned @ symmetry_alignment(turned, MIRROR[:N_FACE]).T
    mirrored = back[MIRROR[:N_FACE]] * [-1, 1, 1]
    np.testing.assert_allclose(back - back.mean(0), mirrored - mirrored.mean(0), atol=1e-9)


def camera_problem(frames=4):
    face = make_face(frames, 10.0)
    flip = np.diag([1.0, -1.0, -1.0])
    states = States(flip @ face.T_world_head[:, :3, :3], face.T_world_head[:, :3, 3] @ flip, face.coefficients)
    return face, Model(face.camera.focal_px, np.array([160.0, 160.0]), face.shape, face.basis), states


def test_model_projects_as_the_camera_does():
    face, model, states = camera_problem()
    np.testing.assert_allclose(residuals_px(model, states, face.points_px), 0.0, atol=1e-9)


def test_normal_equations_match_finite_differences():
    face, model, states = camera_problem(2)
    seen = Observations(
        face.points_px + 3.0, np.full(478, 1e6), np.ones(2, bool)
    )  # so large an error: no robust weights
    normal, right = _joint_normals(model, states, seen, None)

    def pixels(step):
        moved = States(
            exp_so3(step[:, :3]) @ states.rotation, states.translation + step[:, 3:6], states.coefficients + step[:, 6:]
        )
        return project(place(model, moved), model.focal_px, model.centre_px)

    columns = []
    for j in range(6 + model.size):
        step = np.zeros((2, 6 + model.size))
        step[:, j] = 1e-5
        columns.append((pixels(step) - pixels(-step)) / 2e-5)
    jacobian = np.stack(columns, axis=-1).reshape(2, -1, 6 + model.size) / 1e6
    expected = jacobian.transpose(0, 2, 1) @ jacobian
    scale = np.sqrt(np.einsum("tii->ti", expected))
    np.testing.assert_allclose(
        normal / scale[:, :, None] / scale[:, None], expected / scale[:, :, None] / scale[:, None], atol=2e-5
    )
    pull = (jacobian.transpose(0, 2, 1) @ np.full((2, 956, 1), 3.0 / 1e6))[..., 0]
    np.testing.assert_allclose(right / scale, pull / scale, atol=1e-5 * np.abs(pull / scale).max())


def test_single_frames_are_solved_and_invalid_ones_stay():
    face, model, states = camera_problem(5)
    off = States(exp_so3(np.full((5, 3), 0.05)) @ states.rotation, states.translation + 0.02, states.coefficients * 0)
    valid = np.array([True, True, False, True, True])
    found, information = solve_states(
        model, off, Observations(face.points_px, np.full(478, 0.5), valid), 12, prior=1e-6
    )
    error = log_so3(found.rotation @ states.rotation.transpose(0, 2, 1))
    assert np.abs(error[valid]).max() < 1e-4
    np.testing.assert_allclose(found.translation[2], off.translation[2])
    assert not information[2].any() and (np.linalg.eigvalsh(information[0]) > 0).all()


def test_remove_rigid_leaves_no_rigid_part():
    rng = np.random.default_rng(3)
    shape, weights = rng.normal(size=(30, 3)), rng.uniform(0.1, 1.0, 30)
    omega, shift = np.array([0.1, -0.2, 0.05]), np.array([0.3, 0.1, -0.2])
    rigid = np.cross(omega, shape) + shift + 0.04 * shape
    np.testing.assert_allclose(remove_rigid(rigid[None], shape, weights), 0.0, atol=1e-9)
    once = remove_rigid(rng.normal(size=(2, 30, 3)), shape, weights)
    np.testing.assert_allclose(remove_rigid(once, shape, weights), once, atol=1e-9)


def test_normalising_changes_no_pixel():
    _, model, states = camera_problem(30)
    rigidity = rigid_vertices(model.shape)
    model = Model(model.focal_px, model.centre_px, model.shape, model.basis * (1.0 - rigidity)[:, None])
    before = project(place(model, states), model.focal_px, model.centre_px)
    model, states = normalise(model, states, rigidity)
    after = project(place(model, states), model.focal_px, model.centre_px)
    np.testing.assert_allclose(after, before, atol=1e-8)
    np.testing.assert_allclose(np.cov(states.coefficients.T, bias=True), np.eye(model.size), atol=1e-9)


def test_rigid_adjustment_finds_depth_and_focal_length():
    _, model, states = camera_problem(60)
    kept = np.flatnonzero(rigid_vertices(model.shape))
    truth = Model(model.focal_px, model.centre_px, model.shape[kept], np.zeros((0, len(kept), 3)))
    still = States(states.rotation, states.translation, np.zeros((60, 0)))
    points = project(place(truth, still), truth.focal_px, truth.centre_px)
    flat = Model(850.0, model.centre_px, truth.shape * [1.0, 1.0, 0.9], truth.basis)
    rough = States(states.rotation, states.translation * [1.0, 1.0, 850.0 / 700.0], still.coefficients)
    found = adjust_rigid(flat, rough, points, iterations=20)
    assert found.focal_px == pytest.approx(700.0, rel=0.04)
    _, _, shift = align_similarity(found.shape[None], truth.shape, np.ones(len(kept)))
    scale, turn, shift = align_similarity(found.shape[None], truth.shape, np.ones(len(kept)))
    aligned = scale[0] * found.shape @ turn[0].T + shift[0]
    assert np.linalg.norm(aligned - truth.shape, axis=1).mean() < 5e-4


def test_spread_frames_cover_the_poses():
    _, _, states = camera_problem(300)
    good = np.ones(300, bool)
    good[10] = False
    chosen = spread_over_poses(states, good, 40)
    assert len(chosen) <= 40 and 10 not in chosen
    angle = np.linalg.norm(log_so3(states.rotation[0].T @ states.rotation), axis=1)
    assert angle[chosen].max() == pytest.approx(angle[good].max(), rel=0.05)


def test_banded_system_matches_dense_algebra():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(9, 6, 6))
    block, stiffness = half @ half.transpose(0, 2, 1), rng.uniform(1.0, 5.0, 6)
    system = _Banded(block, stiffness, borders=[0, 5])
    dense = np.stack([system.multiply(row) for row in np.eye(54)])
    np.testing.assert_allclose(dense, dense.T, atol=1e-9)
    assert not dense[4 * 6 : 5 * 6, 5 * 6 : 6 * 6].any()  # nothing couples across the border
    vector = rng.normal(size=54)
    np.testing.assert_allclose(dense @ system.precondition(vector), vector, atol=1e-4)


def test_conjugate_gradients_solve():
    rng = np.random.default_rng(1)
    half = rng.normal(size=(20, 20))
    matrix, target = half @ half.T + np.eye(20), rng.normal(size=20)
    found = conjugate_gradients(lambda v: matrix @ v, target, lambda v: v / np.diag(matrix), 200, 1e-9)
    np.testing.assert_allclose(matrix @ found, target, atol=1e-6)


def test_smoothness_pull_is_the_gradient():
    _, _, states = camera_problem(8)
    stiffness = smoothness_weights(RefineConfig())
    system = _Banded(np.tile(np.eye(6), (8, 1, 1)), stiffness, borders=[0, 4])

    def energy(step):
        rotation = exp_so3(step[:, :3]) @ states.rotation
        translation = states.translation + step[:, 3:]
        total = 0.0
        for a, b in ((0, 4), (4, 8)):
            turn = log_so3(rotation[a + 1 : b] @ rotation[a : b - 1].transpose(0, 2, 1))
            bend = np.concatenate([np.diff(turn, axis=0), np.diff(translation[a:b], 2, axis=0)], axis=1)
            total += 0.5 * float((bend**2 * stiffness).sum())
        return total

    pull = system.smoothness_pull(states.rotation, states.translation)
    for t, j in ((1, 4), (3, 0), (4, 5), (6, 2)):
        step = np.zeros((8, 6))
        step[t, j] = 1e-6
        slope = (energy(step) - energy(-step)) / 2e-6
        assert pull[t, j] == pytest.approx(slope, rel=0.05, abs=0.005 * np.abs(pull[:, j]).max())  # small turns


def test_exact_texture_tracks_give_exact_motion():
    face, model, states = camera_problem(40)
    rng = np.random.default_rng(4)
    points = face.shape[rng.choice(np.flatnonzero(rigid_vertices(face.shape)), 30, replace=False)]
    frame, point = (index.reshape(-1) for index in np.meshgrid(np.arange(40), np.arange(30), indexing="ij"))
    still = Model(model.focal_px, model.centre_px, points, np.zeros((0, 30, 3)))
    pixels = project(
        place(still, States(states.rotation, states.translation, np.zeros((40, 0)))), 700.0, model.centre_px
    )
    tracks = TextureTracks(points, np.zeros(30, int), np.zeros(30, int), frame, point, pixels.reshape(-1, 2))
    shaken = States(
        exp_so3(rng.normal(0.0, 0.008, (40, 3))) @ states.rotation,
        states.translation + rng.normal(0.0, 0.0006, (40, 3)),
        states.coefficients,
    )
    information = np.tile(np.diag([1e6] * 3 + [1e8] * 2 + [1e6]), (40, 1, 1))
    found, _ = refine_poses(model, shaken, information, np.ones(40, bool), [0], tracks, RefineConfig(outer=8))
    before = log_so3(shaken.rotation @ states.rotation.transpose(0, 2, 1))
    after = log_so3(found.rotation @ states.rotation.transpose(0, 2, 1))
    assert np.degrees((after - after.mean(0)).std()) < 0.12
    assert (after - after.mean(0)).std() < 0.3 * before.std()


def test_gaps_are_filled_within_shots():
    values = np.arange(10.0)[:, None] * [1.0, -2.0]
    valid = np.array([1, 1, 0, 0, 1, 0, 0, 1, 1, 0], bool)
    spoiled = np.where(valid[:, None], values, 99.0)
    filled = fill_gaps(spoiled, valid, [Segment(0, 6, ""), Segment(6, 10, "")])
    np.testing.assert_allclose(filled[:5], values[:5])
    np.testing.assert_allclose(filled[5], values[4])  # held: frame 7 belongs to another shot
    np.testing.assert_allclose(filled[6], values[7])
    np.testing.assert_allclose(filled[9], values[8])


def test_a_shot_without_a_face_borrows_the_nearest_one():
    valid = np.array([1, 1, 0, 0, 0, 1], bool)
    rotation = exp_so3(np.arange(6)[:, None] * np.array([0.1, 0.0, 0.0]))
    filled = fill_rotations(rotation, valid, [Segment(0, 2, ""), Segment(2, 4, ""), Segment(4, 6, "")])
    np.testing.assert_allclose(filled[2:4], np.repeat(rotation[1:2], 2, 0))
    np.testing.assert_allclose(filled[4], rotation[5])
