import cv2
import numpy as np

from gtalk.prepare.segmentation.side_colours import FAR_WORTH, Plate, reach_px, side_colours

SKIN, HAIR, WALL = (190.0, 140.0, 120.0), (40.0, 30.0, 25.0), (90.0, 120.0, 200.0)


def head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(image, inside, outside): skin below, hair above, a wall beside them."""
    image = np.full((120, 120, 3), WALL, np.float32)
    image[:60, :60], image[60:, :60] = HAIR, SKIN
    inside, outside = np.zeros((120, 120), np.uint8), np.zeros((120, 120), np.uint8)
    inside[:, :56], outside[:, 66:] = 1, 1
    return image.astype(np.uint8), inside, outside


def test_each_pixel_gets_the_likest_colour_of_its_side() -> None:
    image, inside, outside = head()
    at = np.array([50 * 120 + 58, 70 * 120 + 58, 58 * 120 + 58])
    person, background, spread = side_colours(image, inside, outside, at)
    # Ten rows away from where skin meets hair the window holds both: the pixel's own colour decides.
    assert np.abs(person[:, 0] - HAIR).max() < 4 and np.abs(person[:, 1] - SKIN).max() < 4
    assert np.abs(person[:, 2] - HAIR).max() < 4
    assert np.abs(background - np.array(WALL)[:, None]).max() < 3
    assert spread[:2].max() < 100


def test_means_are_those_of_the_windows() -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(100, 110, (120, 120, 3), dtype=np.uint8), (0, 0), 2)
    inside = np.zeros((120, 120), np.uint8)
    inside[20:100, 20:64] = 1
    at = np.array([60 * 120 + 66, 40 * 120 + 62])
    person, _, _ = side_colours(image, inside, 1 - inside, at)
    reach = reach_px(120)
    for found, place in zip(person.T, at, strict=True):
        y, x = divmod(int(place), 120)
        near, far = (np.s_[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1] for r in (reach, 5 * reach))
        sums = [(image[box].astype(float) * inside[box][..., None]).sum((0, 1)) for box in (near, far)]
        counts = [float(inside[box].sum()) for box in (near, far)]
        worth = [1.0 / (2 * reach + 1) ** 2, FAR_WORTH / (10 * reach + 1) ** 2]
        mean = sum(w * s for w, s in zip(worth, sums, strict=True)) / sum(
            w * c for w, c in zip(worth, counts, strict=True)
        )
        assert np.abs(found - mean).max() < 1.5  # of 255: the sums are those of half the size


def test_a_plate_that_fits_is_taken_and_another_is_not() -> None:
    image, inside, outside = head()
    striped = image.copy()
    striped[::2, 60:] = 255  # next to it the mean of a striped wall says little
    at = np.array([40 * 120 + 63, 41 * 120 + 63])
    true = Plate(striped, np.ones((120, 120), np.float32))
    _, background, _ = side_colours(striped, inside, outside, at, true)
    assert np.abs(background.T - striped.reshape(-1, 3)[at]).max() < 2
    wrong = Plate(255 - striped, np.ones((120, 120), np.float32))
    _, unlike, _ = side_colours(striped, inside, outside, at, wrong)
    _, alone, _ = side_colours(striped, inside, outside, at)
    assert np.abs(unlike - alone).max() < 2
