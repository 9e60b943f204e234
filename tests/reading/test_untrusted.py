"""Bounded readers: what they read, and what they refuse before it costs anything."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.reading.untrusted import check_numbers, parse_json, read_arrays, read_image, read_json


def test_json_is_bounded_in_size_depth_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, "x", null, true]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, "x", None, True]}
    with pytest.raises(ValueError, match="more than 10"):
        read_json(tmp_path / "a.json", most_bytes=10)
    for text, words in (
        ("[" * 100_000, "deeply"),
        ("[NaN]", "NaN"),
        ("-Infinity", "no number"),
        ("1e999", "too large"),
        ("1" + "0" * 400, "too large"),
    ):
        with pytest.raises(ValueError, match=words):
            parse_json(text)


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "swapped": np.arange(5, dtype=">i4"),
        "scalar": np.array(2.5),
        "flags": np.array([True, False]),
        "words": np.array(["ab", "c"]),
        "empty": np.zeros((0, 7), np.float32),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    read = read_arrays(tmp_path / "a.npz")
    assert read.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].shape == value.shape and read[name].dtype == value.dtype.newbyteorder("=")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match="BadZipFile"):
        read_arrays(tmp_path / "c.npz")


@pytest.mark.parametrize("options", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]])
def test_images_are_measured_before_they_are_decoded(options: list[int], tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 52, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.jpg"), image, options)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)
    assert read_image(tmp_path / "a.jpg", cv2.IMREAD_GRAYSCALE).shape == (30, 52)
    for name in ("a.jpg", "a.png"):
        with pytest.raises(ValueError, match="52x30 pixels"):
            read_image(tmp_path / name, most_pixels=1000)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.bmp"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\x00\xff\xff\xff\x01\xff\xe0\x00\x04ab")
    for name, words in (("a.bmp", "neither PNG nor JPEG"), ("a.jpg", "without a frame")):
        with pytest.raises(ValueError, match=words):
            read_image(tmp_path / name)
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((4, 4, 3), np.uint8))
    data = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[:33])
    with pytest.raises(ValueError, match="cannot be decoded"):
        read_image(tmp_path / "b.png")


def test_numbers_are_bounded_wherever_they_stand() -> None:
    check_numbers({"a": [1, -2.5, {"b": True}], "c": "x" * 100}, 3.0)
    for value, words in (
        ({"a": {"b": [4]}}, r"config\.a\.b\.0 is 4"),
        ([1, 1, 1, 1], "4 entries"),
        (float("nan"), "nan"),
    ):
        with pytest.raises(ValueError, match=words):
            check_numbers(value, 3.0)
