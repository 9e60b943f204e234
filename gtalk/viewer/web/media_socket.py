"""What one session serves: its pages' sockets (`/media`), pushed speech (`/push`), its pictures and its recording."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket

from gtalk.errors import UserError
from gtalk.export.web.rows import ROWS
from gtalk.hosting.answers import download, image_stream
from gtalk.hosting.budget import Budget
from gtalk.hosting.sockets import Socket, SocketClosed, opened, socket_routes
from gtalk.marks.label import Label
from gtalk.shapes import Float
from gtalk.talk.orbit import DISTANCES, MAX_PITCH_RAD, MAX_YAW_RAD
from gtalk.viewer.audio.sources import PushSource, speech_source
from gtalk.viewer.live.frames import Listener, LiveFrame
from gtalk.viewer.live.orbit import Orbit
from gtalk.viewer.live.recorder import Recorder
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.web.packets import Packets
from gtalk.viewer.web.protocol import (
    MAX_MESSAGE_BYTES,
    BadMessage,
    MicPiece,
    number,
    pack_frame,
    pack_numbers,
    pack_outline,
    parse,
)
from gtalk.viewer.web.speech_api import COMMANDED_A_SECOND, COMMANDED_AT_ONCE, follow_client
from gtalk.viewer.web.stage import COMMANDS, House, Stage
from gtalk.voice.synthesis import MAX_TEXT, Speaker

_STATS_EVERY_S = 1.0
_COMMANDS_A_SECOND, _COMMANDS_AT_ONCE = 60.0, 240.0  # of a page; a view that is turned sends 25
# Of all pages of a session together: beyond them they wait, or are told to.
_TOGETHER_A_SECOND, _TOGETHER_AT_ONCE = 400.0, 1200.0
_COMMANDED_A_SECOND, _COMMANDED_AT_ONCE = 50.0, 200.0  # of them, what is no sound
_PUSHED_A_SECOND, _PUSHED_AT_ONCE = 150.0, 1000.0
_LETTERS_A_SECOND, _LETTERS_AT_ONCE = 40.0, 4000.0  # twice what is said in that time
_TEXT_COSTS = 20.0  # letters, however short it is
_RECORDINGS_A_SECOND, _RECORDINGS_AT_ONCE = 0.05, 3.0
_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE = 1.0, 24.0
_AGAIN = "Too much at once: try again in a few seconds."
_MESSAGES_PER_S = 300  # 5 ms microphone pieces, what a stalled line brings at once, and commands


@dataclass(eq=False)
class _Page:
    """One page and what is its own."""

    connection: Socket
    stage: Stage
    """What it directs."""
    listening: Listening
    opus: bool = False
    """Whether it decodes packets of sound beside numbers."""
    rows: int = 1
    """Version of the numbers that it reads."""
    microphones: list[PushSource] = field(default_factory=list)
    commands: Budget = field(default_factory=lambda: Budget(_COMMANDS_A_SECOND, _COMMANDS_AT_ONCE))

    async def tell(self, **message: object) -> None:
        await self.connection.send(json.dumps(message))


class MediaSocket:
    """Serves one LiveSession to any number of pages and clients.

    Args:
        session: what is shown.
        recorder: what pages may start and stop.
        speaker: says the texts of pages.
        mic: whether pages may speak into it.
        label: whether pages and streams say in words what they show.
        draw: who draws: as of `ViewConfig`.
        report: gets one line for what goes wrong.
    """

    def __init__(
        self,
        session: LiveSession,
        recorder: Recorder,
        speaker: Speaker,
        *,
        mic: bool,
        label: Label = "off",
        draw: str = "server",
        report: Callable[[str], None],
    ) -> None:
        self._session, self._recorder, self._speaker = session, recorder, speaker
        self._mic, self._report = mic, report
        self._label, self._draw = label == "on", draw
        self._orbit = Orbit(session)
        self._recording: _Page | None = None  # who began the recording that runs
        self._pace = Budget(_TOGETHER_A_SECOND, _TOGETHER_AT_ONCE)
        self._commanded = Budget(_COMMANDED_A_SECOND, _COMMANDED_AT_ONCE)
        self._pushed = Budget(_PUSHED_A_SECOND, _PUSHED_AT_ONCE)
        self._begun = Budget(COMMANDED_A_SECOND, COMMANDED_AT_ONCE)
        self._letters = Budget(_LETTERS_A_SECOND, _LETTERS_AT_ONCE)
        self._house = House()
        self._rendering: asyncio.Task[None] | None = None
        self._recordings = Budget(_RECORDINGS_A_SECOND, _RECORDINGS_AT_ONCE)
        self._pages: list[_Page] = []
        self._packets = Packets()
        self._openings = [Budget(_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE) for _ in range(2)]
        self._loop: asyncio.AbstractEventLoop | None = None
        self.on_text: Callable[[str], None] | None = None
        """Gets the texts of pages, which are not said then: a conversation answers them."""
        self.on_both: Callable[[Float[np.ndarray, "N 2"], int], None] | None = None
        """Gets both channels of a stereo microphone and their rate: ears that know directions."""
        self.skew_ms: float | None = None
        """Sound against image as the newest page measured it; positive: the image is late."""

    @property
    def n_pages(self) -> int:
        """Pages that are open."""
        return len(self._pages)

    def start(self) -> None:
        """Begin, in the loop that serves its routes."""
        self._loop = asyncio.get_running_loop()

    def routes(self) -> list[BaseRoute]:
        """Where all of it is to be had."""
        return [
            *socket_routes("/media", self._media),
            *socket_routes("/push", self._push),
            image_stream("/live.mjpg", self.images),
            download(
                "/recording.mp4", lambda: self._recorder.path, "video/mp4", "gtalk.mp4", "nothing was recorded yet"
            ),
        ]

    def notify(self, text: str) -> None:
        """Show a line on every page; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self._tell_all(text), self._loop)

    async def _tell_all(self, text: str) -> None:
        with suppress(SocketClosed):
            await asyncio.gather(*(page.tell(notice=text) for page in self._pages))

    async def images(self) -> AsyncIterator[bytes]:
        """JPEGs as they are drawn, for an MJPEG stream."""
        async with Listening(self._session, self._label) as listening:
            while True:
                for frame in (await listening.news())[1]:
                    jpeg = frame.labelled_jpeg if self._label else frame.jpeg
                    if jpeg is not None:
                        yield jpeg

    async def _media(self, websocket: WebSocket) -> None:
        async with self._let_in(websocket, self._openings[0]) as socket, Listening(self._session) as listening:
            await self._serve_page(_Page(socket, Stage(self._session, self._house), listening))

    async def _push(self, websocket: WebSocket) -> None:
        async with self._let_in(websocket, self._openings[1]) as socket:
            await follow_client(socket, self._session, self._pushed, self._begun)

    @asynccontextmanager
    async def _let_in(self, websocket: WebSocket, openings: Budget) -> AsyncIterator[Socket]:
        opened(openings)
        socket = Socket(websocket, MAX_MESSAGE_BYTES)
        await socket.accept()
        try:
            yield socket
        except (BadMessage, UserError) as error:
            self._report(f"a visitor sent {error}; connection closed")
            await socket.close(1008, str(error))
        except SocketClosed:
            return

    async def _serve_page(self, page: _Page) -> None:
        sender = asyncio.create_task(self._send(page))
        self._pages.append(page)
        try:
            hello = {"voices": self._speaker.voices, "mic": self._mic, "label": self._label, "draw": self._draw,
                     "cast": getattr(self._session.talker, "names", ()), "ears": self.on_both is not None}  # fmt: skip
            await page.tell(hello=hello)
            await self._receive(page)
        finally:
            self._pages.remove(page)
            sender.cancel()
            self._mute(page)
            if self._recording is page:  # nobody would end it
                self._recording = None
                if not page.connection.host_ends:  # else the session finishes it, and keeps it
                    await asyncio.to_thread(self._recorder.stop)
                    self._report("the page that recorded left: its recording ends, /recording.mp4 has it")

    async def _send(self, page: _Page) -> None:
        told = 0.0
        with suppress(SocketClosed):
            while True:
                flushed, frames = await page.listening.news()
                if flushed:
                    await page.tell(flush=True)
                for frame in frames:
                    await page.connection.send(self._packed(page, frame))
                if time.monotonic() - told > _STATS_EVERY_S:
                    told = time.monotonic()
                    await page.tell(stats=asdict(self._session.stats()), recording=self._recorder.running)

    def _packed(self, page: _Page, frame: LiveFrame) -> bytes:
        if page.listening.apart:
            return pack_outline(frame, page.rows)
        own = frame.source in page.microphones
        if not page.listening.draws or not frame.numbers:
            return pack_frame(frame, own=own)
        packet = self._packets.of(frame) if page.opus else None
        return pack_numbers(frame, own=own, packet=packet, rows=page.rows)

    async def _receive(self, page: _Page) -> None:
        window, count = time.monotonic(), 0
        async for message in page.connection:
            if time.monotonic() - window > 1.0:
                window, count = time.monotonic(), 0
            count += 1
            if count > _MESSAGES_PER_S:
                raise BadMessage("too many messages a second")
            await self._pace.wait()
            parsed = parse(message)
            if isinstance(parsed, MicPiece):
                if page.microphones and self._session.microphone is page.microphones[-1]:
                    page.microphones[-1].push(parsed.samples, parsed.rate, parsed.captured_ms)
                    if parsed.both is not None and self.on_both is not None:
                        self.on_both(parsed.both, parsed.rate)
            else:
                await self._commanded.wait()
                await self._command(page, parsed, len(message))

    async def _command(self, page: _Page, command: dict, size: int) -> None:
        if not page.commands.spend():
            raise BadMessage("too many commands a second")
        match command["do"]:
            case "mic":
                await self._listen_to(page, echo_cancelled=command.get("raw") is not True)
            case "mute":
                self._mute(page)
            case "draw":
                page.listening.draws = bool(command.get("here")) and self._draw != "server"
                page.opus, page.rows = bool(command.get("opus")), 1 + (command.get("rows") == ROWS)
            case "apart":
                page.listening.apart = bool(command.get("on"))
            case "stop":
                self._session.interrupt()
            case "say":
                await self._say(page, command)
            case "orbit":
                self._orbit.look(
                    number(command, "yaw", -MAX_YAW_RAD, MAX_YAW_RAD),
                    number(command, "pitch", -MAX_PITCH_RAD, MAX_PITCH_RAD),
                    number(command, "distance", *DISTANCES),
                )
            case "record":
                await self._record(page, bool(command.get("on")))
            case do if do in COMMANDS:
                await self._direct(page, command, size)
            case "skew":
                self.skew_ms = number(command, "ms", -1e4, 1e4)
            case unknown:
                raise BadMessage(f"an unknown command {unknown[:32]!r}")

    async def _direct(self, page: _Page, command: dict, size: int) -> None:
        """A command of the timeline; what is to be rendered is recorded until its end."""
        render = command["do"] == "direct" and bool(command.get("record"))
        if render:
            await self._record(page, True)
            if self._recording is not page:
                return
        source = await page.stage.take(command, page.tell, size)
        if render and source is None:
            await self._record(page, False)
        elif render and source is not None:
            self._rendering = asyncio.create_task(self._render(page, source))

    async def _render(self, page: _Page, source: PushSource) -> None:
        await page.stage.ended(source)
        with suppress(SocketClosed):
            await self._record(page, False)

    async def _listen_to(self, page: _Page, echo_cancelled: bool) -> None:
        if not self._mic:
            await page.tell(notice="The microphone is off: the server was started with another --mic.", muted=True)
            return
        for other in self._pages:
            if other is not page and other.microphones:
                self._mute(other)
                await other.tell(notice="Another page speaks now.", muted=True)
        page.microphones.append(PushSource("browser microphone", audible=False, echo_cancelled=echo_cancelled))
        del page.microphones[:-2]  # what the last one said may still be on its way
        self._session.hear(page.microphones[-1])

    def _mute(self, page: _Page) -> None:
        for microphone in page.microphones:
            microphone.close()
            if self._session.microphone is microphone:
                self._session.hear(None)
        page.microphones.clear()

    async def _say(self, page: _Page, command: dict) -> None:
        text, voice = command.get("text"), command.get("voice", "")
        if not isinstance(text, str) or not isinstance(voice, str) or len(text) > MAX_TEXT:
            raise BadMessage(f"'say' without a text of at most {MAX_TEXT} characters")
        if not self._letters.spend(max(_TEXT_COSTS, float(len(text)))):
            await page.tell(notice=_AGAIN)
            return
        if self.on_text is not None:
            self.on_text(text)
            return
        try:
            self._session.play(speech_source(await asyncio.to_thread(self._speaker.say, text, voice)))
        except UserError as error:
            await page.tell(notice=str(error))

    async def _record(self, page: _Page, on: bool) -> None:
        if on:
            if not self._recordings.spend():
                await page.tell(recording=self._recorder.running, notice=_AGAIN)
                return
            try:
                await asyncio.to_thread(self._recorder.start)
            except (UserError, OSError) as error:  # the page stays, whatever comes of it
                await page.tell(recording=False, notice=f"Nothing is recorded: {error}")
                return
            self._recording = self._recording or page
            await page.tell(recording=True)
        elif self._recorder.running:
            self._recording = None
            path = await asyncio.to_thread(self._recorder.stop)
            notice = {"notice": f"The recording is lost: {self._recorder.problem}"} if self._recorder.problem else {}
            await page.tell(recording=False, recorded=path is not None, **notice)


class Listening:
    """A listener of the live thread as asynchronous news."""

    def __init__(self, session: LiveSession, labelled: bool = False) -> None:
        self._session, self._labelled = session, labelled
        self._event = asyncio.Event()
        self._listener: Listener | None = None

    async def __aenter__(self) -> Listening:
        loop = asyncio.get_running_loop()
        self._listener = self._session.listen(partial(_wake, loop, self._event), self._labelled)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._session.leave(self._listener)

    @property
    def draws(self) -> bool:
        """Whether numbers are wanted instead of images; may be changed."""
        return self._listener is not None and self._listener.draws

    @draws.setter
    def draws(self, here: bool) -> None:
        if self._listener is not None:
            self._listener.draws = here

    @property
    def apart(self) -> bool:
        """Whether pictures and sound come another way, and only what the traces show is wanted; may be changed."""
        return self._listener is not None and self._listener.apart

    @apart.setter
    def apart(self, on: bool) -> None:
        if self._listener is not None:
            self._listener.apart = self._listener.encodes = on

    async def news(self) -> tuple[bool, list[LiveFrame]]:
        """(whether to forget what came before, new frames), as soon as there is any."""
        listener = self._listener
        assert listener is not None
        await self._event.wait()
        self._event.clear()
        flushed, listener.flushed = listener.flushed, False
        new = []
        while listener.frames:
            new.append(listener.frames.popleft())
        return flushed, new


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
