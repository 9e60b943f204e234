"""The jobs of a batch: a JSONL file, checked wholly before the first frame is rendered.

    {"avatar": "me", "audio": "a.wav", "output": "a.mp4"}
    {"avatar": "me", "text": "[smile] Hello! [nod]", "voice": "de", "output": "hello.mp4"}
    {"avatar": "me", "motion": "b.motion.npz", "audio": "b.wav", "output": "b.mov", "background": "transparent"}

Every line is one object: `avatar`, `audio`, `text` or `motion`, `output`, and any option of `gtalk dub` by its name,
controls among them. Paths are relative to the jobs file. A text may be the name of a .txt file; `voice` and
`words_per_minute` are those of `gtalk say`, but a jobs file starts no program: no cmd:. Empty lines and lines that
begin with # are skipped.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtalk.dub.config import DubConfig
from gtalk.dub.render import check_dub
from gtalk.dub.say import Lines, read_lines, text_or_file
from gtalk.errors import UserError
from gtalk.files import sha256_of_file, sha256_of_json
from gtalk.motion.edits.controls import Controls, control_specs, word_specs
from gtalk.reading.untrusted import member, parse_json, read_json, read_text
from gtalk.talk.load import AVATAR_VERSION
from gtalk.voice.voices import open_voice

AVATAR_JSON = "avatar.json"
_PATHS = {
    "audio",
    "camera_from",
    "emotion_from",
    "hears",
    "listens",
    "lyrics",
    "vocals",
    "onto",
    "score",
    "save_motion",
    "sign_cert",
    "sign_key",
    "subtitles",
}
_OPTIONS = {field.name for field in dataclasses.fields(DubConfig)} - {"controls"}
_CONTROLS = {spec.name for spec in (*control_specs(), *word_specs())}
_OF_TEXT = {"voice": str, "words_per_minute": int}
_KEYS = {"avatar", "motion", "text", "output", *_OF_TEXT, *_OPTIONS, *_CONTROLS}
_BESIDE = ("motion.json", "motion.safetensors", "background.png")
"""Files of an avatar that may change without its avatar.json."""
_MOST_FAULTS = 5  # that one message lists


@dataclass(frozen=True)
class Job:
    """One line of a jobs file, checked."""

    line: int
    avatar: Path
    source: Path | None
    """Sound or motion; None where a text is said."""
    output: Path
    config: DubConfig
    key: str
    """Changes when anything that the output depends on changes: options, sound, avatar."""
    lines: Lines | None = None
    """What is said."""
    voice: str = ""
    words_per_minute: int = 165


def read_jobs(path: Path, started: frozenset[str] = frozenset()) -> list[Job]:
    """The jobs of a file. Raises UserError with every fault found and its line number.

    Args:
        started: keys of jobs that an earlier run began: their outputs may exist already.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise UserError(f"jobs file {path}", expected="a readable JSONL file", got=f"{type(error).__name__}: {error}",
                        remedy="Check the path.") from error  # fmt: skip
    jobs: list[Job] = []
    faults: list[str] = []
    outputs: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            job = read_job(number, line, path.parent, started)
            for output in (job.output, job.config.save_motion):
                if output is not None and (earlier := outputs.setdefault(output.resolve(), number)) != number:
                    raise _Fault(f"writes {output} as line {earlier} does")
            jobs.append(job)
        except (OSError, ValueError) as error:  # a _Fault, a UserError, or a name that no file can have
            faults.append(f"line {number}: {error}")
    if faults or not jobs:
        listed = faults[:_MOST_FAULTS] + (
            [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        )
        raise UserError(f"jobs file {path}", expected="one valid job a line", got="; ".join(listed) or "no job",
                        remedy="Mend these lines; nothing was rendered.")  # fmt: skip
    return jobs


class _Fault(ValueError):
    """What is wrong with a line."""


def read_job(number: int, line: str, folder: Path, started: frozenset[str] = frozenset()) -> Job:
    """The job of one line. Raises OSError or ValueError, a UserError among them, for whatever is wrong with it."""
    try:
        entry = parse_json(line)
    except ValueError as error:
        raise _Fault(f"not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise _Fault(f"expected an object in braces, got {type(entry).__name__}")
    for key in entry:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise _Fault(
                f"unknown key {key!r}" + (f", did you mean {near[0]!r}?" if near else f"; known: {sorted(_KEYS)}")
            )
    for key in ("avatar", "output"):
        if key not in entry:
            raise _Fault(f"the key {key!r} is missing")
    if not {"audio", "motion", "text"} & entry.keys():
        raise _Fault("the key 'audio', 'text' or 'motion' is missing")
    for key in ("avatar", "motion", "output"):
        if not isinstance(entry.get(key, ""), str):
            raise _Fault(f"{key!r} must be a path, got {entry[key]!r}")
    options = {name: _option(name, value, folder) for name, value in entry.items() if name in _OPTIONS}
    avatar, output = folder / entry["avatar"], folder / entry["output"]
    source = folder / entry["motion"] if "motion" in entry else options.pop("audio", None)
    controls = Controls.of({name: value for name, value in entry.items() if name in _CONTROLS})
    config = DubConfig(controls=controls, **options)
    _check_avatar(avatar)
    spoken = _spoken(entry, folder, config)
    files = (
        source,
        *spoken.pop("files"),
        config.audio,
        config.emotion_from,
        config.hears,
        config.listens,
        config.vocals,
        config.lyrics,
        config.onto,
        config.camera_from,
        config.score,
        config.subtitles,
        config.sign_cert,
        config.sign_key,
    )
    # A background is a word, a colour or a file.
    key = _key(entry, avatar, [p for p in (*files, Path(config.background)) if p is not None])
    # What an earlier run of this very job left is no obstacle: outputs are whole or absent.
    check_dub(source, output, dataclasses.replace(config, overwrite=config.overwrite or key in started))
    return Job(number, avatar, source, output, config, key, **spoken)


def _spoken(entry: dict[str, Any], folder: Path, config: DubConfig) -> dict[str, Any]:
    """What a job says, in what voice, and of what files that is made. Raises _Fault and UserError."""
    for key, kind in _OF_TEXT.items():
        if key in entry and ("text" not in entry or type(entry[key]) is not kind):
            wrong = "is only for a 'text'" if "text" not in entry else f"must be {kind.__name__}, got {entry[key]!r}"
            raise _Fault(f"{key!r} {wrong}")
    if "text" not in entry:
        return {"files": ()}
    text, voice = entry["text"], entry.get("voice", "")
    if not isinstance(text, str):
        raise _Fault(f"'text' must be text, got {text!r}")
    for other in ("audio", "motion"):
        if other in entry:
            raise _Fault(f"'text' or {other!r}, got both")
    if voice.startswith("cmd:"):
        raise _Fault("'voice' must be a language, a .onnx file or an address: a jobs file starts no program")
    voice = str(folder / voice) if voice.endswith(".onnx") and "://" not in voice else voice
    pace = {name: entry[name] for name in ("words_per_minute",) if name in entry}
    open_voice(voice, **pace)
    files = [folder / text] if text.endswith(".txt") else []
    return {"lines": read_lines(text_or_file(text, folder), config), "voice": voice, "files": files, **pace}


def _check_avatar(folder: Path) -> None:
    """Raises _Fault when there is none, or one that another version of gtalk made. Its tensors are not looked at."""
    if not (folder / AVATAR_JSON).is_file():
        raise _Fault(f"no avatar at {folder}")
    try:
        version = read_json(member(folder, AVATAR_JSON))["schema_version"]
        other = int(version) != AVATAR_VERSION
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _Fault(f"{folder / AVATAR_JSON} is damaged ({type(error).__name__}: {error})") from error
    if other:
        remedy = "update gtalk" if version > AVATAR_VERSION else "fit the avatar again"
        raise _Fault(f"the avatar {folder} has schema version {version}, this gtalk reads {AVATAR_VERSION}: {remedy}")


def _option(name: str, value: Any, folder: Path) -> Any:
    """A value of the option's type. Raises _Fault."""
    hint = typing.get_type_hints(DubConfig)[name]
    if name in _PATHS:
        if not isinstance(value, str):
            raise _Fault(f"{name!r} must be a path, got {value!r}")
        return folder / value
    if name == "background":
        if not isinstance(value, str):
            raise _Fault(f"{name!r} must be text, got {value!r}")
        return str(folder / value) if (folder / value).is_file() else value
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            raise _Fault(f"{name!r} must be one of {', '.join(typing.get_args(hint))}, got {value!r}")
        return value
    kinds = typing.get_args(hint) or (hint,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not any(type(value) is kind for kind in kinds):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise _Fault(f"{name!r} must be {names}, got {value!r}")
    return value


def _key(entry: dict, avatar: Path, sources: list[Path]) -> str:
    facts = {k: v for k, v in entry.items() if k != "overwrite"}
    stamps = [[p.stat().st_size, p.stat().st_mtime_ns] for p in sources if p.is_file()]
    return sha256_of_json([facts, _avatar_stamps(avatar), stamps])


def _avatar_stamps(avatar: Path) -> list[Any]:
    """What an output depends on in an avatar folder: how it looks, moves and where it stands."""
    found: list[Any] = [sha256_of_file(avatar / AVATAR_JSON)]  # which names the hash of the weights
    for name in _BESIDE:
        path = avatar / name
        found.append([name, path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else [name])
    return found


def by_avatar(jobs: list[Job]) -> Iterator[Job]:
    """Jobs of the same avatar together, otherwise as they stand: a worker loads each avatar once."""
    order = {avatar: i for i, avatar in enumerate(dict.fromkeys(job.avatar for job in jobs))}
    return iter(sorted(jobs, key=lambda job: (order[job.avatar], job.line)))
