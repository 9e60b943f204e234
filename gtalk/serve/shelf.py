"""What a server keeps beside jobs: the avatars that it speaks with, and the files that clients have sent."""

from __future__ import annotations

import itertools
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import write_json
from gtalk.reading.untrusted import member, read_json

_SPARE_BYTES = 256 << 20  # of the disk: less room takes no upload


def avatars_of(folders: Sequence[Path]) -> dict[str, Path]:
    """Avatars by name; a folder of avatars stands for all in it. Raises UserError for none, and for a name twice."""
    found: dict[str, Path] = {}
    for folder in itertools.chain.from_iterable(map(_avatars_in, folders)):
        if not _is_avatar(folder):
            raise UserError(f"avatar {folder}", expected="a folder with an avatar.json, or of such folders", got="none",
                            remedy="Fit one with `gtalk train`, or check the path.")  # fmt: skip
        name = folder.resolve().name
        if name in found:
            raise UserError("avatars", expected="a name each", got=f"two folders called {name}",
                            remedy="Rename one.")  # fmt: skip
        found[name] = folder.resolve()
    return found


def _avatars_in(folder: Path) -> list[Path]:
    """The folder itself where it is an avatar or holds none; else the avatars in it."""
    inside = sorted(path.parent for path in folder.glob("*/avatar.json"))
    return [folder] if _is_avatar(folder) else inside or [folder]


def _is_avatar(folder: Path) -> bool:
    return (folder / "avatar.json").is_file()


def facts_of(name: str, folder: Path) -> dict[str, Any]:
    """What clients are told of an avatar, read anew: it may have been fitted again."""
    told = read_json(member(folder, "avatar.json"))
    consent = told.get("consent") or {}
    camera = told.get("camera") or {}
    return {
        "name": name,
        "person": str(consent.get("person", "")),
        "renderer": str(told.get("kind", "")),
        "width": camera.get("width"),
        "height": camera.get("height"),
        "fps": told.get("fps"),
        "speaks": (folder / "motion.json").is_file(),
        "generated": True,
    }


class Uploads:
    """Files that clients have sent, each seen by its sender alone."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most = folder, most_bytes

    async def take(self, owner: str, name: str, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """Write what comes, under a fresh name. Raises UserError past the limit or on a full disk: nothing stays."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file_id, size = secrets.token_hex(16), 0
        temporary, path = self._folder / f".{file_id}", self._path(file_id, name)
        try:
            with temporary.open("wb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > self._most:
                        raise UserError("file", expected=f"at most {self._most / 1e6:.0f} MB", got="more",
                                        remedy="Send the sound alone, or in parts.")  # fmt: skip
                    if shutil.disk_usage(self._folder).free < _SPARE_BYTES:
                        raise UserError("file", expected="room on the server's disk", got="too little",
                                        remedy="Try again later.")  # fmt: skip
                    file.write(piece)
            if not size:
                raise UserError("file", expected="its bytes as the body", got="none", remedy="curl --data-binary @FILE")
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        write_json(self._folder / f"{file_id}.json", {"owner": owner, "name": path.name})
        return {"file": f"file:{file_id}", "bytes": size}

    def path(self, owner: str, file_id: str) -> Path | None:
        """Where a client's file lies; None where it has sent none of this id."""
        try:
            told = read_json(member(self._folder, f"{file_id}.json"))
        except (OSError, ValueError):
            return None
        path = self._folder / str(told.get("name", ""))
        return path if told.get("owner") == owner and path.is_file() else None

    def _path(self, file_id: str, name: str) -> Path:
        """With the suffix of its name, which tells a motion file from a sound."""
        kept = "".join(Path(name).suffixes[-2:]).lower()
        plain = all(letter.isalnum() or letter == "." for letter in kept) and len(kept) <= 16
        return self._folder / f"{file_id}{kept if plain else ''}"
