"""What was recorded of one person, in pieces that survive whatever happens to page, network and server.

    FOLDER/ada/take.json                       who, consent, what is known of the parts
    FOLDER/ada/clips/read.0.webm.pieces/00017  a piece, whole or not there
    FOLDER/ada/clips/read.0.webm               all pieces of a stretch, joined

A part (reading, turning, ...) is recorded in one stretch, or in several where it was interrupted. The recorder cuts
each stretch into numbered pieces and sends a piece until the answer says that it is held; sent twice, it is held once.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import atomic_path, require_writable_folder, write_json
from gtalk.marks.consent import require_yes
from gtalk.media.source import probe
from gtalk.reading.untrusted import read_json

PARTS = ("read", "turn", "vowels", "silence", "upload", "faces", "consent")
LEARNED = ("read", "turn", "vowels", "silence", "upload")
"""Parts that `gtalk train` is given as clips."""
PIECE_S = 0.5
"""Of sound and picture in a piece."""
MOST_UPLOAD_BYTES = 1 << 30
MOST_PIECE_BYTES = 8 << 20
_MOST_PIECES = 20_000
_TAKE, _CLIPS, _PIECES = "take.json", "clips", ".pieces"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_SUFFIX = re.compile(r"[a-z0-9]{2,4}")


class Missing(Exception):
    """Pieces of a stretch have not arrived yet: their numbers."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        super().__init__(f"pieces {numbers[:8]} are missing")


class Take:
    """One person's recording in its folder. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()

    @staticmethod
    def begin(root: Path, person: str, statement: str, language: str) -> Take:
        """A new recording under `root`. Raises UserError for what is no consent."""
        require_yes(person, statement)
        folder = _free_folder(root, person)
        who = {"person": person.strip(), "statement": statement.strip(), "language": language[:8]}
        write_json(folder / _TAKE, {"version": 1, **who, "parts": {}})
        return Take(folder)

    @property
    def facts(self) -> dict[str, Any]:
        """What is in take.json; nothing where there is none."""
        with contextlib.suppress(OSError, ValueError):
            facts = read_json(self.folder / _TAKE)
            if isinstance(facts, dict):
                return facts
        return {}

    def note(self, **facts: Any) -> None:
        """Keep facts about the recording."""
        with self._lock:
            write_json(self.folder / _TAKE, self.facts | facts)

    def put(self, part: str, stretch: int, number: int, suffix: str, data: bytes) -> None:
        """Hold a piece; the same once more changes nothing. Raises UserError for a full disk or what is no piece."""
        path = self._clip(part, stretch, suffix)
        if not 0 <= number < _MOST_PIECES or not 0 < len(data) <= MOST_PIECE_BYTES:
            raise UserError("piece", expected=f"0 to {_MOST_PIECES}, of at most {MOST_PIECE_BYTES >> 20} MB",
                            got=f"number {number}, {len(data)} bytes", remedy="Load the page anew.")  # fmt: skip
        place = _pieces_of(path) / f"{number:05d}"
        if _is_closed(path) or place.exists():
            return
        if part == "upload" and number * MOST_PIECE_BYTES > MOST_UPLOAD_BYTES:
            raise too_long(number * MOST_PIECE_BYTES)
        with atomic_path(place) as temporary, open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def held(self, part: str, stretch: int, suffix: str) -> list[int] | None:
        """Numbers of the pieces that are held; None where the stretch is joined already."""
        path = self._clip(part, stretch, suffix)
        return None if _is_closed(path) else _numbers(path)

    def close(
        self, part: str, stretch: int, suffix: str, count: int, seconds: float, *, fresh: bool = False,
        labels: Sequence[tuple[float, float, str]] = (),
    ) -> Path:  # fmt: skip
        """Join the pieces of a stretch. Raises Missing, and UserError where they make no video.

        Args:
            count: how many pieces there are.
            seconds: how long it is.
            fresh: earlier stretches of the part make way for it.
            labels: of the faces part, (start_s, end_s, name) of each.
        """
        path = self._clip(part, stretch, suffix)
        with self._lock:
            if not _is_closed(path):
                if missing := sorted(set(range(count)) - set(_numbers(path))):
                    raise Missing(missing)
                _join(path, count)
                gone = path.with_name(f".{path.name}.gone")
                shutil.rmtree(gone, ignore_errors=True)
                _pieces_of(path).rename(gone)  # from here on it is closed, however much of this is left
                shutil.rmtree(gone, ignore_errors=True)
            if part in {*LEARNED, "faces"}:
                self._require_film(path)
            if labels:
                with atomic_path(path.with_suffix(".csv")) as temporary, open(temporary, "w", newline="") as file:
                    csv.writer(file).writerows([("start_s", "end_s", "name"), *labels])
            for older in self.clips_of(part) if fresh else []:
                if older != path:
                    _remove(older)
            noted = {
                name: seconds for name, seconds in self._seconds().items() if (self.folder / _CLIPS / name).exists()
            }
            self.note(parts=noted | {path.name: round(float(seconds), 2)})
        return path

    def rescue(self) -> list[str]:
        """Make clips of what a page that is gone has left open, as far as it came. Returns their names.

        The pieces stay: a page that comes back goes on with them.
        """
        saved = []
        for pieces in sorted(self.folder.glob(f"{_CLIPS}/*{_PIECES}")):
            path = pieces.with_suffix("")
            numbers = _numbers(path)
            count = next((i for i, number in enumerate(numbers) if number != i), len(numbers))
            size = sum((pieces / f"{number:05d}").stat().st_size for number in range(count))
            if not size or (path.exists() and path.stat().st_size >= size):
                continue
            with self._lock, contextlib.suppress(UserError):
                _join(path, count)
                self._require_film(path)
                self.note(parts=self._seconds() | {path.name: count * PIECE_S})
                saved.append(path.name)
        return saved

    def forget(self, part: str) -> None:
        """Delete a part."""
        with self._lock:
            for path in self.folder.glob(f"{_CLIPS}/{_known(part)}.*"):
                _remove(path)

    def clips_of(self, part: str) -> list[Path]:
        """The joined stretches of a part, in order."""
        found = [p for p in self.folder.glob(f"{_CLIPS}/{_known(part)}.*") if p.suffix not in {_PIECES, ".csv"}]
        return sorted((p for p in found if p.name.count(".") == 2), key=lambda p: int(p.name.split(".")[1]))

    @property
    def clips(self) -> list[Path]:
        """What the avatar is made of."""
        return [clip for part in LEARNED for clip in self.clips_of(part)]

    def parts(self) -> dict[str, dict[str, Any]]:
        """Of each part that is there: seconds, bytes, stretches, and the next stretch's number."""
        seconds, told = self._seconds(), {}
        for part in PARTS:
            clips = self.clips_of(part)
            begun = [int(p.name.split(".")[1]) for p in self.folder.glob(f"{_CLIPS}/{part}.*") if p.name[0] != "."]
            if begun:
                told[part] = {
                    "seconds": round(sum(seconds.get(clip.name, 0.0) for clip in clips), 1),
                    "bytes": sum(clip.stat().st_size for clip in clips), "stretches": len(clips),
                    "next": max(begun) + 1,
                }  # fmt: skip
        return told

    def _seconds(self) -> dict[str, float]:
        noted = self.facts.get("parts")
        return noted if isinstance(noted, dict) else {}

    def _clip(self, part: str, stretch: int, suffix: str) -> Path:
        if not _SUFFIX.fullmatch(suffix) or not 0 <= stretch < 1000:
            raise UserError("clip", expected="a suffix of a video, and a small number", got=f"{stretch}.{suffix[:8]}",
                            remedy="Load the page anew.")  # fmt: skip
        return self.folder / _CLIPS / f"{_known(part)}.{stretch}.{suffix}"

    def _require_film(self, path: Path) -> None:
        """Raises UserError, and deletes the clip, where nothing of it can be shown or heard."""
        try:
            info = probe(path)
            if not info.has_video or (not info.has_audio and path.name.startswith(("read", "upload"))):
                raise UserError(path.name, expected="a video with sound",
                                got="no picture inside" if not info.has_video else "no sound inside",
                                remedy="Choose a film of the person speaking, or record here.")  # fmt: skip
        except UserError:
            _remove(path)
            raise


def too_long(size_bytes: int) -> UserError:
    """For an upload that is larger than any that is of use."""
    return UserError(
        "the upload",
        expected=f"at most {MOST_UPLOAD_BYTES >> 30} GB: five minutes are enough",
        got=f"{size_bytes / 1e9:.1f} GB",
        remedy="Cut out five good minutes, or give the file to `gtalk train` on this machine.",
    )


def is_name(name: str) -> bool:
    """Whether a folder of the library may be called so."""
    return _NAME.fullmatch(name) is not None


def slug(words: str) -> str:
    """A folder's name for a person's or a file's: plain letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "avatar"


def _free_folder(root: Path, person: str) -> Path:
    require_writable_folder(root)
    base, number = slug(person), 1
    while True:
        folder = root / (base if number == 1 else f"{base}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
        number += 1


def _known(part: str) -> str:
    if part not in PARTS:
        raise UserError("part", expected=", ".join(PARTS), got=part[:20], remedy="Load the page anew.")
    return part


def _pieces_of(path: Path) -> Path:
    return path.with_name(path.name + _PIECES)


def _is_closed(path: Path) -> bool:
    """Whether all of a stretch is in its clip; one that was made of a part of it has its pieces beside it."""
    return path.exists() and not _pieces_of(path).exists()


def _join(path: Path, count: int) -> None:
    pieces = _pieces_of(path)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for number in range(count):
            with open(pieces / f"{number:05d}", "rb") as piece:
                shutil.copyfileobj(piece, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _numbers(path: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(int(p.name) for p in _pieces_of(path).iterdir() if p.name.isdigit())
    return []


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
        path.with_suffix(".csv").unlink(missing_ok=True)
