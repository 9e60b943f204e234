"""What a client may wish of a dub: JSON by the names of `gtalk dub`, without anything that reaches into this machine.

Files are named by what an upload answered, `file:ID`; a background is a word or a colour, or such a file; a voice is
one of espeak-ng's. Outputs are named by their format.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gtalk.dub.config import DubConfig
from gtalk.errors import UserError
from gtalk.motion.edits.controls import control_specs, word_specs
from gtalk.voice.synthesis import ESPEAK_VOICES, MAX_TEXT

FORMATS = {"mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm"}
FILES = (
    "audio",
    "motion",
    "score",
    "subtitles",
    "onto",
    "camera_from",
    "hears",
    "listens",
    "vocals",
    "lyrics",
    "emotion_from",
)
"""Options that name an uploaded file."""
_OURS = {"sign_cert", "sign_key", "save_motion", "overwrite", "device", "batch", "controls"}
OPTIONS = tuple(sorted(typing.get_type_hints(DubConfig).keys() - _OURS - set(FILES) - {"RANGES"}))
CONTROLS = tuple(spec.name for spec in (*control_specs(), *word_specs()))
TEXT = ("text", "voice", "words_per_minute")
KNOWN = frozenset({*FILES, *OPTIONS, *CONTROLS, *TEXT, "format", "style"})
_FILE = re.compile(r"file:([0-9a-f]{32})")
_COLOUR = re.compile(r"plate|transparent|#[0-9a-fA-F]{6}|[a-z]{3,20}")
MOST_LETTERS = 20_000


def entry_of(wish: object, avatar: Path, folder: Path, upload: Callable[[str], Path | None]) -> dict[str, Any]:
    """The line of a batch that a wish means. Its output lies in `folder`.

    Args:
        upload: the path of a file by its id; None where this client has sent no such file.

    Raises UserError for what is unknown or not allowed; the rest is checked by the batch.
    """
    if not isinstance(wish, Mapping):
        raise _refused("body", "a JSON object", type(wish).__name__, "See /docs.")
    if unknown := sorted(str(name) for name in wish.keys() - KNOWN):
        near = difflib.get_close_matches(unknown[0], KNOWN, n=1)
        raise _refused("body", f"some of {', '.join(sorted(KNOWN))}", unknown[0][:60],
                       f"Did you mean `{near[0]}`?" if near else "Leave it out.")  # fmt: skip
    entry = {name: value for name, value in wish.items() if name != "format"}
    for name in FILES:
        if name in entry:
            entry[name] = str(_uploaded(name, entry[name], upload))
    entry |= _background(entry.get("background"), upload)
    if "text" in entry:
        _check_text(entry)
    form = wish.get("format", "mp4")
    if form not in FORMATS:
        raise _refused("format", f"one of {', '.join(FORMATS)}", str(form), "mp4 plays everywhere.")
    return {**entry, "avatar": str(avatar.resolve()), "output": str(folder / f"dub.{form}")}


def _uploaded(name: str, value: object, upload: Callable[[str], Path | None]) -> Path:
    known = _FILE.fullmatch(value) if isinstance(value, str) else None
    path = None if known is None else upload(known[1])
    if path is None:
        raise _refused(name, "file:ID of a file that you have sent", repr(value)[:60], "POST it to /v1/files first.")
    return path


def _background(value: object, upload: Callable[[str], Path | None]) -> dict[str, str]:
    if value is None:
        return {}
    if isinstance(value, str) and value.startswith("file:"):
        return {"background": str(_uploaded("background", value, upload))}
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise _refused("background", "plate, transparent, a colour or file:ID", repr(value)[:60], "Send the picture to "
                       "/v1/files first.")  # fmt: skip
    return {"background": value}


def _check_text(entry: Mapping[str, Any]) -> None:
    text, voice = entry["text"], entry.get("voice", ESPEAK_VOICES[0])
    if not isinstance(text, str) or not text.strip() or len(text) > MOST_LETTERS or text.endswith(".txt"):
        raise _refused("text", f"1 to {MOST_LETTERS} characters, clauses of {MAX_TEXT} at most", "another",
                       "Send the words themselves, in several dubs where they are many.")  # fmt: skip
    if voice not in ESPEAK_VOICES:
        raise _refused("voice", f"one of {', '.join(ESPEAK_VOICES)}", repr(voice)[:40], "Or send the sound.")


def _refused(name: str, expected: str, got: str, remedy: str) -> UserError:
    return UserError(name, expected=expected, got=got, remedy=remedy)
