// Samples along rays in the occupied cells of a grid.
//
//   t_i = near + (i + jitter) * step,   taken where t_i < far and the cell of origin + t_i * direction is occupied
//
// origins, directions [R, 3] (any unit; t is in units of a direction's length), near, far, jitter [R], occupancy
// [G, G, G] uint8 over the box aabb [2, 3]. Result: t [S], ray [S] int32, offsets [R + 1] int64. Empty cells are
// crossed in one go (Amanatides & Woo 1987), but every lattice point that is taken passed the same test.
#pragma once

#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>

#include "../common/check.h"
#include "../common/parallel_for.h"
#include "../common/rays.h"

namespace gtalk {

struct MarchCount {
  Occupancy grid;
  RayBundle rays;
  int64_t* counts;

  GTALK_HD void operator()(int64_t r) const {
    const Walk walk = rays.walk(grid, r);
    int count = 0;
    float t = 0.f;
    for (int i = walk.find(0, &t); i >= 0 && count < rays.max_samples; i = walk.find(i + 1, &t)) ++count;
    counts[r] = count;
  }
};

struct MarchFill {
  Occupancy grid;
  RayBundle rays;
  const int64_t* offsets;
  float* t;
  int32_t* ray;

  GTALK_HD void operator()(int64_t r) const {
    const Walk walk = rays.walk(grid, r);
    float found = 0.f;
    int i = -1;
    for (int64_t k = offsets[r]; k < offsets[r + 1]; ++k) {
      i = walk.find(i + 1, &found);
      t[k] = found;
      ray[k] = static_cast<int32_t>(r);
    }
  }
};

inline Occupancy make_occupancy(const at::Tensor& occupancy, const at::Tensor& aabb) {
  check_shape("occupancy", occupancy, {-1, -1, -1});
  check_dtype("occupancy", occupancy, at::kByte);
  check_shape("aabb", aabb, {2, 3});
  check_dtype("aabb", aabb, at::kFloat);
  const at::Tensor box = aabb.cpu().contiguous();
  const float* corners = box.const_data_ptr<float>();
  Occupancy grid{occupancy.const_data_ptr<uint8_t>(), {}, {}, {}, {}};
  for (int d = 0; d < 3; ++d) {
    grid.size[d] = static_cast<int>(occupancy.size(d));
    grid.low[d] = corners[d];
    grid.inverse_size[d] = 1.f / static_cast<float>(grid.size[d]);
    grid.scale[d] = static_cast<float>(grid.size[d]) / (corners[d + 3] - corners[d]);
  }
  return grid;
}

inline void check_rays(const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& near,
                       const at::Tensor& far, double step, int64_t max_samples) {
  const int64_t rays = origins.size(0);
  check_shape("origins", origins, {-1, 3});
  check_shape("directions", directions, {rays, 3});
  check_shape("near", near, {rays});
  check_shape("far", far, {rays});
  for (const at::Tensor& tensor : {origins, directions, near, far}) check_dtype("rays", tensor, at::kFloat);
  TORCH_CHECK_VALUE(step > 0, "step: expected a positive number; got ", step, ".");
  TORCH_CHECK_VALUE(max_samples > 0, "max_samples: expected a positive number; got ", max_samples, ".");
}

template <class Backend>
std::tuple<at::Tensor, at::Tensor, at::Tensor> march(
    const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& near, const at::Tensor& far,
    const at::Tensor& occupancy, const at::Tensor& aabb, double step, int64_t max_samples,
    const std::optional<at::Tensor>& jitter) {
  check_rays(origins, directions, near, far, step, max_samples);
  const c10::OptionalDeviceGuard guard(origins.device());
  const int64_t n = origins.size(0);
  const at::Tensor o = origins.contiguous(), d = directions.contiguous(), a = near.contiguous(), b = far.contiguous();
  const at::Tensor cells = occupancy.contiguous();
  at::Tensor shift;
  if (jitter) {
    check_shape("jitter", *jitter, {n});
    check_dtype("jitter", *jitter, at::kFloat);
    shift = jitter->contiguous();
  }
  const Occupancy grid = make_occupancy(cells, aabb);
  const RayBundle rays{o.const_data_ptr<float>(), d.const_data_ptr<float>(), a.const_data_ptr<float>(),
                       b.const_data_ptr<float>(), jitter ? shift.const_data_ptr<float>() : nullptr,
                       static_cast<float>(step), static_cast<int>(std::min<int64_t>(max_samples, 1 << 30))};
  const double cost = 200.0;
  at::Tensor offsets = at::zeros({n + 1}, origins.options().dtype(at::kLong));
  at::Tensor counts = offsets.narrow(0, 1, n);
  Backend::for_each(n, cost, MarchCount{grid, rays, counts.mutable_data_ptr<int64_t>()});
  counts.copy_(at::cumsum(counts, 0));
  const int64_t total = n > 0 ? offsets[n].template item<int64_t>() : 0;
  at::Tensor t = at::empty({total}, origins.options());
  at::Tensor ray = at::empty({total}, origins.options().dtype(at::kInt));
  Backend::for_each(n, cost, MarchFill{grid, rays, offsets.const_data_ptr<int64_t>(), t.mutable_data_ptr<float>(),
                                       ray.mutable_data_ptr<int32_t>()});
  return {t, ray, offsets};
}

template <class Backend>
void register_march(torch::Library& m) {
  m.impl("march", &march<Backend>);
}

}  // namespace gtalk
