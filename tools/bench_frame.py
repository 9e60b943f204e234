#!/usr/bin/env python3
"""Frame time of a saved avatar, of any kind: one frame at a time, from motion to 8-bit picture.

    tools/bench_frame.py AVATAR [--motion X.motion.npz] [--sizes 256,512] [--threads 1,2] [--frames 60] [--json OUT]

Prints the median and the 95th percentile for each size and number of threads, and how much faster two
threads are than one. Without --motion the head sways and the mouth runs through the avatar's own range.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from gtalk.avatar.base import Avatar
from gtalk.avatar.bundle import load_avatar
from gtalk.types import Motion


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


def frame_times_ms(avatar: Avatar, motion: Motion, size: tuple[int, int]) -> np.ndarray:
    """Milliseconds of each frame, synchronised, the 8-bit picture included; the first ones are not counted."""
    times = []
    for index in range(len(motion)):
        started = time.perf_counter()
        rgb = avatar.render(motion[index], size=size).rgb[0]
        (rgb.clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8).cpu().numpy()
        times.append((time.perf_counter() - started) * 1e3)
    return np.array(times[min(5, len(times) // 4) :])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--motion", type=Path)
    parser.add_argument("--sizes", default="256,512", help="heights in pixels")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    avatar = load_avatar(given.avatar)
    if given.device != "cpu":
        avatar = avatar.to(given.device)  # type: ignore[attr-defined]
    motion = Motion.load(given.motion) if given.motion else synthetic_motion(avatar, given.frames)
    motion = motion[: given.frames]
    rows = []
    for size in map(int, given.sizes.split(",")):
        width = round(avatar.camera.width * size / avatar.camera.height)
        for threads in map(int, given.threads.split(",")):
            torch.set_num_threads(threads)
            times = frame_times_ms(avatar, motion, (width, size))
            p50, p95 = np.percentile(times, [50, 95])
            rows.append({"size": size, "threads": threads, "ms_p50": float(p50), "ms_p95": float(p95)})
            print(f"{avatar.kind:>9} {width}x{size} {threads} threads: p50 {p50:7.1f} ms  p95 {p95:7.1f} ms")
        same = [row for row in rows if row["size"] == size]
        if len(same) > 1:
            print(f"{'':>9} {width}x{size} gain of threads: {same[0]['ms_p50'] / same[-1]['ms_p50']:.2f}x")
    if given.json:
        given.json.write_text(json.dumps({"kind": avatar.kind, "frames": len(motion), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
