"""Reading files that strangers send: JSON, arrays and images, never more than a bounded amount of memory.

Each reader raises ValueError (or OSError) for whatever is wrong with a file; the callers turn it into a
UserError that names the folder and the remedy. Nothing here runs code from a file: no pickle, no names
of other files.
"""

from __future__ import annotations

import codecs
import json
import math
import stat
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MOST_JSON_BYTES = 64_000_000
MOST_ARRAY_BYTES = 4 << 30
FREE_ARRAY_BYTES, MOST_RATIO = 64 << 20, 200
"""An archive may unpack to so many bytes, and to so many times its own size on top; real motion packs 1 to 10."""
MOST_IMAGE_BYTES = 256 << 20
MOST_TENSOR_BYTES = 8 << 30
MOST_TEXT_BYTES = 64_000_000
MOST_PIXELS = 1 << 26
"""Of an image: 8192 x 8192."""
MOST_SIDE = 16_384


def member(folder: Path, name: str, most_bytes: int = MOST_TENSOR_BYTES) -> Path:
    """The path of a file in a folder that a stranger sent: a plain one, of a bounded size.

    A link could show what else is on this machine, a pipe never ends, a device has no size.
    Raises OSError or ValueError.
    """
    path = Path(folder) / name
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a link" if stat.S_ISLNK(status.st_mode) else "no plain file"
        raise ValueError(f"{name} is {kind}: put the file itself there")
    if status.st_size > most_bytes:
        raise ValueError(f"{name} has {status.st_size} bytes, more than {most_bytes}")
    return path


def plain_bytes(path: Path, most_bytes: int) -> bytes:
    """The content of a plain file. Raises OSError, or ValueError for pipes, devices and what is too large."""
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{Path(path).name} is no plain file")
    if status.st_size > most_bytes:
        raise ValueError(f"{Path(path).name} has {status.st_size} bytes, more than {most_bytes}")
    return Path(path).read_bytes()


def read_text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """A text file as editors write it: UTF-8, with a byte order mark or without, or UTF-16 with one.

    Raises OSError or ValueError.
    """
    data = plain_bytes(path, most_bytes)
    wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return data.decode("utf-16" if wide else "utf-8-sig")


def read_json(path: Path, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The value in a JSON file. Raises OSError or ValueError."""
    return parse_json(read_text(path, most_bytes))


def parse_json(text: str) -> Any:
    """`json.loads` that answers too deep a nesting with ValueError too, and refuses NaN and what no float holds."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. Headers are checked against what is there before anything is allocated.

    Raises OSError or ValueError.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise ValueError(f"{Path(path).name} is no plain file")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            whole, packed = sum(entry.file_size for entry in entries), Path(path).stat().st_size
            if whole > min(MOST_ARRAY_BYTES, FREE_ARRAY_BYTES + MOST_RATIO * packed):
                raise ValueError(f"{packed} bytes unpack to {whole}")
            names = [entry.filename.removesuffix(".npy") for entry in entries]
            if len(set(names)) != len(names):
                raise ValueError("two arrays of one name")
            return {name: _array(archive, entry) for name, entry in zip(names, entries, strict=True)}
    except (ValueError, OSError):
        raise
    except Exception as error:  # zlib, lzma and struct each have their own
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"array format {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.kind not in "biufU":
            raise ValueError(f"{entry.filename} holds {dtype}, neither numbers nor text")
        if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} of shape {list(shape)} in {entry.file_size} bytes")
        data = file.read(math.prod(shape) * dtype.itemsize)
    values = np.frombuffer(data, dtype)
    ordered = values.reshape(shape[::-1]).T if fortran else values.reshape(shape)
    return np.ascontiguousarray(ordered.astype(dtype.newbyteorder("="))).reshape(shape)


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """A PNG or JPEG as OpenCV reads it (BGR, or as `flags` say).

    Raises OSError or ValueError: missing, another format, larger than `most_pixels`, damaged.
    """
    data = plain_bytes(path, MOST_IMAGE_BYTES)
    width, height = _image_size(data)
    if not 0 < width * height <= most_pixels or max(width, height) > MOST_SIDE:
        raise ValueError(f"{Path(path).name} is {width}x{height} pixels")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"{Path(path).name}: {error}") from error
    if image is None:
        raise ValueError(f"{Path(path).name} cannot be decoded")
    return image


def _image_size(data: bytes) -> tuple[int, int]:
    """(width, height) that a PNG or JPEG says it has."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:2] != b"\xff\xd8":
        raise ValueError("neither PNG nor JPEG")
    place = 2
    while place + 9 <= len(data):
        if data[place] != 0xFF:
            place += 1
            continue
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in {0xFF, 0x01} or 0xD0 <= marker <= 0xD8:
            place += 1 if marker == 0xFF else 2
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # start of frame
            height, width = (int.from_bytes(data[place + i : place + i + 2], "big") for i in (5, 7))
            return width, height
        else:
            place += 2 + length
    raise ValueError("a JPEG without a frame")


def check_numbers(value: Any, most: float, where: str = "config") -> None:
    """Raise ValueError when a number anywhere in plain JSON values is beyond +-`most`, or a list longer than it."""
    if isinstance(value, (int, float)) and not abs(value) <= most:
        raise ValueError(f"{where} is {value!r}")
    if isinstance(value, (list, dict)):
        if len(value) > most:
            raise ValueError(f"{where} has {len(value)} entries")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_numbers(item, most, f"{where}.{key}")
