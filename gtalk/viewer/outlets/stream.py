"""A session to a server that takes RTMP or SRT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from gtalk.shapes import Float, UInt8
from gtalk.types import AUDIO_RATE

if TYPE_CHECKING:
    from gtalk.media.output.broadcast import Broadcast


class StreamSink:
    """See `Sink`. Pictures of another size than the first are brought to it.

    Args:
        url: where to.
        fps: of the session.
        tags: metadata.
    """

    def __init__(self, url: str, fps: float, tags: dict[str, str] | None = None) -> None:
        self._url, self._fps, self._tags = url, fps, tags
        self._broadcast: Broadcast | None = None
        self._size = (0, 0)

    def send(self, rgb: UInt8[np.ndarray, "H W 3"] | None, samples: Float[np.ndarray, " N"], time_s: float) -> None:
        """See `Sink`: it begins with the first picture."""
        if self._broadcast is None:
            if rgb is None:
                return
            from gtalk.media.output.broadcast import Broadcast

            self._size = (rgb.shape[1] // 2 * 2, rgb.shape[0] // 2 * 2)
            self._broadcast = Broadcast(self._url, self._size, self._fps, AUDIO_RATE, tags=self._tags)
            self._begin_s = time_s
        time_s -= self._begin_s
        if rgb is not None:
            self._broadcast.image(fitted(rgb, self._size), time_s)
        self._broadcast.sound(samples, time_s)

    def flush(self) -> None:
        """See `Sink`: nothing waits."""

    def close(self) -> None:
        """See `Sink`."""
        if self._broadcast is not None:
            self._broadcast.close()


def fitted(rgb: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """An image of (width, height): an odd row or column goes, anything else is resized."""
    width, height = size
    if 0 <= rgb.shape[0] - height <= 1 and 0 <= rgb.shape[1] - width <= 1:
        return np.ascontiguousarray(rgb[:height, :width])
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
