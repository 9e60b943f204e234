"""The avatars and recordings of a folder: what there is, its size, new names, and what goes.

FOLDER/ada/take.json, clips/       a recording (see takes.py)
FOLDER/ada/made-1a2b3c4d/          the avatar of these very clips, as `gtalk train` writes it
FOLDER/ada/sounds/, films/, share/, exports/
FOLDER/bob/avatar.json             an avatar that the command line made is shown as well
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import require_writable_folder, write_json
from gtalk.marks.consent import require_yes
from gtalk.reading.untrusted import read_json
from gtalk.studio.advice import advice
from gtalk.studio.takes import Take, is_name

LEAST_FREE_BYTES = 2 << 30
"""Less than this on the disk is told before a recording begins."""
SIZES_KEPT_S = 20.0
"""So long a size on the disk is told before it is looked up anew."""
_CARD, _AVATAR, _MOTION, _MADE = "studio.json", "avatar.json", "motion.json", "made-"


class Entry:
    """One of the library."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.take = Take(folder)

    @property
    def avatar(self) -> Path | None:
        """The newest avatar that is whole."""
        made = [path for path in (self.folder, *self.folder.glob(f"{_MADE}*")) if (path / _AVATAR).exists()]
        speaks = [path for path in made if (path / _MOTION).exists()]
        return max(speaks, key=lambda path: (path / _MOTION).stat().st_mtime, default=None)

    @property
    def dataset(self) -> Path | None:
        """The newest dataset, whole or in the making."""
        found = [path for path in (self.folder / "dataset", *self.folder.glob(f"{_MADE}*/dataset")) if path.is_dir()]
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def to_make(self) -> Path:
        """Where the avatar of the clips as they are now belongs: the same clips, the same folder."""
        digest = hashlib.sha256()
        for clip in [*self.take.clips, *self.take.clips_of("faces")]:
            digest.update(f"{clip.name} {clip.stat().st_size} {clip.stat().st_mtime_ns}\n".encode())
        return self.folder / f"{_MADE}{digest.hexdigest()[:8]}"

    def drop_older(self, made: Path) -> None:
        """A new avatar is whole: earlier ones go, and the spoken consent goes along with it."""
        for old in self.folder.glob(f"{_MADE}*"):
            if old != made and old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
        for spoken in self.take.clips_of("consent")[-1:]:
            shutil.copyfile(spoken, made / f"consent{spoken.suffix}")

    @property
    def card(self) -> dict[str, Any]:
        """What the studio itself knows: the name that is shown."""
        with contextlib.suppress(OSError, ValueError):
            card = read_json(self.folder / _CARD)
            if isinstance(card, dict):
                return card
        return {}


class Library:
    """All entries of a folder."""

    def __init__(self, root: Path) -> None:
        require_writable_folder(root)
        self.root = root
        self._sizes: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def entry(self, name: str) -> Entry:
        """One of them. Raises UserError where there is none of that name."""
        folder = self.root / name
        if not is_name(name) or not folder.is_dir():
            raise UserError("avatar", expected="one of the library", got=repr(name[:40]),
                            remedy="Load the page anew.")  # fmt: skip
        return Entry(folder)

    def entries(self) -> list[Entry]:
        """All, the newest first."""
        found = [Entry(path) for path in self.root.iterdir() if is_name(path.name) and path.is_dir()]
        shown = [one for one in found if one.take.facts or one.avatar is not None]
        return sorted(shown, key=lambda one: one.folder.stat().st_mtime, reverse=True)

    def told(self) -> list[dict[str, Any]]:
        """All for the page."""
        return [self._plain(entry) for entry in self.entries()]

    def rename(self, name: str, title: str) -> None:
        """Show another name; the folder and the person of the consent stay. Raises UserError for no name."""
        entry = self.entry(name)
        title = " ".join(title.split())
        if not title.isprintable() or not 0 < len(title) <= 60:
            raise UserError("name", expected="1 to 60 letters", got=repr(title[:40]), remedy="Type another name.")
        write_json(entry.folder / _CARD, entry.card | {"title": title})

    def delete(self, name: str) -> None:
        """Delete recording, avatar and all that was made with it."""
        folder = self.entry(name).folder
        gone = folder.with_name(f".{folder.name}.deleted")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)  # at once out of sight, however long it takes
        shutil.rmtree(gone, ignore_errors=True)
        self._sizes.pop(name, None)

    def reconsent(self, name: str, person: str, statement: str) -> None:
        """Other words of consent for a recording. Raises UserError for what is none."""
        require_yes(person, statement)
        self.entry(name).take.note(person=person.strip(), statement=statement.strip())

    def disk(self) -> dict[str, Any]:
        """Bytes that are free, and whether they are enough for a recording."""
        free = shutil.disk_usage(self.root).free
        return {"free": free, "enough": free >= LEAST_FREE_BYTES}

    def _plain(self, entry: Entry) -> dict[str, Any]:
        facts, avatar, dataset = entry.take.facts, entry.avatar, entry.dataset
        verdict: Any = None
        if dataset is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                verdict = read_json(dataset / "manifest.json").get("verdict")
        person = facts.get("person") or _person_of(avatar)
        to_make = entry.to_make() if facts and entry.take.clips else None
        return {
            "name": entry.name, "title": entry.card.get("title") or person or entry.name, "person": person,
            "statement": facts.get("statement", ""), "recorded": bool(facts),
            "parts": entry.take.parts() if facts else {}, "avatar": avatar is not None,
            "path": str(avatar or entry.folder), "seen": _seen(avatar), "report": advice(verdict),
            "new_clips": to_make is not None and avatar != to_make, "to_make": str(to_make or ""),
            "measured": avatar is not None and (avatar / "eval.html").exists(),
            "bytes": self._size(entry),
        }  # fmt: skip

    def _size(self, entry: Entry) -> int:
        now_s = time.monotonic()
        with self._lock:
            kept = self._sizes.get(entry.name)
            if kept is None or now_s - kept[0] > SIZES_KEPT_S:
                kept = (now_s, _size_of(entry.folder))
                self._sizes[entry.name] = kept
            return kept[1]


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total


def _seen(avatar: Path | None) -> int:
    """A number that changes with the preview, for the page's cache; 0 without one."""
    with contextlib.suppress(OSError):
        return 0 if avatar is None else int((avatar / "preview.jpg").stat().st_mtime)
    return 0


def _person_of(avatar: Path | None) -> str:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if avatar is not None:
            return str((read_json(avatar / _AVATAR).get("consent") or {}).get("person", ""))
    return ""
