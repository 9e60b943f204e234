import numpy as np

from gtalk.prepare.segmentation.guided_filter import guided_filter


def reference(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Equations 19 to 21 of He, Sun, Tang, window by window, away from the border."""
    height, width = values.shape
    guide = guide.astype(np.float64) / 255
    slope, offset = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(radius, height - radius):
        for x in range(radius, width - radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            pixels, target = guide[window].reshape(-1, 3), values[window].ravel()
            mean = pixels.mean(0)
            covariance = (pixels - mean).T @ (pixels - mean) / len(pixels) + epsilon * np.eye(3)
            slope[y, x] = np.linalg.solve(covariance, (pixels * target[:, None]).mean(0) - mean * target.mean())
            offset[y, x] = target.mean() - slope[y, x] @ mean
    result = np.full((height, width), np.nan)
    for y in range(2 * radius, height - 2 * radius):
        for x in range(2 * radius, width - 2 * radius):
            window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
            result[y, x] = slope[window].reshape(-1, 3).mean(0) @ guide[y, x] + offset[window].mean()
    return result


def test_equals_the_definition_at_full_size() -> None:
    rng = np.random.default_rng(0)
    guide = rng.integers(0, 255, (26, 30, 3), dtype=np.uint8)
    values = rng.random((26, 30)).astype(np.float32)
    expected = reference(guide, values, 3, 1e-2)
    inner = np.isfinite(expected)
    result = guided_filter(guide, values, 3, 1e-2, subsample=1)
    assert inner.sum() > 200
    assert np.abs(result - expected)[inner].max() < 2e-4


def test_an_edge_that_is_off_moves_to_the_images_edge() -> None:
    guide = np.full((96, 96, 3), 40, np.uint8)
    guide[:, 48:] = (200, 150, 90)
    coarse = (np.arange(96) >= 52).astype(np.float32)[None].repeat(96, 0)
    result = guided_filter(guide, coarse, 12, 1e-4, subsample=2)
    assert result[48, 44] < 0.2
    assert result[48, 49] > 0.6
