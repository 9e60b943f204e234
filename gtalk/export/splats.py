"""Gaussian avatars in the other files that splats travel in: `.splat`, `.spz`, and binary glTF.

.splat    antimatter15's viewer, 2023: 32 bytes a Gaussian, the most visible ones first; axes of ply files
.spz      Niantic's (version 2): gzip of a header and one attribute after the other; x right, y up, z back
.glb      glTF 2.0 with KHR_gaussian_splatting (Khronos; scales are lengths, not their logarithms); x right, y up, z
          forward out of the face
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.glb import Document
from gtalk.export.ply import SH_CONSTANT, Axes, still
from gtalk.files import atomic_path
from gtalk.shapes import Float
from gtalk.types import Motion

_POSITION, _DC, _OPACITY, _LOG_SCALE, _WXYZ = slice(0, 3), slice(6, 9), 9, slice(10, 13), slice(13, 17)
_SPZ_MAGIC, _SPZ_VERSION = 0x5053474E, 2
FRACTION_BITS = 18
"""Of spz's positions of 24 bits: steps of 4 micrometres, up to 32 m."""
_SPZ_COLOUR = 0.15  # what one of the constant harmonic is worth, of 255
_KERNEL = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}


def write_splat(avatar: GaussianAvatar, path: Path, motion: Motion | None = None, axes: Axes = "viewers") -> None:
    """Write `.splat`, at rest or at the one frame of `motion`. Raises UserError when it has more."""
    table = still(avatar, motion, axes)
    scale, opacity = np.exp(table[:, _LOG_SCALE]), _opacity(table)
    order = np.argsort(-scale.prod(1) * opacity, kind="stable")
    rows = np.zeros(len(table), [("place", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("wxyz", "u1", 4)])
    rows["place"], rows["scale"] = table[:, _POSITION], scale
    rows["rgba"] = _bytes(255 * np.column_stack([_rgb(table), opacity]))
    rows["wxyz"] = _bytes(128 * table[:, _WXYZ] + 128)
    _write(path, rows[order].tobytes())


def write_spz(avatar: GaussianAvatar, path: Path, motion: Motion | None = None) -> None:
    """Write `.spz`, at rest or at the one frame of `motion`. Raises UserError when it has more."""
    table = still(avatar, motion, "gtalk")
    places = np.rint(table[:, _POSITION] * 2**FRACTION_BITS).astype("<i4")
    xyz = table[:, _WXYZ][:, 1:] * np.where(table[:, _WXYZ][:, :1] < 0, -1.0, 1.0)
    parts = [
        np.ascontiguousarray(places).view("u1").reshape(-1, 3, 4)[..., :3],
        _bytes(255 * _opacity(table)),
        _bytes(255 * (_SPZ_COLOUR * table[:, _DC] + 0.5)),
        _bytes(16 * (table[:, _LOG_SCALE] + 10)),
        _bytes(127.5 * xyz + 127.5),
    ]
    header = struct.pack("<IIIBBBB", _SPZ_MAGIC, _SPZ_VERSION, len(table), 0, FRACTION_BITS, 0, 0)
    _write(path, gzip.compress(header + b"".join(part.tobytes() for part in parts), mtime=0))


def write_splats_glb(avatar: GaussianAvatar, path: Path, motion: Motion | None = None, person: str = "") -> None:
    """Write `.glb` of splats, at rest or at the one frame of `motion`. Raises UserError when it has more."""
    table, doc = still(avatar, motion, "gtalk"), Document.begun(person)
    opacity = _opacity(table)
    colour = np.column_stack([np.clip(_rgb(table), 0.0, 1.0), opacity])
    own = "KHR_gaussian_splatting"
    attributes = {
        "POSITION": doc.accessor(table[:, _POSITION], "VEC3", bounds=True),
        "COLOR_0": doc.accessor(colour, "VEC4"),
        f"{own}:ROTATION": doc.accessor(np.roll(table[:, _WXYZ], -1, axis=1), "VEC4"),
        f"{own}:SCALE": doc.accessor(np.exp(table[:, _LOG_SCALE]), "VEC3"),
        f"{own}:OPACITY": doc.accessor(opacity, "SCALAR"),
        f"{own}:SH_DEGREE_0_COEF_0": doc.accessor(table[:, _DC], "VEC3"),
    }
    doc.json["extensionsUsed"] = [own]
    doc.json["meshes"] = [{"primitives": [{"attributes": attributes, "mode": 0, "extensions": {own: _KERNEL}}]}]
    doc.json["nodes"] = [{"name": person or "person", "mesh": 0}]
    _write(path, doc.bytes())


def _opacity(table: Float[np.ndarray, "N 17"]) -> Float[np.ndarray, " N"]:
    return 1.0 / (1.0 + np.exp(-table[:, _OPACITY]))


def _rgb(table: Float[np.ndarray, "N 17"]) -> Float[np.ndarray, "N 3"]:
    return SH_CONSTANT * table[:, _DC] + 0.5


def _bytes(values: Float[np.ndarray, "..."]) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype("u1")


def _write(path: Path, data: bytes) -> None:
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(data)
