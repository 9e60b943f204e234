"""How images are to look, apart from who is in them: passed to each draw, never changed in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.avatar.base import PLATE
from gtalk.shapes import UInt8
from gtalk.types import Camera


@dataclass(frozen=True, eq=False)
class View:
    """Whoever wants another view puts another `View` in the place of this one, in one assignment."""

    camera: Camera | None = None
    """The clip's by default."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels, of the camera's aspect ratio; the camera's by default."""
    background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE
    """PLATE, an image of the output's size, or None for premultiplied colour on nothing."""
