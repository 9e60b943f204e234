"""What the page can do, in one place: recording, making, meeting, films. The routes call it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import atomic_path, no_room
from gtalk.media.source import probe
from gtalk.studio import commands
from gtalk.studio.config import StudioConfig
from gtalk.studio.jobs import Job, Jobs
from gtalk.studio.library import Library
from gtalk.studio.looking import Looker
from gtalk.studio.takes import MOST_UPLOAD_BYTES, PIECE_S, Take, slug

EXPORTS = {"glb": ".glb", "ply": ".ply", "web": ""}
"""Formats that the page offers, and their suffixes."""
_LEAST_TO_BEGIN = 200 << 20

Meet = Callable[[str, Path], Awaitable[dict[str, Any]]]
"""Opens an avatar's live page; returns the `port` of this host where it is, and its `token`."""
LetIn = Callable[[], Awaitable[dict[str, Any]]]
"""Opens a port for a phone; returns its `url` and the certificate's `fingerprint`."""


class Desk:
    """The studio of one folder."""

    def __init__(self, root: Path, config: StudioConfig) -> None:
        self.library, self.looker, self.config = Library(root), Looker(), config
        self.jobs = Jobs(root / ".jobs", self._done)
        self.open_live: Meet | None = None
        self.open_phone: LetIn | None = None
        self.close_live: Callable[[str], None] = lambda _name: None

    def start(self) -> None:
        """Make clips of what a page that is gone left open, and go on with jobs."""
        for entry in self.library.entries():
            with contextlib.suppress(UserError, OSError):
                entry.take.rescue()
        self.jobs.start()

    def warm(self) -> None:
        """Load the face detector, which keeps everybody's stderr quiet meanwhile: after what is to be read there."""
        threading.Thread(target=self.looker.warm, name="gtalk-looker", daemon=True).start()

    def stop(self) -> None:
        """End the job that runs."""
        self.jobs.stop()

    def told(self) -> dict[str, Any]:
        """Everything that the page shows."""
        return {
            "folder": str(self.library.root), "avatars": self.library.told(), "jobs": self.jobs.told(),
            "disk": self.library.disk(), "piece_s": PIECE_S, "most_upload": MOST_UPLOAD_BYTES,
            "phone": self.open_phone is not None, "live": self.open_live is not None,
        }  # fmt: skip

    def look(self, jpeg: bytes, take: str) -> dict[str, Any]:
        """See `Looker.look`; a recording that has begun knows its person."""
        facts = self.library.entry(take).take.facts if take else {}
        return self.looker.look(jpeg, take, facts.get("shape"))

    def begin(self, person: str, statement: str, language: str) -> str:
        """A new recording. Raises UserError for what is no consent, and for a disk that is all but full."""
        if self.library.disk()["free"] < _LEAST_TO_BEGIN:
            raise no_room(self.library.root)
        return Take.begin(self.library.root, person, statement, language).folder.name

    def close_stretch(self, name: str, part: str, *stretch: Any, **rest: Any) -> Path:
        """See `Take.close`; from then on the person is known again."""
        take = self.library.entry(name).take
        path = take.close(part, *stretch, **rest)
        if "shape" not in take.facts and (shape := self.looker.shape(name)) is not None:
            take.note(shape=shape)
        return path

    def make(self, name: str) -> dict[str, Any]:
        """Queue the making of an avatar. Raises UserError where nothing was recorded."""
        entry = self.library.entry(name)
        entry.take.rescue()
        if not entry.take.clips:
            raise UserError("recording", expected="at least the part that is read aloud, or a clip", got="none",
                            remedy="Record it first.")  # fmt: skip
        output = entry.to_make()
        words = commands.train(entry.take, output, self.config.device)
        return _told(self.jobs.add("train", name, words, output))

    def delete(self, name: str) -> None:
        """Delete an avatar, its recording and what was made with it."""
        self.library.entry(name)
        self.close_live(name)
        self.jobs.forget_avatar(name)
        self.looker.forget(name)
        self.library.delete(name)

    def dub(self, name: str, file: str, received: Path) -> dict[str, Any]:
        """Queue a film of a sound file. Raises UserError where there is no sound in it."""
        entry, avatar = self.library.entry(name), self._avatar(name)
        suffix = "".join(letter for letter in Path(file).suffix.lower() if letter.isalnum() or letter == ".")[:6]
        try:
            with_sound = probe(received).has_audio
        except UserError as error:
            raise UserError(f"file {file[:60]}", expected=error.expected, got=error.got, remedy=error.remedy) from error
        if not with_sound:
            raise UserError(f"file {file[:60]}", expected="one with sound", got="none inside",
                            remedy="Choose a recording of somebody who speaks.")  # fmt: skip
        sound = _free(entry.folder / "sounds", slug(Path(file).stem), suffix or ".wav")
        with atomic_path(sound) as temporary:
            received.rename(temporary)
        film = entry.folder / "films" / f"{sound.stem}.mp4"
        film.parent.mkdir(exist_ok=True)
        return _told(self.jobs.add("dub", name, commands.dub(avatar, sound, film), film, sound.stem))

    def evaluate(self, name: str) -> dict[str, Any]:
        """Queue the measures of an avatar."""
        avatar = self._avatar(name)
        return _told(self.jobs.add("eval", name, commands.evaluate(avatar), avatar / "eval.html"))

    def export(self, name: str, kind: str, sound: str) -> dict[str, Any]:
        """Queue a file for other programs; `web` is a page with the speech of that name as its message.

        Raises UserError for a format or a sound that there is none of.
        """
        entry, avatar = self.library.entry(name), self._avatar(name)
        if kind not in EXPORTS:
            raise UserError("format", expected=", ".join(EXPORTS), got=kind[:20], remedy="Choose one of these.")
        if kind == "web":
            said = next((path for path in (entry.folder / "sounds").glob("*") if path.stem == sound), None)
            if sound and said is None:
                raise UserError("speech", expected="one that was dubbed here", got=sound[:40], remedy="Dub it first.")
            folder = entry.folder / "share"
            return _told(self.jobs.add("share", name, commands.share(avatar, folder, said), folder, sound))
        output = entry.folder / "exports" / f"{name}{EXPORTS[kind]}"
        output.parent.mkdir(exist_ok=True)
        return _told(self.jobs.add("export", name, commands.export(avatar, kind, output), output, kind))

    async def meet(self, name: str) -> dict[str, Any]:
        """Open an avatar's live page; its address and the command that does the same."""
        avatar = self._avatar(name)
        if self.open_live is None:
            raise UserError("live", expected="a host that draws", got="none", remedy="Use `gtalk view`.")
        return {**await self.open_live(name, avatar), "command": commands.shown(commands.view(avatar))}

    async def let_phone_in(self) -> dict[str, Any]:
        """Open the port for a phone."""
        if self.open_phone is None:
            raise UserError("phone", expected="the computer's own page", got="another",
                            remedy="Do it on the computer.")  # fmt: skip
        return await self.open_phone()

    def _avatar(self, name: str) -> Path:
        avatar = self.library.entry(name).avatar
        if avatar is None:
            raise UserError("avatar", expected="one that is made", got="a recording", remedy="Make it first.")
        return avatar

    def _done(self, job: Job) -> None:
        made = Path(job.output)
        entry = self.library.entry(job.avatar)
        if job.kind == "train" and entry.avatar == made:
            entry.drop_older(made)


def _told(job: Job) -> dict[str, Any]:
    return {"number": job.number, "command": commands.shown(job.words)}


def _free(folder: Path, stem: str, suffix: str) -> Path:
    taken = {path.stem for path in folder.glob("*")}
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return folder / f"{name}{suffix}"
