"""Wrong arguments are refused with what was expected and what came; and what happens without the extension."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch

from gtalk.errors import UserError
from gtalk.ops import GridSpec, native
from gtalk.ops.adam import check as check_adam
from gtalk.ops.basis import check as check_blend
from gtalk.ops.basis import check_step
from gtalk.ops.composite import check as check_composite
from gtalk.ops.hash_encode import check as check_encode
from gtalk.ops.march import check as check_march
from gtalk.ops.mlp import check as check_mlp

SPEC = GridSpec(3, (4, 8), 6)
TABLE = torch.zeros(SPEC.n_entries, 2)
BOX = torch.zeros(2, 3)
CELLS = torch.zeros(2, 2, 2, dtype=torch.uint8)
RAYS = torch.zeros(4, 3)
ONE = torch.zeros(4)
Z = torch.zeros


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_encode(Z(5, 2), TABLE, SPEC), r"points: expected shape \[\*, 3\]; got \[5, 2\]\."),
        (lambda: check_encode(Z(5, 3), TABLE[1:], SPEC), r"table: expected shape \[128, 2\]; got \[127, 2\]\."),
        (lambda: check_encode(Z(5, 3), TABLE.half(), SPEC), "table: expected torch.float32 or .*; got torch.float16"),
        (lambda: check_encode(Z(5, 3).double(), TABLE, SPEC), "points: expected torch.float32; got torch.float64"),
        (lambda: check_encode(Z(5, 3, device="meta"), TABLE, SPEC), "table: expected device meta of points; got cpu"),
        (lambda: GridSpec(4, (1,), 4), "dim: expected 2 or 3; got 4"),
        (lambda: GridSpec(3, (), 4), "resolutions: expected one or more"),
        (lambda: GridSpec(3, (0, 2), 4), "resolutions: expected one or more"),
        (lambda: GridSpec(3, (2,), 40), "log2_table_size: expected 1..26; got 40"),
        (lambda: GridSpec(3, (2,), 4, 99), "n_features: expected 1..16; got 99"),
        (lambda: check_march(RAYS, RAYS, ONE, ONE, CELLS.bool(), BOX, 0.1, 4, None), "occupancy: expected torch.uint8"),
        (lambda: check_march(RAYS, RAYS, ONE, ONE, CELLS, BOX, 0.0, 4, None), "step: expected a positive number; got"),
        (lambda: check_march(RAYS, RAYS, ONE, ONE, CELLS, BOX, 0.1, 0, None), "max_samples: expected a positive"),
        (lambda: check_march(RAYS, RAYS, ONE, ONE[:3], CELLS, BOX, 0.1, 4, None), r"far: expected shape \[4\]; got"),
        (lambda: check_mlp(Z(5, 3), [], [], "relu"), "weights: expected 1 to 4 layers; got 0"),
        (lambda: check_mlp(Z(5, 3), [Z(4, 2)], [], "relu"), r"weights\[0\]: expected shape \[\*, 3\]; got \[4, 2\]"),
        (lambda: check_mlp(Z(5, 3), [Z(4, 3)], [Z(3)], "relu"), r"biases\[0\]: expected shape \[4\]; got \[3\]"),
        (lambda: check_mlp(Z(5, 3), [Z(4, 3)], [], "tanh"), "activation: expected relu or leaky_relu; got tanh"),
        (lambda: check_mlp(Z(5, 3), [Z(200, 3)], [], "relu"), r"weights\[0\]: expected sizes 1 to 128"),
        (lambda: check_composite(ONE, Z(3, 2), ONE, 0.1, Z(2).long()), r"features: expected shape \[4, \*\]; got"),
        (lambda: check_composite(ONE, Z(4, 2), ONE, 0.1, Z(0).long()), "ray_offsets: expected one number more"),
        (lambda: check_composite(ONE, Z(4, 2), ONE, Z(2), Z(2).long()), r"dt: expected shape \[4\]; got \[2\]"),
        (lambda: check_composite(ONE, Z(4, 2), ONE, Z(4, device="meta"), Z(2).long()), "dt: expected device cpu of s"),
        (lambda: check_adam(ONE, ONE, ONE, Z(5), 1), r"exp_avg_sq: expected shape \[4\]; got \[5\]"),
        (lambda: check_adam(ONE, ONE, ONE, ONE, 0), "step: expected a number from 1; got 0"),
        (lambda: check_adam(Z(4, 2).T, Z(2, 4), Z(2, 4), Z(2, 4), 1), "param: expected a contiguous tensor"),
        (lambda: check_blend(Z(3, 4), Z(3)), r"coefs: expected shape \[2\]; got \[3\]"),
        (lambda: check_step(Z(3, 4), Z(5), Z(3, 4), Z(3, 4), 1), r"grad: expected shape \[4\]; got \[5\]"),
    ],
)  # fmt: skip
def test_what_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(not native.BUILT, reason="gtalk._C is not built")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.hash_encode(Z(5, 4), TABLE, [4, 8], 6), "points: expected 2 or 3 coordinates; got 4"),
        (lambda g: g.hash_encode(Z(5, 3), TABLE[1:], [4, 8], 6), r"table: expected shape \[128, 2\]"),
        (lambda g: g.mlp(Z(5, 3), [Z(4, 2)], [], 0.0), r"weights: expected shape \[-1, 3\]"),
        (lambda g: g.composite(ONE, Z(4, 2), ONE, None, 0.1, ONE, 0.0), "ray_offsets: expected Long"),
        (lambda g: g.adam_step_(ONE, ONE, ONE, Z(5), 1, 0.1, 0.9, 0.9, 0.0, False), "exp_avg_sq: expected shape"),
        (lambda g: g.use_isa("sse9"), "isa: expected best or one of .*portable.*; got sse9"),
    ],
)  # fmt: skip
def test_what_the_operators_refuse(call, message: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=message):
        call(torch.ops.gtalk)


ELSEWHERE = Z(4, device="meta")


@pytest.mark.skipif(not native.BUILT, reason="gtalk._C is not built")
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("hash_encode", (Z(5, 3), TABLE.to("meta"), [4, 8], 6), "table: expected device cpu of points; got meta"),
        ("hash_encode_backward", (Z(5, 4, device="meta"), Z(5, 3), TABLE, [4, 8], 6, True, True), "grad: expected dev"),
        ("march", (RAYS, RAYS, ONE, ONE, CELLS.to("meta"), BOX, 0.1, 4, None), "occupancy: expected device cpu of ori"),
        ("march", (RAYS, RAYS, ONE, ONE, CELLS, BOX, 0.1, 4, ELSEWHERE), "jitter: expected device cpu of origins"),
        ("mlp", (Z(5, 3), [Z(4, 3, device="meta")], [], 0.0), "weights: expected device cpu of x; got meta"),
        ("mlp_backward", (Z(5, 4, device="meta"), Z(5, 3), [Z(4, 3)], [], 0.0, True), "grad: expected device cpu of x"),
        ("composite", (ONE, Z(4, 2), ONE, ELSEWHERE, 0.0, Z(2).long(), 0.0), "dt: expected device cpu of sigmas; got"),
        ("blend_basis", (Z(3, 4), Z(2, device="meta"), None, torch.float32), "coefs: expected device cpu of tables"),
        ("adam_step_", (ONE, ELSEWHERE, ONE, ONE, 1, 0.1, 0.9, 0.9, 0.0, False), "grad: expected device cpu of param"),
        ("splat_deform", (Z(4, 16), Z(4, 2, 16), Z(2), Z(16, device="meta")), "limit: expected device cpu of base"),
        ("splat_adam_", (*[Z(4, 16)] * 3, Z(4, 16, device="meta"), Z(16), 0.9, 0.9, 0.0, 1), "second: expected device"),
    ],
)  # fmt: skip
def test_tensors_of_another_device_are_refused(name: str, arguments: tuple, message: str) -> None:
    operator = getattr(torch.ops.gtalk, name).default
    on_cpu = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)  # the kernel itself: meta tensors would not go there
    with pytest.raises(ValueError, match=message):
        operator.redispatch(on_cpu, *arguments)


def run_with(isa: str, program: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"GTALK_ISA": isa}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not native.BUILT, reason="gtalk._C is not built")
def test_an_unknown_instruction_set_is_told() -> None:
    done = run_with("sse9", "import gtalk.ops")
    assert re.search(r"GTALK_ISA: expected best or one of .*portable, plain; got sse9\. Unset it", done.stderr)


@pytest.mark.parametrize("isa", ["plain", "portable"])
@pytest.mark.skipif(not native.BUILT, reason="gtalk._C is not built")
def test_one_choice_of_instruction_set_is_for_every_operator(isa: str) -> None:
    """The portable splats stand in for plain ones, so both give the same bits; and the environment decides."""
    program = (
        "import torch; from gtalk.ops import native, splat\n"
        "g = torch.Generator().manual_seed(0); base = torch.randn(50, 16, generator=g)\n"
        "out = splat.deform(base, torch.randn(50, 3, 16, generator=g), torch.randn(3, generator=g), torch.ones(16))\n"
        "print(torch.ops.gtalk.isa(), out.numpy().tobytes().hex())"
    )
    got = {}
    for name in ("portable", isa):
        done = run_with(name, program)
        assert done.returncode == 0, done.stderr
        got[name] = done.stdout.split()
    assert got[isa][0] == isa
    assert got[isa][1] == got["portable"][1]


def test_a_gpu_without_kernels_is_an_error_unless_asked_for(monkeypatch) -> None:
    """As on a machine where torch has CUDA and the extension was built without nvcc."""
    monkeypatch.setattr(native, "_answers", {})
    monkeypatch.setattr(native, "_has_kernels", lambda device: device == "cpu")
    with pytest.raises(UserError, match=r"device cuda: expected gtalk's CUDA kernels; .*GTALK_CUDA=1 pip install"):
        native.available_on("cuda")
    with pytest.raises(UserError, match="GTALK_ALLOW_REFERENCE=1"):  # again, not only the first time
        native.available_on("cuda")
    monkeypatch.setenv("GTALK_ALLOW_REFERENCE", "1")
    with pytest.warns(RuntimeWarning, match="plain torch is used"):
        assert not native.available_on("cuda")
    assert native.backend("cuda") == "plain torch on cuda"


def test_import_is_silent_and_the_reference_warns_once() -> None:
    program = """
import sys, warnings
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == "gtalk._C":
            raise ImportError("blocked")
sys.meta_path.insert(0, Block())
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as seen:
    import torch
    before = len(seen)
    from gtalk.ops import GridSpec, blend_basis, hash_encode
    assert len(seen) == before, [str(w.message) for w in seen]
    spec = GridSpec(2, (4,), 5)
    for _ in range(3):
        hash_encode(torch.rand(5, 2), torch.rand(spec.n_entries, 2), spec)
        blend_basis(torch.rand(3, 4), torch.rand(2))
    messages = [str(w.message) for w in seen if "gtalk._C" in str(w.message)]
    assert len(messages) == 1 and "blocked" in messages[0], messages
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr == ""
