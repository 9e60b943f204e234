"""viser behind the gate: its page given out by us, its socket passed on within what a panel's page may say.

    page ─▶ GuardedViser ─▶ viser

viser trusts its pages: any attribute of any control may be set for everybody, files have no end, a tunnel to an outside
server may be asked for. Here only values go through, within the range of their control, at a pace, and one file of a
bounded size. What else its page sends (where its camera is) is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hmac
import io
import math
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import viser
import viser.infra
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket
from viser import _messages as messages
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gtalk.hosting.answers import Page, page
from gtalk.hosting.budget import Budget
from gtalk.hosting.sockets import Socket, SocketClosed, opened, socket_routes
from gtalk.viewer.web.protocol import BadMessage

MOST_UPLOAD_BYTES = 20_000_000
_PART_BYTES = 512 * 1024  # as viser's page cuts files
_MOST_MESSAGE_BYTES = _PART_BYTES + 4096
_MOST_TEXT = 2000
_MOST_PAGES = 16
_MESSAGES_A_SECOND, _MESSAGES_AT_ONCE = 21.0, 80.0  # a control that is dragged sends 20
_TOGETHER_A_SECOND, _TOGETHER_AT_ONCE = 22.0, 100.0  # of all pages; each is told to every panel
_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE = 0.2, 4.0  # each is sent all controls anew
_CLOSE_S = 1.0
INNER_HEADER = "X-Gtalk-Inner"  # carries a secret to viser, which refuses whoever does not know it
_VISER_PAGE = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""It is one file with its scripts inside; nothing of it goes elsewhere."""
_one_at_a_time = threading.Lock()


class _WithoutPages(viser.infra.WebsockServer):
    """viser's server, which gives out no files: a reader that stalls would hold a copy of each."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "http_server_root": None})


def inner_viser(label: str, secret: str) -> viser.ViserServer:
    """A viser server on loopback that answers only who knows the secret, and never opens a tunnel."""
    with _one_at_a_time, contextlib.redirect_stdout(io.StringIO()), _replaced():  # its banner is not for visitors
        server = viser.ViserServer(host="127.0.0.1", port=0, label=label, verbose=False)
    sockets: Any = server._websock_server
    for kind in (messages.ShareUrlRequest, messages.ShareUrlDisconnect):
        sockets.unregister_handler(kind)

    # It has no place for a check before a connection, so this stands where connections are told of, which is before
    # the first message goes either way.
    async def check(client: Any) -> None:
        connection = sockets._live_connections[client.client_id]
        given = connection.request.headers.get(INNER_HEADER, "")
        if hmac.compare_digest(given.encode(), secret.encode()):
            return
        del sockets._live_connections[client.client_id], sockets._client_state_from_id[client.client_id]
        await connection.close(1008, "come through the page's own port")
        raise asyncio.CancelledError  # what it sent in the meantime is not to be read

    sockets.on_client_connect(check)
    server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
    return server


@contextlib.contextmanager
def _replaced() -> Iterator[None]:
    kept = viser.infra.WebsockServer
    viser.infra.WebsockServer = _WithoutPages  # type: ignore[misc]
    try:
        yield
    finally:
        viser.infra.WebsockServer = kept  # type: ignore[misc]


def stop_viser(server: viser.ViserServer) -> None:
    """End a server; what it prints then is nobody's business."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


@cache
def viser_page() -> Page:
    """Viser's own page."""
    body = (Path(viser.__file__).parent / "client" / "build" / "index.html").read_bytes()
    return Page("text/html", body, gzip.compress(body, mtime=0), _VISER_PAGE)


class GuardedViser:
    """Passes a panel's page on to one viser server.

    Args:
        server: made by `inner_viser`.
        secret: what viser is shown.
        report: gets one line for what is closed.
    """

    def __init__(self, server: viser.ViserServer, secret: str, report: Callable[[str], None]) -> None:
        self._viser, self._secret, self._report = server, secret, report
        self._openings = Budget(_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE)
        self._n_pages = 0
        self._uploading: _Upload | None = None
        self._pace = Budget(_TOGETHER_A_SECOND, _TOGETHER_AT_ONCE)  # beyond it they wait

    def routes(self) -> list[BaseRoute]:
        """Its page, with its socket at the same path."""
        return [
            route for path in ("/viser", "/viser/") for route in socket_routes(path, self._open, page(viser_page()))
        ]

    async def _open(self, websocket: WebSocket) -> None:
        opened(self._openings)
        socket = Socket(websocket, _MOST_MESSAGE_BYTES)
        given = (name for name in websocket.scope.get("subprotocols", []) if name.startswith("viser-v"))
        subprotocol = next(given, None)
        await socket.accept(subprotocol)
        if self._n_pages >= _MOST_PAGES:
            await socket.close(1013, "too many pages")
            return
        self._n_pages += 1
        try:
            await self._relay(socket, subprotocol)
        except BadMessage as error:
            self._report(f"a visitor sent {error}; panel closed")
            await socket.close(1008, str(error))
        except (SocketClosed, ConnectionClosed, OSError):
            pass
        finally:
            self._n_pages -= 1

    async def _relay(self, page: Socket, subprotocol: str | None) -> None:
        protocols = [Subprotocol(subprotocol)] if subprotocol else None
        address = f"ws://127.0.0.1:{self._viser.get_port()}"
        async with connect(
            address, subprotocols=protocols, additional_headers={INNER_HEADER: self._secret}, compression=None,
            max_size=None, max_queue=2, ping_interval=None, proxy=None, close_timeout=_CLOSE_S,
        ) as inner:  # fmt: skip
            down = asyncio.create_task(_down(inner, page))
            said = _Said(self)
            try:
                async for raw in page:
                    if said.passes(raw):
                        await self._pace.wait()
                        await inner.send(raw)
            finally:
                said.left()
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)

    def control(self, uuid: object) -> Any:
        """A control by its name; None where there is none."""
        return self._viser.gui._gui_input_handle_from_uuid.get(uuid) if isinstance(uuid, str) else None

    def begin(self, upload: _Upload) -> None:
        """One file at a time. Raises BadMessage where another one is under way."""
        if self._uploading is not None:
            raise BadMessage("a second file at once")
        self._uploading = upload

    def end(self, upload: _Upload | None) -> None:
        """A file is whole, or its page left."""
        if upload is not None and self._uploading is upload:
            self._uploading = None


async def _down(inner: Any, page: Socket) -> None:
    with contextlib.suppress(ConnectionClosed, SocketClosed):
        async for raw in inner:
            await page.send(raw)
    await page.close(1001)


class _Upload:
    """A file on its way."""

    def __init__(self, uuid: str, n_parts: int) -> None:
        self.uuid, self.left = uuid, set(range(n_parts))


class _Said:
    """What one page says."""

    def __init__(self, guard: GuardedViser) -> None:
        self._guard = guard
        self._budget = Budget(_MESSAGES_A_SECOND, _MESSAGES_AT_ONCE)
        self._placed = False
        self._upload: _Upload | None = None

    def passes(self, raw: str | bytes) -> bool:
        """Whether a message is for viser. Raises BadMessage for what its page never sends."""
        if not self._budget.spend():
            raise BadMessage("too many messages a second")
        try:
            message = messages.Message.deserialize(raw)  # type: ignore[arg-type]
        except Exception as error:
            raise BadMessage("what no panel sends") from error
        match message:
            case messages.ViewerCameraMessage():
                # The first makes the page known; where its camera goes later is of no use.
                first, self._placed = not self._placed, True
                return first
            case messages.GuiUpdateMessage():
                check_update(self._guard.control(message.uuid), message.updates)
                return True
            case messages.FileTransferStartUpload():
                return self._begin(message)
            case messages.FileTransferPart():
                return self._part(message)
        return False

    def left(self) -> None:
        """The page is gone."""
        self._guard.end(self._upload)

    def _begin(self, message: messages.FileTransferStartUpload) -> bool:
        sizes = (message.size_bytes, message.part_count)
        if not all(isinstance(size, int) for size in sizes) or not 0 < sizes[0] <= MOST_UPLOAD_BYTES:
            raise BadMessage(f"a file of more than {MOST_UPLOAD_BYTES // 10**6} MB")
        names = (message.transfer_uuid, message.filename, message.mime_type)
        if sizes[1] != -(-sizes[0] // _PART_BYTES) or not all(isinstance(x, str) and len(x) <= 255 for x in names):
            raise BadMessage("a file that is described wrongly")
        if not isinstance(self._guard.control(message.source_component_uuid), viser.GuiUploadButtonHandle):
            raise BadMessage("a file for nothing that takes one")
        self._upload = _Upload(message.transfer_uuid, sizes[1])
        self._guard.begin(self._upload)
        return True

    def _part(self, message: messages.FileTransferPart) -> bool:
        upload = self._upload
        if upload is None or message.transfer_uuid != upload.uuid or message.part_index not in upload.left:
            raise BadMessage("a part of no file")
        upload.left.remove(message.part_index)
        if not upload.left:
            self._guard.end(upload)
            self._upload = None
        return True


def check_update(control: Any, updates: object) -> None:
    """Raises BadMessage unless `updates` sets the value of a control, and that to one that it offers."""
    if control is None or not isinstance(updates, dict) or set(updates) != {"value"}:
        raise BadMessage("another attribute than the value of a control")
    if not _offers(control, updates["value"]):
        raise BadMessage(f"a value that {str(control.label)[:40]!r} does not offer")


def _offers(control: Any, value: object) -> bool:
    match control:
        case viser.GuiSliderHandle():
            return _within(value, control.min, control.max)
        case viser.GuiVector2Handle() | viser.GuiVector3Handle():
            if not isinstance(value, (list, tuple)) or len(value) != len(control.value):
                return False
            low, high = control.min or value, control.max or value
            return all(_within(*each) for each in zip(value, low, high, strict=True))
        case viser.GuiDropdownHandle():
            return value in control.options
        case viser.GuiTextHandle():
            return isinstance(value, str) and len(value) <= _MOST_TEXT
        case viser.GuiUploadButtonHandle():
            return False
        case viser.GuiCheckboxHandle() | viser.GuiButtonHandle():
            return isinstance(value, bool)
    return False


def _within(value: object, low: float, high: float) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low - 1e-6 <= value <= high + 1e-6
    )
