"""Writes the smallest useful ONNX file: one 1x1 convolution. By hand, as the package onnx is not a dependency.

Field numbers are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FLOAT, DYNAMIC = 1, None


def write_conv(path: Path, weights: np.ndarray, bias: np.ndarray, side: int | None, channels: int = 3) -> Path:
    """y = conv1x1(x), x [1,channels,side,side] float32 (`side` None: any), weights [C,channels]."""
    tensors = [("w", weights[:, :, None, None]), ("b", bias)]
    graph = [
        _bytes(1, _message(_text(1, "x"), _text(1, "w"), _text(1, "b"), _text(2, "y"), _text(4, "Conv"))),
        _text(2, "parsing"),
        *(_bytes(5, _tensor(name, value)) for name, value in tensors),
        _bytes(11, _value("x", [1, channels, side, side])),
        _bytes(12, _value("y", [1, len(weights), side, side])),
    ]
    model = _message(_number(1, 8), _bytes(8, _number(2, 13)), _bytes(7, _message(*graph)))
    path.write_bytes(model)
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
