"""The studio's page and what it asks for, as Starlette routes that any host may carry."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gtalk.errors import UserError
from gtalk.studio.desk import Desk
from gtalk.studio.looking import MOST_JPEG_BYTES
from gtalk.studio.qr import qr_svg
from gtalk.studio.takes import MOST_PIECE_BYTES, Missing, is_name, slug

_MOST_JSON_BYTES = 64 << 10
_MOST_SOUND_BYTES = 300 << 20
_PAGE = resources.files("gtalk.studio") / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
_KEEP = {"cache-control": "no-cache"}
_SHOWN = {"films", "sounds", "exports", "share"}
"""Folders of an entry whose files the page may ask for."""

Answer = Callable[[Request], Awaitable[Response]]


class TooLarge(Exception):
    """A body that is longer than is taken here."""


def record_routes(desk: Desk, *, phone: bool = False) -> list[Route]:
    """The page and what recording needs: all that a `phone` is let in for."""
    return [
        Route("/", _answered(lambda request: _page(request, "index.html"))),
        Route("/{file:str}.{kind:str}", _answered(_file_of_page)),
        Route("/texts/{file:str}.json", _answered(lambda r: _page(r, f"texts/{r.path_params['file']}.json"))),
        Route("/api/state", _answered(lambda _request: _state(desk, phone))),
        Route("/api/look", _answered(lambda request: _look(desk, request)), methods=["POST"]),
        Route("/api/takes", _answered(lambda request: _begin(desk, request)), methods=["POST"]),
        Route("/api/takes/{name}/consent", _answered(lambda request: _consent(desk, request)), methods=["POST"]),
        Route("/api/takes/{name}/{part}/{stretch:int}.{suffix}", _answered(lambda request: _held(desk, request))),
        Route("/api/takes/{name}/{part}/{stretch:int}.{suffix}/{number:int}",
              _answered(lambda request: _put(desk, request)), methods=["PUT"]),
        Route("/api/takes/{name}/{part}/{stretch:int}.{suffix}/close",
              _answered(lambda request: _close(desk, request)), methods=["POST"]),
        Route("/api/takes/{name}/{part}", _answered(lambda request: _forget(desk, request)), methods=["DELETE"]),
        Route("/api/avatars/{name}/preview.jpg", _answered(lambda request: _preview(desk, request))),
    ]  # fmt: skip


def work_routes(desk: Desk) -> list[Route]:
    """Making, the library, films."""
    return [
        Route("/api/avatars/{name}/make", _answered(lambda request: _make(desk, request)), methods=["POST"]),
        Route("/api/avatars/{name}/title", _answered(lambda request: _rename(desk, request)), methods=["POST"]),
        Route("/api/avatars/{name}", _answered(lambda request: _delete(desk, request)), methods=["DELETE"]),
        Route("/api/avatars/{name}/dub", _answered(lambda request: _dub(desk, request)), methods=["POST"]),
        Route("/api/avatars/{name}/evaluate", _answered(lambda request: _evaluate(desk, request)), methods=["POST"]),
        Route("/api/avatars/{name}/export/{kind}", _answered(lambda r: _export(desk, r)), methods=["POST"]),
        Route("/api/avatars/{name}/meet", _answered(lambda request: _meet(desk, request)), methods=["POST"]),
        Route("/api/avatars/{name}/report.html", _answered(lambda request: _report(desk, request, "report.html"))),
        Route("/api/avatars/{name}/measures.html", _answered(lambda request: _report(desk, request, "eval.html"))),
        Route("/api/avatars/{name}/share.zip", _answered(lambda request: _zip(desk, request))),
        Route("/api/avatars/{name}/files/{path:path}", _answered(lambda request: _file(desk, request))),
        Route("/api/jobs/{number:int}/{what:str}", _answered(lambda r: _job(desk, r)), methods=["POST"]),
        Route("/api/jobs/{number:int}/picture.jpg", _answered(lambda request: _picture(desk, request))),
        Route("/api/phone", _answered(lambda request: _phone(desk, request)), methods=["POST"]),
    ]


def _answered(answer: Answer) -> Answer:
    """What is wrong with a request is told as JSON that the page shows: `{"error": {"text", ...}}`."""

    async def wrapped(request: Request) -> Response:
        try:
            return await answer(request)
        except UserError as error:
            full = "room on the disk" in error.expected
            told = {"text": str(error), "what": error.what, "expected": error.expected, "got": error.got,
                    "remedy": error.remedy, "code": "disk_full" if full else ""}  # fmt: skip
            return JSONResponse({"error": told}, 507 if full else 422)
        except Missing as error:
            return JSONResponse({"missing": error.numbers}, 409)
        except TooLarge as error:
            return JSONResponse({"error": {"text": str(error), "code": "too_large"}}, 413)
        except ClientDisconnect:
            return Response(status_code=400)

    return wrapped


async def _page(request: Request, name: str) -> Response:
    path = _PAGE / name
    suffix = Path(name).suffix
    if suffix not in _TYPES or not path.is_file():
        return PlainTextResponse("no such page\n", 404)
    return Response(path.read_bytes(), media_type=_TYPES[suffix], headers=_KEEP)


async def _file_of_page(request: Request) -> Response:
    return await _page(request, f"{request.path_params['file']}.{request.path_params['kind']}")


async def _state(desk: Desk, phone: bool) -> Response:
    told = await asyncio.to_thread(desk.told)
    if phone:
        told |= {"jobs": [], "phone": False, "live": False}
    return JSONResponse({**told, "only_records": phone}, headers={"cache-control": "no-store"})


async def _look(desk: Desk, request: Request) -> Response:
    jpeg = await _body(request, MOST_JPEG_BYTES)
    return JSONResponse(await asyncio.to_thread(desk.look, jpeg, request.query_params.get("take", "")))


async def _begin(desk: Desk, request: Request) -> Response:
    asked = await _json(request)
    name = await asyncio.to_thread(
        desk.begin, _text(asked, "person"), _text(asked, "statement"), _text(asked, "language")
    )
    return JSONResponse({"name": name}, 201)


async def _consent(desk: Desk, request: Request) -> Response:
    asked = await _json(request)
    await asyncio.to_thread(
        desk.library.reconsent, request.path_params["name"], _text(asked, "person"), _text(asked, "statement")
    )
    return JSONResponse({})


def _stretch(request: Request) -> tuple[str, int, str]:
    path = request.path_params
    return path["part"], path["stretch"], path["suffix"]


async def _held(desk: Desk, request: Request) -> Response:
    take = desk.library.entry(request.path_params["name"]).take
    held = await asyncio.to_thread(take.held, *_stretch(request))
    return JSONResponse({"held": held, "joined": held is None})


async def _put(desk: Desk, request: Request) -> Response:
    take = desk.library.entry(request.path_params["name"]).take
    data = await _body(request, MOST_PIECE_BYTES)
    part, stretch, suffix = _stretch(request)
    await asyncio.to_thread(take.put, part, stretch, request.path_params["number"], suffix, data)
    return JSONResponse({}, 201)


async def _close(desk: Desk, request: Request) -> Response:
    asked, (part, stretch, suffix) = await _json(request), _stretch(request)
    labels = [(float(a), float(b), slug(str(name))) for a, b, name in asked.get("labels", [])][:64]
    path = await asyncio.to_thread(
        desk.close_stretch, request.path_params["name"], part, stretch, suffix, int(asked["count"]),
        float(asked.get("seconds", 0.0)), fresh=bool(asked.get("fresh")), labels=labels,
    )  # fmt: skip
    return JSONResponse({"clip": path.name})


async def _forget(desk: Desk, request: Request) -> Response:
    take = desk.library.entry(request.path_params["name"]).take
    await asyncio.to_thread(take.forget, request.path_params["part"])
    return JSONResponse({})


async def _preview(desk: Desk, request: Request) -> Response:
    avatar = desk.library.entry(request.path_params["name"]).avatar
    return _sent(None if avatar is None else avatar / "preview.jpg")


async def _make(desk: Desk, request: Request) -> Response:
    return JSONResponse(await asyncio.to_thread(desk.make, request.path_params["name"]), 202)


async def _rename(desk: Desk, request: Request) -> Response:
    title = _text(await _json(request), "title")
    await asyncio.to_thread(desk.library.rename, request.path_params["name"], title)
    return JSONResponse({})


async def _delete(desk: Desk, request: Request) -> Response:
    name = request.path_params["name"]
    if _text(await _json(request), "confirm") != name:
        raise UserError("delete", expected="the avatar's name once more", got="another", remedy="Ask again.")
    await asyncio.to_thread(desk.delete, name)
    return JSONResponse({})


async def _dub(desk: Desk, request: Request) -> Response:
    with tempfile.NamedTemporaryFile(dir=desk.library.root, prefix=".sound-", delete=False) as file:
        received = Path(file.name)
    try:
        await _to_file(request, received, _MOST_SOUND_BYTES)
        job = await asyncio.to_thread(
            desk.dub, request.path_params["name"], request.query_params.get("file", "speech.wav"), received
        )
    finally:
        received.unlink(missing_ok=True)
    return JSONResponse(job, 202)


async def _evaluate(desk: Desk, request: Request) -> Response:
    return JSONResponse(await asyncio.to_thread(desk.evaluate, request.path_params["name"]), 202)


async def _export(desk: Desk, request: Request) -> Response:
    path, sound = request.path_params, request.query_params.get("sound", "")
    return JSONResponse(await asyncio.to_thread(desk.export, path["name"], path["kind"], sound), 202)


async def _meet(desk: Desk, request: Request) -> Response:
    return JSONResponse(await desk.meet(request.path_params["name"]))


async def _report(desk: Desk, request: Request, which: str) -> Response:
    entry = desk.library.entry(request.path_params["name"])
    folder = entry.dataset if which == "report.html" else entry.avatar
    return _sent(None if folder is None else folder / which)


async def _zip(desk: Desk, request: Request) -> Response:
    entry = desk.library.entry(request.path_params["name"])
    folder = entry.folder / "share"
    if not folder.is_dir():
        return PlainTextResponse("nothing is shared yet\n", 404)
    place = tempfile.mkdtemp(dir=desk.library.root, prefix=".zip-")
    made = await asyncio.to_thread(shutil.make_archive, str(Path(place) / entry.name), "zip", folder)
    gone = BackgroundTask(shutil.rmtree, place, ignore_errors=True)
    return FileResponse(made, filename=f"{entry.name}.zip", background=gone)


async def _file(desk: Desk, request: Request) -> Response:
    entry = desk.library.entry(request.path_params["name"])
    path = (entry.folder / request.path_params["path"]).resolve()
    inside = path.is_relative_to(entry.folder.resolve())
    kind = path.relative_to(entry.folder.resolve()).parts[0] if inside and path != entry.folder.resolve() else ""
    download = path.name if request.query_params.get("save") else None
    return _sent(path if kind in _SHOWN else None, download)


async def _job(desk: Desk, request: Request) -> Response:
    doing = {"stop": desk.jobs.cancel, "again": desk.jobs.again, "forget": desk.jobs.forget}
    what = doing.get(request.path_params["what"])
    if what is None:
        return PlainTextResponse("no such thing\n", 404)
    await asyncio.to_thread(what, request.path_params["number"])
    return JSONResponse({})


async def _picture(desk: Desk, request: Request) -> Response:
    return _sent(desk.jobs.picture(request.path_params["number"]))


async def _phone(desk: Desk, request: Request) -> Response:
    take = _text(await _json(request), "take")
    phone = await desk.let_phone_in()
    phone["url"] += f"#take={take}" if is_name(take) else ""
    return JSONResponse({**phone, "qr": qr_svg(phone["url"])})


def _sent(path: Path | None, download: str | None = None) -> Response:
    if path is None or not path.is_file():
        return PlainTextResponse("no such file\n", 404)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, filename=download, headers=_KEEP)


async def _body(request: Request, most: int) -> bytes:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            raise TooLarge(f"expected at most {most >> 20} MB. Send less.")
    return bytes(data)


async def _to_file(request: Request, path: Path, most: int) -> None:
    size = 0
    with open(path, "wb") as file:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise TooLarge(f"the file is larger than {most >> 20} MB. Cut it, or use `gtalk dub` on this machine.")
            await asyncio.to_thread(file.write, piece)


async def _json(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await _body(request, _MOST_JSON_BYTES) or b"{}")
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise UserError("request", expected="JSON", got="something else", remedy="Load the page anew.")
    return asked


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str) or len(value) > 4000:
        raise UserError(name, expected="a text", got=type(value).__name__, remedy="Type it again.")
    return value
