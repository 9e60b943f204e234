import cv2
import numpy as np
import pytest

from gtalk.prepare.segmentation.matte import coarse_mattes, refine
from gtalk.prepare.segmentation.side_colours import Plate


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(frame, true matte, room): a head with hair strands before a coloured wall."""
    matte = np.zeros((256, 256), np.uint8)
    cv2.ellipse(matte, (128, 140), (60, 80), 0, 0, 360, 255, -1, cv2.LINE_AA)
    for angle in np.linspace(-2.6, -0.5, 14):
        tip = (int(128 + 70 * np.cos(angle)), int(140 + 91 * np.sin(angle)))
        cv2.line(matte, (128, 140), tip, 255, 1, cv2.LINE_AA)
    x = np.linspace(0, 1, 256)
    room = np.dstack(
        [np.tile(40 + 20 * x, (256, 1)), np.tile(90 + 30 * x[:, None], (1, 256)), np.full((256, 256), 210)]
    )
    person = np.full((256, 256, 3), (95, 60, 45), np.float64)
    share = matte[..., None] / 255
    frame = person * share + room * (1 - share) + np.random.default_rng(0).normal(0, 2, (256, 256, 3))
    return np.clip(frame, 0, 255).astype(np.uint8), matte, room.astype(np.uint8)


def coarse_of(matte: np.ndarray) -> np.ndarray:
    """What a network of little resolution would say: no strands, a soft edge, some pixels too wide."""
    solid = cv2.dilate(cv2.morphologyEx(matte, cv2.MORPH_OPEN, np.ones((9, 9))), np.ones((5, 5)))
    return cv2.GaussianBlur(solid.astype(np.float32) / 255, (0, 0), 3)


def error(matte: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(matte.astype(int) - truth).mean())


def test_edges_and_strands_are_recovered() -> None:
    frame, truth, room = scene()
    coarse = coarse_of(truth)
    rough = error(np.rint(coarse * 255).astype(np.uint8), truth)
    alone = refine(frame, coarse)
    with_plate = refine(frame, coarse, Plate(room, np.ones((256, 256), np.float32)))
    assert error(alone, truth) < 0.35 * rough
    assert error(with_plate, truth) < 0.35 * rough
    strands = (truth > 60) & (coarse < 0.2)
    assert strands.sum() > 40
    assert with_plate[strands].mean() > 60
    assert alone[140, 128] == 255 and alone[4, 4] == 0


def test_a_wrong_plate_is_not_believed() -> None:
    frame, truth, _ = scene()
    wrong = np.full((256, 256, 3), (95, 60, 45), np.uint8)  # the person's own colour
    coarse = coarse_of(truth)
    assert error(refine(frame, coarse, Plate(wrong, np.ones((256, 256), np.float32))), truth) < 1.3 * error(
        refine(frame, coarse), truth
    )


def test_alike_colours_fall_back_to_the_network() -> None:
    frame = np.full((256, 256, 3), 120, np.uint8)
    _, truth, _ = scene()
    coarse = coarse_of(truth)
    refined = refine(frame, coarse)
    assert np.abs((refined > 127).astype(int) - (coarse > 0.5)).mean() < 0.02


def test_empty_and_full_images() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    assert (refine(frame, np.zeros((48, 64), np.float32)) == 0).all()
    assert (refine(frame, np.ones((48, 64), np.float32)) == 255).all()


def test_coarse_mattes_keep_order_and_do_not_mix_shots() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in range(5)]
    alone = [mask for _, mask in coarse_mattes(frames, range(5))]
    together = list(coarse_mattes(frames, [0, 3]))
    assert len(together) == 5
    assert all(a is b for a, (b, _) in zip(frames, together, strict=True))
    assert np.allclose(together[1][1], 0.25 * alone[0] + 0.5 * alone[1] + 0.25 * alone[2], atol=1e-5)
    assert np.allclose(together[2][1], (0.5 * alone[2] + 0.25 * alone[1]) / 0.75, atol=1e-5)
    assert np.allclose(together[3][1], (0.5 * alone[3] + 0.25 * alone[4]) / 0.75, atol=1e-5)


def test_the_network_does_not_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    list(coarse_mattes([np.zeros((64, 64, 3), np.uint8)]))
    assert capfd.readouterr().err == ""
