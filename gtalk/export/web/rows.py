"""One frame of motion in some 90 bytes, for a page that draws what it is told as it comes.

    u8 codes (K) · u8 bytes of the map · i16 head, turned (3, 1/10000 rad) · i32 head, placed (3, micrometres) ·
    i16 torso and framing (7, 1/25000) · map: a bit for each shape that is used · 12 bits a code (1/256), then a weight
    (1/1024)

Numbers are those of `message.frame_numbers` and of `message.expression_weights`. Each frame stands by itself, so that
one that is left out, or a page that comes later, does no harm. Little-endian; 12 bits from the first byte's lowest on.
"""

from __future__ import annotations

import struct

import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.web.message import AFTER_CODES, expression_weights, frame_numbers
from gtalk.shapes import Float, Int
from gtalk.types import EXPRESSIONS, Motion

ROWS = 2
"""Version of what pages ask for; the first had floats and half floats."""
_HEAD = struct.Struct("<BB3h3i7h")
_UNITS = np.array([1e-4] * 3 + [1e-6] * 3 + [4e-5] * 7)
_MOST = np.array([2**15 - 1] * 3 + [2**31 - 1] * 3 + [2**15 - 1] * 7)
_CODE, _WEIGHT = 1 / 256, 1 / 1024


def pack_row(avatar: GaussianAvatar, motion: Motion) -> bytes:
    """One frame by itself."""
    return packed(frame_numbers(avatar, motion)[0], expression_weights(motion)[0])


def packed(row: Float[np.ndarray, " N"], weights: Float[np.ndarray, " E"]) -> bytes:
    """Numbers of a frame and weights of its shapes; what lies beyond 8 deviations, or 2 of a weight, is cut."""
    used = np.flatnonzero(weights)
    codes, rest = row[:-AFTER_CODES], row[-AFTER_CODES:].astype(np.float64)
    steps = np.clip(np.rint(rest / _UNITS), -_MOST, _MOST).astype(int)
    shapes = np.packbits(np.isin(np.arange(EXPRESSIONS), used), bitorder="little").tobytes() if len(used) else b""
    small = np.concatenate([codes / _CODE, weights[used] / _WEIGHT])
    return _HEAD.pack(len(codes), len(shapes), *steps.tolist()) + shapes + _to_12_bits(small)


def unpacked(data: bytes) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " E"]]:
    """(numbers of a frame, weights of all shapes)."""
    n_codes, n_map, *steps = _HEAD.unpack_from(data)
    begin = _HEAD.size + n_map
    bits = np.unpackbits(np.frombuffer(data, np.uint8, n_map, _HEAD.size), bitorder="little")
    used, small = np.flatnonzero(bits), _from_12_bits(data[begin:])
    weights = np.zeros(EXPRESSIONS, np.float32)
    weights[used] = small[n_codes:][: len(used)] * _WEIGHT
    row = np.concatenate([small[:n_codes] * _CODE, np.array(steps) * _UNITS]).astype(np.float32)
    return row, weights


def as_first_version(data: bytes) -> bytes:
    """For a page of an older gtalk: what is no code in floats, codes and weights in half floats, which shapes."""
    row, weights = unpacked(data)
    used = np.flatnonzero(weights)
    halves = np.concatenate([row[:-AFTER_CODES], weights[used]])
    return row[-AFTER_CODES:].astype("<f4").tobytes() + halves.astype("<f2").tobytes() + used.astype("u1").tobytes()


def _to_12_bits(values: Float[np.ndarray, " N"]) -> bytes:
    whole = np.clip(np.rint(values), -2048, 2047).astype(np.int32) & 0xFFF
    bits = (whole[:, None] >> np.arange(12)) & 1
    return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()


def _from_12_bits(data: bytes) -> Int[np.ndarray, " N"]:
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    count = len(bits) // 12
    whole = bits[: 12 * count].reshape(count, 12).astype(np.int32) @ (1 << np.arange(12))
    return np.where(whole > 2047, whole - 4096, whole)
