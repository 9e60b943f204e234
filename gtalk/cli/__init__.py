"""The command line: one command per job. Every command is a dataclass whose docstrings are its help.

Exit status: 0 done; 2 the input is at fault (one message on stderr); 1 a fault of ours, or nothing found
(`gtalk mark`); 130 interrupted.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import io
import sys
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro

import gtalk
from gtalk.cli.bars import AS_EVENTS, tell, tell_error
from gtalk.errors import UserError

_COMMANDS = {
    "train": "training.Train",
    "prepare": "training.Prepare",
    "fit": "training.Fit",
    "motion": "motion.Motion",
    "score": "directing.Score",
    "style": "directing.Style",
    "dub": "dubbing.Dub",
    "say": "dubbing.Say",
    "batch": "dubbing.Batch",
    "scene": "scenes.Scene",
    "view": "avatars.View",
    "chat": "talking.Chat",
    "studio": "talking.Studio",
    "serve": "talking.Serve",
    "eval": "avatars.Eval",
    "benchmark": "training.Benchmark",
    "export": "avatars.Export",
    "mark": "marks.Mark",
    "assets": "files.Assets",
}
"""Where each command is: what the others need takes seconds to import."""
_ABOUT = """A few minutes of video of one person become a talking portrait that any speech can drive.

gtalk train me.mp4 -o me --person "Ada" --consent "I am Ada and agree to this avatar."

gtalk dub me speech.wav -o dub.mp4

gtalk view me

`gtalk COMMAND --help` says all about one of them, `gtalk --version` which version this is.
For programs, `gtalk --events COMMAND` tells progress, pictures and errors as JSON lines on stdout."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv == ["--version"]:
        print(f"gtalk {gtalk.__version__}")
        return 0
    events = AS_EVENTS.set(argv[:1] == ["--events"])
    try:
        return _parsed(argv[AS_EVENTS.get() :]).run() or 0
    except UserError as error:
        if AS_EVENTS.get():
            tell_error(error)
        print(f"gtalk: {error}", file=sys.stderr)
        return 2
    except (MemoryError, OSError, RuntimeError) as error:
        if not (words := _of_the_machine(error)):
            raise
        if AS_EVENTS.get() and not isinstance(error, BrokenPipeError):
            tell("error", text=words)
        print(f"gtalk: {words}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gtalk: interrupted; finished work is kept, run the same command to go on", file=sys.stderr)
        return 130
    finally:
        AS_EVENTS.reset(events)


def _parsed(argv: list[str]) -> Any:
    """The command that the words mean. What a config of ours refuses is told like everything else: in one sentence."""
    _require_command(argv)
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            named = bool(argv) and argv[0] in _COMMANDS
            return tyro.cli(
                _command(argv[0]) if named else _commands(brief=set(argv) <= {"-h", "--help"}),
                prog=f"gtalk {argv[0]}" if named else "gtalk",
                description=None if named else _ABOUT,
                args=argv[1:] if named else argv,
                config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone),
            )
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise cause from None
        sys.stderr.write(told.getvalue())
        raise


def _require_command(argv: list[str]) -> None:
    """Raises UserError when the first word is no command."""
    if not argv or argv[0].startswith("-") or argv[0] in _COMMANDS:
        return
    near = difflib.get_close_matches(argv[0], _COMMANDS, n=1)
    raise UserError(
        f"command {argv[0]!r}",
        expected=f"one of {', '.join(_COMMANDS)}",
        got="none of them",
        remedy=f"Did you mean `gtalk {near[0]}`?" if near else "`gtalk --help` says what each does.",
    )


def _of_the_machine(error: BaseException) -> str:
    """What a fault of the machine or its files is, in a sentence; nothing for a fault of ours."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return "there is not enough memory. Close other programs, or use fewer workers or a smaller size."
    if isinstance(error, OSError) and error.errno is not None:
        name = f" {error.filename}" if error.filename is not None else ""
        return f"file{name}: {error.strerror or error}. Was it moved or deleted while this ran? Run again."
    return ""


def _command(name: str) -> Any:
    """The class of one command."""
    module, _, kind = _COMMANDS[name].partition(".")
    return getattr(importlib.import_module(f"gtalk.cli.{module}"), kind)


def _commands(brief: bool) -> Any:
    """The type of all commands. On the page that lists them, each has one sentence."""
    kinds = []
    for name in _COMMANDS:
        kind = _command(name)
        words = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0] if brief else None
        kinds.append(Annotated[kind, tyro.conf.subcommand(name, description=words)])
    return reduce(or_, kinds)
