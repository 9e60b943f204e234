"""WHEP: who wants to watch posts an offer, and speaks too where the offer has a microphone.

    GET    whep         {"ice": [...]}: servers that the answering side uses, for a browser's RTCPeerConnection
    POST   whep         application/sdp -> 201, the answer, Location: whep/NAME
    DELETE whep?peer=NAME   the end

All candidates are in the answer (no trickle). After draft-ietf-wish-whep.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from gtalk.errors import UserError
from gtalk.viewer.webrtc.peers import NotNow, Peers

MOST_SDP_BYTES = 64 * 1024
SDP = "application/sdp"


def whep_routes(peers: Peers) -> list[BaseRoute]:
    """`/whep` of a session, to stand where its page is."""

    async def offers(request: Request) -> Response:
        if request.method == "DELETE":
            if await peers.leave(request.query_params.get("peer", "")):
                return Response(status_code=HTTPStatus.OK)
            return _words(HTTPStatus.NOT_FOUND, "no such peer")
        if request.method == "GET":
            return JSONResponse({"ice": [one.plain() for one in peers.ice]}, headers={"Cache-Control": "no-store"})
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != SDP:
            return _words(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"an offer is {SDP}")
        body = await _body(request)
        if body is None:
            return _words(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an offer has at most {MOST_SDP_BYTES} bytes")
        try:
            name, answer = await peers.enter(body.decode())
        except UnicodeDecodeError:
            return _words(HTTPStatus.BAD_REQUEST, "an offer is text")
        except UserError as error:
            missing = isinstance(error.__cause__, ImportError)
            return _words(HTTPStatus.NOT_IMPLEMENTED if missing else HTTPStatus.BAD_REQUEST, str(error))
        except NotNow as error:
            return _words(error.status, str(error))
        links = ", ".join(one.link for one in peers.ice)
        headers = {"Location": f"whep?peer={name}", "Cache-Control": "no-store", **({"Link": links} if links else {})}
        return Response(answer, HTTPStatus.CREATED, headers, SDP)

    return [Route("/whep", offers, methods=["GET", "POST", "DELETE"])]


async def _body(request: Request) -> bytes | None:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_SDP_BYTES:
            return None
    return body


def _words(status: HTTPStatus, why: str) -> Response:
    return PlainTextResponse(why + "\n", status)
