"""Something said or done, for the page: 45 or so numbers a frame in two bytes each, and the sound.

    codes (K, as the Gaussians take them) · head: rotation vector (3) in the world, place (3, m) in the clip's camera ·
    torso: similarity (4) · framing of the plate (3)

At 25 frames a second that is some 2 kB/s beside the sound. Codes are those of the face without its expression; the
weights of the shapes that it uses go along, and the page divides them as `gtalk.avatar.expressing.codes` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar, raw_codes
from gtalk.export.web.sections import read_sections, stepped, unstepped, write_sections
from gtalk.geometry.rotation import log_so3
from gtalk.media.output.opus import SOUND_TYPE, opus
from gtalk.shapes import Float
from gtalk.types import EXPRESSIONS, Motion

MAGIC, VERSION = b"GTMO", 2
AFTER_CODES = 13  # head 6, torso 4, framing 3


def frame_numbers(avatar: GaussianAvatar, motion: Motion) -> Float[np.ndarray, "T N"]:
    """Rows of what the page needs of each frame."""
    codes = raw_codes(avatar.basis, avatar.pose_code, motion)
    mean, scale = avatar.code_norm
    heads = avatar.camera.T_camera_world @ motion.head_pose
    turns = log_so3(motion.head_pose[:, :3, :3].astype(np.float64))  # of the world: none is near half a turn there
    placed = avatar.pose_code.torso_and_framing(motion)
    parts = [(codes - mean) / scale, turns, heads[:, :3, 3], placed]
    return np.concatenate(parts, axis=1).astype(np.float32)


def expression_weights(motion: Motion) -> Float[np.ndarray, "T E"]:
    """Weights of the shapes at each frame."""
    weights = motion.channels.get("expression")
    return np.zeros((len(motion), EXPRESSIONS), np.float32) if weights is None else weights.astype(np.float32)


def pack_message(
    avatar: GaussianAvatar, motion: Motion, identity: dict[str, Any], sound: Path | None = None, captions: str = ""
) -> bytes:
    """The bytes of a message.

    Args:
        identity: whose likeness moves, kept in the header.
        sound: a file with what is heard; encoded as Opus.
        captions: WebVTT.
    """
    numbers = frame_numbers(avatar, motion)
    low, high = numbers.min(0), numbers.max(0)
    step = np.maximum(high - low, 1e-6) / 65535
    sections: dict[str, np.ndarray] = {
        "low": low.astype("<f4"),
        "step": step.astype("<f4"),
        "numbers": np.rint((numbers - low) / step).astype("<u2"),
    }
    weights = expression_weights(motion)
    used = np.flatnonzero(weights.any(0))
    if len(used):
        sections |= {"shapes": used.astype("<u2"), **stepped("weights", weights[:, used], "<i2", over=(0, 1))}
    if sound is not None:
        sections["sound"] = np.frombuffer(opus(sound), np.uint8)
    header = {"version": VERSION, "generated": True, **identity, "fps": motion.fps, "sound_type": SOUND_TYPE,
              "captions": captions}  # fmt: skip
    return write_sections(MAGIC, header, sections)


def unpack_message(data: bytes) -> tuple[dict[str, Any], Float[np.ndarray, "T N"], bytes]:
    """(header, numbers and behind them the weights of all shapes, sound). Raises UserError when damaged."""
    header, packed = read_sections(MAGIC, data, VERSION)
    numbers = packed["numbers"] * packed["step"] + packed["low"]
    weights = np.zeros((len(numbers), EXPRESSIONS))
    if "weights" in packed:
        weights[:, packed["shapes"]] = unstepped(packed)["weights"]
    rows = np.concatenate([numbers, weights], 1).astype(np.float32)
    return header, rows, packed.get("sound", np.zeros(0, np.uint8)).tobytes()
