"""What a file says about itself: the mark in its pictures, and its tags. An upload takes the tags, not the mark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.marks.identity import NOBODY
from gtalk.marks.reading import MOST_TRIES, MarkReader, Reading
from gtalk.media.source import tags_of
from gtalk.media.video import read_video
from gtalk.reading.untrusted import read_image

_PICTURES = {".png", ".jpg", ".jpeg"}
_LOOKS = (1, 12, 50, 150)
"""After so many pictures the mark is looked for."""
assert len(_LOOKS) + 1 <= MOST_TRIES  # what the threshold counts with
_APART = 5  # frames; neighbours say the same
_OURS = "made with gtalk"


@dataclass(frozen=True)
class FileMark:
    """What was found in a file."""

    mark: Reading | None
    n_pictures: int
    """Looked at."""
    comment: str
    """What its metadata says of gtalk; empty where nothing."""

    @property
    def avatar_id(self) -> str | None:
        """Of the mark; None where it names no avatar."""
        if self.mark is None or self.mark.payload.hex() == NOBODY.avatar_id:
            return None
        return self.mark.payload.hex()


def read_file(path: Path) -> FileMark:
    """Look for the mark in a picture or a video. Raises UserError for what is neither."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"file {path}", expected="a picture or a video", got="nothing there", remedy="Check the path.")
    reader = MarkReader()
    if path.suffix.lower() in _PICTURES:
        reader.add(_picture(path))
        return FileMark(reader.read(), 1, "")
    comment = next((text for text in tags_of(path).values() if _OURS in text), "")
    n_seen = 0
    for n_frame, rgb in enumerate(read_video(path)):
        if n_frame % _APART:
            continue
        reader.add(rgb)
        n_seen += 1
        if n_seen in _LOOKS and (mark := reader.read()) is not None:
            return FileMark(mark, n_seen, comment)
        if n_seen >= _LOOKS[-1]:
            break
    return FileMark(reader.read() if n_seen not in _LOOKS else None, n_seen, comment)


def _picture(path: Path) -> np.ndarray:
    try:
        return cv2.cvtColor(read_image(path), cv2.COLOR_BGR2RGB)
    except (OSError, ValueError) as error:
        raise UserError(f"file {path}", expected="a PNG or JPEG picture", got=str(error),
                        remedy="Convert it to PNG.") from error  # fmt: skip
