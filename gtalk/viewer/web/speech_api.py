"""Speech pushed by a program: a text-to-speech engine or a chat agent, as a stream of unknown length.

A client opens `ws://HOST:PORT/push` (with `?token=` where one is asked for) and sends

    {"do": "begin", "rate": 24000}    an utterance begins; without it, the first piece begins one at 16000 Hz
                                      "as": "Ann" says who of a scene says it: after those who speak already
    binary                            its sound: mono, 16-bit little-endian, pieces of any size up to 256 KB
    {"do": "end"}                     nothing more comes; what waits is spoken to the end
    {"do": "stop"}                    cut it off now

and receives {"state": "waiting" | "speaking" | "ended" | "interrupted", "buffered_s": .., "position_s": ..} at each
change and twice a second while it speaks: `position_s` seconds of the utterance have been shown, "ended" comes
with the last image. Sound may come faster than it is spoken: past `LIMIT_S` the server reads no
further until there is room, so that a client which simply sends is slowed by its own socket. After
"interrupted" (somebody cut in) the rest of the utterance is ignored: begin another. While an utterance is
open, microphones wait.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from gtalk.hosting.budget import Budget
from gtalk.hosting.sockets import Socket, SocketClosed
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.pcm_stream import PcmStream
from gtalk.viewer.audio.sources import RATES_HZ, PushSource
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.web.protocol import BadMessage, number, parse_command

LIMIT_S = 30.0
_COMMANDS_A_SECOND, _COMMANDS_AT_ONCE = 10.0, 40.0  # each may cut off one utterance and begin another
COMMANDED_A_SECOND, COMMANDED_AT_ONCE = 20.0, 80.0  # of all clients of a session together
_LIVES = ("waiting", "speaking")
_TELL_EVERY_S = 0.5
_LOOK_EVERY_S = 0.04
_LAST_IMAGES_S = 0.5  # the longest that they take


class _Utterance:
    """What is being said for one client."""

    def __init__(self, session: LiveSession, rate: int, speaker: str = "") -> None:
        self._session, self.stream = session, PcmStream(rate)
        self.source = PushSource("pushed speech", audible=True, bounded=False, limit_s=LIMIT_S, speaker=speaker)
        if not speaker:
            session.play(self.source)
        elif not session.play_after(self.source):
            raise BadMessage("more turns than may wait")

    @property
    def state(self) -> str:
        if self._session.source is self.source:
            return "speaking"
        if self.source in self._session.line:
            return "waiting"
        return "ended" if self.source.ended else "interrupted"

    @property
    def on_its_way(self) -> bool:
        """Whether the end of it is decided but not yet shown."""
        return self.state == "ended" and not self.source.all_shown and self._session.source is None

    def cut(self) -> None:
        """Stop it if it is still being said. Others' turns that wait are over too: somebody cut in."""
        if self.state == "speaking":
            self._session.interrupt()
        self.source.close()


class _Client:
    """One connection: its utterances, one after another."""

    def __init__(self, connection: Socket, session: LiveSession) -> None:
        self._connection, self._session = connection, session
        self._commands = Budget(_COMMANDS_A_SECOND, _COMMANDS_AT_ONCE)
        self.utterance: _Utterance | None = None

    async def take(self, message: bytes | str) -> None:
        if isinstance(message, str):
            self._command(message)
            return
        if self.utterance is None:
            self.utterance = _Utterance(self._session, AUDIO_RATE, self._speaker({}))
        utterance = self.utterance
        while utterance.source.full and utterance.state in _LIVES and not self._vanished:
            await asyncio.sleep(_LOOK_EVERY_S)
        if utterance.state in _LIVES and not self._vanished:
            for samples, rate in utterance.stream.push(message):
                utterance.source.push(samples, rate)

    @property
    def _vanished(self) -> bool:
        return self._connection.vanished

    def _command(self, message: str) -> None:
        command = parse_command(message)
        if not self._commands.spend():
            raise BadMessage("too many commands a second")
        match command["do"]:
            case "begin":
                rate = number({"rate": AUDIO_RATE, **command}, "rate", -1e9, 1e9)
                if rate != int(rate) or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
                    raise BadMessage(f"sample rate {rate:g}")
                speaker = self._speaker(command)
                if self.utterance is not None and not (speaker and self.utterance.source.closed):
                    self.utterance.cut()
                self.utterance = _Utterance(self._session, int(rate), speaker)
            case "end":
                if self.utterance is not None:
                    for samples, rate in self.utterance.stream.push(b"", last=True):
                        self.utterance.source.push(samples, rate)
                    self.utterance.source.close()
            case "stop":
                if self.utterance is not None:
                    self.utterance.cut()
            case unknown:
                raise BadMessage(f"an unknown command {unknown[:32]!r}")

    def _speaker(self, command: dict) -> str:
        names = getattr(self._session.talker, "names", ())
        speaker = command.get("as", names[0] if names else "")
        if speaker and speaker not in names:
            known = f"one of {', '.join(names)}" if names else "nobody's name: there is one face"
            raise BadMessage(f"'as' with {str(speaker)[:32]!r}, expected {known}")
        return str(speaker)

    async def tell(self) -> None:
        """Reports the state until the connection ends."""
        told, since_s, waited_s = "", 0.0, 0.0
        with suppress(SocketClosed):
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                since_s += _LOOK_EVERY_S
                utterance = self.utterance
                if utterance is None:
                    continue
                if utterance.on_its_way and waited_s < _LAST_IMAGES_S:
                    waited_s += _LOOK_EVERY_S
                    continue
                state = utterance.state
                if state != told or (state == "speaking" and since_s >= _TELL_EVERY_S):
                    told, since_s, waited_s = state, 0.0, 0.0
                    source = utterance.source
                    times = {"buffered_s": round(source.buffered_s, 3), "position_s": round(source.shown_s, 3)}
                    await self._connection.send(json.dumps({"state": state, **times}))


async def follow_client(connection: Socket, session: LiveSession, pace: Budget, commanded: Budget) -> None:
    """Speak what a client pushes until it leaves; what it left unsaid without an "end" is cut off.

    `pace`: of the messages of all clients together, `commanded`: of those that are no sound; beyond them they wait.
    """
    client = _Client(connection, session)
    teller = asyncio.create_task(client.tell())
    try:
        async for message in connection:
            await pace.wait()
            if isinstance(message, str):
                await commanded.wait()
            await client.take(message)
    finally:
        teller.cancel()
        if client.utterance is not None and not client.utterance.source.closed:
            client.utterance.cut()
