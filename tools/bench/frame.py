#!/usr/bin/env python3
"""Frame time of a saved avatar, of any kind: one frame at a time, from motion to 8-bit image, through the Talker.

    tools/bench/frame.py AVATAR [--motion X.motion.npz] [--sizes 512,256] [--threads 1,2] [--isa avx512,avx2,portable]
                                [--frames 100] [--seconds 3] [--no-load] [--device cpu] [--json OUT]
                                [--emotion happy:0.7]

A row for each instruction set, size and number of threads: median and 95th percentile, on the machine as it is and
with one more process that takes a core; and the CPU time that the drawing thread spends. Without --motion the head
sways and the mouth runs through the avatar's own range. With --emotion every frame is drawn twice in turn, without and
with it, so that whatever else the machine does falls on both: the last numbers are what the expression adds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import machine
import numpy as np
import torch

from gtalk.avatar.base import Avatar
from gtalk.avatar.bundle import load_avatar
from gtalk.compute.threads import compute_on
from gtalk.motion.edits.emotion import ExpressionEdit, read_emotion
from gtalk.talk import Talker, View
from gtalk.types import Motion

LEAST_FRAMES = 10


def synthetic_motion(avatar: Avatar, frames: int) -> Motion:
    """Motion within the basis' range, in front of the avatar's camera."""
    t = np.arange(frames) / 25.0
    basis = avatar.basis
    code = np.zeros((frames, basis.size))
    for k in range(basis.groups["mouth"].stop):
        low, high = basis.low[k], basis.high[k]
        code[:, k] = (low + high) / 2 + 0.45 * (high - low) * np.sin(2 * np.pi * (0.7 + 0.31 * k) * t + k)
    rest = getattr(avatar, "pose_code", None)
    pose = np.tile(np.eye(4) if rest is None else rest.T_world_mean, (frames, 1, 1))
    if rest is None:
        pose[:, 2, 3] = -0.7
    yaw = 0.12 * np.sin(2 * np.pi * 0.3 * t)
    turn = np.tile(np.eye(4), (frames, 1, 1))
    turn[:, 0, 0], turn[:, 0, 2], turn[:, 2, 0], turn[:, 2, 2] = np.cos(yaw), np.sin(yaw), -np.sin(yaw), np.cos(yaw)
    eyes, zero = np.ones((frames, 2)), np.zeros((frames, 2))
    return Motion(25.0, basis.decode(code), eyes, zero, zero.copy(), pose @ turn, np.ones(frames, bool))


def frame_times_ms(
    talker: Talker, motions: Sequence[Motion], frames: int, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Wall and CPU milliseconds [N, motions] of the frames after the first five: `frames`, or what `seconds` allow.

    A frame of each motion in turn, forwards and backwards.
    """
    moments = [list(talker.motion_moments(motion)) for motion in motions]
    wall, cpu = [], []
    begin = time.perf_counter()
    for index in range(frames + 5):
        ms = np.zeros((2, len(motions)))
        for which in range(len(motions))[:: 1 if index % 2 else -1]:
            started, busy = time.perf_counter(), time.thread_time()
            talker.draw([moments[which][index % len(moments[which])]])
            ms[:, which] = time.perf_counter() - started, time.thread_time() - busy
        wall.append(ms[0] * 1e3)
        cpu.append(ms[1] * 1e3)
        if index >= LEAST_FRAMES and time.perf_counter() - begin > seconds:
            break
    return np.array(wall[5:]), np.array(cpu[5:])


@contextmanager
def busy_core(wanted: bool) -> Iterator[None]:
    """Another process that never rests, while the body runs."""
    neighbour = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) if wanted else None
    if neighbour is not None:
        neighbour.start()
        time.sleep(0.3)
    try:
        yield
    finally:
        if neighbour is not None:
            neighbour.terminate()
            neighbour.join()


def _burn() -> None:
    while True:
        sum(range(10000))


def instruction_sets(wanted: str, device: str) -> list[str]:
    """Those of `wanted` that this machine has; only the device's name where it is no CPU."""
    if device != "cpu" or not hasattr(torch.ops.gtalk, "use_isa"):
        return [device]
    found = []
    for name in wanted.split(","):
        try:
            found.append(torch.ops.gtalk.use_isa(name) or name)
        except (RuntimeError, ValueError):
            print(f"{name}: not on this machine")
    return found


def added(ms: np.ndarray) -> float:
    """By how much the second of two columns exceeds the first, per cent: the median over pairs."""
    return float(np.median(ms[:, 1] / ms[:, 0]) - 1.0) * 100.0


def table(avatar: Avatar, motions: Sequence[Motion], given: argparse.Namespace) -> list[dict]:
    """All rows, printed as they come."""
    rows = []
    sizes, threads = ([int(v) for v in text.split(",")] for text in (given.sizes, given.threads))
    for loaded in (False,) if given.no_load else (False, True):
        with busy_core(loaded):
            print(f"{'one more process on a core' if loaded else 'as it is'}, load average {os.getloadavg()[0]:.1f}")
            for isa in instruction_sets(given.isa, given.device):
                if given.device == "cpu" and hasattr(torch.ops.gtalk, "use_isa"):
                    torch.ops.gtalk.use_isa(isa)
                for size, count in ((s, c) for s in sizes for c in threads):
                    compute_on(count)  # as the commands do
                    width = round(avatar.camera.width * size / avatar.camera.height)
                    talker = Talker(avatar, None, view=View(size=(width, size)))
                    all_wall, all_cpu = frame_times_ms(talker, motions, given.frames, given.seconds)
                    for name, wall, cpu in zip(("", given.emotion), all_wall.T, all_cpu.T, strict=False):
                        p50, p95, own = np.percentile(wall, 50), np.percentile(wall, 95), np.percentile(cpu, 50)
                        row = {"isa": isa, "size": size, "threads": count, "loaded": loaded, "emotion": name}
                        rows.append(row | {"ms_p50": float(p50), "ms_p95": float(p95), "cpu_ms_p50": float(own)})
                        label = f"{avatar.kind} {isa:>8} {width}x{size} {count} thread{' s'[count > 1]}"
                        print(
                            f"  {label}  p50 {p50:6.2f} ms ({1e3 / p50:4.0f} fps)  p95 {p95:6.2f} ms  "
                            f"CPU of the drawing thread {own:6.2f} ms  {name}"
                        )
                    if len(motions) > 1:
                        more, cpu_more = added(all_wall), added(all_cpu)
                        rows[-1] |= {"more_percent": more, "cpu_more_percent": cpu_more}
                        print(f"    in pairs: {more:+.1f} % (CPU of the drawing thread {cpu_more:+.1f} %)")
    if given.device == "cpu" and hasattr(torch.ops.gtalk, "use_isa"):
        torch.ops.gtalk.use_isa("best")
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--motion", type=Path)
    parser.add_argument("--sizes", default="512,256", help="heights in pixels")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--isa", default="avx512,avx2,portable")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0, help="most time for one row")
    parser.add_argument("--no-load", action="store_true", help="only the machine as it is")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--emotion", default="", help="that every second frame shows")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(machine.line())
    avatar = load_avatar(given.avatar)
    if given.device != "cpu":
        avatar = avatar.to(given.device)  # type: ignore[attr-defined]
    motion = Motion.load(given.motion) if given.motion else synthetic_motion(avatar, given.frames)
    shown = ExpressionEdit(None, read_emotion(given.emotion))(motion)
    motions = [motion, shown] if given.emotion else [motion]
    rows = table(avatar, [m[: given.frames] for m in motions], given)
    if given.json:
        given.json.write_text(json.dumps({**machine.facts(), "kind": avatar.kind, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
