"""Files of the web export: a magic word, a header in JSON, and arrays one after the other.

    4 bytes magic · uint32 length of the header · header (JSON, UTF-8, padded to 4 bytes) · sections, deflated (zlib)

The header's `sections` say of each name its dtype (of numpy, little endian), shape and offset from the first section's
beginning, always a multiple of 4, and `size` how many bytes they are together; everything else in the header is the
file's own. An array `x_scale` beside `x` says what one step of `x` is worth, by numpy's rules of broadcasting.
JavaScript reads the same: gtalk/export/web/drawing/format.js.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.reading.untrusted import parse_json
from gtalk.shapes import Float

_LARGEST_HEADER, _LARGEST_BODY = 1 << 20, 1 << 28
_LEVEL = 9


def write_sections(magic: bytes, header: Mapping[str, Any], sections: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a file."""
    listed, pieces, offset = {}, [], 0
    for name, value in sections.items():
        data = np.ascontiguousarray(value).tobytes()
        listed[name] = {"dtype": value.dtype.newbyteorder("<").str, "shape": list(value.shape), "offset": offset}
        padding = -len(data) % 4
        pieces.append(data + bytes(padding))
        offset += len(data) + padding
    text = json.dumps({**header, "size": offset, "sections": listed}, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([magic, struct.pack("<I", len(text)), text, zlib.compress(b"".join(pieces), _LEVEL)])


def stepped(
    name: str, values: Float[np.ndarray, "..."], dtype: str, over: int | tuple[int, ...] | None = None
) -> dict[str, np.ndarray]:
    """Values as whole steps and what a step is worth.

    Args:
        dtype: of the steps, signed.
        over: axes that share a step; all but the first by default.
    """
    axes = tuple(range(1, values.ndim)) if over is None else over
    scale = np.maximum(np.abs(values).max(axes, keepdims=True), 1e-12) / np.iinfo(dtype).max
    return {name: np.rint(values / scale).astype(dtype), f"{name}_scale": scale.astype("<f4")}


def unstepped(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `stepped` was given, and all other arrays as they are."""
    scaled = {name: arrays[name] * arrays[f"{name}_scale"] for name in arrays if f"{name}_scale" in arrays}
    return {name: scaled.get(name, value) for name, value in arrays.items() if not name.endswith("_scale")}


def read_sections(magic: bytes, data: bytes, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, arrays by name). Raises UserError when it is another file, another version, or damaged."""
    try:
        if data[:4] != magic:
            raise ValueError(f"it begins with {data[:4]!r}")
        (length,) = struct.unpack("<I", data[4:8])
        if length > _LARGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header = parse_json(data[8 : 8 + length].decode())
        if header["version"] != version:
            raise ValueError(f"version {header['version']}; this gtalk reads {version}")
        body, arrays = _inflated(data[8 + length :], int(header.pop("size"))), {}
        for name, facts in header.pop("sections").items():
            dtype, shape = np.dtype(facts["dtype"]), tuple(int(n) for n in facts["shape"])
            count = int(np.prod(shape, dtype=np.int64))
            if dtype.kind not in "iuf" or min(shape, default=0) < 0 or facts["offset"] < 0:
                raise ValueError(f"section {name} is none")
            arrays[name] = np.frombuffer(body, dtype, count, facts["offset"]).reshape(shape)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, zlib.error) as error:
        raise UserError(f"{magic.decode()} file", expected=f"one of version {version} that gtalk export wrote",
                        got=f"{type(error).__name__}: {error}", remedy="Export it again.") from error  # fmt: skip
    return header, arrays


def _inflated(packed: bytes, size: int) -> bytes:
    if not 0 <= size <= _LARGEST_BODY:
        raise ValueError(f"{size} bytes of sections")
    reader = zlib.decompressobj()
    body = reader.decompress(packed, size + 1)
    if len(body) != size:
        raise ValueError(f"{len(body)} bytes of sections where {size} should be")
    return body
