"""The head-shaped prior behind face and hair."""

from __future__ import annotations

import numpy as np

from gtalk.fit.gaussian.backing import backing_surface, nearest_pixels

MESH = np.array([[-0.07, 0.0, 0.01], [0.07, 0.0, 0.01], [0.0, 0.08, 0.05], [0.0, -0.08, 0.05], [0.0, 0.0, 0.1]])


def test_skull_and_neck_lie_behind_the_mesh_and_within_its_outline() -> None:
    skull, neck = backing_surface(MESH, 200)
    assert len(skull.points) + len(neck.points) == 200
    assert skull.points[:, 2].max() <= 0.01 and skull.points[:, 2].min() < -0.08
    assert np.abs(skull.points[:, 0]).max() < 0.07
    assert neck.points[:, 2].max() < 0.01 and neck.points[:, 1].min() < skull.points[:, 1].min()
    for surface in (skull, neck):
        assert np.allclose(np.linalg.norm(surface.normal, axis=1), 1.0)


def test_a_skull_has_no_gaps_wider_than_its_spacing_says() -> None:
    points, _, spacing_m = backing_surface(MESH, 800)[0]
    nearest = np.sort(np.linalg.norm(points[:, None] - points[None], axis=-1), axis=1)[:, 1]
    assert nearest.max() < 1.5 * spacing_m and nearest.min() > 0.3 * spacing_m


def test_colours_come_from_the_nearest_pixel_that_is_shown() -> None:
    shown = np.zeros((20, 30), bool)
    shown[5, 4] = shown[15, 25] = True
    found = nearest_pixels(shown, np.array([[0.0, 0.0], [28.0, 19.0], [4.2, 5.9], [-9.0, 50.0]]))
    assert found.tolist()[:3] == [[4.5, 5.5], [25.5, 15.5], [4.5, 5.5]]
    assert found.tolist()[3] in ([4.5, 5.5], [25.5, 15.5])
