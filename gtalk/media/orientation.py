"""How a stored image is to be shown: turned, mirrored, with square pixels. A display matrix says the first two.

A display matrix [a b u; c d v; x y w] takes a stored point (x right, y down) to the shown one,
x' = a x + c y, y' = b x + d y (ISO/IEC 14496-12, 8.3.2). An angle alone cannot say that an image is mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gtalk.shapes import Shaped

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MOST_STRETCH = 4.0
"""A pixel aspect beyond this, either way, is damage."""


@dataclass(frozen=True)
class Orientation:
    """What brings a stored image upright: first rows and columns are exchanged, then the axes reversed."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @staticmethod
    def of(frame: VideoFrame) -> Orientation:
        """As the file says; upright where it says nothing or what no quarter turn does."""
        data = frame.side_data.get("DISPLAYMATRIX")
        if data is None:
            return Orientation()
        values = np.frombuffer(bytes(data), np.int32)
        if len(values) != 9:
            return Orientation()
        a, b, c, d = (int(values[i]) for i in (0, 1, 3, 4))
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return Orientation(False, a < 0, d < 0)
        return Orientation(True, c < 0, b < 0)

    @property
    def mirrored(self) -> bool:
        """Whether text would read backwards as it is stored."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation_deg(self) -> int:
        """Counter-clockwise quarter turns of the stored image, after a mirroring left to right where there is one."""
        if self.transpose:
            return 90 if self.flip_y != self.mirrored else 270
        return 180 if self.flip_y else 0

    def apply(self, image: Shaped[np.ndarray, "h w ..."]) -> Shaped[np.ndarray, "H W ..."]:
        """The image as it is shown."""
        if not (self.transpose or self.flip_x or self.flip_y):
            return image
        shown = image.swapaxes(0, 1) if self.transpose else image
        shown = shown[:, ::-1] if self.flip_x else shown
        return np.ascontiguousarray(shown[::-1] if self.flip_y else shown)


def pixel_aspect(stream: Any) -> float:
    """Width of a stored pixel over its height: the container's word goes before the codec's; 1 where neither speaks."""
    for aspect in (stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio):
        if aspect and 1 / MOST_STRETCH <= aspect <= MOST_STRETCH:
            return float(aspect)
    return 1.0
