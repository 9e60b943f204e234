"""Where a dub goes: checked before the work, put in place after it, whole or not at all."""

from __future__ import annotations

import glob
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gtalk.dub.background import TRANSPARENT
from gtalk.dub.config import DubConfig
from gtalk.dub.provenance import can_sign, sign
from gtalk.errors import UserError
from gtalk.files import atomic_path, require_writable_folder
from gtalk.media.writer import WriteConfig, check_output_format
from gtalk.talk import Identity

_SUBTITLES = (".srt", ".vtt")


def check_output(output: Path, config: DubConfig) -> None:
    """Raises UserError when the output exists and may not be replaced, cannot be written, or has a wrong format."""
    alpha = config.background == TRANSPARENT
    check_output_format(output, WriteConfig(codec=config.codec, crf=config.crf, alpha=alpha))
    if not 0 <= config.crf <= 51:
        raise UserError("crf", expected="0 to 51", got=str(config.crf), remedy="17 looks lossless, 23 is small.")
    if config.subtitles is not None:
        _check_subtitles(config.subtitles)
    for path in (output, config.save_motion, subtitles_beside(output, config)):
        if path is None:
            continue
        taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
        if taken and not config.overwrite:
            raise UserError(f"output {path}", expected="a name that is free", got="one that exists",
                            remedy="Choose another name, or pass --overwrite.")  # fmt: skip
        require_writable_folder(path.parent)
    if (config.sign_cert is None) != (config.sign_key is None):
        raise UserError("sign_cert, sign_key", expected="both or none", got="one of them", remedy="Give both files.")
    if config.sign_cert is not None and config.sign_key is not None:
        can_sign(output, config.sign_cert, config.sign_key)


@contextmanager
def putting_in_place(output: Path, config: DubConfig, identity: Identity) -> Iterator[Path]:
    """A temporary sibling to write to. It becomes `output`, signed if that was asked for, when all went well."""
    temporary = output.with_name(f".{output.stem}-{uuid.uuid4().hex[:8]}{output.suffix}")
    try:
        yield temporary
        if config.sign_cert is not None and config.sign_key is not None:
            sign(temporary, config.sign_cert, config.sign_key, identity, output.name)
        if output.is_dir():  # a folder cannot be replaced in one step: the old one goes when the new one is whole
            shutil.rmtree(output)
        temporary.replace(output)
        beside = subtitles_beside(output, config)
        if config.subtitles is not None and beside is not None:
            with atomic_path(beside) as copy:
                shutil.copyfile(config.subtitles, copy)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def subtitles_beside(output: Path, config: DubConfig) -> Path | None:
    """Where the subtitles of an output go; None when it has none."""
    return None if config.subtitles is None else output.with_suffix(config.subtitles.suffix.lower())


def _check_subtitles(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        text = f"{type(error).__name__}"
    if path.suffix.lower() not in _SUBTITLES or "-->" not in text:
        raise UserError(f"subtitles {path}", expected=f"a text file with cues, ending in {' or '.join(_SUBTITLES)}",
                        got="none" if path.is_file() else "nothing there", remedy="Check the path.")  # fmt: skip


def sweep(output: Path) -> None:
    """Remove what killed runs left of this output under temporary names; not what an `a.mov` writes beside `a.mp4`."""
    pattern = f".{glob.escape(output.stem)}-" + "[0-9a-f]" * 8 + "*"
    endings = {output.suffix} if output.suffix else {"", ".part"}
    for left in [*output.parent.glob(pattern), *output.parent.glob("." + pattern)]:
        if left.suffix not in endings:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
