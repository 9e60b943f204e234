"""The virtual camera, where no kernel of the tests has one: what is asked of the device, written to it, and refused."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.viewer.outlets.camera import QUERY_CAPABILITY, SET_FORMAT, Camera

OUTPUT, CAPTURE, DEVICE_CAPS = 0x2, 0x1, 0x80000000


class Kernel:
    """Answers as v4l2loopback does."""

    def __init__(self, caps: int = OUTPUT, size: tuple[int, int] | None = None, error: int = 0) -> None:
        self.caps, self.size, self.error, self.form = caps, size, error, ()

    def __call__(self, _device: int, what: int, data: bytes) -> bytes:
        if what == QUERY_CAPABILITY:
            assert len(data) == 104
            return struct.pack("16s32s32s6I", b"v4l2 loopback", b"gtalk", b"", 0, DEVICE_CAPS | 0x3, self.caps, 0, 0, 0)
        assert what == SET_FORMAT and len(data) == 208
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.form = struct.unpack("I4x12I152x", data)
        if self.size is not None:
            return struct.pack("I4x12I152x", self.form[0], *self.size, *self.form[3:])
        return data


def camera(path: Path, monkeypatch: pytest.MonkeyPatch, kernel: Kernel, size=(65, 48)) -> Camera:
    path.touch()
    monkeypatch.setattr(fcntl, "ioctl", kernel)
    return Camera(path, size)


def test_pictures_are_written_as_the_device_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    out = camera(tmp_path / "video9", monkeypatch, kernel)
    assert kernel.form[:8] == (2, 64, 48, 0x32315559, 1, 64, 64 * 48 * 3 // 2, 8)
    rgb = np.zeros((48, 65, 3), np.uint8)
    rgb[:24] = (255, 0, 0)
    out.send(rgb, np.zeros(640, np.float32), 0.0)
    out.send(None, np.zeros(640, np.float32), 0.04)
    out.send(np.full((96, 130, 3), 255, np.uint8), np.zeros(640, np.float32), 0.08)  # the page chose another size
    out.close()
    data = np.frombuffer((tmp_path / "video9").read_bytes(), np.uint8).reshape(2, -1)
    assert data.shape[1] == kernel.form[6]
    luma = data[0, : 64 * 48].reshape(48, 64)
    assert abs(int(luma[4, 4]) - 82) <= 2 and luma[40, 4] == 16  # red and black of BT.601
    assert data[1, : 64 * 48].min() >= 234


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (Kernel(CAPTURE), "takes no pictures"),
        (Kernel(size=(640, 480)), "fixed to 640x480"),
        (Kernel(error=errno.EBUSY), "feeds already"),
        (Kernel(error=errno.EINVAL), "Invalid argument"),
    ],
)
def test_another_device_is_refused_in_words(
    kernel: Kernel, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UserError, match=words):
        camera(tmp_path / "video9", monkeypatch, kernel)
    assert len(list(Path("/proc/self/fd").iterdir())) == n_open


def test_what_is_no_camera_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)No such file.*modprobe v4l2loopback"):
        Camera(tmp_path / "video9", (64, 48))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="no camera device"):
        Camera(tmp_path / "file", (64, 48))
