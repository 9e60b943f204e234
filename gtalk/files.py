"""Files that are whole or absent: temporary name, then rename. Hashes for provenance and resume."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gtalk.errors import UserError

_UMASK = os.umask(0o022)
os.umask(_UMASK)
_MODE = 0o666 & ~_UMASK  # of files, as the user wants them; some libraries write for the owner alone
_LONGEST_NAME = 255  # bytes; what nearly every file system holds
_ROOM = 64  # bytes that temporary names and the folders of parts add to an output's own name
_LOCKED = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
"""What a lock says that somebody else holds; anything else says that there are no locks here."""
_log = logging.getLogger("gtalk")
_LEAST_FREE_BYTES = 64 << 10  # with less, a write that failed failed for want of room


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A sibling temporary path that becomes `path` when the block ends, or vanishes when it raises.

    The temporary name keeps the suffix, since encoders choose the container by it. Whatever goes wrong on a
    disk without room is a UserError that says so: libraries have an exception each for it.
    """
    path = Path(path)
    require_writable_folder(path.parent)
    require_name(path)
    temporary = path.with_name(f".{short_stem(path)}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield temporary
        if temporary.is_file():
            with suppress(OSError):  # network and FUSE file systems have modes of their own
                temporary.chmod(_MODE)
        temporary.replace(path)
    except BaseException as error:
        full = isinstance(error, Exception) and is_full(path.parent, error)
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        if full and not isinstance(error, UserError):
            raise no_room(path) from error
        if isinstance(error, OSError) and not isinstance(error, UserError) and not path.parent.is_dir():
            raise UserError(
                f"output folder {path.parent}",
                expected="the folder that was there when the work began",
                got="none: somebody moved or deleted it",
                remedy="Run the same command again.",
            ) from error
        raise


def is_full(folder: Path, error: Exception) -> bool:
    """Whether an error comes of a disk without room: its number or its words say so, or little is free."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return True
    if os.strerror(errno.ENOSPC) in str(error):  # of libraries whose exceptions have no number
        return True
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE_BYTES
    except OSError:
        return False


def no_room(path: Path) -> UserError:
    """The error for a file that the disk has no room for."""
    return UserError(
        f"output {path}",
        expected="enough room on the disk",
        got="a full one",
        remedy="Free some space, or choose another disk; then run the same command again.",
    )


def short_stem(path: Path) -> str:
    """The name of a file without its suffix, cut off where a temporary name made of it would be too long."""
    whole = path.stem.encode()
    return whole[: max(1, _LONGEST_NAME - _ROOM - len(path.suffix.encode()))].decode(errors="ignore")


def require_name(path: Path) -> None:
    """Raise UserError for a name that no file system holds."""
    if (length := len(os.fsencode(path.name))) > _LONGEST_NAME:
        raise UserError(
            f"output {path.name[:40]}...",
            expected=f"a name of at most {_LONGEST_NAME} bytes",
            got=f"one of {length}",
            remedy="Choose a shorter name.",
        )


def require_replaceable(path: Path, overwrite: bool) -> None:
    """Raise UserError where a file may not be written: it exists and `overwrite` is not said, or it is no plain file.

    Folders, links, devices and pipes are never replaced.
    """
    path = Path(path)
    require_name(path)
    kind = _kind(path)
    if kind and kind != "a file":
        raise UserError(
            f"output {path}",
            expected="the name of a file",
            got=kind,
            remedy="Choose another name." if kind != "a link" else f"Name what it leads to: {os.path.realpath(path)}.",
        )
    if kind and not overwrite:
        raise UserError(
            f"output {path}",
            expected="a name that is free",
            got="one that exists",
            remedy="Choose another name, or pass --overwrite.",
        )


def _kind(path: Path) -> str:
    """What is at a path, in words; nothing where there is nothing. Links are not followed."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISREG(mode):
        return "a file"
    return "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a device or pipe"


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Only one process at a time writes to `folder`. Raises UserError when another one does.

    The lock is a file beside the folder; it goes with the process, however that ends.
    """
    folder = Path(folder).absolute()
    require_name(folder)
    made_room = not folder.parent.exists()
    require_writable_folder(folder.parent)
    release = try_lock(folder.with_name(f".{short_stem(folder)}{folder.suffix}.lock"))
    if release is None:
        raise UserError(
            f"output {folder}",
            expected="no other run that writes to it",
            got="one that is running",
            remedy="Wait for it, stop it, or choose another output.",
        )
    try:
        yield
    finally:
        release()
        if made_room:  # a run that came to nothing leaves nothing
            with suppress(OSError):
                folder.parent.rmdir()


def try_lock(path: Path) -> Callable[[], None] | None:
    """Take the lock file `path` for this process; returns what lets go of it, or None where another one has it.

    A lock goes with its process, however that ends; whoever lets go of it removes the file. A file system without
    locks is told, and gone on with.
    """
    from filelock import FileLock, Timeout

    while True:
        path.touch()
        lock, before = FileLock(path), _inode(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno in _LOCKED:
                return None
            _log.warning("%s: this file system has no locks (%s): see to it that no other run writes there",
                         path.parent, error)  # fmt: skip
            with suppress(OSError):
                path.unlink()
            return lambda: None
        if before == _inode(path) is not None:
            break
        lock.release()  # its last owner has just removed it: lock the new one

    def release() -> None:
        with suppress(OSError):  # where an open file cannot be removed, it stays
            path.unlink()
        lock.release()

    return release


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def require_writable_folder(folder: Path) -> None:
    """Create `folder` if need be. Raises UserError when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise UserError(
            f"output folder {folder}",
            expected="a folder that can be written",
            got=getattr(error, "strerror", None) or str(error),
            remedy="Choose another output path or change its permissions.",
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"output folder {folder}",
            expected="a folder that can be written",
            got="no permission to write",
            remedy="Choose another output path or change its permissions.",
        )


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN is refused: JSON has none."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """SHA-256 of a JSON value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
