// Everything that is compiled once per instruction set. No include guards, and no headers: those stand before
// the pragma in tuned/<isa>.cpp.
#include "vec.inl"
#include "hash_encode.inl"
#include "hash_encode_backward.inl"
#include "mlp.inl"
#include "march.inl"
#include "adam.inl"
#include "composite.inl"
#include "render_rays.inl"

static constexpr Kernels all_kernels = {
    &hash_encode<false>, &hash_encode<true>, &hash_encode_backward, &hash_encode_point_grad, &mlp_forward, &mlp_backward,
    &march,
    &render_rays,
    &adam,
    &composite,
    &composite_backward,
};
