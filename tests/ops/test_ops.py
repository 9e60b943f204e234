"""Every operator against its reference: values, gradients, layouts, devices, instruction sets."""

from __future__ import annotations

import os

import pytest
import torch

from gtalk.ops import native
from tests.ops.cases import CASES, Case, normal

pytestmark = pytest.mark.skipif(not native.BUILT, reason=f"gtalk._C is not built: {native.WHY_NOT}")


def instruction_sets() -> list[str]:
    """Those that this machine can run."""
    names = []
    for name in ("avx512", "avx2", "portable", "plain"):
        try:
            torch.ops.gtalk.use_isa(name)
            names.append(name)
        except (AttributeError, ValueError, RuntimeError):
            continue
    if names:
        torch.ops.gtalk.use_isa("best")
    return names


def cuda() -> torch.device:
    """The GPU, or a skip; GTALK_REQUIRE_CUDA=1 makes the skip a failure."""
    if not torch.cuda.is_available():
        if os.environ.get("GTALK_REQUIRE_CUDA") == "1":
            pytest.fail("GTALK_REQUIRE_CUDA=1, and torch sees no GPU")
        pytest.skip("needs a GPU")
    return torch.device("cuda")


@pytest.fixture(params=instruction_sets())
def isa(request: pytest.FixtureRequest):
    """Run with each instruction set in turn."""
    torch.ops.gtalk.use_isa(request.param)
    yield request.param
    torch.ops.gtalk.use_isa("best")


def as_tuple(out: object) -> tuple[torch.Tensor, ...]:
    return out if isinstance(out, tuple) else (out,) if isinstance(out, torch.Tensor) else ()


def evaluate(function, case: Case, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Outputs, changed inputs, and gradients of a fixed random functional of the outputs."""
    inputs = [t.detach().clone() if i in case.changed else t.detach() for i, t in enumerate(tensors)]
    for i in case.learned:
        inputs[i].requires_grad_()
    outputs = as_tuple(function(*inputs))
    values = [o.detach() for o in outputs] + [inputs[i] for i in case.changed]
    if case.learned:
        loss = sum((o * normal(*o.shape, seed=9 + k).to(o)).sum() for k, o in enumerate(outputs))
        grads = torch.autograd.grad(loss, [inputs[i] for i in case.learned])
        values += list(grads)
    return values


def agree(case: Case, got: list[torch.Tensor], wanted: list[torch.Tensor]) -> None:
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = max(1.0, float(b.abs().max())) if b.numel() else 1.0
        torch.testing.assert_close(a.cpu(), b.cpu(), atol=case.tolerance * scale, rtol=case.tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_reference(case: Case, isa: str) -> None:
    tensors = case.make(torch.float32)
    agree(case, evaluate(case.call, case, tensors), evaluate(case.reference, case, tensors))


@pytest.mark.parametrize("case", [c for c in CASES if not c.float_only], ids=str)
def test_agrees_with_reference_in_float64(case: Case) -> None:
    tensors = case.make(torch.float64)
    got, wanted = evaluate(case.call, case, tensors), evaluate(case.reference, case, tensors)
    for a, b in zip(got, wanted, strict=True):
        tolerance = 1e-9 if a.dtype == torch.float64 else case.tolerance
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def spread(case: Case, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The same values, every second number of a larger memory."""
    return [t if i in case.changed else torch.stack([t, t + 1], -1)[..., 0] for i, t in enumerate(tensors)]


@pytest.mark.parametrize("case", [c for c in CASES if not c.name.startswith("adam")], ids=str)
def test_any_layout(case: Case) -> None:
    tensors = case.make(torch.float32)
    apart = spread(case, tensors)
    assert any(not t.is_contiguous() for t in apart) or not any(t.numel() for t in apart)
    agree(case, evaluate(case.call, case, apart), evaluate(case.call, case, tensors))


@pytest.mark.parametrize("case", [c for c in CASES if c.name.startswith("adam")], ids=str)
def test_optimisers_refuse_gradients_that_are_spread(case: Case) -> None:
    tensors = case.make(torch.float32)
    if tensors[0].numel():
        with pytest.raises(ValueError, match="expected a contiguous tensor"):
            evaluate(case.call, case, spread(case, tensors))
    else:
        agree(case, evaluate(case.call, case, tensors), evaluate(case.reference, case, tensors))


@pytest.mark.cuda
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cuda_agrees_with_reference(case: Case) -> None:
    device = cuda()
    tensors = case.make(torch.float32)
    got = evaluate(case.call, case, [t.to(device) for t in tensors])
    assert all(t.device.type == "cuda" for t in got)
    agree(case, got, evaluate(case.reference, case, tensors))


def can_be_differenced(case: Case) -> bool:
    """Something to differentiate, and few enough numbers for finite differences."""
    tensors = case.make(torch.float64) if case.learned else []
    return sum(tensors[i].numel() for i in case.learned) > 0 and tensors[0].shape[0] <= 150


@pytest.mark.parametrize("case", [c for c in CASES if can_be_differenced(c)], ids=str)
def test_gradients_against_finite_differences(case: Case) -> None:
    tensors = case.make(torch.float64)
    inputs = [t.clone().requires_grad_(i in case.learned) for i, t in enumerate(tensors)]
    assert torch.autograd.gradcheck(case.call, inputs, fast_mode=True, atol=1e-6, rtol=1e-5)


def operator_calls() -> list:
    """(operator, arguments) for torch.library.opcheck, recorded from the cases."""
    calls = []

    class Recorder(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.namespace == "gtalk":
                calls.append((func, args, kwargs or {}))
            return func(*args, **(kwargs or {}))

    seen: set[str] = set()
    for case in CASES:
        kind = case.name.split("-")[0]
        tensors = case.make(torch.float32)
        if kind in seen or tensors[0].numel() == 0:
            continue
        seen.add(kind)
        with Recorder():
            evaluate(case.call, case, tensors)
    return calls


@pytest.mark.skipif(not native.BUILT, reason="gtalk._C is not built")
def test_operators_are_well_behaved() -> None:
    names = set()
    for operator, args, kwargs in operator_calls():
        name = operator._schema.name
        names.add(name)
        plain = torch.utils._pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, args)
        learned = LEARNED_ARGUMENTS.get(name, ())
        leaves = [a.requires_grad_() if i in learned else a for i, a in enumerate(plain)]
        torch.library.opcheck(operator, tuple(leaves), kwargs)
    others = ("hash_encode_backward", "mlp_backward", "composite_backward", "adam_step_", "adam_basis_step_")
    assert names >= {*LEARNED_ARGUMENTS, *(f"gtalk::{name}" for name in others)}


LEARNED_ARGUMENTS = {
    "gtalk::hash_encode": (0, 1),
    "gtalk::mlp": (0,),
    "gtalk::composite": (0, 1),
    "gtalk::blend_basis": (0, 1),
}


def test_one_thread_and_many_agree_bit_for_bit() -> None:
    threads = torch.get_num_threads()
    try:
        for case in CASES:
            if case.name.startswith("mlp"):
                continue  # sums over points are split by thread
            tensors = case.make(torch.float32)
            torch.set_num_threads(1)
            one = evaluate(case.call, case, tensors)
            torch.set_num_threads(3)
            many = evaluate(case.call, case, tensors)
            assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True)), case.name
    finally:
        torch.set_num_threads(threads)
