"""Writes the smallest useful ONNX files, a convolution or a flattening: the package onnx is not a dependency.

Field numbers are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FLOAT, INTS = 1, 7


def write_conv(
    path: Path, weights: np.ndarray, bias: np.ndarray, side: int | None, channels: int = 3, pool: int = 1
) -> Path:
    """y = conv1x1(x), x [1,channels,side,side] float32 (`side` None: any), weights [C,channels].

    `pool`: y is the mean over squares of so many pixels.
    """
    kernel = np.broadcast_to(weights[:, :, None, None] / pool**2, (*weights.shape, pool, pool))
    strides = _bytes(5, _message(_text(1, "strides"), _number(20, INTS), _number(8, pool), _number(8, pool)))
    node = _message(_text(1, "x"), _text(1, "w"), _text(1, "b"), _text(2, "y"), _text(4, "Conv"), strides)
    tensors = [_bytes(5, _tensor(name, value)) for name, value in (("w", kernel), ("b", bias))]
    out = None if side is None else side // pool
    return _write(path, node, tensors, [1, channels, side, side], [1, len(weights), out, out])


def write_flatten(path: Path, side: int, channels: int = 3) -> Path:
    """y [1,channels side side] = x: no scores of pixels."""
    node = _message(_text(1, "x"), _text(2, "y"), _text(4, "Flatten"))
    return _write(path, node, [], [1, channels, side, side], [1, channels * side * side])


def _write(path: Path, node: bytes, tensors: list[bytes], taken: list[int | None], given: list[int | None]) -> Path:
    values = [_bytes(11, _value("x", taken)), _bytes(12, _value("y", given))]
    graph = _message(_bytes(1, node), _text(2, "parsing"), *tensors, *values)
    path.write_bytes(_message(_number(1, 8), _bytes(8, _number(2, 13)), _bytes(7, graph)))
    return path


def _tensor(name: str, value: np.ndarray) -> bytes:
    dimensions = [_number(1, size) for size in value.shape]
    return _message(*dimensions, _number(2, FLOAT), _text(8, name), _bytes(9, value.astype("<f4").tobytes()))


def _value(name: str, shape: list[int | None]) -> bytes:
    sizes = [_bytes(1, _text(2, f"d{i}") if size is None else _number(1, size)) for i, size in enumerate(shape)]
    return _message(_text(1, name), _bytes(2, _bytes(1, _message(_number(1, FLOAT), _bytes(2, _message(*sizes))))))


def _message(*fields: bytes) -> bytes:
    return b"".join(fields)


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())
