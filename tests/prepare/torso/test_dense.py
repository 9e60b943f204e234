import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.similarity import compose, inverse, matrices, opencv_matrix
from gtalk.prepare.torso.dense import Images, align
from gtalk.prepare.torso.solve import Observations, to_matrices, to_parameters

SIZE = (160, 120)
CENTRE, RADIUS = np.array([80.0, 80.0]), 40.0
NOTHING = Observations(np.zeros(0, int), *[np.zeros((0, 2)) for _ in range(5)])


def suit(collar: bool) -> np.ndarray:
    """A dark jacket and, if there is one, a white collar: two edges and no corners to speak of."""
    cloth = np.full((SIZE[1], SIZE[0]), 30, np.uint8)
    if collar:
        cv2.fillPoly(cloth, [np.array([[52, 0], [108, 0], [82, 78], [78, 78]])], (230,))
    return cv2.GaussianBlur(cloth, (0, 0), 1.0)


def filmed(truth: np.ndarray, collar: bool) -> Images:
    rng = np.random.default_rng(0)
    seen = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    seen[20:] = 255
    images = Images(len(truth), SIZE)
    for index, place in enumerate(truth):
        moved = cv2.warpAffine(suit(collar), opencv_matrix(place), SIZE, borderMode=cv2.BORDER_REPLICATE)
        noisy = np.clip(moved + rng.normal(0, 2, moved.shape), 0, 255).astype(np.uint8)
        images.put(index, noisy, seen)
    return images


def motion(count: int) -> np.ndarray:
    t = np.arange(count)
    still = np.zeros(count)
    return matrices(np.stack([0.02 * np.sin(t / 6), 0.02 * np.cos(t / 8), 0.02 * np.sin(t / 9), still], axis=1), SIZE)


def apart_px(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far the collar's edges lie from where they belong, for the best common shift of all."""
    points = np.array([[60.0, 30.0], [100.0, 30.0], [70.0, 60.0], [90.0, 60.0], [80.0, 76.0]])
    off = np.stack([compose(inverse(true), place) for true, place in zip(truth, found, strict=True)])
    moved = np.einsum("tij,nj->tni", off[:, :, :2], points) + off[:, None, :, 2] - points
    return np.linalg.norm(moved - moved.mean((0, 1)), axis=2)


def test_a_collar_s_edges_bring_two_shots_to_one_place() -> None:
    truth = motion(60)
    guess = truth.copy()
    guess[30:, :, 2] += [2.5, -2.0]  # the second shot was registered wrongly
    segments = [Segment(0, 30, "a"), Segment(30, 60, "a")]
    found = align(filmed(truth, True), guess, [NOTHING] * 60, segments, CENTRE, RADIUS)
    assert apart_px(guess, truth).mean() > 1.0
    assert apart_px(found, truth).mean() < 0.15


def test_a_plain_suit_is_left_as_it_was() -> None:
    guess = motion(20)
    found = align(filmed(motion(20), False), guess, [NOTHING] * 20, [Segment(0, 20, "a")], CENTRE, RADIUS)
    assert np.array_equal(found, guess)


def test_a_hidden_torso_stays_between_its_neighbours() -> None:
    truth = motion(40)
    images = filmed(truth, True)
    for index in (18, 19, 20):
        images.put(index, np.full((SIZE[1], SIZE[0]), 128, np.uint8), np.zeros((SIZE[1], SIZE[0]), np.uint8))
    found = align(images, np.tile(np.eye(2, 3), (40, 1, 1)), [NOTHING] * 40, [Segment(0, 40, "a")], CENTRE, RADIUS)
    assert apart_px(found, truth)[18:21].max() < 0.6


def test_parameters_and_matrices_are_one_another_s_inverse() -> None:
    places = motion(7)
    np.testing.assert_allclose(to_matrices(to_parameters(places, CENTRE, RADIUS), CENTRE, RADIUS), places, atol=1e-12)
