"""Files that are whole or absent: temporary name, then rename. Hashes for provenance and resume."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gtalk.errors import UserError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A sibling temporary path that becomes `path` when the block ends, or vanishes when it raises.

    The temporary name keeps the suffix, since encoders choose the container by it.
    """
    path = Path(path)
    require_writable_folder(path.parent)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def require_writable_folder(folder: Path) -> None:
    """Create `folder` if need be. Raises UserError when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"output folder {folder}",
            expected="a folder that can be written",
            got=error.strerror or str(error),
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
