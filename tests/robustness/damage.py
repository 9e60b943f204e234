"""Ways to damage files, and what may come of it: the file loads, or a UserError says what is wrong."""

from __future__ import annotations

import copy
import gc
import io
import json
import math
import resource
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gtalk.errors import UserError

SLOWEST_S = 30.0  # of one damaged file, on a machine that is busy with other things
SPARE_BYTES = 2 << 30  # that a damaged file of some kilobytes may make the process take


@contextmanager
def little_memory() -> Iterator[None]:
    """The process may not take much more address space than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + SPARE_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def survive(action: Callable[[], Any]) -> Any:
    """What the action returns, or the UserError it raised. Anything else is a fault of ours."""
    start_s = time.monotonic()
    with little_memory():
        try:
            return action()
        except UserError as error:
            assert error.expected and error.remedy
            return error
        finally:
            gc.collect(0)
            assert time.monotonic() - start_s < SLOWEST_S, "too slow"


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes changed, cut out, repeated, put in or cut off; more often near the beginning and the end."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        if not out:
            break
        reach = draw(st.sampled_from([64, 1024, len(out)]))
        place = draw(st.integers(0, min(reach, len(out)) - 1))
        place = len(out) - 1 - place if draw(st.booleans()) and reach < len(out) else place
        length = draw(st.integers(1, 64))
        kind = draw(st.sampled_from(["bit", "byte", "number", "cut", "repeat", "put", "end"]))
        if kind == "bit":
            out[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            out[place] = draw(st.integers(0, 255))
        elif kind == "number":
            number = draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 65536]))
            out[place : place + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", number)
        elif kind == "cut":
            del out[place : place + length]
        elif kind == "repeat":
            out[place:place] = out[place : place + length] * draw(st.integers(1, 40))
        elif kind == "put":
            out[place:place] = draw(st.binary(min_size=1, max_size=64))
        else:
            del out[place:]
    return bytes(out)


NASTY = st.sampled_from(
    [None, True, False, 0, -1, 1, 2, 3, 7, 1e-30, 1e30, -1e308, 10**9, 10**18, 10**400, 0.5, "", "x",
     "../../etc/passwd", "\x00", "a" * 5000, "\ud800", [], {}, [[]], {"": {}},
     [1] * 300, {"a": {"a": {"a": {}}}}, "NaN", "/dev/zero", "http://localhost/x"]
)  # fmt: skip


@st.composite
def damaged_json(draw: st.DrawFn, value: Any) -> Any:
    """Some values of a JSON tree replaced, removed, renamed or doubled."""
    tree = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            return draw(NASTY)
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        kind = draw(st.sampled_from(["replace", "replace", "number", "remove", "rename", "double"]))
        old = holder[key]
        if kind == "replace":
            holder[key] = copy.deepcopy(draw(NASTY))
        elif kind == "number" and isinstance(old, (int, float)) and not isinstance(old, bool) and abs(old) < 1e300:
            holder[key] = draw(st.sampled_from([old * 2, -old, old + 1, old * 1e6, float(old), 0, old + 0.5]))
        elif kind == "remove":
            del holder[key]
        elif kind == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["x", "", "__class__", str(key) + "s"]))] = holder.pop(key)
        elif kind == "double" and isinstance(holder, list):
            holder.insert(key, old)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every value inside."""
    if isinstance(tree, (dict, list)):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


def json_text(value: Any) -> str:
    """As JSON, with the constants that are none."""
    return json.dumps(value, allow_nan=True)


@st.composite
def damaged_arrays(draw: st.DrawFn, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Some arrays with other shapes, types or values, or gone."""
    out = dict(arrays)
    for _ in range(draw(st.integers(1, 3))):
        if not out:
            break
        name = draw(st.sampled_from(sorted(out)))
        value = out[name]
        kind = draw(st.sampled_from(["remove", "fill", "spot", "type", "cut", "empty", "turn", "axis", "rename"]))
        if kind == "remove":
            del out[name]
        elif kind in {"fill", "spot"} and value.size:
            value = value.copy()
            number = draw(st.sampled_from([0, -1, 1, 1e3, -1e3, 1e30, np.nan, np.inf, -np.inf, 255]))
            with np.errstate(all="ignore"):
                where = slice(None) if kind == "fill" else draw(st.integers(0, value.size - 1))
                value.reshape(-1)[where] = np.asarray(number).astype(value.dtype)
            out[name] = value
        elif kind == "type":
            with np.errstate(all="ignore"):
                out[name] = value.astype(draw(st.sampled_from([np.float16, np.float64, np.int32, np.uint8, np.bool_])))
        elif kind == "cut" and value.ndim and len(value) > 1:
            out[name] = value[: draw(st.integers(1, len(value) - 1))].copy()
        elif kind == "empty":
            out[name] = np.zeros(draw(st.sampled_from([(0,), (0, 3), (1,), (), (2, 0, 2)])), value.dtype)
        elif kind == "turn":
            out[name] = np.ascontiguousarray(value.T)
        elif kind == "axis":
            out[name] = value[None].copy()
        else:
            out[draw(st.sampled_from(["x", "", "../x", "channel.torso", "base"]))] = out.pop(name)
    return out


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz of these arrays, packed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            inner = io.BytesIO()
            np.lib.format.write_array(inner, value, allow_pickle=True)
            archive.writestr(f"{name}.npy", inner.getvalue())
    return file.getvalue()


def lying_npy(shape: tuple[int, ...], dtype: str = "<f8", data: bytes = b"") -> bytes:
    """An .npy whose header promises a shape that is not there."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def bomb(name: str, shape: tuple[int, ...]) -> bytes:
    """An .npz of a few kilobytes that unpacks to `shape` numbers of 8 bytes, all zero."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(lying_npy(shape))
        left = math.prod(shape) * 8
        while left:
            entry.write(b"\x00" * min(left, 1 << 24))
            left -= min(left, 1 << 24)
    return file.getvalue()
