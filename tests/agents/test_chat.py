"""The page of a chat: what is typed there is answered, and what fails is shown."""

import asyncio
import itertools
import json

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin

from gtalk.agents import chat as chat_module
from gtalk.agents.chat import ChatConfig, Talks
from gtalk.agents.persona import Persona
from gtalk.direct.score import Event
from gtalk.errors import UserError
from tests.agents.scripted import ToyVoice, endpoint, stream
from tests.agents.test_conversation import until
from tests.speech.voices import vowel
from tests.viewer.live_servers import live_server


async def notices(socket, wanted: str) -> list[str]:
    """Lines that the page shows until one has some words."""
    shown: list[str] = []
    while not shown or wanted not in shown[-1]:
        message = await asyncio.wait_for(socket.recv(), 8)
        if isinstance(message, str) and "notice" in (told := json.loads(message)):
            shown.append(told["notice"])
    return shown


def test_what_is_typed_on_the_page_is_answered(monkeypatch) -> None:
    monkeypatch.setattr(chat_module, "open_voice", lambda _name, _pace, _style: ToyVoice())
    refused = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with (
        endpoint(stream("[nod] I am ", "well."), refused) as (url, asked, _),
        live_server(32) as (server, _),
    ):
        talks = Talks(ChatConfig(url, "small"), Persona(greeting="Hello!", apology=""))
        leave = talks.join(server.main)

        async def visit() -> None:
            async with connect(server.url.replace("http", "ws") + "media", origin=Origin(server.url[:-1])) as page:
                await notices(page, "answer: Hello!")
                await page.send(json.dumps({"do": "say", "text": "How are you?", "voice": "de"}))
                assert "you: How are you?" in await notices(page, "answer: I am well.")
                await page.send(json.dumps({"do": "say", "text": "And now?"}))
                await notices(page, "status 404")

        asyncio.run(visit())
        leave()
    assert [one["content"] for one in asked[0]["messages"][1:]][-1] == "How are you?"


def test_whoever_speaks_to_it_is_listened_to_and_not_mouthed(monkeypatch) -> None:
    monkeypatch.setattr(chat_module, "open_voice", lambda _name, _pace, _style: ToyVoice())
    with live_server(16) as (server, _):
        talks = Talks(ChatConfig("http://localhost:1", "small"), Persona(greeting=""))
        leave = talks.join(server.main)
        assert talks.main is not None and server.main.session.on_heard is not None
        asked: list[Event] = []
        ticks = itertools.count()
        monkeypatch.setattr(talks.main, "attends", lambda events: asked.extend(events) or 0.04 * next(ticks))
        server.main.listen(talks.main.attends)
        for piece in np.array_split(vowel("a", 3.0), 75):
            server.main.session.on_heard(piece, False)
        until(lambda: {"attend.yaw", "emotion.smile"} <= {event.track for event in asked})
        leave()


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(UserError, match="--llm"):
        ChatConfig("localhost", "small")
    with pytest.raises(UserError, match="--hear"):
        ChatConfig("http://localhost", "small", hear="file:///etc/passwd")
