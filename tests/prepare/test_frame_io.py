import threading
from pathlib import Path

import cv2
import numpy as np

from gtalk.prepare.frame_io import in_turns, read_frame, read_grey, read_luma, write_frame, write_grey


def test_turns_keep_the_order_and_use_several_threads() -> None:
    meet = threading.Barrier(2, timeout=20)

    def work(index: int) -> int:
        if index in (0, 8):  # of two turns: one thread alone would wait here for ever
            meet.wait()
        return index * index

    assert list(in_turns(work, range(0, 100), turn=8)) == [i * i for i in range(100)]
    assert list(in_turns(work, [])) == []


def test_brightness_is_that_of_the_image_at_half_its_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (16, 24, 3), dtype=np.uint8), (192, 128), interpolation=cv2.INTER_CUBIC)
    write_frame(tmp_path, 7, image, 97)
    grey = cv2.cvtColor(read_frame(tmp_path, 7), cv2.COLOR_RGB2GRAY)
    for least, size in ((128, (192, 128)), (65, (192, 128)), (64, (96, 64)), (30, (48, 32))):
        found = read_luma(tmp_path, 7, least, 128)
        assert found.shape == size[::-1]
        expected = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        assert np.abs(found.astype(int) - expected).mean() < 1.0


def test_single_channel_images_come_back_as_they_were(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (33, 21), dtype=np.uint8)
    write_grey(tmp_path, 0, image)
    assert np.array_equal(read_grey(tmp_path, 0), image)
