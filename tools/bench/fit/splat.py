"""Speed of the splatting operators and of whole frames: one and two threads, quiet and with a busy neighbour.

python tools/bench/fit/splat.py                     a synthetic head of 18000 Gaussians
python tools/bench/fit/splat.py --avatar AVATAR     a fitted avatar
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gtalk.ops import splat

LENS = (1126.4, 1126.4, 256.0, 256.0)


def head(count: int = 18000, codes: int = 24):
    """An ellipsoid of small Gaussians over a wide torso, about as many pixels as a portrait has."""
    rng = torch.Generator().manual_seed(0)
    base = torch.zeros(count, 16)
    normal = torch.randn(count, 3, generator=rng)
    normal /= normal.norm(dim=1, keepdim=True)
    normal[:, 2].abs_()
    base[:, :3] = normal * torch.tensor([0.08, 0.12, 0.09])
    torso = torch.arange(count) >= count * 7 // 10
    base[torso, :3] = (torch.rand(int(torso.sum()), 3, generator=rng) - 0.5) * torch.tensor([0.4, 0.15, 0.05])
    base[torso, 1] -= 0.17
    base[:, 3:6] = -6.7 + 0.4 * torch.randn(count, 3, generator=rng)
    base[:, 6:10] = torch.randn(count, 4, generator=rng)
    base[:, 10] = 1.0 + torch.randn(count, generator=rng)
    base[:, 11:14] = torch.rand(count, 3, generator=rng)
    base[:, 14] = torch.where(torso, 4.0, -4.0)
    split = count * 6 // 10
    face = (1e-4 * torch.randn(split, codes - 7, 16, generator=rng)).half()
    rest = (1e-4 * torch.randn(count - split, 10, 16, generator=rng)).half()
    pose = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.72]])
    return base, (face, rest), torch.stack([pose, pose])


def frames(call, count: int) -> np.ndarray:
    """Milliseconds of each of `count` calls."""
    out = []
    for _ in range(count + 5):
        started = time.perf_counter()
        call()
        out.append(1e3 * (time.perf_counter() - started))
    return np.array(out[5:])


def cpu_ms(call, count: int = 30) -> float:
    """Median CPU time of one call in this thread."""
    out = []
    for _ in range(count + 3):
        started = time.thread_time()
        call()
        out.append(1e3 * (time.thread_time() - started))
    return float(np.median(out[3:]))


def burn() -> None:
    """Take a core."""
    while True:
        sum(range(10000))


def show(name: str, ms: np.ndarray) -> None:
    """One row of the table."""
    p50, p95 = np.percentile(ms, [50, 95])
    print(f"  {name:44s} p50 {p50:6.2f} ms  p95 {p95:6.2f} ms  {1e3 / p50:5.0f} fps")


def synthetic_calls():
    """Whole frames, by image size."""
    base, bases, transforms = head()
    codes = torch.randn(bases[0].shape[1]), torch.randn(bases[1].shape[1])
    limit = torch.full((16,), 1.0)

    def at(size: int):
        scale = size / 512
        lens = [v * scale for v in LENS]
        plate = splat.plate_planes(torch.zeros(size, size, 3, dtype=torch.uint8))
        return lambda: splat.render_frame(
            base, bases, codes, limit, transforms, lens, (size, size), plate, size, (0.001, 0.0, 0.0), scale=scale,
            as_bytes=True,
        )  # fmt: skip

    return {"512x512": at(512), "256x256": at(256)}


def avatar_calls(folder: Path):
    """Whole frames of a fitted avatar, motion included, by image size."""
    from gtalk.avatar.bundle import load_avatar
    from gtalk.avatar.gaussian import GaussianAvatar
    from gtalk.types import Motion

    avatar = load_avatar(folder)
    assert isinstance(avatar, GaussianAvatar)
    landmarks = avatar.basis.mean[None]
    motion = Motion(
        avatar.fps, landmarks, np.ones((1, 2)), np.zeros((1, 2)), np.zeros((1, 2)),
        avatar.pose_code.T_world_mean[None], np.ones(1, bool),
    )  # fmt: skip
    width, height = avatar.camera.width, avatar.camera.height
    sizes = [(width, height), (width // 2, height // 2)]
    return {f"{w}x{h}": lambda w=w, h=h: avatar.render_bytes(motion, size=(w, h)) for w, h in sizes}


def stages() -> None:
    """CPU time of every operator, for each instruction set."""
    base, bases, transforms = head()
    limit, rates = torch.full((16,), 1.0), torch.full((16,), 1e-4)
    face, code = bases[0].float(), torch.randn(bases[0].shape[1])
    split = len(face)
    rng = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (512, 512, 3), dtype=torch.uint8, generator=rng)
    flat, plate = torch.zeros(512, 512, dtype=torch.uint8), torch.rand(3, 512, 512, generator=rng)
    weights = torch.ones(256)
    moments = [torch.zeros_like(face), torch.ones(split, 16), torch.zeros(split, 16)]
    reference_ms: dict[str, float] = {}
    for isa in ("avx512", "avx2", "portable"):
        try:
            torch.ops.gtalk.use_isa(isa)
        except (RuntimeError, ValueError, AttributeError):
            continue
        planes, saved = splat.rasterise_planes(base, transforms, LENS, 512, 512)
        photo = (plate, truth, flat, flat, weights, 0.2, 0.2)
        d_planes, _ = splat.photo_loss(planes, *photo)
        seen = (base, transforms, LENS, 512)
        d_base, _ = splat.rasterise_backward(*seen, planes, saved, d_planes)
        adam = (moments[0], moments[1], rates, torch.ones(16), (0.9, 0.99), 1e-8, 9)
        calls = {
            "deform (float32)": partial(splat.deform, base[:split], face, code, limit),
            "deform (float16)": partial(splat.deform, base[:split], bases[0], code, limit),
            "rasterise": partial(splat.rasterise_planes, *seen, 512),
            "loss and its gradient": partial(splat.photo_loss, planes, *photo),
            "rasterise backward": partial(splat.rasterise_backward, *seen, planes, saved, d_planes),
            "deform backward": partial(splat.deform_backward, base[:split], face, limit, base[:split], d_base[:split]),
            "Adam on the basis": partial(splat.adam_basis_, face, d_base[:split], code, *adam),
            "plate": partial(splat.framed_plate, plate, 512, (0.001, 0.0, 0.001), 512, 512),
        }
        print(f"{isa}: CPU ms of one thread, 512x512, {len(base)} Gaussians, {len(saved[2])} tile entries")
        for name, call in calls.items():
            ms = cpu_ms(call)
            ratio = reference_ms.setdefault(name, ms)
            print(f"  {name:28s} {ms:7.2f}   {ms / ratio:5.2f} x")
    torch.ops.gtalk.use_isa("best")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--avatar", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--no-load", action="store_true", help="only as quiet as the machine is")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.avatar is None:
        stages()
    calls = synthetic_calls() if arguments.avatar is None else avatar_calls(arguments.avatar)
    for loaded in (False,) if arguments.no_load else (False, True):
        neighbour = multiprocessing.Process(target=burn, daemon=True)
        if loaded:
            neighbour.start()
        print("whole frame, motion to bytes" + (", another process on a core" if loaded else ""))
        for size, call in calls.items():
            for threads in (1, 2):
                torch.set_num_threads(threads)
                show(f"{size}, {threads} thread{'s' * (threads > 1)}", frames(call, arguments.frames))
            torch.set_num_threads(1)
            print(f"  {size + ', CPU time of one thread':44s} {cpu_ms(call):10.2f} ms")
        if loaded:
            neighbour.terminate()
            neighbour.join()


if __name__ == "__main__":
    main()
