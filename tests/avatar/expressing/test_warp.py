import numpy as np
import torch

from gtalk.avatar.expressing.warp import WarpExpression, control_points
from gtalk.ops.reference.render_rays import displacement
from gtalk.rig.shapes import SHAPES
from tests.avatar.expressing.speaking_face import speaking_face


def test_a_moved_point_is_looked_up_near_where_it_was() -> None:
    division = speaking_face()[0].division
    origin, extent = division.rig.mean.mean(0) - 0.12, 0.24
    warp = WarpExpression(division, origin, extent, 24)
    weights = np.zeros(len(SHAPES))
    weights[SHAPES.index("browOuterUpLeft")] = 1.0
    _, asked = division.divide(weights, division.rig.shut_code)
    field = np.tensordot(asked.coefs, division.fields, 1)
    peak = np.linalg.norm(field, axis=1).argmax()
    unit = (division.rig.mean[peak] - origin) / extent
    moved = displacement(warp.warp(asked), torch.from_numpy(unit[None].astype(np.float32)))[0].numpy() * extent
    assert moved @ -field[peak] > 0.5 * (field[peak] @ field[peak])
    assert np.linalg.norm(moved) < 1.2 * np.linalg.norm(field[peak])


def test_control_points_run_from_corner_to_corner() -> None:
    points = control_points(3)
    assert points[0].tolist() == [0.0, 0.0, 0.0]
    assert points[-1].tolist() == [1.0, 1.0, 1.0]
    assert points[1].tolist() == [0.5, 0.0, 0.0]
