// Vectorised CPU kernels, one set per instruction set, chosen at run time. Raw pointers, one thread each.
//
// simd/<isa>.cpp includes all.inl under its own `#pragma GCC target` and in its own namespace, so that nothing
// compiled for one instruction set can be picked by the linker for another, and one binary runs everywhere.
#pragma once

#include <cstdint>
#include <string>

#include "../common/grid.h"
#include "../common/rays.h"
#include "../common/warp.h"
#include "../splat/types.h"

namespace gtalk::simd {

using HashEncode = void (*)(const Grid&, const float* points, const void* table, float* out, int64_t n);
// Levels [first, last) only; adds to table_grad.
using HashEncodeBackward = void (*)(
    const Grid&, const float* points, const float* grad, float* table_grad, int64_t n, int64_t first, int64_t last);

using HashEncodePointGrad = void (*)(
    const Grid&, const float* points, const float* table, const float* grad, float* point_grad, int64_t n);

constexpr int kMaxLayers = 4;

struct Mlp {
  int n_layers;
  int sizes[kMaxLayers + 1];        // inputs, outputs of each layer; at most 128
  const float* weights[kMaxLayers];  // [out][in]
  const float* biases[kMaxLayers];   // [out] or nullptr
  float slope;                       // of the activation below 0
};

using MlpForward = void (*)(const Mlp&, const float* x, float* y, int64_t n);
// Adds to dw and db; dx and db[l] may be nullptr.
using MlpBackward = void (*)(
    const Mlp&, const float* x, const float* dy, float* dx, float* const* dw, float* const* db, int64_t n);

// Rays [begin, end): counts[r], and t of ray r from samples + r * max_samples on.
using March = void (*)(
    const Occupancy&, const RayBundle&, int64_t begin, int64_t end, int64_t* counts, float* samples);

struct RenderJob {
  Occupancy occupancy;
  RayBundle rays;
  Grid grid;
  const void* table;
  bool packed;  // bfloat16
  Mlp net;
  float density_bias, early_stop;
  Warp warp;
  float *features, *alpha, *depth;
};

using RenderRays = void (*)(const RenderJob&, int64_t begin, int64_t end);

// On n numbers, with the gradient `factor` * grad. `sparse`: numbers with grad = 0 are left alone.
using Adam = void (*)(
    const AdamNumbers&, float rate, float factor, float* p, const float* grad, float* m, float* v, int64_t n, bool sparse);

// As in ops/composite.h; dt may be nullptr. The forward writes the second line and weights, the backward reads the
// third and weights, and writes the fourth.
struct CompositeJob {
  const float *sigmas, *features, *t, *dt;
  float *features_out, *alpha, *depth, *weights;
  const float *grad_features, *grad_alpha, *grad_depth, *grad_weights;
  float *grad_sigmas, *grad_samples;
  const int64_t* offsets;
  int channels;
  float step, early_stop;
};

using Composite = void (*)(const CompositeJob&, int64_t first_ray, int64_t last_ray);

struct Kernels {
  HashEncode hash_encode_float, hash_encode_bfloat16;  // two features a vertex
  HashEncodeBackward hash_encode_backward;
  HashEncodePointGrad hash_encode_point_grad;
  MlpForward mlp_forward;
  MlpBackward mlp_backward;
  March march;
  RenderRays render_rays;
  Adam adam;
  Composite composite, composite_backward;
  splat::Kernels splats;
};

extern const Kernels kernels_avx512, kernels_avx2, kernels_portable;

// The kernels in use; nullptr where only the plain functors are wanted.
const Kernels* kernels();

// Those of the splats, which have no plain functors: with "plain" they are the portable ones.
const splat::Kernels& splat_kernels();

// Names of instruction sets: "avx512", "avx2", "portable" (no intrinsics), "plain" (the functors that CUDA runs
// too). "best" is the best of the first three that this machine has. Returns the name in use; an unknown name or
// one that this machine cannot run throws std::invalid_argument. The environment variable GTALK_ISA is the default,
// and a wrong name there is thrown by whatever needs the choice first.
std::string use_isa(const std::string& name);
std::string isa();

}  // namespace gtalk::simd
