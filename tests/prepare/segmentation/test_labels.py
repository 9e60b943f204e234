import cv2
import numpy as np
import pytest

from gtalk.dataset.format import MaskClass
from gtalk.prepare.segmentation.labels import ColourModel, HeadFrame, Labeller
from gtalk.topology import FACE_OVAL, INNER_LIPS_RING, OUTER_LIPS_RING
from tests.prepare.tracking.synthetic_face import make_face

SIDE = 320
SKIN, HAIR, SHIRT, WALL = (200, 150, 125), (60, 40, 30), (40, 60, 130), (150, 165, 160)


def person(long_hair: bool, roll: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(frame, matte, landmarks, true labels) of a drawn person."""
    points = make_face(1, 0.0, side=SIDE).points_px[0] + [0.0, -30.0]
    truth = np.zeros((SIDE, SIDE), np.uint8)
    oval = points[FACE_OVAL]
    centre, half = oval.mean(0), np.ptp(oval, axis=0) / 2
    chin = oval[:, 1].max()
    middle = (int(centre[0]), int(centre[1]))
    cv2.ellipse(truth, (middle[0], int(chin + 130)), (150, 105), 0, 0, 360, int(MaskClass.TORSO), -1)
    neck = (int(half[0] * 0.62), int(chin + 45))
    cv2.rectangle(truth, (middle[0] - neck[0], middle[1]), (middle[0] + neck[0], neck[1]), int(MaskClass.NECK), -1)
    hair = np.zeros_like(truth)
    cv2.ellipse(hair, (middle[0], middle[1] - 8), (int(half[0] * 1.2), int(half[1] * 1.2)), 0, 0, 360, 1, -1)
    hair[int(centre[1] + 0.1 * half[1]) :] = 0  # hair ends at the ears, or hangs beside the jaw, not under the chin
    if long_hair:
        for side in (-1, 1):
            x = int(centre[0] + side * half[0] * 1.05)
            cv2.rectangle(hair, (x - 12, middle[1]), (x + 12, int(chin + 22)), 1, -1)
    truth[hair > 0] = MaskClass.HEAD
    face = np.zeros_like(truth)
    cv2.fillPoly(face, [np.rint(oval).astype(np.int32)], 1)
    truth[face > 0] = MaskClass.HEAD
    frame = np.full((SIDE, SIDE, 3), WALL, np.uint8)
    for part, colour in ((MaskClass.TORSO, SHIRT), (MaskClass.NECK, SKIN), (MaskClass.HEAD, HAIR)):
        frame[truth == part] = colour
    frame[face > 0] = SKIN
    cv2.fillPoly(frame, [np.rint(points[OUTER_LIPS_RING]).astype(np.int32)], (170, 70, 80))
    noise = np.random.default_rng(0).normal(0, 4, frame.shape)
    frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
    matte = np.where(truth > 0, np.uint8(255), np.uint8(0))
    if roll:
        matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), roll, 1.0)
        frame = cv2.warpAffine(frame, matrix, (SIDE, SIDE), borderValue=WALL)
        matte = cv2.warpAffine(matte, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST)
        truth = cv2.warpAffine(truth, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST)
        points = points @ matrix[:, :2].T + matrix[:, 2]
    return frame, matte, points, truth


def overlap(labels: np.ndarray, truth: np.ndarray, *parts: MaskClass) -> float:
    a, b = np.isin(labels, parts), np.isin(truth, parts)
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("long_hair", [False, True])
@pytest.mark.parametrize("roll", [0.0, 14.0])
def test_parts_of_a_drawn_person(long_hair: bool, roll: float) -> None:
    frame, matte, points, truth = person(long_hair, roll)
    labeller = Labeller(ColourModel.learn([(frame, matte, points)]))
    labels = labeller.label(frame, matte, points)
    head = (MaskClass.HEAD, MaskClass.LIPS, MaskClass.MOUTH, MaskClass.EYES)
    assert overlap(labels, truth, *head) > 0.94
    assert overlap(labels, truth, MaskClass.NECK) > 0.7
    # Hair under the chin is a beard's case: what is lower than a hand's breadth may count as clothes.
    assert overlap(labels, truth, MaskClass.TORSO) > (0.86 if long_hair else 0.93)
    assert (labels[matte == 0] == MaskClass.BACKGROUND).all()


def test_lips_and_mouth_are_the_contours_of_the_landmarks() -> None:
    frame, matte, points, _ = person(False)
    points = points.copy()
    points[INNER_LIPS_RING[1:10], 1] += 6.0  # open the mouth
    labels = Labeller(ColourModel.learn([(frame, matte, points)])).label(frame, matte, points)
    for part, ring in ((MaskClass.MOUTH, INNER_LIPS_RING),):
        expected = abs(cv2.contourArea(points[ring].astype(np.float32)))
        assert abs((labels == part).sum() / expected - 1) < 0.25
    centre = points[INNER_LIPS_RING].mean(0).astype(int)
    assert labels[centre[1], centre[0]] == MaskClass.MOUTH


def test_hair_length_is_learnt() -> None:
    share = {}
    for long_hair in (False, True):
        frame, matte, points, _ = person(long_hair)
        share[long_hair] = ColourModel.learn([(frame, matte, points)]).hangs
    assert share[True] > share[False] + 0.3


def test_a_clip_without_hair_or_clothes_still_works() -> None:
    frame, matte, points, _ = person(False)
    cropped = int(points[FACE_OVAL, 1].max()) + 4
    frame, matte = frame[:cropped], matte[:cropped]
    labels = Labeller(ColourModel.learn([(frame, matte, points)])).label(frame, matte, points)
    assert (labels == MaskClass.TORSO).mean() < 0.02


def test_head_frame_is_fixed_to_the_head() -> None:
    _, _, points, _ = person(False)
    upright = HeadFrame.of(points)
    turned = HeadFrame.of(points @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 1.5 + 20)
    a, b = (
        f.grid_point(p[152])
        for f, p in ((upright, points), (turned, points @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 1.5 + 20))
    )
    assert np.allclose(a, b, atol=1e-6)
    assert 1.1 < a[1] < 2.0


def test_a_tie_of_the_colour_of_skin_is_no_neck() -> None:
    frame, matte, points, truth = person(False)
    chin, middle = points[FACE_OVAL, 1].max(), int(points[FACE_OVAL, 0].mean())
    end = int(np.flatnonzero((truth == MaskClass.NECK).any(1)).max())
    collar = np.array([[middle - 60, end - 22], [middle - 4, end], [middle + 4, end], [middle + 60, end - 22]])
    below = np.array([[middle + 60, end + 8], [middle - 60, end + 8]])
    cv2.fillPoly(frame, [np.concatenate([collar, below]).astype(np.int32)], SHIRT)
    tie = np.array([[middle - 4, end - 1], [middle + 4, end - 1], [middle + 13, end + 26], [middle - 13, end + 26]])
    cv2.fillPoly(frame, [tie.astype(np.int32)], SKIN)
    labels = Labeller(ColourModel.learn([(frame, matte, points)])).label(frame, matte, points)
    knot = labels[end + 6 : end + 24, middle - 5 : middle + 5]
    assert (knot == MaskClass.TORSO).mean() > 0.9
    assert (labels[int(chin) + 4 : end - 22, middle - 10 : middle + 10] == MaskClass.NECK).mean() > 0.9
