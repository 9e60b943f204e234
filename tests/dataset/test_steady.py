"""Frames as a locked camera on a stand would have stored them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.dataset.format import Dataset
from gtalk.dataset.steady import LIGHT_FILE, before_plate, evened
from gtalk.errors import UserError
from tests.support.synthetic_dataset import make_synthetic_dataset


def test_channels_are_multiplied_and_ones_change_nothing() -> None:
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    assert evened(image, np.ones(3)) is image and evened(image, None) is image
    gain = np.array([0.5, 1.0, 2.0])
    assert np.array_equal(evened(image, gain), np.clip(np.rint(image * gain), 0, 255).astype(np.uint8))


def test_the_person_comes_before_the_plate_with_a_clean_outline() -> None:
    """Over a lively room that is taken off exactly where it is smooth near the outline."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96]
    alpha = np.clip((30 - np.hypot(x - 48, y - 55)) / 6 + 0.5, 0, 1)
    room = cv2.resize(rng.integers(30, 220, (3, 3, 3), dtype=np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
    plate = np.full((96, 96, 3), (40, 170, 90), np.uint8)
    person = np.array([200.0, 150.0, 120.0])
    matte = np.rint(255 * alpha).astype(np.uint8)
    share = matte[..., None] / 255
    shown = before_plate(np.rint(share * person + (1 - share) * room).astype(np.uint8), matte, plate)
    wanted = share * person + (1 - share) * plate
    band = (matte > 8) & (matte < 250)
    assert np.array_equal(shown[matte == 0], plate[matte == 0])
    assert np.abs(shown[matte == 255] - person).max() <= 1
    assert np.abs(shown[band] - wanted[band]).mean() < 6
    kept = share * person + (1 - share) * room
    assert np.abs(kept[band] - wanted[band]).mean() > 20


def test_a_dataset_gives_what_its_files_say(tmp_path: Path) -> None:
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=6, size=64)
    plain = dataset.frame(2)
    gain = np.ones((6, 3), np.float32)
    gain[2] = (0.8, 1.0, 1.25)
    np.savez(tmp_path / "ds" / LIGHT_FILE, gain=gain)
    lit = Dataset(tmp_path / "ds")
    assert np.array_equal(lit.frame(2), evened(plain, gain[2])) and np.array_equal(lit.frame(3), dataset.frame(3))

    manifest = json.loads((tmp_path / "ds/manifest.json").read_text())
    manifest["stages"] = {"background": {"facts": {"by_matte": True}}}
    (tmp_path / "ds/manifest.json").write_text(json.dumps(manifest))
    cv2.imwrite(str(tmp_path / "ds/background.png"), np.full((64, 64, 3), 77, np.uint8))
    alone = Dataset(tmp_path / "ds")
    shown, matte = alone.frame(3), alone.matte(3)
    assert (shown[matte == 0] == 77).all() and np.array_equal(shown[matte == 255], dataset.frame(3)[matte == 255])


@pytest.mark.parametrize("gain", [np.ones((5, 3)), np.zeros((6, 3)), np.full((6, 3), np.nan), np.ones((6, 3), int)])
def test_gains_that_are_none_are_refused(gain: np.ndarray, tmp_path: Path) -> None:
    make_synthetic_dataset(tmp_path / "ds", n_frames=6, size=64)
    np.savez(tmp_path / "ds" / LIGHT_FILE, gain=gain)
    with pytest.raises(UserError, match=LIGHT_FILE):
        Dataset(tmp_path / "ds").frame(0)
