"""Light and framing by a score: a small grade and a closer view of images that are drawn. Alpha is framed, not graded.

light    2 ** stops times as bright      warmth   red up and blue down by an eighth at 1, the other way at -1
closer   the view comes nearer by half at 1, about a point above the middle, where a face is
"""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.direct.composer import Composer
from gtalk.direct.score import Score
from gtalk.shapes import UInt8

TRACKS = ("look.light", "look.warmth", "look.closer")
_WARMTH, _CLOSER = 0.125, 0.5
_MIDDLE_Y = 0.42  # of the height
_EASES_S = 2.0  # longer than anything eases in or out


class Look:
    """The look of images in order, as the events of a score ask for it. It may be told more, as a ScoreEdit."""

    def __init__(self, score: Score | None = None) -> None:
        self._composer = Composer(() if score is None else score.events, TRACKS.__contains__)
        self._now_s = 0.0

    def receive(self, event: object) -> None:
        """Obey another score, or more events; what comes late eases in from now on."""
        self._composer.receive(event, self._now_s)

    def asks(self, time_s: float) -> bool:
        """Whether an event may be seen at an instant."""
        return any(e.start_s - _EASES_S < time_s < e.end_s + _EASES_S for e in self._composer.events)

    @staticmethod
    def of(score: Score | None) -> Look | None:
        """None where nothing is asked for."""
        return None if score is None or not any(e.track in TRACKS for e in score.events) else Look(score)

    def __call__(
        self, rgb: UInt8[np.ndarray, "H W 3"], alpha: UInt8[np.ndarray, "H W"], number: int, fps: float
    ) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
        """Image `number` and its alpha; both as they came where nothing is asked of that instant."""
        (asked,) = self._composer(number, 1, fps)
        self._now_s = (number + 1) / fps
        if not asked:
            return rgb, alpha
        light, warmth, closer = (asked.get(track, 0.0) for track in TRACKS)
        if light or warmth:
            gains = 2.0**light * np.array([1.0 + _WARMTH * warmth, 1.0, 1.0 - _WARMTH * warmth])
            levels = np.clip(np.arange(256)[:, None] * gains + 0.5, 0, 255).astype(np.uint8)
            rgb = cv2.LUT(rgb, np.ascontiguousarray(levels[:, None]))
        if closer:
            rgb, alpha = _nearer(rgb, closer), _nearer(alpha, closer)
        return rgb, alpha


def _nearer(image: np.ndarray, closer: float) -> np.ndarray:
    height, width = image.shape[:2]
    zoom = 1.0 + _CLOSER * closer
    x, y = 0.5 * width, _MIDDLE_Y * height
    matrix = np.array([[zoom, 0.0, x - zoom * x], [0.0, zoom, y - zoom * y]])
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
