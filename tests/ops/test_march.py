"""Ray marching against looking at every lattice point."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gtalk.ops import composite, march
from gtalk.ops.reference.composite import composite as composite_reference
from gtalk.ops.reference.march import march as reference
from tests.ops.cases import ray_inputs, uniform
from tests.ops.test_ops import cuda, isa
from tests.support.host_waits import HostWaits

__all__ = ["isa"]  # the fixture, with the functors that CUDA runs


def taken(result: tuple, step: float) -> torch.Tensor:
    """Places of the samples in steps, each ray a long way from the next; ascending."""
    t, ray, offsets = (x.cpu() for x in result)
    assert offsets[0] == 0 and offsets[-1] == len(t) and (offsets.diff() >= 0).all()
    assert torch.equal(ray.long(), torch.arange(len(offsets) - 1).repeat_interleave(offsets.diff()))
    inner = torch.ones(len(t), dtype=torch.bool)
    inner[offsets[offsets < len(t)]] = False
    assert (t.diff()[inner[1:]] > 0).all()
    return ray.double() * 1e6 + t.double() / step


def disagreements(got: torch.Tensor, wanted: torch.Tensor) -> int:
    """How many samples of either are not within a hundredth of a step of one of the other."""

    def lonely(these: torch.Tensor, those: torch.Tensor) -> int:
        fence = torch.tensor([-math.inf], dtype=torch.float64)
        those = torch.cat([fence, those, -fence])
        after = torch.searchsorted(those, these)
        return int((torch.minimum(those[after] - these, these - those[after - 1]) > 0.01).sum())

    return lonely(got, wanted) + lonely(wanted, got)


@settings(deadline=None, max_examples=25)
@example(cells=1, share=1.0, step=0.145, most=6, seed=8, jittered=False)  # samples at odd multiples of a 128th step
@given(
    cells=st.integers(1, 24), share=st.floats(0.0, 1.0), step=st.floats(0.004, 0.2), most=st.integers(1, 200),
    seed=st.integers(0, 1000), jittered=st.booleans(),
)  # fmt: skip
def test_takes_what_the_reference_takes(cells, share, step, most, seed, jittered) -> None:
    inputs = ray_inputs(40, cells, share, seed)
    jitter = uniform(40, seed=seed) if jittered else None
    got = taken(march(*inputs, step, most, jitter), step)
    wanted = taken(reference(*inputs, step, most, jitter), step)
    # a point on a cell's border may fall on either side, and may shift what max_samples cuts off
    assert disagreements(got, wanted) <= 2 + 0.002 * len(wanted)


def test_cuda_takes_what_the_cpu_takes() -> None:
    device = cuda()
    inputs = ray_inputs(500, 16, 0.3)
    got = taken(march(*[x.to(device) for x in inputs], 1 / 64, 40), 1 / 64)
    wanted = taken(march(*inputs, 1 / 64, 40), 1 / 64)
    assert disagreements(got, wanted) <= 2 + 0.002 * len(wanted)


def test_known_samples() -> None:
    occupancy = torch.zeros(4, 4, 4, dtype=torch.uint8)
    occupancy[1, 2, 3] = 1  # x in 1/4..1/2, y in 1/2..3/4, z in 3/4..1
    one = torch.ones(1)
    t, ray, offsets = march(
        torch.tensor([[0.3, 0.6, -1.0]]), torch.tensor([[0.0, 0.0, 1.0]]), 0 * one, 5 * one, occupancy,
        torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), 0.1, 100,
    )  # fmt: skip
    torch.testing.assert_close(t, torch.tensor([1.75, 1.85, 1.95]))
    assert ray.tolist() == [0, 0, 0] and offsets.tolist() == [0, 3]
    assert ray.dtype == torch.int32 and offsets.dtype == torch.int64


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_strange_rays_end(bad: float) -> None:
    origins, directions, near, far, occupancy, aabb = ray_inputs(64, 8, 0.5)
    for tensor in (origins, directions):
        strange = tensor.clone()
        strange[::3, 1] = bad
        pair = (strange, directions) if tensor is origins else (origins, strange)
        _, _, offsets = march(*pair, near, far, occupancy, aabb, 0.01, 50)
        assert (offsets.diff() <= 50).all()
    strange = near.clone()
    strange[::3] = bad
    march(origins, directions, strange, far, occupancy, aabb, 0.01, 50)
    march(origins, 0 * directions, near, far, occupancy, aabb, 0.01, 50)


def test_no_rays_and_empty_intervals() -> None:
    origins, directions, near, far, occupancy, aabb = ray_inputs(8, 4, 1.0)
    t, ray, offsets = march(origins[:0], directions[:0], near[:0], far[:0], occupancy, aabb, 0.1, 5)
    assert len(t) == len(ray) == 0 and offsets.tolist() == [0]
    t, _, offsets = march(origins, directions, far, near - 1.0, occupancy, aabb, 0.1, 5)
    assert len(t) == 0 and offsets.tolist() == [0] * 9


@pytest.mark.parametrize("capacity", [0, 7, 100, 5000])
def test_a_fixed_number_of_samples_is_the_first_of_them(isa, capacity) -> None:
    inputs = ray_inputs(60, 12, 0.3)
    t, ray, offsets = march(*inputs, 1 / 64, 20)
    assert 100 < len(t) < 5000
    for function in (march, reference):
        cut_t, cut_ray, cut_offsets = function(*inputs, 1 / 64, 20, capacity=capacity)
        assert cut_t.shape == cut_ray.shape == (capacity,) and cut_offsets.shape == offsets.shape
        kept = min(capacity, len(t))
        assert int(cut_offsets[-1]) == kept and (cut_offsets == offsets.clamp_max(kept)).all()
        assert torch.allclose(cut_t[:kept], t[:kept], atol=1e-6) and torch.equal(cut_ray[:kept], ray[:kept])
        assert (cut_t[kept:] == 0).all() and (cut_ray[kept:] == -1).all()


def test_what_is_left_of_a_capacity_weighs_nothing(isa) -> None:
    """Neither in the image nor in gradients."""
    t, _, offsets = march(*ray_inputs(60, 12, 0.3), 1 / 64, 20, capacity=5000)
    owned = int(offsets[-1])
    sigma, feature = uniform(5000, seed=1).requires_grad_(), uniform(5000, 3, seed=2).requires_grad_()
    both = []
    for function in (composite, composite_reference):
        values = function(sigma, feature, t, 1 / 64, offsets)
        loss = sum((v * uniform(*v.shape, seed=5)).sum() for v in values)
        both.append([*values, *torch.autograd.grad(loss, [sigma, feature])])
        assert all((v[owned:] == 0).all() and bool(v[:owned].any()) for v in both[-1][3:])
    for ours, wanted in zip(*both, strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=1e-4)


def test_a_capacity_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity: expected a number from 0; got -1"):
        march(*ray_inputs(4, 4, 0.3), 1 / 64, 20, capacity=-1)


def test_on_another_device_samples_come_without_being_counted() -> None:
    origins, directions, near, far, occupancy, aabb = ray_inputs(60, 12, 0.3)
    there = [v.to("meta") for v in (origins, directions, near, far, occupancy)]
    with HostWaits() as waits:
        t, ray, offsets = march(*there, aabb, 1 / 64, 20, capacity=64)  # where the box is, is read on the host
    assert not waits.found
    assert t.is_meta and t.shape == ray.shape == (64,) and offsets.shape == (61,)
