"""A virtual camera: pictures to a v4l2loopback device of Linux, which any program then chooses as its camera."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float, UInt8
from gtalk.viewer.outlets.stream import fitted

# Of Linux's videodev2.h, 64 bits.
QUERY_CAPABILITY, SET_FORMAT = 0x80685600, 0xC0D05605
_CAPABILITY = struct.Struct("16s32s32s6I")
_FORMAT = struct.Struct("I4x12I152x")
_OUTPUT, _HAS_DEVICE_CAPS = 0x2, 0x80000000
_TYPE_OUTPUT, _FIELD_NONE, _SRGB = 2, 1, 8
_I420 = int.from_bytes(b"YU12", "little")
_REMEDY = (
    "Load one: sudo apt install v4l2loopback-dkms; sudo modprobe v4l2loopback exclusive_caps=1 card_label=gtalk; "
    "then name its /dev/videoN. A container has the cameras of its host's kernel."
)


class Camera:
    """See `Sink`: shows pictures, no sound.

    Args:
        path: of the device.
        size: (width, height) of what it shows, even.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._path, self.size = path, (size[0] // 2 * 2, size[1] // 2 * 2)
        try:
            self._device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise self._refused(error.strerror or str(error)) from error
        try:
            self._ask_what_it_is()
            self._set_format()
        except BaseException:
            os.close(self._device)
            raise

    def send(self, rgb: UInt8[np.ndarray, "H W 3"] | None, samples: Float[np.ndarray, " N"], time_s: float) -> None:
        """See `Sink`."""
        if rgb is not None:
            os.write(self._device, cv2.cvtColor(fitted(rgb, self.size), cv2.COLOR_RGB2YUV_I420).tobytes())

    def flush(self) -> None:
        """See `Sink`: nothing waits."""

    def close(self) -> None:
        """See `Sink`."""
        os.close(self._device)

    def _ask_what_it_is(self) -> None:
        try:
            answer = fcntl.ioctl(self._device, QUERY_CAPABILITY, bytes(_CAPABILITY.size))
        except OSError as error:
            raise self._refused("no camera device") from error
        _, card, _, _, of_all, of_this, *_ = _CAPABILITY.unpack(answer)
        if not (of_this if of_all & _HAS_DEVICE_CAPS else of_all) & _OUTPUT:
            name = card.rstrip(b"\0").decode(errors="replace")
            raise self._refused(f"{name!r}, which takes no pictures: a real camera, or one that somebody feeds")

    def _set_format(self) -> None:
        width, height = self.size
        size = width * height * 3 // 2
        wanted = _FORMAT.pack(_TYPE_OUTPUT, width, height, _I420, _FIELD_NONE, width, size, _SRGB, 0, 0, 0, 0, 0)
        try:
            answer = _FORMAT.unpack(fcntl.ioctl(self._device, SET_FORMAT, wanted))
        except OSError as error:
            busy = error.errno == errno.EBUSY
            raise self._refused("one that somebody feeds already" if busy else str(error.strerror)) from error
        if answer[1:4] != (width, height, _I420):
            raise self._refused(
                f"one that is fixed to {answer[1]}x{answer[2]} by who watches it; wanted {width}x{height}"
            )

    def _refused(self, got: str) -> UserError:
        return UserError(f"--camera {self._path}", expected="a v4l2loopback device", got=got, remedy=_REMEDY)
