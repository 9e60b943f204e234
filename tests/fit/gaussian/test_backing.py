"""The head-shaped prior behind face and hair."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from gtalk.dataset.format import MaskClass
from gtalk.fit.gaussian.backing import Palette, backing_surface, inside_hull, make_backing
from gtalk.fit.gaussian.views import ClipView, MovingMesh
from gtalk.geometry.rotation import exp_so3
from gtalk.ops import splat
from gtalk.types import Camera

SIDE = 200
CAMERA = Camera(400.0, 100.0, 100.0, SIDE, SIDE)  # 0.8 m away: 500 pixels a metre
SKIN, HAIR, SHIRT, ROOM = (200, 150, 120), (60, 40, 20), (30, 60, 200), (0, 255, 0)


def oval_mesh() -> np.ndarray:
    """Points of half an ellipsoid that looks to the camera."""
    x, y = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 19))
    inside = x**2 + y**2 <= 1.0
    x, y = x[inside], y[inside]
    return np.stack([0.07 * x, 0.09 * y, 0.07 * np.sqrt(1.0 - x**2 - y**2)], 1)


MESH = MovingMesh(oval_mesh(), np.zeros((1, len(oval_mesh()), 3)), np.array([[0, 1, 2]]))


class DrawnView(ClipView):
    """A face of skin with hair around, a neck, a shirt; the head turned by an angle about its middle."""

    camera, metre_px = CAMERA, 500.0

    def __init__(self, turn_rad: float = 0.0, hair_sides: tuple[bool, bool] = (True, True)) -> None:
        self.turn = exp_so3(np.array([0.0, turn_rad, 0.0]))
        y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5 - 100.0) / self.metre_px
        labels, rgb = np.zeros((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE, 3), ROOM, np.uint8)
        head = (x / 0.09) ** 2 + ((y + 0.02) / 0.13) ** 2 < 1.0
        self.face = (x / 0.07) ** 2 + (y / 0.09) ** 2 < 1.0
        neck, shirt = (np.abs(x) < 0.05) & (y > 0.0), y > 0.14
        for where, label, colour in (
            (neck, MaskClass.NECK, SKIN), (head, MaskClass.HEAD, HAIR), (self.face, MaskClass.HEAD, SKIN),
            (shirt, MaskClass.TORSO, SHIRT),
        ):  # fmt: skip
            labels[where], rgb[where] = label, colour
        for shown, side in zip(hair_sides, (x < 0, x > 0), strict=True):
            if not shown:
                rgb[side & head & ~self.face], labels[side & head & ~self.face] = ROOM, MaskClass.BACKGROUND
        self.frame = SimpleNamespace(rgb=rgb, labels=labels, matte=((labels > 0) * 255).astype(np.uint8))

    def pixels(self, points: np.ndarray) -> np.ndarray:
        turned = points @ self.turn.T
        return turned[:, :2] * [self.metre_px, -self.metre_px] + 100.0

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        x, y = np.clip(pixels.astype(int), 0, SIDE - 1).T
        return self.frame.rgb[y, x] / 255.0

    def mesh_mask(self, mesh: MovingMesh) -> np.ndarray:
        return self.face


def near(colour: np.ndarray, wanted: tuple[int, int, int]) -> np.ndarray:
    return np.abs(colour - np.array(wanted) / 255.0).max(-1) < 0.03


def test_skull_and_neck_lie_behind_the_mesh() -> None:
    skull, neck = backing_surface(MESH.mean, 400)
    assert len(skull.points) + len(neck.points) == 400
    face = np.linalg.norm(skull.points[:, None, :2] - MESH.mean[None, :, :2], axis=-1)
    assert (skull.points[:, 2] < MESH.mean[face.argmin(1), 2] - 0.02)[face.min(1) < 0.005].all()
    assert skull.points[:, 2].min() < -0.09 and np.abs(skull.points[:, 0]).max() < 0.07
    assert neck.points[:, 2].max() < 0.0 and neck.points[:, 1].min() < skull.points[:, 1].min()
    behind = (np.abs(skull.points[:, 2] + 0.03) < 0.012) & (np.abs(skull.points[:, 1] - 0.025) < 0.03)
    assert np.abs(skull.points[behind, 0]).max() > 0.93 * 0.07  # nobody looks past it between cheek and ear
    back = skull.points[skull.normal[:, 2] < -0.2]
    nearest = np.sort(np.linalg.norm(back[:, None] - skull.points[None], axis=-1), axis=1)[:, 1]
    assert nearest.max() < 1.5 * skull.size_m[0]  # no gaps


def test_nothing_stands_where_the_clip_shows_the_room() -> None:
    views = [DrawnView(turn) for turn in (-0.3, 0.0, 0.3)]
    points = np.random.default_rng(0).uniform([-0.12, 0.0, -0.12], [0.12, 0.15, 0.0], (500, 3))
    placed, within = inside_hull(views, points, points * 0.0, 0.01)
    assert within.mean() > 0.5 and (placed != points).any()
    for view in views:
        x, y = np.clip(view.pixels(placed[within]), 0, SIDE - 1).astype(int).T
        assert (view.frame.matte[y, x] > 0).all()


def test_its_colours_are_the_persons_own() -> None:
    rows = make_backing([DrawnView()], MESH, 800)
    colour, points = rows[:, splat.COLOUR], rows[:, splat.POSITION]
    behind = points[:, 2] < -0.05
    assert near(colour[behind & (points[:, 1] > 0.03)], HAIR).mean() > 0.95
    hidden = (points[:, 2] > -0.02) & (np.hypot(points[:, 0] / 0.06, points[:, 1] / 0.08) < 0.8)
    assert near(colour[hidden], SKIN).mean() > 0.9  # so that nothing dark shines through the face
    assert not near(colour, ROOM).any() and not near(colour, SHIRT).any()
    assert np.isfinite(rows).all()


def test_a_side_that_was_never_seen_mirrors_the_other() -> None:
    view = DrawnView(hair_sides=(True, False))
    palette = Palette(view, MESH)
    right = np.array([[0.075, 0.0, -0.02]])
    far_px = palette.look(right, np.array([False]))[1]
    mirrored, near_px = palette.look(right * [-1.0, 1.0, 1.0], np.array([False]))
    assert near_px[0] < 0.5 * far_px[0] and near(mirrored, HAIR).all()
