"""What a benchmark writes: one JSON file with a schema of its own, and the table that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SCHEMA_VERSION = 1
COLUMNS = {
    "self_full_db": "self_driven.full.psnr",
    "self_head_db": "self_driven.head.psnr",
    "self_mouth_db": "self_driven.mouth.psnr",
    "self_full_ssim": "self_driven.full.ssim",
    "sound_full_db": "audio_driven_images.full.psnr",
    "sound_head_db": "audio_driven_images.head.psnr",
    "sound_mouth_db": "audio_driven_images.mouth.psnr",
    "peers_protocol_db": "peer_protocol.psnr",
    "lips_error": "audio_driven.lmd_ratio",
    "lips_r": "audio_driven.aperture_corr",
    "lips_lag_frames": "audio_driven.av_offset_frames",
    "lips_amplitude": "audio_driven.amplitude_ratio",
    "silence_leakage": "audio_driven.silence_leakage",
    "jitter": "audio_driven.jitter_ratio",
    "real_flicker": "real.flicker",
    "self_flicker": "self_driven.flicker",
    "frame_ms_p50": "speed.frame_ms_p50",
    "frame_ms_p95": "speed.frame_ms_p95",
    "prepare_s_per_clip_s": "speed.prepare_s_per_clip_s",
    "fit_s": "speed.fit_s",
    "motion_s": "speed.motion_s",
    "peak_rss_mb": "speed.peak_rss_mb",
}
"""Columns of a row, and where `gtalk eval --json` has them. None: could not be measured on that clip."""
_SHOWN = ("self_full_db", "self_head_db", "self_mouth_db", "sound_full_db", "sound_mouth_db", "peers_protocol_db",
          "lips_error", "lips_r", "lips_lag_frames", "fit_s", "frame_ms_p50")  # fmt: skip
_NUMBER = {"type": ["number", "null"]}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "gtalk benchmark",
    "type": "object",
    "required": ["schema_version", "gtalk", "machine", "protocol", "rows", "means"],
    "properties": {
        "schema_version": {"const": SCHEMA_VERSION},
        "gtalk": {"type": "string", "description": "Version that was measured"},
        "machine": {"type": "object", "properties": {"cores": {"type": "integer"}, "device": {"type": "string"}}},
        "protocol": {"type": "string", "description": "What is held out and how it is scored, in words"},
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["clip", "renderer", "error"],
                "properties": {
                    "clip": {"type": "string"},
                    "sha256": {"type": "string", "description": "Of the clip's file"},
                    "renderer": {"enum": ["gaussian", "radiance"]},
                    "error": {"type": "string", "description": "Why there are no numbers; empty where there are"},
                    "n_scored": {"type": "integer", "description": "Held-out frames that were scored"},
                    **dict.fromkeys(COLUMNS, _NUMBER),
                },
                "additionalProperties": False,
            },
        },
        "means": {"type": "object", "description": "By renderer, over the clips that have the number"},
    },
}
"""Of the JSON file (JSON Schema)."""
PROTOCOL = (
    "The last 1/11 of each clip is held out of every trainer. Pictures are scored as rendered, at the size of the fit, "
    "before any encoder, with nothing of the real picture pasted in; only peers_protocol_db pastes the true "
    "surroundings, torso, pose and eyes in, as most published figures do. self: tracked motion of the held-out "
    "frames. sound: their audio alone moves the mouth. lips_error: error of the lips' landmarks over that of a mouth "
    "that never moves; a true mouth at a wrong time has about 1.3."
)


def row_of(clip: str, sha256: str, renderer: str, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """One row out of what `gtalk eval` measured."""
    row: dict[str, Any] = {"clip": clip, "sha256": sha256, "renderer": renderer, "error": "",
                           "n_scored": int(evaluation["clip"]["n_scored"])}  # fmt: skip
    for column, place in COLUMNS.items():
        value: Any = evaluation
        for name in place.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        row[column] = None if value is None else round(float(value), 4)
    return row


def means_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Of each column, by renderer."""
    by: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if not row["error"]:
            by.setdefault(row["renderer"], []).append(row)
    return {
        renderer: {
            column: round(sum(values) / len(values), 4)
            for column in COLUMNS
            if (values := [row[column] for row in own if row[column] is not None])
        }
        for renderer, own in by.items()
    }


def table(rows: list[dict[str, Any]], means: Mapping[str, Mapping[str, float]]) -> str:
    """The table in Markdown."""
    heads = [name.replace("_", " ") for name in _SHOWN]
    lines = [f"| clip | renderer | {' | '.join(heads)} |", "|---" * (2 + len(heads)) + "|"]
    for row in rows:
        cells = [row["error"]] if row["error"] else [_cell(row[name]) for name in _SHOWN]
        lines.append(f"| {row['clip']} | {row['renderer']} | {' | '.join(cells)} |")
    for renderer, own in means.items():
        lines.append(f"| **mean** | {renderer} | {' | '.join(_cell(own.get(name)) for name in _SHOWN)} |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
