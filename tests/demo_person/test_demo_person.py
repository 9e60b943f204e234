from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_person.body.head import EYEBALL_RADIUS, build_skin, gaze_rotation, iris_points
from demo_person.body.rig import Expression, Rig
from demo_person.drawing.geometry import grid_triangles, harmonic, loop_subdivide
from demo_person.drawing.light import visibility
from demo_person.drawing.raster import rasterise
from gtalk.topology import EYELID_PAIRS, LIP_GAP_PAIRS, N_FACE


@cache
def rig() -> Rig:
    return Rig(build_skin())


def gap(expression: Expression) -> float:
    points = rig().surface(rig().control_points(expression))
    return float((points[LIP_GAP_PAIRS[:, 0], 1] - points[LIP_GAP_PAIRS[:, 1], 1]).max())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.5, 30.5), min_size=6, max_size=6))
def test_a_triangle_covers_the_pixels_whose_centres_it_holds(values: list[float]) -> None:
    corners = np.array(values).reshape(3, 2)
    sides = corners[[1, 2, 0]] - corners
    area = sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0]
    if abs(area) < 1:
        return
    corners = corners if area < 0 else corners[::-1]
    found = rasterise(np.column_stack([corners, [1.0, 2.0, 4.0]]), np.array([[0, 1, 2]]), 32, 32)
    y, x = np.mgrid[:32, :32] + 0.5
    turn = [
        (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
        for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    clearly_in = np.all(np.array(turn) < -1e-3, axis=0).ravel()
    clearly_out = np.any(np.array(turn) > 1e-3, axis=0).ravel()
    covered = np.zeros(32 * 32, bool)
    covered[found.pixel] = True
    assert covered[clearly_in].all() and not covered[clearly_out].any()


def test_interpolation_is_perspective_correct_and_the_nearest_wins() -> None:
    rng = np.random.default_rng(1)
    world = rng.uniform([-1, -1, 2], [1, 1, 6], (30, 3))
    pixels = np.column_stack([world[:, :2] / world[:, 2:] * 60 + 32, world[:, 2]])
    triangles = np.arange(30).reshape(10, 3)
    both = np.concatenate([triangles, triangles[:, ::-1]])
    found = rasterise(pixels, both, 64, 64)
    place = found.interpolate(both, world.astype(np.float32))
    again = place[:, :2] / place[:, 2:] * 60 + 32
    centres = np.column_stack([found.pixel % 64, found.pixel // 64]) + 0.5
    np.testing.assert_allclose(again, centres, atol=2e-3)
    np.testing.assert_allclose(place[:, 2], found.depth, rtol=1e-4)
    alone = [rasterise(pixels, both[k : k + 1], 64, 64) for k in range(len(both))]
    nearest = np.full(64 * 64, np.inf)
    for one in alone:
        nearest[one.pixel] = np.minimum(nearest[one.pixel], one.depth)
    np.testing.assert_allclose(found.depth, nearest[found.pixel], rtol=1e-5)
    assert len(found.pixel) == np.isfinite(nearest).sum()


def test_subdivision_keeps_planes_and_borders() -> None:
    triangles = grid_triangles(4, 5)
    matrix, fine = loop_subdivide(triangles, 20)
    np.testing.assert_allclose(np.asarray(matrix.sum(1)).ravel(), 1)
    assert len(fine) == 4 * len(triangles) and fine.max() == matrix.shape[0] - 1
    y, x = np.mgrid[:4, :5]
    plane = np.stack([x.ravel(), -y.ravel(), 2.0 * x.ravel() - y.ravel()], axis=1)
    surface = matrix @ plane
    np.testing.assert_allclose(surface[:, 2], 2 * surface[:, 0] + surface[:, 1], atol=1e-12)
    a, b, c = (surface[fine[:, k], :2] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (area > 0).all()


def test_harmonic_weights_lie_between_what_is_fixed() -> None:
    triangles = grid_triangles(6, 6)
    weights = harmonic(triangles, 36, {0: 0.0, 35: 1.0, 5: 0.5})
    assert weights.min() >= 0 and weights.max() <= 1
    assert weights[0] == 0 and weights[35] == 1
    assert weights[14] < weights[28]


def test_the_surface_passes_through_the_landmarks() -> None:
    skin = rig().skin
    surface = skin.matrix @ skin.cage
    assert np.abs(surface[33, 0] - surface[263, 0] + 0.09) < 0.0015
    mirrored = rig().landmarks(surface, np.zeros(2))
    assert mirrored.shape == (478, 3)
    np.testing.assert_allclose(mirrored[33] * [-1, 1, 1], mirrored[263], atol=1e-4)


def test_lips_open_close_and_seal() -> None:
    assert gap(Expression()) < 0.0003
    wide = [gap(Expression(jaw=jaw)) for jaw in (0.05, 0.1, 0.15, 0.2)]
    assert np.all(np.diff(wide) > 0.002)
    for jaw in (0.02, 0.05, 0.08):
        assert gap(Expression(jaw=jaw, seal=1.0)) < 0.0004
    rest = rig().surface(rig().rest)
    rounded = rig().surface(rig().control_points(Expression(rounded=1.0)))
    spread = rig().surface(rig().control_points(Expression(spread=1.0)))
    assert rounded[291, 0] < rest[291, 0] - 0.004 < rest[291, 0] + 0.002 < spread[291, 0]


def test_lids_close_over_the_eyeballs() -> None:
    both = rig().surface(rig().control_points(Expression(blink=np.ones(2))))
    rest = rig().surface(rig().rest)
    for side in range(2):
        up, low = EYELID_PAIRS[side].T
        opened = (rest[up, 1] - rest[low, 1]).mean()
        assert opened > 0.006
        assert (both[up, 1] - both[low, 1]).mean() < 0.12 * opened
        centre = rig().skin.eye_centres[side]
        distance = np.linalg.norm(both[rig().lid_skin[side]] - centre, axis=1)
        assert distance.min() >= EYEBALL_RADIUS


def test_brows_rise_by_what_is_asked() -> None:
    rest = rig().surface(rig().rest)
    raised = rig().surface(rig().control_points(Expression(brows=np.array([0.005, 0.0]))))
    moved = raised[:N_FACE, 1] - rest[:N_FACE, 1]
    assert moved[105] == pytest.approx(0.005, abs=0.001)
    assert abs(moved[334]) < 0.001 and abs(moved[152]) < 1e-6


def test_gaze_turns_the_iris_right_and_up() -> None:
    centres = rig().skin.eye_centres
    ahead, turned = iris_points(centres, np.zeros(2)), iris_points(centres, np.array([0.2, 0.1]))
    assert turned[0, 0] > ahead[0, 0] and turned[0, 1] > ahead[0, 1]
    np.testing.assert_allclose(np.linalg.norm(turned[0] - centres[0]), EYEBALL_RADIUS)
    rotation = gaze_rotation(np.array([0.3, -0.2]))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def test_a_roof_keeps_light_off() -> None:
    y, x = np.mgrid[0:1:9j, 0:1:9j]
    floor = np.stack([x.ravel() * 0.4, 0 * x.ravel(), y.ravel() * 0.4], axis=1)
    roof = floor[x.ravel() <= 0.5] + [0, 0.05, 0]
    up = np.tile([0.0, 1.0, 0.0], (len(floor) + len(roof), 1))
    triangles = np.concatenate([grid_triangles(9, 9), grid_triangles(9, 5) + 81])
    lit = visibility(np.concatenate([floor, roof]), up, triangles, np.array([[0.0, 1.0, 0.0]]))[:, 0]
    inside = (np.abs(y.ravel() - 0.5) < 0.45) & (x.ravel() > 0.1)
    assert lit[:81][inside & (x.ravel() < 0.4)].max() < 0.1
    assert lit[:81][inside & (x.ravel() > 0.6)].min() > 0.9
    assert lit[81:].min() > 0.5
