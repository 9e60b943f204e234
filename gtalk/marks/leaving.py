"""The last thing that is done to a picture before it leaves: a word where one is wanted, and the invisible mark."""

from __future__ import annotations

import numpy as np

from gtalk.marks.identity import Identity
from gtalk.marks.label import Label, labelled
from gtalk.marks.watermark import Watermark
from gtalk.shapes import UInt8


class Leaving:
    """Makes pictures of one avatar ready to leave. The original is not changed.

    Args:
        identity: whose likeness is seen.
        label: whether words say that it is generated.
    """

    def __init__(self, identity: Identity, label: Label = "off") -> None:
        self._mark = Watermark(identity.avatar_id) if identity.watermark else None
        self._label = label

    def __call__(
        self, rgb: UInt8[np.ndarray, "H W 3"], alpha: UInt8[np.ndarray, "H W"] | None = None
    ) -> UInt8[np.ndarray, "H W 3"]:
        """The picture as it leaves; `alpha` where it is premultiplied."""
        if self._label == "on":
            rgb = labelled(rgb)
        return rgb if self._mark is None else self._mark.apply(rgb, alpha)
