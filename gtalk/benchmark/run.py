"""The benchmark itself: prepare, fit, learn and measure, clip by clip. What is done is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gtalk import __version__
from gtalk.avatar.base import Consent
from gtalk.benchmark.config import BenchmarkConfig
from gtalk.benchmark.report import PROTOCOL, SCHEMA, SCHEMA_VERSION, means_of, row_of, table
from gtalk.errors import UserError
from gtalk.eval.config import EvalConfig
from gtalk.eval.run import evaluate
from gtalk.files import atomic_path, sha256_of_file, write_json
from gtalk.making.train import TrainEvent, make_avatar
from gtalk.reading.untrusted import read_json

_FILMS = {".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v"}


def clips_of(places: Sequence[Path]) -> list[Path]:
    """Films that are given, and those in folders that are. Raises UserError where there are none, or two of a name."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(path for path in place.iterdir() if path.suffix.lower() in _FILMS)
        elif place.is_file():
            found.append(place)
        else:
            raise UserError(f"clip {place}", expected="a film, or a folder of films", got="nothing there",
                            remedy="Check the path.")  # fmt: skip
    names = [path.stem for path in found]
    if not found or len(set(names)) != len(names):
        twice = next((name for name in names if names.count(name) > 1), "")
        raise UserError("clips", expected="films, each with a name of its own", got=twice or "none",
                        remedy="Rename one." if twice else "Give films, or a folder that holds some.")  # fmt: skip
    return found


def benchmark(
    clips: Sequence[Path],
    output: Path,
    consent: Consent,
    config: BenchmarkConfig | None = None,
    on_event: Callable[[TrainEvent], None] = lambda event: None,
) -> dict[str, Any]:
    """Make and measure avatars of clips; writes benchmark.json and benchmark.md into `output` after each.

    A clip that cannot be used is a row with the reason. The same call goes on where an interrupted one stood.

    Args:
        clips: films, one person each.
        output: folder; NAME/dataset and NAME/RENDERER of each clip lie in it.
        consent: of the people whose clips these are, for these measurements; kept with each avatar.
    """
    config = config or BenchmarkConfig()
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {}
    for row in _rows(clips_of(clips), output, consent, config, on_event):
        rows.append(row)
        means = means_of(rows)
        told = {"schema_version": SCHEMA_VERSION, "gtalk": __version__,
                "machine": {"cores": os.cpu_count() or 1, "device": config.device}, "protocol": PROTOCOL,
                "rows": rows, "means": means}  # fmt: skip
        write_json(output / "benchmark.json", told)
        with atomic_path(output / "benchmark.md") as temporary:
            temporary.write_text(f"{PROTOCOL}\n\n{table(rows, means)}\n", encoding="utf-8")
    write_json(output / "benchmark.schema.json", SCHEMA)
    return told


def _rows(
    clips: list[Path],
    output: Path,
    consent: Consent,
    config: BenchmarkConfig,
    on_event: Callable[[TrainEvent], None],
) -> Iterator[dict[str, Any]]:
    for clip in clips:
        sha256 = sha256_of_file(clip)
        for renderer in config.renderers:
            folder = output / clip.stem
            kept = folder / f"{renderer}.json"
            try:
                measured = _measured(clip, folder, kept, renderer, consent, config, on_event)
                yield row_of(clip.stem, sha256, renderer, measured)
            except UserError as error:
                yield {"clip": clip.stem, "sha256": sha256, "renderer": renderer, "error": str(error)}


def _measured(
    clip: Path,
    folder: Path,
    kept: Path,
    renderer: Any,
    consent: Consent,
    config: BenchmarkConfig,
    on_event: Callable[[TrainEvent], None],
) -> dict[str, Any]:
    avatar, dataset = folder / renderer, folder / "dataset"
    make_avatar([clip], avatar, consent, renderer=renderer, preset=config.preset, device=config.device,
                dataset=dataset, on_event=on_event)  # fmt: skip
    if kept.is_file() and kept.stat().st_mtime > (avatar / "motion.json").stat().st_mtime:
        return read_json(kept)
    result = evaluate(avatar, dataset, EvalConfig(device=config.device), on_event)  # type: ignore[arg-type]
    write_json(kept, dict(result))
    return dict(result)
