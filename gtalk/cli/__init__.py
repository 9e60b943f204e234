"""The command line: one command per job. Every command is a dataclass whose docstrings are its help.

Exit status: 0 done; 2 the input is at fault (one message on stderr); 1 a fault of ours; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from gtalk.cli.avatars import Eval, Export, View
from gtalk.cli.dubbing import Batch, Dub
from gtalk.cli.files import Assets
from gtalk.cli.motion import Motion
from gtalk.cli.training import Fit, Prepare, Train
from gtalk.errors import UserError

Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Fit, tyro.conf.subcommand("fit")]
    | Annotated[Motion, tyro.conf.subcommand("motion")]
    | Annotated[Dub, tyro.conf.subcommand("dub")]
    | Annotated[Batch, tyro.conf.subcommand("batch")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Assets, tyro.conf.subcommand("assets")]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    try:
        command = tyro.cli(
            Command,  # type: ignore[arg-type]
            prog="gtalk",
            description="A few minutes of video of one person become a talking portrait that any speech can drive.",
            args=argv,
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
        )
        command.run()
    except UserError as error:
        print(f"gtalk: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gtalk: interrupted; finished work is kept, run the same command to go on", file=sys.stderr)
        return 130
    return 0
