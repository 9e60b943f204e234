// Everything that is compiled once per instruction set. No include guards, and no headers: those stand before
// the pragma in simd/<isa>.cpp.
#include "vec.inl"
#include "rows.inl"
#include "../ops/hash_encode.inl"
#include "../ops/hash_encode_backward.inl"
#include "../ops/mlp.inl"
#include "../ops/march.inl"
#include "../ops/adam.inl"
#include "../ops/composite.inl"
#include "../ops/render_rays.inl"

using namespace gtalk::splat;
#include "../splat/deform.inl"
#include "../splat/project.inl"
#include "../splat/blend.inl"
#include "../splat/loss.inl"
#include "../splat/resolve.inl"

static constexpr gtalk::splat::Kernels splat_kernels = {
    &deform,     &deform_half, &keep_within, &add_columns, &deform_backward,     &adam_rows,  &adam_basis,
    &project,    &project_backward, &blend_tile,     &blend_tile_backward,
    &photo_loss, &resolve_bytes,    &resolve_floats, &frame_plate,
};

static constexpr ::gtalk::simd::Kernels all_kernels = {
    &hash_encode<false>, &hash_encode<true>, &hash_encode_backward, &hash_encode_point_grad, &mlp_forward, &mlp_backward,
    &march,
    &render_rays,
    &adam,
    &composite,
    &composite_backward,
    splat_kernels,
};
