"""Operators with a CPU and a CUDA kernel from one source (csrc/), autograd, and a plain torch reference each."""

from gtalk.ops.adam import adam_step_
from gtalk.ops.basis import adam_basis_step_, blend_basis
from gtalk.ops.composite import composite
from gtalk.ops.grid import GridSpec
from gtalk.ops.hash_encode import hash_encode
from gtalk.ops.march import march
from gtalk.ops.mlp import mlp
from gtalk.ops.render_rays import render_rays

__all__ = [
    "GridSpec",
    "adam_basis_step_",
    "adam_step_",
    "blend_basis",
    "composite",
    "hash_encode",
    "march",
    "mlp",
    "render_rays",
]
