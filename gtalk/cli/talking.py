"""`gtalk chat`: converse with an avatar."""

from __future__ import annotations

from dataclasses import dataclass, field

from gtalk.agents.chat import ChatConfig
from gtalk.cli.options import AvatarFolder
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
