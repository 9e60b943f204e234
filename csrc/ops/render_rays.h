// A picture's rays in one go, for inference: march (march.h), encode (hash_encode.h), network (mlp.h) and composite
// (composite.h), without a sample ever being written to memory.
//
//   o = network(encode(point)),   x = o_0 + density_bias,   sigma dt = softplus(x), so that 1 - a = 1 / (1 + e^x)
//   features = sum w_i o_{1..C},   alpha = sum w_i,   depth = sum w_i t_i
//
// Rays as in march.h; points are encoded in the unit cube of aabb, moved there by an optional warp (common/warp.h);
// table [E, 2] float or bfloat16, 3D, up to 32 levels.
#pragma once

#include <ATen/ops/constant_pad_nd.h>
#include <torch/library.h>

#include <optional>
#include <tuple>

#include "../common/warp.h"
#include "hash_encode.h"
#include "march.h"
#include "mlp.h"

namespace gtalk {

template <class Table>
struct RenderRays {
  Occupancy occupancy;
  RayBundle rays;
  Grid grid;
  const Table* table;
  Net<float> net;
  float density_bias, early_stop;
  Warp warp;
  float *feature, *alpha, *depth;

  using Number = float;
  GTALK_HD int numbers() const { return net.numbers(); }
  GTALK_HD RenderRays staged(float* memory, int thread, int threads) const {
    RenderRays near = *this;
    near.net = net.staged(memory, thread, threads);
    return near;
  }

  GTALK_HD void operator()(int64_t r) const {
    const Walk walk = rays.walk(occupancy, r);
    const int channels = net.sizes[net.n_layers] - 1;
    float sum[kMaxWidth], memory[2][kMaxWidth];
    for (int c = 0; c < channels; ++c) sum[c] = 0.f;
    float transmittance = 1.f, opaque = 0.f, far = 0.f, t = 0.f;
    int i = walk.find(occupancy, 0, &t);
    for (int count = 0; i >= 0 && count < rays.max_samples && transmittance >= early_stop; ++count) {
      float point[3];
      walk.unit_point(occupancy, t, point);
      warp.apply(point);
      for (int l = 0; l < grid.n_levels; ++l)
        encode_level<float, Table, 3>(grid.levels[l], grid.n_features, point, table, memory[1] + l * grid.n_features);
      for (int l = 0; l < net.n_layers; ++l) net.layer(l, memory[1 - (l & 1)], memory[l & 1]);
      const float* out = memory[(net.n_layers - 1) & 1];
      const float one_minus_alpha = 1.f / (1.f + std::exp(out[0] + density_bias));
      const float w = transmittance * (1.f - one_minus_alpha);
      for (int c = 0; c < channels; ++c) sum[c] += w * out[c + 1];
      opaque += w;
      far += w * t;
      transmittance *= one_minus_alpha;
      i = walk.find(occupancy, i + 1, &t);
    }
    for (int c = 0; c < channels; ++c) feature[r * channels + c] = sum[c];
    alpha[r] = opaque;
    depth[r] = far;
  }
};

template <class Backend, class Table>
void run_render_rays(const RenderRays<Table>& job, const NetTensors& tensors, int64_t n) {
  if constexpr (Backend::is_cpu) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && simd_grid(job.grid)) {
      const simd::RenderJob fast_job{job.occupancy, job.rays, job.grid, job.table,
                                       std::is_same_v<Table, c10::BFloat16>, tensors.net<simd::Mlp, float>(0.0),
                                       job.density_bias, job.early_stop, job.warp, job.feature, job.alpha, job.depth};
      const int64_t piece = 1024;  // small: how many samples a ray takes varies over the picture
      Crew::get().run((n + piece - 1) / piece, [&](int64_t p, int) {
        kernels->render_rays(fast_job, p * piece, std::min(n, (p + 1) * piece));
      });
      return;
    }
  }
  Backend::for_each_staged(n, 20.0 * tensors.cost(), job);
}

template <class Backend>
std::tuple<at::Tensor, at::Tensor, at::Tensor> render_rays(
    const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& near, const at::Tensor& far,
    const at::Tensor& occupancy, const at::Tensor& aabb, double step, int64_t max_samples, const at::Tensor& table,
    at::IntArrayRef resolutions, int64_t log2_table_size, at::TensorList weights, at::TensorList biases,
    double density_bias, double early_stop, const std::optional<at::Tensor>& warp) {
  check_rays(origins, directions, near, far, occupancy, step, max_samples);
  const Grid grid = make_grid(3, table.size(1), resolutions, log2_table_size);
  check_shape("table", table, {grid.n_entries, grid.n_features});
  check_same_device({{"origins", origins}, {"table", table}, {"warp", warp}});
  const int64_t n = origins.size(0), inputs = grid.n_levels * grid.n_features;
  TORCH_CHECK_VALUE(inputs <= kMaxWidth, "resolutions: expected at most ", kMaxWidth, " features; got ", inputs, ".");
  const c10::OptionalDeviceGuard guard(origins.device());
  const NetTensors tensors(at::empty({0, inputs}, origins.options()), weights, biases);
  const int64_t channels = tensors.sizes[weights.size()] - 1;
  const at::Tensor o = origins.contiguous(), d = directions.contiguous(), a = near.contiguous(), b = far.contiguous();
  const at::Tensor from = table.contiguous();
  at::Tensor control;
  if (warp) {
    const int64_t cells = warp->size(-1);
    check_shape("warp", *warp, {3, cells, cells, cells});
    check_dtype("warp", *warp, at::kFloat);
    TORCH_CHECK_VALUE(cells >= 2, "warp: expected at least 2 control points a side; got ", cells, ".");
    control = at::constant_pad_nd(warp->permute({1, 2, 3, 0}), {0, 1}).contiguous();
  }
  const Warp bend{warp ? control.const_data_ptr<float>() : nullptr, warp ? static_cast<int>(control.size(0)) : 0};
  const OccupancyTensors boxes = make_occupancy<Backend>(occupancy, aabb);
  at::Tensor feature = at::empty({n, channels}, origins.options());
  at::Tensor alpha = at::empty({n}, origins.options()), depth = at::empty({n}, origins.options());
  const RayBundle rays{o.const_data_ptr<float>(), d.const_data_ptr<float>(), a.const_data_ptr<float>(),
                       b.const_data_ptr<float>(), nullptr, static_cast<float>(step),
                       static_cast<int>(std::min<int64_t>(max_samples, kMaxSteps))};
  const auto run = [&](auto* entries) {
    using Table = std::remove_const_t<std::remove_pointer_t<decltype(entries)>>;
    const RenderRays<Table> job{boxes.grid, rays, grid, entries, tensors.net<Net<float>, float>(0.0),
                                static_cast<float>(density_bias), static_cast<float>(early_stop), bend,
                                feature.mutable_data_ptr<float>(), alpha.mutable_data_ptr<float>(),
                                depth.mutable_data_ptr<float>()};
    run_render_rays<Backend>(job, tensors, n);
  };
  if (table.scalar_type() == at::kBFloat16) {
    run(from.const_data_ptr<c10::BFloat16>());
  } else {
    check_dtype("table", table, at::kFloat);
    run(from.const_data_ptr<float>());
  }
  return {feature, alpha, depth};
}

template <class Backend>
void register_render_rays(torch::Library& m) {
  m.impl("render_rays", &render_rays<Backend>);
}

}  // namespace gtalk
