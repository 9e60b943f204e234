"""Where a dub goes: checked before the work, put in place after it, whole or not at all."""

from __future__ import annotations

import glob
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gtalk.config import check_ranges
from gtalk.dub.background import TRANSPARENT
from gtalk.dub.config import DubConfig
from gtalk.errors import UserError
from gtalk.files import atomic_path, require_name, require_replaceable, require_writable_folder, short_stem
from gtalk.marks.identity import Identity
from gtalk.marks.provenance import can_sign, sign
from gtalk.media.output.sinks import MADE_WITH
from gtalk.media.output.writer import WriteConfig, check_output_format
from gtalk.types import Camera

_SUBTITLES = (".srt", ".vtt")
_OURS = re.compile(rf"\d{{6,}}\.png|audio\.wav|{re.escape(MADE_WITH)}")
"""Names in a folder of images that gtalk writes."""


def check_output(output: Path, config: DubConfig) -> None:
    """Raises UserError when the output exists and may not be replaced, cannot be written, or has a wrong format."""
    alpha = config.background == TRANSPARENT
    form = check_output_format(output, WriteConfig(codec=config.codec, crf=config.crf, alpha=alpha))
    check_ranges(config, "")
    if not 0 <= config.crf <= 51:
        raise UserError("crf", expected="0 to 51", got=str(config.crf), remedy="17 looks lossless, 23 is small.")
    if config.subtitles is not None:
        _check_subtitles(config.subtitles)
    for path in (output, config.save_motion, subtitles_beside(output, config)):
        if path is None:
            continue
        require_name(path)
        if path == output and path.is_dir() and not path.is_symlink():
            _check_folder(path, config.overwrite, images=form == "png")
        else:
            require_replaceable(path, config.overwrite)
        require_writable_folder(path.parent)
    if (config.sign_cert is None) != (config.sign_key is None):
        raise UserError("sign_cert, sign_key", expected="both or none", got="one of them", remedy="Give both files.")
    if config.sign_cert is not None and config.sign_key is not None:
        can_sign(output, config.sign_cert, config.sign_key)


@contextmanager
def putting_in_place(output: Path, config: DubConfig, identity: Identity) -> Iterator[Path]:
    """A temporary sibling to write to. It becomes `output`, signed if that was asked for, when all went well."""
    temporary = output.with_name(f".{short_stem(output)}-{uuid.uuid4().hex[:8]}{output.suffix}")
    try:
        yield temporary
        if config.sign_cert is not None and config.sign_key is not None:
            sign(temporary, config.sign_cert, config.sign_key, identity, output.name)
        if output.is_dir() and not output.is_symlink():
            # A folder cannot be replaced in one step: the old one goes when the new one is whole. What it holds
            # may have changed since it was looked at.
            _check_folder(output, overwrite=True, images=temporary.is_dir())
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


def _check_folder(folder: Path, overwrite: bool, images: bool) -> None:
    """Raises UserError unless a folder may go: it is empty, or holds images that gtalk wrote and nothing else."""
    held = sorted(folder.iterdir())
    ours = MADE_WITH in {path.name for path in held} and all(
        _OURS.fullmatch(path.name) and path.is_file() and not path.is_symlink() for path in held
    )
    if held and not (images and ours):
        raise UserError(
            f"output {folder}",
            expected="a new name, or a folder of images that gtalk made" if images else "the name of a file",
            got=f"a folder that holds {', '.join(path.name for path in held[:3])}{', ...' if len(held) > 3 else ''}",
            remedy="Choose another name: a folder that holds anything else is never replaced. A video needs an ending "
            "such as .mp4.",
        )
    if held and not overwrite:
        raise UserError(f"output {folder}", expected="a name that is free", got="a folder of images",
                        remedy="Choose another name, or pass --overwrite.")  # fmt: skip


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
    pattern = f".{glob.escape(short_stem(output))}-" + "[0-9a-f]" * 8 + "*"
    endings = {output.suffix} if output.suffix else {"", ".part"}
    for left in [*output.parent.glob(pattern), *output.parent.glob("." + pattern)]:
        if left.suffix not in endings:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def image_size(camera: Camera, height: int | None) -> tuple[int, int]:
    """(width, height) of the camera's aspect ratio, both even, nearest to `height`: encoders want even sizes.

    Raises UserError when there is none between 16 and 8192 pixels.
    """
    wanted = camera.height if height is None else height
    if not 16 <= wanted <= 8192:
        raise UserError("height", expected="16 to 8192 pixels", got=str(wanted), remedy="Choose another height.")
    shape = camera.width / camera.height
    for even in sorted(range(wanted % 2 + wanted - 64, wanted + 65, 2), key=lambda h: abs(h - wanted)):
        width = 2 * round(even * shape / 2)
        if even > 0 and width > 0 and abs(even - width / shape) <= 0.5:
            return width, even
    raise UserError("height", expected=f"a size of the aspect {camera.width}:{camera.height}", got=str(wanted),
                    remedy="Choose a larger height.")  # fmt: skip
