"""avatar.bin: a Gaussian avatar as numbers of one and two bytes.

Each channel of the base has 65536 steps over its range. The basis has 255 steps for each code and channel: what a code
moves is small and bounded, so a step is some hundredth of a millimetre. Channels are the first 15 of
`gtalk.ops.splat`; the basis leaves the skinning alone and has 14. The invisible mark goes along as its tile, which the
page puts into every picture as `gtalk.marks.watermark` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gtalk.avatar.gaussian import REST_CODES, GaussianAvatar, intrinsics
from gtalk.export.web.sections import read_sections, write_sections
from gtalk.marks.code import encode
from gtalk.marks.pattern import tile_of
from gtalk.marks.watermark import RGB_LEVELS
from gtalk.shapes import Float

MAGIC, VERSION = b"GTAV", 1
BASE_CHANNELS, BASIS_CHANNELS = 15, 14
LEVELS = 127


def pack_avatar(avatar: GaussianAvatar, identity: dict[str, Any]) -> bytes:
    """The bytes of avatar.bin. `identity`: whose likeness it is, kept in the header."""
    own = avatar.learned
    base = own["base"].cpu().numpy()[:, :BASE_CHANNELS]
    camera = avatar.camera
    away_m = float((camera.T_camera_world @ avatar.pose_code.T_world_mean)[2, 3])
    sections: dict[str, np.ndarray] = {}
    low, high = base.min(0), base.max(0)
    step = np.maximum(high - low, 1e-9) / 65535
    sections["base"] = np.rint((base - low) / step).astype("<u2")
    sections["base_low"], sections["base_step"] = low.astype("<f4"), step.astype("<f4")
    for name in ("face", "rest"):
        basis = own[name].float().cpu().numpy()[..., :BASIS_CHANNELS]
        scale = np.maximum(np.abs(basis).max(0), 1e-12) / LEVELS
        sections[name] = np.rint(basis / scale).astype("i1")
        sections[f"{name}_scale"] = scale.astype("<f4")
    if identity.get("watermark", True):
        tile = tile_of(encode(bytes.fromhex(identity["avatar_id"])))
        sections["mark"] = np.rint(tile * (LEVELS / np.abs(tile).max())).astype("i1")
        sections["mark_rgb"] = (RGB_LEVELS * np.abs(tile).max() / 255).astype("<f4")
    header = {
        "version": VERSION,
        "kind": avatar.kind,
        "generated": True,
        **identity,
        "fps": avatar.fps,
        "codes": len(own["code_mean"]),
        "face_codes": own["face"].shape[1],
        "rest_codes": REST_CODES,
        "limits": avatar.limits.cpu().tolist()[:BASIS_CHANNELS],
        "camera": {"width": camera.width, "height": camera.height, "intrinsics": list(intrinsics(camera))},
        "torso_rest": _rows(camera.T_camera_world @ avatar.pose_code.T_world_mean),
        "pivot_m": [0.0, 0.0, away_m],
        "up": camera.T_camera_world[:3, 1].tolist(),
        "plate_margin": avatar.config.plate_margin,
    }
    return write_sections(MAGIC, header, sections)


def unpack_avatar(data: bytes) -> tuple[dict[str, Any], dict[str, Float[np.ndarray, "..."]]]:
    """(header, base [N,15], face [Nf,K,14], rest [Nr,R,14]) as the page has them. Raises UserError when damaged."""
    header, packed = read_sections(MAGIC, data, VERSION)
    base = packed["base"] * packed["base_step"] + packed["base_low"]
    bases = {name: packed[name] * packed[f"{name}_scale"] for name in ("face", "rest")}
    return header, {"base": base.astype(np.float32), **{n: v.astype(np.float32) for n, v in bases.items()}}


def gaussians_of(
    unpacked: dict[str, Float[np.ndarray, "..."]], limits: list[float], code: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "N 15"]:
    """What the page computes of a frame: the Gaussians at a code, before skinning. The twin of its shader."""
    out = unpacked["base"].copy()
    limit = np.array(limits, np.float32)
    split = len(unpacked["face"])
    rest_codes = unpacked["rest"].shape[1]
    for rows, basis, own in (
        (slice(0, split), unpacked["face"], code[: unpacked["face"].shape[1]]),
        (slice(split, None), unpacked["rest"], code[len(code) - rest_codes :]),
    ):
        out[rows, :BASIS_CHANNELS] += np.clip(np.einsum("k,nkc->nc", own, basis), -limit, limit)
    return out


def _rows(T: Float[np.ndarray, "4 4"]) -> list[float]:
    return T[:3].ravel().tolist()
