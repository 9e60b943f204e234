"""Operations on tensors with compiled and plain backends, chosen by the tensor's device."""

from gtalk.ops.grid import GridSpec
from gtalk.ops.reference.plain import (
    adam_basis_step_,
    adam_step_,
    blend_basis,
    composite,
    hash_encode,
    march,
    mlp,
)

__all__ = ["GridSpec", "adam_basis_step_", "adam_step_", "blend_basis", "composite", "hash_encode", "march", "mlp"]
