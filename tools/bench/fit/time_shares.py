#!/usr/bin/env python3
"""Where the time of a radiance fit's step and of a frame goes, by torch's own profiler.

    tools/bench/fit/time_shares.py DATASET [--preset cpu] [--warm-up 60] [--steps 40] [--frames 20] [--threads 2]
        [--json OUT]

A fresh fit takes --warm-up steps first, so that pruning and caches are as they are in most of a fit. Times are of the
operators themselves (what they call is counted where it runs), in milliseconds a step or a frame; "rest" is whatever
no group names. The profiler itself costs a few per cent.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from gtalk.dataset.format import Dataset
from gtalk.fit.events import StepEvent
from gtalk.fit.radiance.model import make_model
from gtalk.fit.run import load_config
from gtalk.fit.trainer import train

GROUPS = {
    "hash grid, forward": ("gtalk::hash_encode", "GeneratedBackwardFor_gtalk_hash_encode_default"),
    "hash grid, backward": ("gtalk::hash_encode_backward",),
    "networks, forward": ("gtalk::mlp", "GeneratedBackwardFor_gtalk_mlp_default"),
    "networks, backward": ("gtalk::mlp_backward",),
    "march": ("gtalk::march",),
    "compositing": ("gtalk::composite", "GeneratedBackwardFor_gtalk_composite_default",
                    "gtalk::composite_backward"),
    "Adam": ("gtalk::adam_step_", "gtalk::adam_basis_step_"),
    "blending of tables": ("gtalk::blend_basis",),
    "rays in one go": ("gtalk::render_rays",),
    "warps and plate": ("aten::grid_sampler_2d", "aten::grid_sampler_3d", "aten::grid_sampler_2d_backward",
                        "aten::grid_sampler_3d_backward", "aten::einsum", "aten::bmm"),
    "DSSIM": ("aten::avg_pool2d", "aten::avg_pool2d_backward"),
    "gather, scatter, index": ("aten::index", "aten::index_select", "aten::index_copy_", "aten::scatter_reduce_",
                               "aten::index_put_", "aten::_index_put_impl_", "aten::nonzero", "aten::index_add_"),
}  # fmt: skip


def table(call: Callable[[], object], count: int) -> tuple[dict[str, float], float]:
    """(milliseconds a call by group, wall milliseconds a call without the profiler's view into it)."""
    started = time.perf_counter()
    for _ in range(count):
        call()
    wall_ms = (time.perf_counter() - started) * 1e3 / count
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        started = time.perf_counter()
        for _ in range(count):
            call()
        profiled_ms = (time.perf_counter() - started) * 1e3 / count
    own = {e.key: e.self_cpu_time_total / 1e3 / count for e in profiler.key_averages()}
    rows: dict[str, float] = {group: sum(own.get(name, 0.0) for name in names) for group, names in GROUPS.items()}
    rows["rest"] = max(profiled_ms - sum(rows.values()), 0.0)
    return {group: ms for group, ms in rows.items() if ms > 0.005}, wall_ms


def shown(title: str, rows: dict[str, float], wall_ms: float) -> str:
    """A Markdown table, the largest share first."""
    total = sum(rows.values())
    lines = [f"| {title}: {wall_ms:.1f} ms | ms | share |", "|---|---|---|"]
    for group, ms in sorted(rows.items(), key=lambda row: -row[1]):
        lines.append(f"| {group} | {ms:.1f} | {100 * ms / total:.0f} % |")
    return "\n".join(lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--warm-up", type=int, default=60)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = load_config("radiance", args.preset)
    trainer = replace(config.trainer, steps=10**6, report_every=1, preview_every=0, checkpoint_every=0)
    model = make_model(replace(config, prune_at=(0.0,)))
    dataset = Dataset(args.dataset)
    with tempfile.TemporaryDirectory() as folder:
        events = (e for e in train(model, dataset, Path(folder), trainer) if isinstance(e, StepEvent))
        for _ in range(args.warm_up):
            next(events)
        report = {"a step of the fit": table(lambda: next(events), args.steps)}
    avatar, middle = model.avatar(), dataset.motion[dataset.n_frames // 2]
    avatar.render(middle)
    height = model.context.camera.height
    report[f"a frame of {height} pixels"] = table(lambda: avatar.render(middle), args.frames)
    for title, (rows, wall_ms) in report.items():
        print(shown(title, rows, wall_ms), end="\n\n")
    if args.json:
        numbers = {title: {"wall_ms": wall_ms, **rows} for title, (rows, wall_ms) in report.items()}
        args.json.write_text(json.dumps(numbers, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
