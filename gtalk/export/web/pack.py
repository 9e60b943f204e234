"""avatar.bin: a Gaussian avatar as numbers of one and two bytes.

Each channel of the base has 65536 steps over its range. The basis has 255 steps for each code and channel: what a code
moves is small and bounded, so a step is some hundredth of a millimetre. Channels are the first 15 of
`gtalk.ops.splat`; the basis leaves the skinning alone and has 14. Expressions: `gtalk.export.web.face`. The invisible
mark goes along as its tile, which the page puts into every picture as `gtalk.marks.watermark` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gtalk.avatar.gaussian import REST_CODES, GaussianAvatar, intrinsics
from gtalk.export.web.face import face_of
from gtalk.export.web.sections import read_sections, stepped, unstepped, write_sections
from gtalk.marks.code import encode
from gtalk.marks.pattern import tile_of
from gtalk.marks.watermark import RGB_LEVELS
from gtalk.shapes import Float, Shaped

MAGIC, VERSION = b"GTAV", 2
BASE_CHANNELS, BASIS_CHANNELS = 15, 14
LEVELS = 127


def pack_avatar(avatar: GaussianAvatar, identity: dict[str, Any]) -> bytes:
    """The bytes of avatar.bin. `identity`: whose likeness it is, kept in the header."""
    avatar = avatar.usual
    own, face = avatar.learned, face_of(avatar)
    base = face.base[:, :BASE_CHANNELS]
    camera = avatar.camera
    away_m = float((camera.T_camera_world @ avatar.pose_code.T_world_mean)[2, 3])
    sections = dict(face.sections)
    low, high = base.min(0), base.max(0)
    step = np.maximum(high - low, 1e-9) / 65535
    sections["base"] = np.rint((base - low) / step).astype("<u2")
    sections["base_low"], sections["base_step"] = low.astype("<f4"), step.astype("<f4")
    for name, basis in (("face", face.face), ("rest", own["rest"].float().cpu().numpy())):
        sections |= stepped(name, basis[..., :BASIS_CHANNELS], "i1", over=0)
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
        "behind": face.behind,
        "limits": avatar.limits.cpu().tolist()[:BASIS_CHANNELS],
        "camera": {"width": camera.width, "height": camera.height, "intrinsics": list(intrinsics(camera))},
        "turn": camera.T_camera_world[:3, :3].ravel().tolist(),
        "torso_rest": _rows(camera.T_camera_world @ avatar.pose_code.T_world_mean),
        "pivot_m": [0.0, 0.0, away_m],
        "up": camera.T_camera_world[:3, 1].tolist(),
        "plate_margin": avatar.config.plate_margin,
        "expression": face.header or None,
    }
    return write_sections(MAGIC, header, sections)


def unpack_avatar(data: bytes) -> tuple[dict[str, Any], dict[str, Shaped[np.ndarray, "..."]]]:
    """(header, arrays) as the page has them: base [N,15], face [Nf,K,14], rest [Nr,R,14], and what expressions need.

    Raises UserError when damaged.
    """
    header, packed = read_sections(MAGIC, data, VERSION)
    arrays = unstepped(packed)
    arrays["base"] = (packed["base"] * packed["base_step"] + packed["base_low"]).astype(np.float32)
    return header, arrays


def gaussians_of(
    unpacked: dict[str, Shaped[np.ndarray, "..."]], header: dict[str, Any], code: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "N 15"]:
    """What the page computes of a frame without an expression, before skinning: the twin of its shader."""
    out = unpacked["base"].copy()
    limit = np.array(header["limits"], np.float32)
    n_face, n_rest = len(unpacked["face"]), len(unpacked["rest"])
    for rows, basis, own in (
        (slice(0, n_face), unpacked["face"], code[: header["face_codes"]]),
        (slice(len(out) - n_rest, None), unpacked["rest"], code[len(code) - header["rest_codes"] :]),
    ):
        out[rows, :BASIS_CHANNELS] += np.clip(np.einsum("k,nkc->nc", own, basis), -limit, limit)
    return out


def _rows(T: Float[np.ndarray, "4 4"]) -> list[float]:
    return T[:3].ravel().tolist()
