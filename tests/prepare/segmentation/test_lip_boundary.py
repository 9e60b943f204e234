import cv2
import numpy as np

from gtalk.prepare.segmentation.lip_boundary import LipColours, lip_counts
from gtalk.topology import INNER_LIPS_RING, OUTER_LIPS_RING
from tests.prepare.tracking.synthetic_face import make_face

SIDE = 320
LIP, TEETH, DARK, SKIN = (190, 90, 95), (225, 220, 205), (40, 15, 15), (200, 150, 125)


def mouth(opening_px: float) -> tuple[np.ndarray, np.ndarray]:
    """(frame, landmarks): lips whose true gap is two pixels smaller, above and below, than the landmarks say."""
    points = make_face(1, 0.0, side=SIDE).points_px[0].copy()
    middle = points[INNER_LIPS_RING].mean(0)
    for ring, reach in ((INNER_LIPS_RING, opening_px / 2), (OUTER_LIPS_RING, opening_px / 2 + 14)):
        points[ring[1:10], 1], points[ring[11:], 1] = middle[1] + reach, middle[1] - reach
    frame = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    frame[int(middle[1] - 40) : int(middle[1] + 40)] = LIP
    true = points[INNER_LIPS_RING].copy()
    true[:, 1] -= np.sign(true[:, 1] - middle[1]) * 2.0
    if opening_px > 5:
        cv2.fillPoly(frame, [np.rint(true).astype(np.int32)], DARK)
        frame[int(middle[1] - opening_px / 2 + 2) : int(middle[1])][
            (frame[int(middle[1] - opening_px / 2 + 2) : int(middle[1])] == DARK).all(-1)
        ] = TEETH
    noise = np.random.default_rng(int(opening_px)).normal(0, 5, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8), points


def learnt() -> LipColours:
    return LipColours.learn(np.sum([lip_counts(*mouth(opening)) for opening in (14.0, 18.0, 22.0)] * 4, axis=0))


def area(colours: LipColours, opening_px: float) -> tuple[int, int]:
    """(pixels found of the mouth's inside, pixels that show it)."""
    frame, points = mouth(opening_px)
    part, found = colours.mouth(frame, points)
    lips = np.abs(frame[part].astype(int) - LIP).max(-1) < 40
    skin = np.abs(frame[part].astype(int) - SKIN).max(-1) < 25
    return int(found.sum()), int((~lips & ~skin).sum())


def test_the_contour_goes_to_where_the_colour_changes() -> None:
    found, true = area(learnt(), 16.0)
    by_landmarks, _ = area(LipColours(np.zeros_like(learnt().log_ratio)), 16.0)
    assert by_landmarks > 1.2 * true
    assert abs(found / true - 1) < 0.12


def test_closed_lips_show_no_mouth_and_what_was_never_seen_is_not_guessed() -> None:
    assert area(learnt(), 0.5)[0] == 0
    closed = LipColours.learn(lip_counts(*mouth(0.5)))
    assert not closed.log_ratio.any()
