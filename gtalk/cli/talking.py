"""`gtalk chat | studio | serve`: converse with an avatar; make and meet one in the browser; dubs for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gtalk.agents.chat import ChatConfig
from gtalk.cli.options import AvatarFolder
from gtalk.serve.config import ServeConfig
from gtalk.studio.config import StudioConfig
from gtalk.viewer.config import ViewConfig


@dataclass(frozen=True)
class Chat:
    """Converse with an avatar in the browser: a language model answers, a voice says it, the face shows it.

    gtalk chat me --llm http://localhost:11434/v1 --model llama3.2 --persona robin.yaml

    What is typed on the page or here is answered; with --hear, what is said as well. Speak up or type to interrupt.
    Nothing leaves this machine but to the addresses that are given. All options of `gtalk view` are there too.
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    chat: ChatConfig
    config: ViewConfig = field(default_factory=ViewConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.agents.chat import chat

        chat(self.avatar, self.chat, self.config)


@dataclass(frozen=True)
class StudioOptions(StudioConfig):
    """Where the studio listens and how it makes avatars."""

    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"
    """Address to listen on. Any other than loopback asks visitors for a token, printed once. Browsers give the camera
    to https or localhost only: a phone is let in by the page's own button, with a certificate made for it."""


@dataclass(frozen=True)
class Studio:
    """Record yourself in the browser, have the avatar made, and meet it, all on one page.

    gtalk studio

    gtalk studio ~/avatars --port 9000

    The page is at the address that is printed. It leads through a recording of three minutes, makes the avatar as
    `gtalk train` does, and opens it live; it shows the command line of everything it does. What is recorded is saved
    while it is recorded: a closed page, a stopped studio or a lost network lose nothing. A phone can be the camera:
    the page shows a code for it. Avatars that the command line has made in the folder are there too.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")] = Path("studio")
    """Where recordings and avatars are kept."""
    config: StudioOptions = field(default_factory=StudioOptions)

    def run(self) -> None:
        """Do it."""
        from gtalk.studio.server import serve

        serve(self.folder, self.config)


@dataclass(frozen=True)
class Serve:
    """Dubs for programs: a REST server, with a queue, keys and a description of itself.

    gtalk serve me you

    curl localhost:8090/v1/avatars/me/dubs -H 'Content-Type: application/json' -d '{"text": "[smile] Hello!"}'

    The page at the address that is printed explains all endpoints; openapi.json describes them to programs. Jobs are
    done by the workers of `gtalk batch`, survive a restart, and tell how far they are. docs/guides/serve.md leads
    through it, behind nginx too.
    """

    avatars: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="AVATAR...")]
    """Folders of avatars, or a folder that holds several; their names are those of the folders."""
    config: ServeConfig = field(default_factory=ServeConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.serve.server import serve

        serve(self.avatars, self.config)
