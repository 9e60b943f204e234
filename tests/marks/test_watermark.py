"""Put into pictures, read from what is left of them."""

import io

import cv2
import numpy as np
import pytest

from gtalk.marks.code import N_CODED, encode
from gtalk.marks.pattern import COPIES, tile_of, waves
from gtalk.marks.reading import MarkReader, Reading, _look, residue_of, threshold
from gtalk.marks.watermark import LEAST_SIDE, Watermark

AVATAR = "0123456789abcdef"


def portrait(seed: int, height: int = 512, width: int = 512) -> np.ndarray:
    """Something like a person before a wall: smooth shading, edges, grain. uint8 [H,W,3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / min(height, width)
    rgb = np.stack([90 + 60 * y, 80 + 50 * x, 70 + 40 * (x + y)], -1)
    for _ in range(12):
        cx, cy, rx, ry = rng.uniform(0.1, 0.9, 2).tolist() + rng.uniform(0.03, 0.3, 2).tolist()
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        rgb[inside] = 0.4 * rgb[inside] + 0.6 * rng.uniform(20, 230, 3)
    rgb = cv2.GaussianBlur(rgb, (0, 0), 1.2) + rng.normal(0, 2.0, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def read(*pictures: np.ndarray) -> Reading | None:
    reader = MarkReader()
    for rgb in pictures:
        reader.add(rgb)
    return reader.read()


def strength(rgb: np.ndarray) -> float:
    return _look(residue_of(rgb), 1.0, False)[0]


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()


TREATMENTS = {
    "nothing": lambda rgb: rgb,
    "half": lambda rgb: cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "larger": lambda rgb: cv2.resize(rgb, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC),
    "JPEG 60": lambda rgb: jpeg(rgb, 60),
    "crop of 20 % each way": lambda rgb: rgb[31 : 31 + 410, 77 : 77 + 410].copy(),
    "crop on one side": lambda rgb: rgb[:, 90:].copy(),
    "mirrored": lambda rgb: rgb[:, ::-1].copy(),
    "brighter": lambda rgb: cv2.convertScaleAbs(rgb, alpha=1.1, beta=8),
    "JPEG 60, half, cropped": lambda rgb: cv2.resize(jpeg(rgb, 60)[20:430, 20:430], None, fx=0.5, fy=0.5),
}


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_the_mark_survives(treatment: str) -> None:
    found = read(TREATMENTS[treatment](Watermark(AVATAR).apply(portrait(1))))
    assert found is not None and found.payload.hex() == AVATAR
    assert found.strength > threshold()
    assert found.mirrored == (treatment == "mirrored")
    crop = {"crop of 20 % each way": 410 / 512, "crop on one side": 422 / 512, "JPEG 60, half, cropped": 410 / 512}
    assert found.scale == pytest.approx(crop.get(treatment, 1.0), abs=0.006)


@pytest.mark.parametrize("size", [(512, 288), (288, 512), (720, 1280), (333, 251)])
def test_any_shape_carries_it(size: tuple[int, int]) -> None:
    found = read(Watermark(AVATAR).apply(portrait(2, *size)))
    assert found is not None and found.payload.hex() == AVATAR and found.scale == 1.0


def test_h264_keeps_it_over_a_second() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for i in range(25):
            rgb = np.roll(portrait(3), 2 * i, 1)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(Watermark(AVATAR).apply(rgb), format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as made:
        found = read(*(frame.to_ndarray(format="rgb24") for frame in made.decode(video=0)))
    assert found is not None and found.payload.hex() == AVATAR


def test_it_is_not_seen() -> None:
    rgb = portrait(4)
    before = rgb.copy()
    error = Watermark(AVATAR).apply(rgb).astype(float) - rgb
    assert 10 * np.log10(255**2 / (error**2).mean()) >= 44.0
    assert np.abs(error).max() <= 12 and abs(error.mean()) < 0.05
    assert (rgb == before).all(), "the picture itself is kept"


def test_where_nothing_is_nothing_is_put() -> None:
    rgb, alpha = portrait(5), np.zeros((512, 512), np.uint8)
    alpha[100:400, 100:400] = 255
    rgb[alpha == 0] = 0
    out = Watermark(AVATAR).apply(rgb, alpha)
    assert (out[alpha == 0] == 0).all() and (out != rgb).any()
    small = portrait(6, LEAST_SIDE - 1, 200)
    assert Watermark(AVATAR).apply(small) is small


def test_unmarked_pictures_have_none() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (512, 512, 3)).astype(np.uint8)
    flat = [np.full((300, 300, 3), shade, np.uint8) for shade in (0, 255)]
    pictures = [portrait(10), noise, *flat, np.tile(portrait(11, 128, 128), (4, 4, 1))]
    assert [read(rgb) for rgb in pictures] == [None] * 5


def test_two_avatars_are_told_apart_and_pictures_add_up() -> None:
    names = (AVATAR, "fedcba9876543210")
    poor = [[jpeg(Watermark(name).apply(portrait(i)), 35) for i in range(20, 28)] for name in names]
    found = [read(*pictures) for pictures in poor]
    assert [one and one.payload.hex() for one in found] == list(names)
    alone = [strength(pictures[0]) for pictures in poor]
    assert all(one is not None and one.strength > 1.1 * weak for one, weak in zip(found, alone, strict=True))


def test_the_tile_is_the_key_and_the_bits() -> None:
    """Waves that find are the same for every payload; the tile has no mean, and unit power."""
    all_waves = waves()
    tiles = [tile_of(encode(bytes.fromhex(name))) for name in (AVATAR, "fedcba9876543210")]
    spectra = [np.fft.fft2(tile)[all_waves.ky, all_waves.kx] for tile in tiles]
    n = all_waves.n_carrying
    assert 2 * n == COPIES * N_CODED and len(all_waves.ky) > n + 60
    assert np.allclose(spectra[0][n:], spectra[1][n:]) and not np.allclose(spectra[0][:n], spectra[1][:n])
    for tile in tiles:
        assert abs(tile.mean()) < 1e-9 and (tile**2).mean() == pytest.approx(1.0)
    assert abs((all_waves.signs.real * all_waves.signs.imag).mean()) < 0.2, "signs are drawn apart"
