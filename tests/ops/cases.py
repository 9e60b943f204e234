"""One table of cases for all operators: what to call, its reference, and inputs of a given type."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from gtalk import ops
from gtalk.ops import GridSpec
from gtalk.ops.reference import adam, basis, composite, hash_encode, march, mlp, render_rays

Tensors = list[torch.Tensor]


@dataclass(frozen=True)
class Case:
    """`call(*inputs)` and `reference(*inputs)` must agree, in values and in gradients of `learned` inputs."""

    name: str
    call: Callable
    reference: Callable
    make: Callable[[torch.dtype], Tensors]
    learned: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    """Inputs that the call changes in place."""
    float_only: bool = False
    tolerance: float = 2e-5

    def __str__(self) -> str:
        return self.name


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=rng(seed)).to(dtype)


def uniform(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=rng(seed)).to(dtype)


SPECS = {
    "3d": GridSpec.geometric(3, 16, 4, 64, 9),
    "3d-odd": GridSpec.geometric(3, 5, 3, 40, 8),
    "3d-dense": GridSpec(3, (2, 5), 12),
    "3d-20-levels": GridSpec.geometric(3, 20, 2, 70, 7),
    "3d-1-feature": GridSpec(3, (3, 9, 20), 8, 1),
    "3d-4-features": GridSpec(3, (3, 9, 20), 8, 4),
    "2d": GridSpec.geometric(2, 16, 4, 200, 8),
    "2d-odd": GridSpec(2, (7, 100, 33), 9),
}


def encode_case(name: str, spec: GridSpec, points: int) -> Case:
    def make(dtype: torch.dtype) -> Tensors:
        # kept off the vertices, where the slope along the points is not defined
        cells = torch.tensor(spec.resolutions, dtype=torch.float64)
        unit = uniform(points * 4, spec.dim, dtype=torch.float64, seed=1)
        distance = ((unit[..., None] * cells) - (unit[..., None] * cells).round()).abs().amin((1, 2))
        good = unit[distance > 1e-3][:points]
        return [good.to(dtype), normal(spec.n_entries, spec.n_features, dtype=dtype)]

    return Case(
        f"hash_encode-{name}-{points}",
        partial(ops.hash_encode, spec=spec),
        partial(hash_encode.hash_encode, spec=spec),
        make,
        (0, 1),
        tolerance=2e-4,
    )


def net(sizes: tuple[int, ...], points: int, activation: str = "relu", bias: bool = True) -> Case:
    layers = len(sizes) - 1

    def split(tensors: tuple[torch.Tensor, ...]) -> tuple:
        return tensors[0], list(tensors[1 : layers + 1]), list(tensors[layers + 1 :]) or None, activation

    def make(dtype: torch.dtype) -> Tensors:
        weights = [normal(o, i, dtype=dtype, seed=i) / i**0.5 for i, o in itertools.pairwise(sizes)]
        biases = [normal(o, dtype=dtype, seed=o) * 0.1 for o in sizes[1:]] if bias else []
        return [normal(points, sizes[0], dtype=dtype, seed=3), *weights, *biases]

    return Case(
        f"mlp-{'-'.join(map(str, sizes))}-{activation}-{'bias' if bias else 'plain'}-{points}",
        lambda *tensors: ops.mlp(*split(tensors)),
        lambda *tensors: mlp.mlp(*split(tensors)),
        make,
        tuple(range(1 + layers * (1 + bias))),
        tolerance=1e-4,
    )


def offsets_of(counts: list[int]) -> torch.Tensor:
    return torch.tensor([0, *counts]).cumsum(0)


def composite_case(counts: list[int], channels: int, own_dt: bool, density: float) -> Case:
    offsets = offsets_of(counts)
    samples = int(offsets[-1])

    def make(dtype: torch.dtype) -> Tensors:
        inputs = [
            density * uniform(samples, dtype=dtype),
            normal(samples, channels, dtype=dtype),
            uniform(samples, dtype=dtype, seed=1),
        ]
        return [*inputs, 0.02 + 0.1 * uniform(samples, dtype=dtype, seed=2)] if own_dt else inputs

    def run(function: Callable, *tensors: torch.Tensor) -> tuple:
        dt = tensors[3] if own_dt else 0.05
        return function(tensors[0], tensors[1], tensors[2], dt, offsets.to(tensors[0].device))

    name = f"composite-{len(counts)}-rays-{channels}-channels-{'own' if own_dt else 'one'}-dt-{density:g}"
    return Case(name, partial(run, ops.composite), partial(run, composite.composite), make, (0, 1), tolerance=1e-4)


def ray_inputs(rays: int, cells: int, share: float, seed: int = 0) -> Tensors:
    origins = torch.cat([uniform(rays, 2, seed=seed) * 1.4 - 0.2, torch.full((rays, 1), -1.0)], 1)
    directions = torch.tensor([0.0, 0.0, 1.0]) + 0.3 * normal(rays, 3, seed=seed + 1)
    directions[: rays // 8, :2] = 0.0  # along an axis
    near, far = uniform(rays, seed=seed + 2), 1.0 + 2.0 * uniform(rays, seed=seed + 3)
    occupancy = (uniform(cells, cells, cells, seed=seed + 4) < share).to(torch.uint8)
    aabb = torch.tensor([[-0.1, 0.0, 0.05], [1.0, 0.9, 1.1]])
    return [origins, directions, near, far, occupancy, aabb]


def render_case(rays: int, levels: int, hidden: int, features: int, dtype: torch.dtype, warp: int = 0) -> Case:
    spec = GridSpec.geometric(3, levels, 4, 64, 10)

    def make(_: torch.dtype) -> Tensors:
        sizes = (spec.output_size, hidden, 1 + features)
        weights = [normal(o, i, seed=i) * (2.0 / i) ** 0.5 for i, o in itertools.pairwise(sizes)]
        biases = [0.1 * normal(o, seed=o) for o in sizes[1:]]
        bend = [0.05 * normal(3, warp, warp, warp)] if warp else []
        return [*ray_inputs(rays, 16, 0.3), normal(spec.n_entries, 2).to(dtype), *weights, *biases, *bend]

    def run(function: Callable, *tensors: torch.Tensor) -> tuple:
        table, weights, biases = tensors[6], tensors[7:9], tensors[9:11]
        bend = {"warp": tensors[11]} if warp else {}
        return function(*tensors[:6], 1 / 64, 40, table, spec, list(weights), list(biases), **bend)

    name = f"render_rays-{rays}-{levels}-levels-{hidden}-{features}-{'bf16' if dtype == torch.bfloat16 else 'float'}"
    name += f"-warp-{warp}" if warp else ""
    return Case(name, partial(run, ops.render_rays), partial(run, render_rays.render_rays), make, float_only=True,
                tolerance=2e-3)  # fmt: skip


def adam_case(shape: tuple[int, ...], sparse: bool) -> Case:
    def make(_: torch.dtype) -> Tensors:
        grad = normal(*shape, seed=1)
        grad[uniform(*shape, seed=2) < 0.5] = 0.0
        return [normal(*shape), grad, 0.1 * normal(*shape, seed=3), uniform(*shape, seed=4)]

    args = {"step": 3, "lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "sparse": sparse}
    return Case(
        f"adam-{'x'.join(map(str, shape))}-{'sparse' if sparse else 'dense'}",
        partial(ops.adam_step_, **args),
        partial(adam.adam_step_, **args),
        make,
        changed=(0, 2, 3),
        float_only=True,
    )


def basis_step_case(rows: int, shape: tuple[int, ...]) -> Case:
    def make(_: torch.dtype) -> Tensors:
        grad = normal(*shape, seed=1)
        grad[uniform(*shape, seed=2) < 0.7] = 0.0
        moments = [0.1 * normal(rows, *shape, seed=4), uniform(rows, *shape, seed=5)]
        return [normal(rows, *shape), grad, normal(rows - 1, seed=3), *moments]

    args = {"step": 2, "lr": 1e-2, "lr_basis": 3e-3, "eps": 1e-8}
    return Case(
        f"adam_basis-{rows}-rows-{'x'.join(map(str, shape))}",
        partial(ops.adam_basis_step_, **args),
        partial(basis.adam_basis_step_, **args),
        make,
        changed=(0, 3, 4),
        float_only=True,
    )


def blend_case(rows: int, shape: tuple[int, ...], rest: int) -> Case:
    def make(kind: torch.dtype) -> Tensors:
        tensors = [normal(rows, *shape, dtype=kind), normal(rows - 1, dtype=kind, seed=1)]
        return [*tensors, normal(rest, *shape[1:], dtype=kind, seed=2)] if rest else tensors

    def run(function: Callable, *tensors: torch.Tensor) -> torch.Tensor:
        return function(tensors[0], tensors[1], tensors[2] if rest else None)

    name = f"blend-{rows}-rows-{'x'.join(map(str, shape))}-rest-{rest}"
    learned = (0, 1, 2)[: 2 + bool(rest)]
    return Case(name, partial(run, ops.blend_basis), partial(run, basis.blend_basis), make, learned, tolerance=2e-5)


CASES = [
    *(encode_case(name, spec, 67) for name, spec in SPECS.items()),
    encode_case("3d", SPECS["3d"], 0),
    encode_case("3d", SPECS["3d"], 1),
    net((32, 32, 16), 131),
    net((32, 64, 16), 48),
    net((15, 32, 3), 47),
    net((32, 16, 16, 7), 100, "leaky_relu"),
    net((5, 33, 40, 17, 2), 61, "relu", bias=False),
    net((3, 1), 10),
    net((128, 128, 128), 20),
    net((32, 32, 16), 0),
    composite_case([5, 0, 1, 17, 40, 0], 15, False, 20.0),
    composite_case([3, 30], 3, True, 100.0),
    composite_case([0, 0], 4, False, 1.0),
    composite_case([], 4, False, 1.0),
    composite_case([12] * 9, 1, True, 400.0),
    adam_case((1000, 2), False),
    adam_case((1000, 2), True),
    adam_case((77,), True),
    adam_case((0,), False),
    basis_step_case(11, (300, 2)),
    basis_step_case(1, (65,)),
    basis_step_case(4, (0, 2)),
    blend_case(9, (200, 2), 0),
    blend_case(4, (131,), 40),
    blend_case(1, (10, 3), 0),
    render_case(200, 16, 32, 15, torch.bfloat16),
    render_case(50, 16, 64, 8, torch.float32),
    render_case(33, 5, 16, 3, torch.bfloat16),
    render_case(150, 16, 32, 15, torch.bfloat16, warp=6),
    render_case(40, 5, 16, 3, torch.float32, warp=2),
    render_case(0, 16, 32, 15, torch.bfloat16),
]

march_reference = march.march
