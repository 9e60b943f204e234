// Samples along rays in the occupied cells of a grid.
//
//   t_i = near + (i + jitter) * step,   taken where t_i < far and the cell of origin + t_i * direction is occupied
//
// origins, directions [R, 3] (any unit; t is in units of a direction's length), near, far, jitter [R], occupancy
// [G, G, G] uint8 over the box aabb [2, 3]. Result: t [S], ray [S] int32, offsets [R + 1] int64. Empty cells are
// crossed in one go (Amanatides & Woo 1987), but every lattice point that is taken passed the same test. aabb is read on
// the host: a copy of it on a GPU is waited for. With a capacity S is that, and nobody waits for the count: what is
// beyond it belongs to no ray, what is left of it is t = 0, ray = -1.
#pragma once

#include <ATen/ops/clamp.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>

#include "../common/check.h"
#include "../common/parallel_for.h"
#include "../common/rays.h"
#include "../simd/kernels.h"

namespace gtalk {

struct MarchCount {
  Occupancy grid;
  RayBundle rays;
  int64_t* counts;

  GTALK_HD void operator()(int64_t r) const {
    const Walk walk = rays.walk(grid, r);
    int count = 0;
    float t = 0.f;
    for (int i = walk.find(grid, 0, &t); i >= 0 && count < rays.max_samples; i = walk.find(grid, i + 1, &t)) ++count;
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
      i = walk.find(grid, i + 1, &found);
      t[k] = found;
      ray[k] = static_cast<int32_t>(r);
    }
  }
};

// An occupancy grid with its blocks, kept alive.
struct OccupancyTensors {
  at::Tensor cells, blocks, bits;
  Occupancy grid;
};

template <class Backend>
OccupancyTensors make_occupancy(const at::Tensor& occupancy, const at::Tensor& aabb) {
  check_shape("occupancy", occupancy, {-1, -1, -1});
  check_dtype("occupancy", occupancy, at::kByte);
  check_shape("aabb", aabb, {2, 3});
  check_dtype("aabb", aabb, at::kFloat);
  OccupancyTensors made{occupancy.contiguous(), {}, {}, {}};
  const at::Tensor box = aabb.cpu().contiguous();
  const float* corners = box.const_data_ptr<float>();
  Occupancy& grid = made.grid;
  for (int d = 0; d < 3; ++d) {
    grid.size[d] = static_cast<int>(occupancy.size(d));
    grid.n_blocks[d] = (grid.size[d] + kBlock - 1) / kBlock;
    grid.low[d] = corners[d];
    grid.scale[d] = static_cast<float>(grid.size[d]) / (corners[d + 3] - corners[d]);
    grid.inverse_size[d] = 1.f / static_cast<float>(grid.size[d]);
  }
  const int64_t blocks = static_cast<int64_t>(grid.n_blocks[0]) * grid.n_blocks[1] * grid.n_blocks[2];
  made.blocks = at::empty({blocks + 4}, occupancy.options());
  grid.cells = made.cells.const_data_ptr<uint8_t>();
  grid.blocks = made.blocks.const_data_ptr<uint8_t>();
  Backend::for_each(blocks, 30.0, FillBlocks{grid, made.blocks.mutable_data_ptr<uint8_t>()});
  if constexpr (Backend::is_cpu) {
    grid.bit_words = (grid.size[2] + 31) / 32;
    const int64_t rows = static_cast<int64_t>(grid.size[0]) * grid.size[1];
    made.bits = at::empty({rows * grid.bit_words + 1}, occupancy.options().dtype(at::kInt));
    auto* bits = reinterpret_cast<uint32_t*>(made.bits.mutable_data_ptr<int32_t>());
    grid.bits = bits;
    Backend::for_each(rows, 0.5 * grid.size[2], FillBits{grid, bits});
  }
  return made;
}

inline void check_rays(const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& near,
                       const at::Tensor& far, const at::Tensor& occupancy, double step, int64_t max_samples) {
  const int64_t rays = origins.size(0);
  check_shape("origins", origins, {-1, 3});
  check_shape("directions", directions, {rays, 3});
  check_shape("near", near, {rays});
  check_shape("far", far, {rays});
  for (const at::Tensor& tensor : {origins, directions, near, far}) check_dtype("rays", tensor, at::kFloat);
  check_same_device({{"origins", origins}, {"directions", directions}, {"near", near}, {"far", far}, {"occupancy", occupancy}});
  TORCH_CHECK_VALUE(step > 0, "step: expected a positive number; got ", step, ".");
  TORCH_CHECK_VALUE(max_samples > 0, "max_samples: expected a positive number; got ", max_samples, ".");
}

struct MarchCopy {
  const float* found;  // [R, max_samples]
  int64_t max_samples;
  const int64_t* offsets;
  float* t;
  int32_t* ray;

  void operator()(int64_t r) const {
    for (int64_t k = offsets[r]; k < offsets[r + 1]; ++k) {
      t[k] = found[r * max_samples + k - offsets[r]];
      ray[k] = static_cast<int32_t>(r);
    }
  }
};

// t and ray of so many samples; of a whole capacity where there is one.
inline std::tuple<at::Tensor, at::Tensor> march_outputs(
    const at::Tensor& like, int64_t samples, const std::optional<int64_t>& capacity) {
  const auto numbers = like.options().dtype(at::kInt);
  if (!capacity) return {at::empty({samples}, like.options()), at::empty({samples}, numbers)};
  return {at::zeros({*capacity}, like.options()), at::full({*capacity}, -1, numbers)};
}

// Every ray is walked once; its samples are then copied to their place.
template <class Backend>
std::tuple<at::Tensor, at::Tensor, at::Tensor> march_simd(
    const simd::Kernels& kernels, const Occupancy& grid, const RayBundle& rays, int64_t n, const at::Tensor& like,
    const std::optional<int64_t>& capacity) {
  at::Tensor found = at::empty({n * rays.max_samples}, like.options());
  at::Tensor offsets = at::empty({n + 1}, like.options().dtype(at::kLong));
  auto* samples = found.mutable_data_ptr<float>();
  auto* ends = offsets.mutable_data_ptr<int64_t>();
  ends[0] = 0;
  Backend::for_ranges(n, 100.0, [&](int64_t begin, int64_t end) {
    kernels.march(grid, rays, begin, end, ends + 1, samples);
  });
  for (int64_t r = 0; r < n; ++r) ends[r + 1] += ends[r];
  if (capacity)
    for (int64_t r = 1; r <= n; ++r) ends[r] = std::min(ends[r], *capacity);
  auto [t, ray] = march_outputs(like, ends[n], capacity);
  Backend::for_each(n, 20.0, MarchCopy{samples, rays.max_samples, ends, t.mutable_data_ptr<float>(),
                                       ray.mutable_data_ptr<int32_t>()});
  return {t, ray, offsets};
}

template <class Backend>
std::tuple<at::Tensor, at::Tensor, at::Tensor> march(
    const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& near, const at::Tensor& far,
    const at::Tensor& occupancy, const at::Tensor& aabb, double step, int64_t max_samples,
    const std::optional<at::Tensor>& jitter, const std::optional<int64_t>& capacity) {
  check_rays(origins, directions, near, far, occupancy, step, max_samples);
  TORCH_CHECK_VALUE(!capacity || *capacity >= 0, "capacity: expected a number from 0; got ", *capacity, ".");
  const c10::OptionalDeviceGuard guard(origins.device());
  const int64_t n = origins.size(0);
  const at::Tensor o = origins.contiguous(), d = directions.contiguous(), a = near.contiguous(), b = far.contiguous();
  at::Tensor shift;
  if (jitter) {
    check_shape("jitter", *jitter, {n});
    check_dtype("jitter", *jitter, at::kFloat);
    check_same_device({{"origins", origins}, {"jitter", *jitter}});
    shift = jitter->contiguous();
  }
  const OccupancyTensors boxes = make_occupancy<Backend>(occupancy, aabb);
  const Occupancy& grid = boxes.grid;
  const RayBundle rays{o.const_data_ptr<float>(), d.const_data_ptr<float>(), a.const_data_ptr<float>(),
                       b.const_data_ptr<float>(), jitter ? shift.const_data_ptr<float>() : nullptr,
                       static_cast<float>(step), static_cast<int>(std::min<int64_t>(max_samples, 1 << 30))};
  if constexpr (Backend::is_cpu) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && n * rays.max_samples < int64_t{1} << 26) 
      return march_simd<Backend>(*kernels, grid, rays, n, origins, capacity);
  }
  const double cost = 200.0;
  at::Tensor offsets = at::zeros({n + 1}, origins.options().dtype(at::kLong));
  at::Tensor counts = offsets.narrow(0, 1, n);
  Backend::for_each(n, cost, MarchCount{grid, rays, counts.mutable_data_ptr<int64_t>()});
  const at::Tensor ends = at::cumsum(counts, 0);
  counts.copy_(capacity ? at::clamp(ends, std::nullopt, at::Scalar(*capacity)) : ends);
  const int64_t total = n > 0 && !capacity ? offsets[n].template item<int64_t>() : 0;
  auto [t, ray] = march_outputs(origins, total, capacity);
  Backend::for_each(n, cost, MarchFill{grid, rays, offsets.const_data_ptr<int64_t>(), t.mutable_data_ptr<float>(),
                                       ray.mutable_data_ptr<int32_t>()});
  return {t, ray, offsets};
}

template <class Backend>
void register_march(torch::Library& m) {
  m.impl("march", &march<Backend>);
}

}  // namespace gtalk
