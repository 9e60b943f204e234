"""Times the operators against their plain torch references, in one run, on the shapes of a 256x256 head field.

    python tools/bench/ops.py [--threads N] [--device cpu|cuda] [--isa best,avx2,portable,plain]
                              [--only NAME] [--json OUT]

Time is the best of several runs. On a shared machine look at the ratios; --cpu-time counts processor seconds of
this process instead of the wall clock (a figure for one thread, meaningful on a crowded machine).
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import machine
import torch

from gtalk import ops
from gtalk.ops import GridSpec, native
from gtalk.ops.adapters import tcnn
from gtalk.ops.reference import adam, basis, composite, hash_encode, march, mlp, render_rays

BATCH = 1 << 17  # samples, at most: as many as a training step has


@dataclass(frozen=True)
class Benchmark:
    """One thing to time: `call` against `reference`, `amount` units of work each."""

    name: str
    call: Callable[[], object]
    reference: Callable[[], object]
    amount: float
    unit: str


class Scene:
    """A head-sized shell of occupied cells, and the rays of an image of it."""

    def __init__(self, size: int, device: torch.device) -> None:
        cells = 64
        axis = (torch.arange(cells) + 0.5) / cells - 0.5
        x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
        radius = (x**2 / 0.36 + y**2 / 0.64 + z**2 / 0.5).sqrt()
        self.occupancy = ((radius - 0.5).abs() < 0.07).to(torch.uint8).to(device)
        self.aabb = torch.tensor([[-0.5] * 3, [0.5] * 3], device=device)
        v, u = torch.meshgrid(*[(torch.arange(size) + 0.5) / size - 0.5] * 2, indexing="ij")
        self.directions = torch.stack([0.5 * u, 0.5 * v, torch.ones_like(u)], -1).reshape(-1, 3).to(device)
        self.origins = torch.tensor([0.0, 0.0, -2.0], device=device).expand_as(self.directions).contiguous()
        self.near = torch.full((size * size,), 1.4, device=device)
        self.far = torch.full((size * size,), 2.6, device=device)
        self.step, self.most = 1 / 128, 48

    def march(self, function: Callable = ops.march) -> tuple:
        """The arguments of `march`, given to a function."""
        return function(
            self.origins, self.directions, self.near, self.far, self.occupancy, self.aabb, self.step, self.most
        )


def best(function: Callable[[], object], runs: int, clock: Callable[[], float], device: torch.device) -> float:
    """Seconds of the fastest of some runs, after one to warm up."""
    function()
    shortest = float("inf")
    for _ in range(runs):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = clock()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        shortest = min(shortest, clock() - started)
    return shortest


def backward(function: Callable[..., object], inputs: list[torch.Tensor]) -> Callable[[], object]:
    """Forward and backward, with gradients of `inputs`."""

    def run() -> object:
        out = function()
        first = out[0] if isinstance(out, tuple) else out
        assert isinstance(first, torch.Tensor)
        return torch.autograd.grad(first, inputs, torch.ones_like(first))

    return run


Normal = Callable[..., torch.Tensor]
"""Makes a tensor of normally distributed numbers of a shape."""


def benches(device: torch.device, size: int) -> list[Benchmark]:
    """Everything that is timed."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return (0.1 * torch.randn(*shape, generator=generator)).to(device)

    scene = Scene(size, device)
    t, ray, offsets = scene.march()
    offsets = offsets[offsets <= BATCH]
    t, ray = t[: offsets[-1]], ray[: offsets[-1]]
    points = ((scene.origins[ray] + t[:, None] * scene.directions[ray]) + 0.5).contiguous()
    return [
        *hash_benches(points, normal),
        *mlp_benches(len(points), normal),
        *(tcnn_benches(points, normal) if device.type == "cuda" and find_spec("tinycudann") else []),
        *composite_benches({"t": t, "dt": scene.step, "ray_offsets": offsets}, normal),
        Benchmark("march", scene.march, lambda: scene.march(march.march), size * size, "rays"),
        *table_benches(normal),
        *render_benches(scene, normal),
    ]


def hash_benches(points: torch.Tensor, normal: Normal) -> list[Benchmark]:
    """Encoding of points, and its gradients."""
    samples, found = len(points), []
    for log2 in (14, 15, 16):
        spec = GridSpec.geometric(3, 16, 16, 256, log2)
        table = normal(spec.n_entries, 2)
        for kind, t in (("bf16", table.bfloat16()), ("f32", table)):
            found.append(Benchmark(
                f"hash_encode {kind} 2^{log2}", lambda s=spec, t=t: ops.hash_encode(points, t, s),
                lambda s=spec, t=t: hash_encode.hash_encode(points, t, s), samples, "points",
            ))  # fmt: skip
        learned = table.clone().requires_grad_()
        found.append(Benchmark(
            f"hash_encode f32 2^{log2} fwd+bwd",
            backward(lambda s=spec, t=learned: ops.hash_encode(points, t, s), [learned]),
            backward(lambda s=spec, t=learned: hash_encode.hash_encode(points, t, s), [learned]), samples, "points",
        ))  # fmt: skip
    flat = GridSpec.geometric(2, 16, 16, 512, 15)
    flat_table, pixels = normal(flat.n_entries, 2).bfloat16(), points[:, :2].contiguous()
    found.append(Benchmark("hash_encode 2D bf16", lambda: ops.hash_encode(pixels, flat_table, flat),
                           lambda: hash_encode.hash_encode(pixels, flat_table, flat), samples, "points"))  # fmt: skip
    return found


def mlp_benches(samples: int, normal: Normal) -> list[Benchmark]:
    """Small networks, and their gradients."""
    found = []
    for sizes in ((32, 32, 16), (32, 64, 16), (32, 64, 64, 16)):
        x = normal(samples, sizes[0])
        weights = [normal(o, i) for i, o in itertools.pairwise(sizes)]
        biases = [normal(o) for o in sizes[1:]]
        name = "-".join(map(str, sizes))
        leaves = [tensor.clone().requires_grad_() for tensor in (x, *weights, *biases)]
        n = len(weights)
        found += [
            Benchmark(f"mlp {name}", lambda x=x, w=weights, b=biases: ops.mlp(x, w, b),
                      lambda x=x, w=weights, b=biases: mlp.mlp(x, w, b), samples, "points"),
            Benchmark(f"mlp {name} fwd+bwd",
                      backward(lambda v=leaves, n=n: ops.mlp(v[0], v[1 : n + 1], v[n + 1 :]), leaves),
                      backward(lambda v=leaves, n=n: mlp.mlp(v[0], v[1 : n + 1], v[n + 1 :]), leaves),
                      samples, "points"),
        ]  # fmt: skip
    return found


def composite_benches(rays: dict, normal: Normal) -> list[Benchmark]:
    """Compositing along rays, and its gradients."""
    samples = len(rays["t"])
    sigmas = (100 * normal(samples).abs()).requires_grad_()
    features = normal(samples, 15).requires_grad_()
    return [
        Benchmark("composite", lambda: ops.composite(sigmas.detach(), features.detach(), **rays),
                  lambda: composite.composite(sigmas.detach(), features.detach(), **rays), samples, "samples"),
        Benchmark("composite fwd+bwd", backward(lambda: ops.composite(sigmas, features, **rays), [sigmas, features]),
                  backward(lambda: composite.composite(sigmas, features, **rays), [sigmas, features]),
                  samples, "samples"),
    ]  # fmt: skip


def table_benches(normal: Normal) -> list[Benchmark]:
    """Adam on tables that are mostly untouched, and blending of basis tables."""
    count = GridSpec.geometric(3, 16, 16, 256, 15).offsets[8]
    grad = normal(count, 2)
    grad[normal(count, 2) < 0.0524] = 0  # 70 %
    tensors = [normal(count, 2), grad, normal(count, 2), normal(count, 2).abs()]
    found = [
        Benchmark(f"adam {kind}", lambda s=sparse: ops.adam_step_(*tensors, 5, 1e-3, sparse=s),
                  lambda s=sparse: adam.adam_step_(*tensors, 5, 1e-3, sparse=s), 2 * count, "numbers")
        for kind, sparse in (("dense", False), ("sparse, 30 %", True))
    ]  # fmt: skip
    tables, coefs = normal(11, count, 2), normal(10)
    moments = [normal(11, count, 2), normal(11, count, 2).abs()]
    return [
        *found,
        Benchmark("blend_basis 10", lambda: ops.blend_basis(tables, coefs), lambda: basis.blend_basis(tables, coefs),
                  22 * count, "numbers"),
        Benchmark("adam_basis 10, 30 %", lambda: ops.adam_basis_step_(tables, grad, coefs, *moments, 5, 1e-3),
                  lambda: basis.adam_basis_step_(tables, grad, coefs, *moments, 5, 1e-3), 22 * count, "numbers"),
    ]  # fmt: skip


def render_benches(scene: Scene, normal: Normal) -> list[Benchmark]:
    """Whole images of a field, its space warped or not."""
    spec = GridSpec.geometric(3, 16, 16, 256, 15)
    table = normal(spec.n_entries, 2).bfloat16()
    weights, biases = [5 * normal(32, 32), 5 * normal(16, 32)], [normal(32), normal(16)]
    found = []
    for name, warp in (("render_rays", None), ("render_rays warped", 0.1 * normal(3, 16, 16, 16))):
        field = (table, spec, weights, biases, 0.5, 5e-3, warp)
        found.append(Benchmark(name, lambda a=field: scene.march(lambda *rays: ops.render_rays(*rays, *a)),
                               lambda a=field: scene.march(lambda *rays: render_rays.render_rays(*rays, *a)), 1,
                               "frames"))  # fmt: skip
    return found


def tcnn_benches(points: torch.Tensor, normal: Normal) -> list[Benchmark]:
    """tiny-cuda-nn on the same shapes, against our own operators in place of the references."""
    grid = GridSpec.geometric(3, 16, 16, 256, 15)
    spec = tcnn.TcnnGridSpec(grid.dim, grid.resolutions, grid.log2_table_size, grid.n_features)
    table, own = normal(spec.n_entries, 2).requires_grad_(), normal(grid.n_entries, 2).requires_grad_()
    x, weights, biases = normal(len(points), 32), [normal(32, 32), normal(16, 32)], [normal(32), normal(16)]
    leaves = [x.requires_grad_(), *[t.requires_grad_() for t in (*weights, *biases)]]
    calls = {
        "hash_encode": (lambda: tcnn.hash_encode(points, table, spec), lambda: ops.hash_encode(points, own, grid)),
        "mlp 32-32-16": (lambda: tcnn.mlp(x, weights, biases), lambda: ops.mlp(x, weights, biases)),
    }
    found = []
    for name, (theirs, ours) in calls.items():
        found.append(Benchmark(f"tinycudann {name}, against ours", theirs, ours, len(points), "points"))
        learned = (leaves, leaves) if "mlp" in name else ([table], [own])
        both = backward(theirs, learned[0]), backward(ours, learned[1])
        found.append(Benchmark(f"tinycudann {name} fwd+bwd, ours", *both, len(points), "points"))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--isa", default="best", help="instruction sets to time, with commas between")
    parser.add_argument("--only", default="", help="only what has this in its name")
    parser.add_argument("--size", type=int, default=256, help="of the image, pixels along each side")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not native.BUILT:
        raise SystemExit(f"gtalk._C is not built: {native.WHY_NOT}")
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    clock = time.process_time if args.cpu_time else time.perf_counter
    sets = [torch.ops.gtalk.use_isa(name) for name in args.isa.split(",")] if device.type == "cpu" else ["cuda"]
    where = platform.processor() or platform.machine() if device.type == "cpu" else torch.cuda.get_device_name()
    print(machine.line())
    print(f"{where}, {args.threads} threads, torch {torch.__version__}, {args.size}x{args.size} rays")
    rows = []
    for bench in benches(device, args.size):
        if args.only not in bench.name:
            continue
        plain = None if args.no_reference else best(bench.reference, max(args.runs // 2, 2), clock, device)
        for isa in sets:
            if device.type == "cpu":
                torch.ops.gtalk.use_isa(isa)
            seconds = best(bench.call, args.runs, clock, device)
            rate = bench.amount / seconds
            shown = f"{rate / 1e6:8.1f} M {bench.unit}/s" if rate > 1e5 else f"{rate:8.1f} {bench.unit}/s"
            ratio = "" if plain is None else f"  {plain / seconds:6.1f} x reference"
            print(f"{bench.name:34s} {isa:9s} {1e3 * seconds:9.3f} ms {shown:26s}{ratio}", flush=True)
            rows.append({"name": bench.name, "isa": isa, "ms": 1e3 * seconds, "per_s": rate, "unit": bench.unit,
                         "ratio": None if plain is None else plain / seconds})  # fmt: skip
    if device.type == "cpu":
        torch.ops.gtalk.use_isa("best")
    if args.json:
        report = {**machine.facts(), "device": where, "threads": args.threads, "torch": torch.__version__, "ops": rows}
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
