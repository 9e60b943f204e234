"""Evaluations side by side: the rows of several `gtalk eval --json` files, and the spread over them.

    python tools/make/eval_table.py A/eval.json B/eval.json ... [--all]

Columns are named after the folders the files lie in. The last two hold mean and lowest..highest of what was measured.
`--all` shows every number, not only the ones of a summary.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REGIONS = ("full", "head", "mouth")
LIPS = ("lmd_px", "lmd_norm", "lmd_ratio", "aperture_corr", "av_offset_frames", "silence_leakage", "jitter_ratio")
SPEED = ("prepare_s_per_clip_s", "fit_s", "motion_s", "frame_ms_p50", "frame_ms_p95", "peak_rss_mb")
SUMMARY = (
    *(f"self_driven.{region}.psnr" for region in REGIONS),
    *(f"audio_driven_images.{region}.psnr" for region in REGIONS),
    "peer_protocol.psnr",
    *(f"audio_driven.{name}" for name in (*LIPS, "amplitude_ratio")),
    *(f"speed.{name}" for name in SPEED),
)


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in nested JSON values, by its dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)


def table(files: dict[str, dict[str, float]], names: list[str]) -> str:
    """A row for each name that some file has."""
    heading = ["", *files, "mean", "lowest..highest"]
    rows = [heading]
    for name in names:
        known = [file[name] for file in files.values() if name in file]
        if known:
            cells = [f"{file[name]:.3f}" if name in file else "-" for file in files.values()]
            rows.append([name, *cells, f"{sum(known) / len(known):.3f}", f"{min(known):.3f}..{max(known):.3f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(heading))]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join("  ".join(line) for line in lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    named = [path.parent.name if path.name == "eval.json" else path.stem for path in given.files]
    columns = named if len(set(named)) == len(named) else [str(path) for path in given.files]
    found = {
        column: dict(numbers(json.loads(path.read_text()))) for column, path in zip(columns, given.files, strict=True)
    }
    print(table(found, list(dict.fromkeys(n for file in found.values() for n in file)) if given.all else list(SUMMARY)))


if __name__ == "__main__":
    main()
