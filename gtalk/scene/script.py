"""scene.yaml: who is there, where, with which voice.

    version: 1
    layout: split                     # split, room or shoulder
    background: "#26303c"             # as of `gtalk dub`; split: plate keeps each person's own room
    cast:
      - {name: Ann, avatar: ann, voice: ann.wav}
      - {name: Bob, avatar: bob, voice: bob.wav, height: 0.9}

Or one sound for all: `sound: talk.wav` with `channel: 1` and `channel: 2` in the cast, or with `turns: talk.rttm`
(or `turns: found`) and `speaker: NAME`. Files are looked for beside the scene.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.reading.plain_yaml import parse_yaml
from gtalk.reading.untrusted import read_text

LAYOUTS = ("split", "room", "shoulder")
FOUND = "found"
"""In the place of an RTTM file: the turns are found in the sound."""
MOST_CAST = 6
_SIZE = (1280, 720)
_KEYS = ("version", "layout", "size", "background", "sound", "turns", "cast")
_MEMBER_KEYS = ("name", "avatar", "voice", "channel", "speaker", "x", "height", "facing", "front", "score", "says_with")


@dataclass(frozen=True)
class Member:
    """One of the cast."""

    name: str
    avatar: Path
    voice: Path | None = None
    """A sound file of its own."""
    channel: int | None = None
    """From 1: of the scene's sound."""
    speaker: str | None = None
    """In the turns of the scene's sound; the name by default."""
    x: float | None = None
    """Where the image's middle is, 0 left to 1 right; the layout's by default."""
    height: float | None = None
    """Of the picture's; the layout's by default."""
    facing: float = 0.0
    """By how many degrees the head is turned to the image's right."""
    front: float = 0.0
    """Who has more of it covers the others."""
    score: Path | None = None
    """A .score.yaml of its own."""
    says_with: str = ""
    """Live: the voice of its texts, as of `gtalk say`."""


@dataclass(frozen=True)
class Scene:
    """What a scene.yaml says; see above."""

    cast: tuple[Member, ...]
    layout: str = "split"
    size: tuple[int, int] = _SIZE
    background: str = "plate"
    sound: Path | None = None
    turns: Path | str | None = None
    """An RTTM file, FOUND, or None where each has a voice or a channel."""


def read_scene(path: Path, live: bool = False) -> Scene:
    """Raises UserError with the entry at fault. `live`: nobody needs a voice, and what there is is not heard."""
    path = Path(path)
    try:
        content = parse_yaml(read_text(path))
    except (OSError, ValueError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise _wrong(f"scene {path}", "a readable scene.yaml", got) from error
    return scene_of(content, path.parent, f"scene {path}", live)


def scene_of(content: Any, folder: Path, where: str = "scene", live: bool = False) -> Scene:
    """From plain values as in the file; paths are taken from `folder`. Raises UserError with the entry at fault."""
    if not isinstance(content, Mapping):
        raise _wrong(where, "a mapping with `version` and `cast`", type(content).__name__)
    _known(content, _KEYS, where)
    if content.get("version") != 1 or isinstance(content.get("version"), bool):
        raise _wrong(where, "version: 1", f"version {str(content.get('version'))[:20]}")
    entries = content.get("cast")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_CAST:
        got = f"{len(entries)}" if isinstance(entries, list) else "none"
        raise _wrong(f"{where}: cast", f"a list of 1 to {MOST_CAST} members", got)
    cast = tuple(_member(entry, folder, f"{where}: cast[{i}]") for i, entry in enumerate(entries))
    names = [member.name for member in cast]
    if len(set(names)) < len(names):
        raise _wrong(f"{where}: cast", "a different name for each", ", ".join(names))
    layout = _one_of(content.get("layout", "split"), LAYOUTS, f"{where}: layout")
    size = content.get("size", list(_SIZE))
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int and 64 <= n <= 8192 for n in size)):
        raise _wrong(f"{where}: size", "[width, height], 64 to 8192 pixels", repr(size)[:60])
    turns = _text(content, "turns", where)
    sound = _file(content, "sound", folder, where)
    scene = Scene(
        cast, layout, (size[0] // 2 * 2, size[1] // 2 * 2), _text(content, "background", where) or "plate", sound,
        FOUND if turns == FOUND else _file(content, "turns", folder, where),
    )  # fmt: skip
    if not live:
        _check_voices(scene, where)
    return scene


def _member(entry: Any, folder: Path, where: str) -> Member:
    if not isinstance(entry, Mapping):
        raise _wrong(where, "{name: Ann, avatar: ann, voice: ann.wav}", repr(entry)[:80])
    _known(entry, _MEMBER_KEYS, where)
    avatar = _file(entry, "avatar", folder, where)
    if avatar is None:
        raise _wrong(f"{where}: avatar", "the folder of an avatar", "none")
    channel = entry.get("channel")
    if channel is not None and (type(channel) is not int or not 1 <= channel <= 8):
        raise _wrong(f"{where}: channel", "a whole number from 1", repr(channel)[:40])
    return Member(
        _text(entry, "name", where) or avatar.name, avatar, _file(entry, "voice", folder, where), channel,
        _text(entry, "speaker", where),
        _number(entry, "x", -0.5, 1.5, where), _number(entry, "height", 0.1, 3.0, where),
        _number(entry, "facing", -30.0, 30.0, where) or 0.0, _number(entry, "front", -100.0, 100.0, where) or 0.0,
        _file(entry, "score", folder, where), _text(entry, "says_with", where) or "",
    )  # fmt: skip


def _check_voices(scene: Scene, where: str) -> None:
    for member in scene.cast:
        of_sound = member.channel is not None or member.speaker is not None
        if of_sound and scene.sound is None:
            raise _wrong(f"{where}: {member.name}", "`sound` of the scene, of which a channel or speaker is", "none")
        if member.voice is not None and of_sound:
            raise _wrong(f"{where}: {member.name}", "a voice, a channel or a speaker", "several of them")
    if scene.turns is not None and scene.sound is None:
        raise _wrong(f"{where}: turns", "`sound`, whose turns they are", "none")
    if scene.sound is None and not any(member.voice for member in scene.cast):
        raise _wrong(where, "a voice for somebody, or `sound`", "nothing to be heard")


def _text(entry: Mapping[Any, Any], name: str, where: str) -> str | None:
    value = entry.get(name)
    if value is None:
        return None
    if not isinstance(value, (str, int, float)) or isinstance(value, bool) or not 0 < len(str(value)) <= 1000:
        raise _wrong(f"{where}: {name}", "a text", repr(value)[:60])
    return str(value)


def _file(entry: Mapping[Any, Any], name: str, folder: Path, where: str) -> Path | None:
    text = _text(entry, name, where)
    if text is None:
        return None
    path = folder / text
    if not path.exists():
        raise _wrong(f"{where}: {name}", "an existing file", str(path))
    return path


def _number(entry: Mapping[Any, Any], name: str, low: float, high: float, where: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    right = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not right or not low <= value <= high:
        raise _wrong(f"{where}: {name}", f"a number from {low:g} to {high:g}", repr(value)[:40])
    return float(value)


def _one_of(value: Any, known: Sequence[str], where: str) -> str:
    if value not in known:
        raise _wrong(where, " or ".join(known), repr(value)[:40])
    return str(value)


def _known(content: Mapping[Any, Any], keys: Sequence[str], where: str) -> None:
    for key in content:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            remedy = f"Did you mean `{near[0]}`?" if near else "Leave it out."
            raise UserError(f"{where}: {str(key)[:40]}", expected=", ".join(keys), got="an unknown key", remedy=remedy)


def _wrong(where: str, expected: str, got: str) -> UserError:
    return UserError(where, expected=expected, got=got, remedy="Mend the scene; docs/guides/scenes.md shows how.")
