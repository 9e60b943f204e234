import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.similarity import apply
from gtalk.prepare.torso.bend import _shares, bend
from gtalk.prepare.torso.dense import Images, mean_image
from gtalk.types import TORSO_BEND
from tests.prepare.torso.test_dense import SIZE, suit

STILL = np.tile(np.eye(2, 3), (40, 1, 1))


def leaning(count: int, most_px: float) -> tuple[Images, np.ndarray]:
    """A collar whose lower end slides sideways, further the lower it is; and how far at the image's foot."""
    foot_px = most_px * np.sin(np.arange(count) / 5)
    x, y = np.meshgrid(np.arange(SIZE[0], dtype=np.float32), np.arange(SIZE[1], dtype=np.float32))
    seen = np.full((SIZE[1], SIZE[0]), 255, np.uint8)
    images = Images(count, SIZE)
    for index, far in enumerate(foot_px):
        moved = cv2.remap(suit(True), (x - far * y / SIZE[1]).astype(np.float32), y, cv2.INTER_LINEAR)
        images.put(index, moved, seen)
    return images, foot_px


def test_what_no_similarity_explains_is_found() -> None:
    images, foot_px = leaning(40, 2.0)
    found = bend(images, STILL, [Segment(0, 40, "a")])
    assert found.shape == (40, TORSO_BEND)
    mean = mean_image(images, STILL, 1.0)
    assert mean is not None
    across = found.reshape(40, 3, 6, 2)[:, :, :, 0].mean(2) * SIZE[1]  # of the upper, middle and lower row
    assert np.corrcoef(across[:, 1], foot_px)[0, 1] > 0.98
    assert across[:, 1].std() > 1.5 * across[:, 0].std()


def test_nothing_is_smoothed_across_a_cut() -> None:
    images, _ = leaning(40, 0.0)
    shifted = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    other = cv2.warpAffine(suit(True), shifted, SIZE, borderMode=cv2.BORDER_REPLICATE)
    for index in range(20, 40):
        images.put(index, other, images.read(index)[1])
    found = bend(images, STILL, [Segment(0, 20, "a"), Segment(20, 40, "a")])
    np.testing.assert_allclose(found[:20], np.broadcast_to(found[0], (20, TORSO_BEND)), atol=1e-4)
    np.testing.assert_allclose(found[20:], np.broadcast_to(found[20], (20, TORSO_BEND)), atol=1e-4)
    assert np.abs(found[20] - found[19]).max() > 0.3 / SIZE[1]


def test_control_points_stay_where_they_are_whatever_points_are_looked_at() -> None:
    low, high = np.array([10.0, 20.0]), np.array([110.0, 60.0])
    points = np.array([[30.0, 40.0], [57.0, 33.0], [10.0, 20.0]])
    shares = _shares(points, low, high)
    np.testing.assert_allclose(_shares(points[1:], low, high), shares[1:])
    np.testing.assert_allclose(shares.sum(1), 1.0)
    column, row = np.meshgrid(np.linspace(10, 110, 6), np.linspace(20, 60, 3))
    control = np.stack([column.ravel(), row.ravel()], axis=1)
    np.testing.assert_allclose(shares @ control, points)
    outside = _shares(np.array([[-50.0, 40.0], [10.0, 40.0]]), low, high)
    np.testing.assert_allclose(outside[0], outside[1])


def test_a_plain_suit_does_not_bend() -> None:
    images = Images(10, SIZE)
    for index in range(10):
        images.put(index, suit(False), np.full((SIZE[1], SIZE[0]), 255, np.uint8))
    assert not bend(images, STILL[:10], [Segment(0, 10, "a")]).any()


def test_a_bend_is_of_the_rest_s_place() -> None:
    """Frames that a similarity moves as a whole do not bend."""
    place = np.array([[1.0, -0.05, 3.0], [0.05, 1.0, -2.0]])
    images = Images(10, SIZE)
    for index in range(10):
        moved = cv2.warpAffine(suit(True), place if index % 2 else np.eye(2, 3), SIZE, borderMode=cv2.BORDER_REPLICATE)
        images.put(index, moved, np.full((SIZE[1], SIZE[0]), 255, np.uint8))
    whole = place.copy()
    whole[:, 2] += [0.5, 0.5] - place[:, :2] @ [0.5, 0.5]
    matrices = np.stack([whole if index % 2 else np.eye(2, 3) for index in range(10)])
    assert np.allclose(apply(whole, np.array([[0.5, 0.5]])), place[:, 2] + 0.5)
    assert np.abs(bend(images, matrices, [Segment(0, 10, "a")])).max() * SIZE[1] < 0.2
