"""The description of the server (OpenAPI 3.1), made from the table of endpoints and the options of a dub."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gtalk import __version__
from gtalk.dub.config import DubConfig
from gtalk.motion.edits.controls import Controls, control_specs, word_specs
from gtalk.serve.wishes import FILES, FORMATS, OPTIONS
from gtalk.voice.synthesis import ESPEAK_VOICES

if TYPE_CHECKING:
    from gtalk.serve.endpoints import Endpoint

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_FILE = {"type": "string", "pattern": "^file:[0-9a-f]{32}$"}


def described(endpoints: Iterable[Endpoint], root: str) -> dict[str, Any]:
    """The whole description. `root`: what a proxy puts before every path."""
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gtalk", "version": __version__, "description": "Dubs of talking portraits. What is made "
                 "here is generated, marked as such in its pictures and metadata, and made with the consent of the "
                 "person whose likeness speaks."},
        "servers": [{"url": root or "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_schemas(), "Dub": dub_schema()},
        },
    }  # fmt: skip


def _operation(one: Endpoint) -> dict[str, Any]:
    good: dict[str, Any] = {"description": one.says}
    if one.status != 204:
        schema = _ref(one.gives) if one.gives else {"type": "string"}
        good["content"] = {one.tells: {"schema": schema}}
    out: dict[str, Any] = {
        "operationId": one.handler.__name__,
        "summary": one.says,
        "responses": {str(one.status): good, "default": {"description": "What is wrong, in words",
                      "content": {"application/json": {"schema": _ref("Fault")}}}},
    }  # fmt: skip
    names = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    if names:
        out["parameters"] = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    if one.takes:
        is_file = "/" in one.takes
        kind = one.takes if is_file else "application/json"
        schema = {"type": "string", "format": "binary"} if is_file else _ref(one.takes)
        out["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    return out


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def dub_schema() -> dict[str, Any]:
    """What the body of a dub may have."""
    hints = typing.get_type_hints(DubConfig)
    properties: dict[str, Any] = {
        "text": {**_TEXT, "description": "What is said; tags in brackets direct the face: [smile] Hello! [nod]"},
        "voice": {"enum": list(ESPEAK_VOICES)},
        "words_per_minute": {"type": "integer"},
        "format": {"enum": list(FORMATS), "default": "mp4"},
        **{name: {**_FILE, "description": "What POST /v1/files answered"} for name in FILES},
        **{name: _kind(hints[name], getattr(DubConfig, name, None)) for name in OPTIONS},
    }
    controls = Controls()
    for spec in control_specs():
        number = {"type": "integer" if spec.whole else "number", "minimum": spec.control.low,
                  "maximum": spec.control.high}  # fmt: skip
        several = {"type": "array", "items": number, "minItems": spec.size, "maxItems": spec.size}
        properties[spec.name] = {**(several if spec.size > 1 else number), "description": spec.control.sentence,
                                 "default": getattr(controls, spec.name)}  # fmt: skip
    for word in word_specs():
        properties[word.name] = {**_TEXT, "description": word.control.sentence}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _kind(hint: Any, default: Any) -> dict[str, Any]:
    options = [one for one in typing.get_args(hint) if one is not type(None)]
    if typing.get_origin(hint) is typing.Literal:
        return {"enum": list(typing.get_args(hint)), "default": default}
    plain = options[0] if isinstance(hint, types.UnionType) and options else hint
    name = {int: "integer", float: "number", bool: "boolean"}.get(plain, "string")
    return {"type": name} if default is None else {"type": name, "default": default}


def _schemas() -> dict[str, Any]:
    def shape(**properties: Any) -> dict[str, Any]:
        return {"type": "object", "properties": properties}

    links = {"type": "object", "additionalProperties": _TEXT}
    whole = {"type": ["integer", "null"]}
    return {
        "Avatar": shape(name=_TEXT, person=_TEXT, renderer=_TEXT, width=whole, height=whole, fps=_NUMBER,
                        speaks={"type": "boolean"}, generated={"const": True}, links=links),
        "Avatars": shape(avatars={"type": "array", "items": _ref("Avatar")}),
        "Live": shape(url=_TEXT),
        "File": shape(file=_FILE, bytes={"type": "integer"}),
        "Job": shape(id=_TEXT, avatar=_TEXT, created_s=_NUMBER,
                     state={"enum": ["waiting", "running", "done", "failed", "cancelled"]},
                     progress={"type": "number", "minimum": 0, "maximum": 1}, error=_TEXT, duration_s=_NUMBER,
                     wall_s=_NUMBER, n_frames={"type": "integer"}, warnings={"type": "array", "items": _TEXT},
                     links=links),
        "Jobs": shape(jobs={"type": "array", "items": _ref("Job")}),
        "Health": shape(state={"const": "well"}),
        "Fault": shape(error=_TEXT, status=_TEXT),
    }  # fmt: skip
