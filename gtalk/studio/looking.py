"""What a small picture of the camera says, once a second: faces, their place, light and sharpness, and whose it is.

Measures and thresholds are those of the report (`gtalk.prepare.report.metrics`), so that what is green here is not
amber there after a recording.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.prepare.landmarks.detectors import Face, FaceMeshFinder
from gtalk.prepare.landmarks.identities import FEW_FRAMES, OTHER_SHAPE, face_shape, shape_difference
from gtalk.prepare.report.metrics import judge_images
from gtalk.topology import FACE_OVAL

MOST_JPEG_BYTES = 2 << 20
LOOKS = 20
"""Of one person, that a shape is made from."""
_ENOUGH = 8  # looks before anybody is called somebody else
_MOST_PIXELS = 1920 * 1920
_NOSE = 1
DARK, BRIGHT = 55.0, 215.0
"""Median luma of a face, 0 to 255, that is too little or too much."""


class Looker:
    """Finds faces in pictures, one at a time, and remembers the last looks at each recording's person."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finder: FaceMeshFinder | None = None
        self._looks: dict[str, deque[np.ndarray]] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is looked at while the block runs: loading the detector keeps everybody's stderr quiet."""
        with self._lock:
            yield

    def warm(self) -> None:
        """Load the detector now."""
        with self._lock:
            self._find(np.zeros((64, 64, 3), np.uint8))

    def look(self, jpeg: bytes, take: str = "", known: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a picture shows. Raises UserError for what is no picture.

        Args:
            take: whose recording this is for; its looks are gathered.
            known: the shape of that person's face from another day, as `shape` gave it.

        Returns:
            `faces` (how many), and with a face `box` (x, y, width, height in shares of the picture), `yaw` (about -1 to
            1), `sharpness`, `over`, `under` (shares of the face), `light` (median luma) and `same` (whether it is the
            person that is known; None where that is not sure).
        """
        picture = _decoded(jpeg)
        with self._lock:
            faces = self._find(picture)
        told: dict[str, Any] = {"faces": len(faces), "width": picture.shape[1], "height": picture.shape[0]}
        if not faces:
            return told
        face = max(faces, key=lambda one: float(np.ptp(one.points[:, 1])))
        points = face.points[:, :2].astype(np.float64)
        low, high = points[FACE_OVAL].min(0), points[FACE_OVAL].max(0)
        size = np.array([picture.shape[1], picture.shape[0]], float)
        seen = judge_images([(picture, face.points[:, :2])])
        told |= {
            "box": [*(low / size).round(4).tolist(), *((high - low) / size).round(4).tolist()],
            "yaw": round(float((points[_NOSE, 0] - (low[0] + high[0]) / 2) / max(high[0] - low[0], 1.0) * 2), 3),
            "sharpness": seen.sharpness, "over": seen.over_share, "under": seen.under_share,
            "light": _light(picture, low, high), "same": None,
        }  # fmt: skip
        if take and len(faces) == 1 and abs(told["yaw"]) < 0.3:
            told["same"] = self._same(take, face, known)
        return told

    def shape(self, take: str) -> dict[str, Any] | None:
        """The shape of the face that was looked at for a recording, to be known again; None before it is known well."""
        looks = self._looks.get(take)
        if looks is None or len(looks) < _ENOUGH:
            return None
        return {"looks": len(looks), "points": face_shape(np.stack(looks)).round(5).tolist()}

    def forget(self, take: str) -> None:
        """Begin anew with a recording's person."""
        self._looks.pop(take, None)

    def _same(self, take: str, face: Face, known: Mapping[str, Any] | None) -> bool | None:
        looks = self._looks.setdefault(take, deque(maxlen=LOOKS))
        looks.append(face.points)
        if known is None or len(looks) < _ENOUGH:
            return None
        before = np.asarray(known.get("points"), float)
        now = face_shape(np.stack(looks))
        if before.shape != now.shape:
            return None
        return shape_difference(now, before) < OTHER_SHAPE + FEW_FRAMES / len(looks)

    def _find(self, picture: np.ndarray) -> list[Face]:
        if self._finder is None:
            self._finder = FaceMeshFinder(static=True)
        return self._finder.find(picture)


def _light(picture: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    (x0, y0), (x1, y1) = np.clip(low, 0, None).astype(int), np.ceil(high).astype(int)
    face = picture[y0:y1, x0:x1]
    return round(float(np.median(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))), 1) if face.size else 0.0


def _decoded(jpeg: bytes) -> np.ndarray:
    fits = 0 < len(jpeg) <= MOST_JPEG_BYTES
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if fits else None
    if picture is None or picture.shape[0] * picture.shape[1] > _MOST_PIXELS:
        raise UserError("picture", expected="a small JPEG", got=f"{len(jpeg)} bytes that are none",
                        remedy="Load the page anew.")  # fmt: skip
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
