"""The server's endpoints: one table, from which both the routes and the description (OpenAPI) are made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gtalk.errors import UserError
from gtalk.hosting.gate import VISITOR, forwarded_root
from gtalk.hosting.visits import stay
from gtalk.serve.config import ServeConfig
from gtalk.serve.live import LivePages, place_of
from gtalk.serve.openapi import described
from gtalk.serve.queue import Order, Orders
from gtalk.serve.shelf import Uploads, facts_of
from gtalk.serve.wishes import FORMATS, entry_of

MOST_JSON_BYTES = 1 << 20
_ALIVE_S = 15.0


@dataclass(frozen=True)
class Endpoint:
    """One thing that a client may ask."""

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    says: str
    """What it does, for people."""
    tells: str = "application/json"
    """Media type of a good answer."""
    takes: str = ""
    """Name of the schema of a JSON body, or a media type."""
    gives: str = ""
    """Name of the schema of the answer."""
    status: int = 200


class Server:
    """What the endpoints do. `guest` gives what a guest of a client shows at a live page; `live` tells who is there."""

    def __init__(
        self,
        avatars: dict[str, Path],
        orders: Orders,
        uploads: Uploads,
        config: ServeConfig,
        guest: Callable[[str, str], str],
        live: LivePages,
    ) -> None:
        self._avatars, self._orders, self._uploads, self._config = avatars, orders, uploads, config
        self._guest, self._live = guest, live
        json_file = "application/octet-stream"
        self.endpoints = (
            Endpoint("GET", "/v1/avatars", self.list_avatars, "The avatars, and whose likeness each is.",
                     gives="Avatars"),
            Endpoint("GET", "/v1/avatars/{name}", self.one_avatar, "One avatar.", gives="Avatar"),
            Endpoint("GET", "/v1/avatars/{name}/preview.jpg", self.preview, "A picture of it.", tells="image/jpeg"),
            Endpoint("GET", "/v1/avatars/{name}/live", self.live, "Where its live page is, for a browser. The "
                     "address lets whoever has it talk there, and do nothing else.",
                     gives="Live"),
            Endpoint("POST", "/v1/files", self.send_file,
                     "Sends a sound, a motion file, a score, subtitles, a picture or a shot. `?name=` with its suffix.",
                     takes=json_file, gives="File", status=201),
            Endpoint("POST", "/v1/avatars/{name}/dubs", self.dub,
                     "Begins a dub: of a text, or of a file that was sent.", takes="Dub", gives="Job", status=202),
            Endpoint("GET", "/v1/jobs", self.list_jobs, "Your jobs, the newest first.", gives="Jobs"),
            Endpoint("GET", "/v1/jobs/{id}", self.one_job, "How far a job is.", gives="Job"),
            Endpoint("GET", "/v1/jobs/{id}/events", self.events, "The same as it changes (server-sent events), to its "
                     "end.", tells="text/event-stream"),
            Endpoint("GET", "/v1/jobs/{id}/result", self.result, "The video, once it is done. Parts of it by Range.",
                     tells="video/mp4"),
            Endpoint("DELETE", "/v1/jobs/{id}", self.cancel, "Ends a job, or forgets one that is over.", status=204),
            Endpoint("GET", "/metrics", self.metrics, "Counts for Prometheus.", tells="text/plain"),
            Endpoint("GET", "/health", self.health, "Whether it is well.", gives="Health"),
        )  # fmt: skip

    def routes(self) -> list[Route]:
        """All of them, with the description and the page that shows it."""
        made = [Route(e.path, _told(e.handler), methods=[e.method]) for e in self.endpoints]
        pages = [("/openapi.json", self._openapi), ("/docs", _docs), ("/docs.js", _docs_js), ("/", _docs)]
        return [*made, *(Route(path, page) for path, page in pages)]

    async def list_avatars(self, request: Request) -> Response:
        """See the table."""
        return JSONResponse({"avatars": [self._facts(request, name) for name in self._avatars]})

    async def one_avatar(self, request: Request) -> Response:
        """See the table."""
        return JSONResponse(self._facts(request, self._name(request)))

    async def preview(self, request: Request) -> Response:
        """See the table."""
        path = self._avatars[self._name(request)] / "preview.jpg"
        if not path.is_file():
            raise _Missing("this avatar has no preview")
        return FileResponse(path, media_type="image/jpeg")

    async def live(self, request: Request) -> Response:
        """See the table."""
        place = place_of(self._name(request))
        secret = self._guest(_owner(request), place)
        url = self._root(request) + quote(place) + (f"?token={secret}" if secret else "")
        return JSONResponse({"url": url})

    async def send_file(self, request: Request) -> Response:
        """See the table."""
        name = request.query_params.get("name", "")
        stay(request.scope)
        return JSONResponse(await self._uploads.take(_owner(request), name, request.stream()), 201)

    async def dub(self, request: Request) -> Response:
        """See the table."""
        name, owner = self._name(request), _owner(request)
        wish = await _json(request)

        def entry(folder: Path) -> dict[str, Any]:
            return entry_of(wish, self._avatars[name], folder.resolve(), lambda file: self._uploads.path(owner, file))

        order = await asyncio.to_thread(self._orders.submit, owner, name, entry, self._config.most_waiting)
        told = self._job(request, order)
        return JSONResponse(told, 202, {"Location": told["links"]["self"]})

    async def list_jobs(self, request: Request) -> Response:
        """See the table."""
        return JSONResponse({"jobs": [self._job(request, order) for order in self._orders.of(_owner(request))]})

    async def one_job(self, request: Request) -> Response:
        """See the table."""
        return JSONResponse(self._job(request, self._order(request)))

    async def events(self, request: Request) -> Response:
        """See the table."""
        order, loop = self._order(request), asyncio.get_running_loop()
        news: asyncio.Queue[str] = asyncio.Queue(64)

        def hear(changed: Order) -> None:
            if changed.id == order.id:
                loop.call_soon_threadsafe(_put, news, json.dumps(self._job(request, changed)))

        async def told() -> AsyncIterator[str]:
            end = self._orders.listen(hear)
            try:
                text = json.dumps(self._job(request, order))
                while True:
                    yield f"data: {text}\n\n" if text else ": still there\n\n"
                    if text and json.loads(text)["state"] in ("done", "failed", "cancelled"):
                        return
                    try:
                        text = await asyncio.wait_for(news.get(), _ALIVE_S)
                    except TimeoutError:
                        text = ""
            finally:
                end()

        stay(request.scope)
        return StreamingResponse(told(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def result(self, request: Request) -> Response:
        """See the table."""
        order = self._order(request)
        if (path := self._orders.result(order)) is None:
            raise _Missing(f"the job is {order.state}: it has no result" + (f" ({order.error})" if order.error else ""))
        name = f"{order.avatar}-{order.id}{path.suffix}"
        stay(request.scope)
        return FileResponse(path, media_type=FORMATS[path.suffix[1:]], filename=name)

    async def cancel(self, request: Request) -> Response:
        """See the table."""
        await asyncio.to_thread(self._orders.cancel, self._order(request))
        return Response(status_code=204)

    async def metrics(self, _request: Request) -> Response:
        """See the table."""
        lines = ["# HELP gtalk_jobs Jobs by state.", "# TYPE gtalk_jobs gauge"]
        lines += [f'gtalk_jobs{{state="{state}"}} {count}' for state, count in self._orders.counts().items()]
        lines += ["# HELP gtalk_video_seconds_total Seconds of video rendered since the start.",
                  "# TYPE gtalk_video_seconds_total counter",
                  f"gtalk_video_seconds_total {self._orders.done_video_s:.3f}",
                  "# HELP gtalk_avatars Avatars that are served.", "# TYPE gtalk_avatars gauge",
                  f"gtalk_avatars {len(self._avatars)}"]  # fmt: skip
        stats = [room.session.stats() for room in self._live.rooms]
        for name, help_text, value in (
            ("live_sessions", "Conversations on live pages.", len(stats)),
            ("live_visitors", "Pages and streams that look at them.", sum(one.listeners for one in stats)),
            ("live_late_pictures", "Pictures of open conversations that came too late.",
             sum(one.dropped for one in stats)),
            ("live_latency_p95_ms", "Sound to picture, of the slowest conversation.",
             max((one.latency_p95_ms for one in stats), default=0.0)),
        ):  # fmt: skip
            lines += [f"# HELP gtalk_{name} {help_text}", f"# TYPE gtalk_{name} gauge", f"gtalk_{name} {value:g}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def health(self, _request: Request) -> Response:
        """See the table."""
        return JSONResponse({"state": "well"})

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(described(self.endpoints, self._root(request)))

    def _facts(self, request: Request, name: str) -> dict[str, Any]:
        root = f"{self._root(request)}/v1/avatars/{name}"
        links = {"self": root, "preview": f"{root}/preview.jpg", "dubs": f"{root}/dubs", "live": f"{root}/live"}
        return {**facts_of(name, self._avatars[name]), "links": links}

    def _job(self, request: Request, order: Order) -> dict[str, Any]:
        root = f"{self._root(request)}/v1/jobs/{order.id}"
        links = {"self": root, "events": f"{root}/events"}
        return {**order.told(), "links": links | ({"result": f"{root}/result"} if order.state == "done" else {})}

    def _root(self, request: Request) -> str:
        """What stands before every path as visitors see it."""
        return forwarded_root(request, self._config.root)

    def _name(self, request: Request) -> str:
        name = request.path_params["name"]
        if name not in self._avatars:
            raise _Missing(f"no avatar is called {name[:60]!r}; GET /v1/avatars lists them")
        return name

    def _order(self, request: Request) -> Order:
        order = self._orders.get(_owner(request), request.path_params["id"])
        if order is None:
            raise _Missing("you have no such job; GET /v1/jobs lists them")
        return order


class _Missing(Exception):
    """What is asked for is not there."""


def _told(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Faults of a client as JSON with words."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except _Missing as missing:
            return _fault(404, str(missing))
        except UserError as error:
            words = str(error)
            too_much = words.startswith("file: expected at most")
            return _fault(413 if too_much else 429 if words.startswith("jobs: ") else 422, words)
        except (OSError, ValueError) as error:
            return _fault(422, str(error))

    return answer


def _fault(status: int, words: str) -> Response:
    return JSONResponse({"error": words, "status": HTTPStatus(status).phrase}, status)


def _owner(request: Request) -> str:
    return getattr(request.state, VISITOR, None) or ""


async def _json(request: Request) -> Any:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_JSON_BYTES:
            raise UserError("file", expected=f"at most {MOST_JSON_BYTES / 1e6:.0f} MB", got="more",
                            remedy="Send files to /v1/files.")  # fmt: skip
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UserError("body", expected="JSON", got=str(error)[:80], remedy="See /docs.") from error


def _put(news: asyncio.Queue[str], text: str) -> None:
    """The newest matters: a slow client skips what lies between."""
    if news.full():
        news.get_nowait()
    news.put_nowait(text)


async def _docs(_request: Request) -> Response:
    return HTMLResponse((files("gtalk.serve") / "page" / "docs.html").read_text(encoding="utf-8"))


async def _docs_js(_request: Request) -> Response:
    return Response((files("gtalk.serve") / "page" / "docs.js").read_bytes(), media_type="text/javascript")
