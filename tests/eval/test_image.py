"""PSNR, SSIM, flicker and boxes against literal formulas."""

import numpy as np
import pytest

from gtalk.eval.image import PSNR_CEILING_DB, Flicker, box_around, in_box, psnr, ssim, ssim_in, ssim_map


def literal_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """The formula of the paper, window by window, in float64."""
    coordinate = np.arange(11) - 5.0
    window = np.exp(-(coordinate[:, None] ** 2 + coordinate**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for c in range(a.shape[2]):
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                x, y = (p[i : i + 11, j : j + 11, c].astype(np.float64) for p in (a, b))
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                c1, c2 = 2.55**2, 7.65**2
                values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def image(seed: int, shape=(20, 23, 3)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    base = 100 + 80 * np.sin(np.arange(shape[1]) / 4)[None, :, None] * np.ones(shape)
    return np.clip(base + rng.normal(0, 12, shape), 0, 255).astype(np.uint8)


def test_psnr_is_the_formula():
    a, b = image(0), image(1)
    error = np.mean((a.astype(np.float64) - b) ** 2)
    assert psnr(a, b) == pytest.approx(10 * np.log10(65025 / error), abs=1e-5)
    assert psnr(a, a) == PSNR_CEILING_DB
    zero, one = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8)
    assert psnr(zero, one) == pytest.approx(48.1308, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_equals_the_literal_formula(seed):
    a, b = image(seed), image(seed + 10)
    assert ssim(a, b) == pytest.approx(literal_ssim(a, b), abs=2e-5)


def test_ssim_of_a_part_is_read_off_the_map_of_the_whole():
    rng = np.random.default_rng(3)
    a = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    of_windows = ssim_map(a, b)
    assert of_windows.shape == (30, 40)
    for box in ((0, 0, 50, 40), (7, 4, 31, 28), (39, 29, 50, 40)):
        assert ssim_in(of_windows, box) == pytest.approx(ssim(in_box(a, box), in_box(b, box)), abs=2e-5)
    assert ssim_in(of_windows, (0, 0, 10, 40)) is None and ssim_map(a[:5], b[:5]).size == 0


def test_ssim_limits():
    a = image(0)
    assert ssim(a, a) == pytest.approx(1.0, abs=1e-6)
    assert ssim(a, 255 - a) < 0
    assert ssim(a[:10], a[:10]) is None


def test_flicker_looks_only_where_the_truth_stands_still():
    rng = np.random.default_rng(0)
    flicker = Flicker()
    truth = np.full((40, 60, 3), 100, np.uint8)
    for t in range(8):
        moving = truth.copy()
        moving[:, :20] = 30 * t  # moves: whatever happens there is no flicker
        shown = moving.copy()
        shown[:, 40:] = np.clip(shown[:, 40:] + rng.normal(0, 5, (40, 20, 3)).round(), 0, 255)
        shown[:, :10] = rng.integers(0, 255, (40, 10, 3))
        flicker.add(shown, moving)
    made, real = flicker.values()
    # Half of the static pixels (20..40 less the blur's reach, 40..60) carry noise of sigma 5 in both frames.
    assert made == pytest.approx(np.sqrt(2) * 5 * np.sqrt(20 / 36), rel=0.08)
    assert real == 0.0


def test_flicker_does_not_cross_a_cut():
    flicker = Flicker()
    flicker.add(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8))
    flicker.cut()
    flicker.add(np.full((9, 9, 3), 9, np.uint8), np.zeros((9, 9, 3), np.uint8))
    assert flicker.values() == (None, None)


def test_boxes():
    points = np.array([[10.0, 20.0], [30.0, 40.5]])
    assert box_around(points, (0.0, 0.0, 0.0, 0.0), (100, 100)) == (10, 20, 30, 41)
    assert box_around(points, (1.0, 0.0, 0.0, 9.0), (100, 60)) == (0, 20, 30, 60)
    assert box_around(points - 500, (0.0, 0.0, 0.0, 0.0), (100, 60)) == (0, 0, 1, 1)
    assert in_box(np.arange(12).reshape(3, 4), (1, 0, 3, 2)).tolist() == [[1, 2], [5, 6]]
