"""The rasteriser against a plain loop over pixels, and pytorch3d's against it: the package, or a stand-in."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from gtalk.errors import UserError
from gtalk.prepare.tracking import rasterise as module
from gtalk.prepare.tracking.rasterise import Seen, rasterise
from gtalk.topology import SKIN_TRIANGLES
from tests.prepare.tracking.synthetic_face import make_face

SIZE = (57, 41)


def heap(count: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles of both windings that hide and pierce each other, some partly outside."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([-8, -8], [65, 49], (3 * count, 2))
    return points, rng.uniform(0.5, 2.0, 3 * count), np.arange(3 * count).reshape(count, 3)


def plain(points: np.ndarray, depth: np.ndarray, triangles: np.ndarray, size: tuple[int, int]) -> Seen:
    """Pixel by pixel: solve for the barycentric weights on the screen."""
    width, height = size
    triangle, near = np.full((height, width), -1), np.full((height, width), np.inf)
    weights = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            for number, row in enumerate(triangles):
                system = np.vstack([points[row].T, np.ones(3)])
                w = np.linalg.solve(system, [x + 0.5, y + 0.5, 1.0])
                z = 1 / (w / depth[row]).sum()
                if (w > 0).all() and z < near[y, x]:
                    triangle[y, x], near[y, x], weights[y, x] = number, z, w / depth[row] * z
    return Seen(triangle, near, weights)


def assert_alike(a: Seen, b: Seen, share: float = 0.0) -> None:
    """All but a share of the pixels show the same triangle at the same place."""
    same = a.triangle == b.triangle
    assert 1 - same.mean() <= share
    hit = same & (a.triangle >= 0)
    np.testing.assert_allclose(a.depth[hit], b.depth[hit], rtol=1e-4)
    np.testing.assert_allclose(a.weights[hit], b.weights[hit], atol=2e-3)
    assert np.isinf(b.depth[b.triangle < 0]).all() and not b.weights[b.triangle < 0].any()


def test_it_is_what_a_plain_loop_says() -> None:
    mesh = heap()
    expected = plain(*mesh, SIZE)
    assert 0.5 < (expected.triangle >= 0).mean() < 1.0
    assert_alike(expected, rasterise(*mesh, SIZE, "own"))


def test_what_is_behind_the_camera_or_has_no_area_is_left_out() -> None:
    points, depth, triangles = heap(4)
    depth[3] = -1.0
    points[6:9] = points[6]
    seen = rasterise(points, depth, triangles, SIZE, "own")
    assert set(np.unique(seen.triangle)) <= {-1, 0, 3}
    nothing = rasterise(points, -np.abs(depth), triangles, SIZE, "own")
    assert (nothing.triangle == -1).all() and np.isinf(nothing.depth).all()


def test_a_nose_hides_the_cheek_behind_it() -> None:
    face = make_face(1, 0.0)
    turn = np.radians(50)
    head = face.landmarks478[0] @ np.array(
        [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    )
    depth = 0.6 - head[:, 2]
    pixels = head[:, :2] * [1, -1] / depth[:, None] * 400 + 64
    seen = rasterise(pixels, depth, SKIN_TRIANGLES, (128, 128), "own")
    covering = np.zeros((128, 128), int)
    for row in range(len(SKIN_TRIANGLES)):
        covering += rasterise(pixels, depth, SKIN_TRIANGLES[row : row + 1], (128, 128), "own").triangle >= 0
    assert np.array_equal(covering > 0, seen.triangle >= 0)
    assert (covering > 1).sum() > 50


def stand_in() -> dict[str, ModuleType]:
    """What pytorch3d's documentation says of the calls that are made, pixel by pixel, for one mesh."""

    def rasterize_meshes(meshes, image_size, blur_radius, faces_per_pixel, perspective_correct, cull_backfaces):
        assert (blur_radius, faces_per_pixel, perspective_correct, cull_backfaces) == (0.0, 1, True, False)
        height, width = image_size
        corners, faces = meshes.verts[0].double().numpy(), meshes.faces[0].numpy()
        # +x points left and +y up; the centre of pixel i of the shorter side, S pixels, is at 1 - (2 i + 1) / S.
        short = min(height, width)
        pixels = np.column_stack([(width - corners[:, 0] * short) / 2, (height - corners[:, 1] * short) / 2])
        seen = plain(pixels, corners[:, 2], faces, (width, height))
        near = np.where(seen.triangle < 0, -1.0, seen.depth)
        weights = np.where(seen.triangle[..., None] < 0, -1.0, seen.weights)
        shown = [torch.from_numpy(part)[None, :, :, None] for part in (seen.triangle, near, weights)]
        return (*shown, shown[1])

    names = ("pytorch3d", "pytorch3d.structures", "pytorch3d.renderer", "pytorch3d.renderer.mesh")
    modules = {name: ModuleType(name) for name in (*names, "pytorch3d.renderer.mesh.rasterize_meshes")}
    modules["pytorch3d"].__spec__ = ModuleSpec("pytorch3d", None)
    modules["pytorch3d.structures"].Meshes = lambda verts, faces: SimpleNamespace(verts=verts, faces=faces)
    modules["pytorch3d.renderer.mesh.rasterize_meshes"].rasterize_meshes = rasterize_meshes
    return modules


@pytest.mark.parametrize("size", [SIZE, SIZE[::-1], (48, 48)])
def test_axes_centres_and_marks_of_pytorch3d(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, fake in stand_in().items():
        monkeypatch.setitem(sys.modules, name, fake)
    points, depth, triangles = heap(12, seed=3)
    depth[0] = -1.0
    own = rasterise(points, depth, triangles, size, "own")
    assert_alike(own, rasterise(points, depth, triangles, size, "pytorch3d"), share=1e-3)
    assert_alike(own, rasterise(points, depth, triangles, size, "auto"), share=1e-3)
    assert (rasterise(points, -np.abs(depth), triangles, size, "auto").triangle == -1).all()


@pytest.mark.skipif(find_spec("pytorch3d") is None, reason="pytorch3d is not installed")
@pytest.mark.parametrize("size", [SIZE, SIZE[::-1], (128, 128)])
def test_pytorch3d_sees_what_our_own_sees(size: tuple[int, int]) -> None:
    mesh = heap()
    assert_alike(rasterise(*mesh, size, "own"), rasterise(*mesh, size, "pytorch3d"), share=5e-3)


def test_asked_for_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pytorch3d to be installed"):
        rasterise(*heap(), SIZE, "pytorch3d")
    assert (rasterise(*heap(), SIZE, "auto").triangle >= 0).any()
