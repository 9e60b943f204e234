// Multi-resolution hash-grid encoding (Mueller et al. 2022) of points p in [0,1]^D, D = 2 or 3.
//
//   level l with r cells along each axis:  x = clamp(p, 0, 1) * r,  cell = min(floor(x), r - 1),  u = x - cell
//   out[n, l*F + f] = sum over the 2^D corners b of  prod_d (b_d ? u_d : 1 - u_d) * table[offset_l + entry(cell + b), f]
//   entry(x, y, z)  = x + s y + s^2 z  with s = r + 1, where that fits into the 2^log2 entries of a level (dense);
//                     (x + (y * P1 ^ z * P2)) mod 2^log2 otherwise.
//
// points [N, D], table [E, F], out [N, L*F]. Nothing has units. Points outside the cube have no gradient.
#pragma once

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <tuple>

#include "../common/atomic.h"
#include "../common/check.h"
#include "../common/grid.h"
#include "../common/load.h"
#include "../common/parallel_for.h"
#include "../simd/kernels.h"

namespace gtalk {

template <class T>
GTALK_HD T read(const T* from) {
  return *from;
}
GTALK_HD float read(const c10::BFloat16* from) { return static_cast<float>(*from); }

// One level of one point: its n_features numbers.
template <class T, class Table, int D>
GTALK_HD void encode_level(const Level& level, int n_features, const T* point, const Table* table, T* to) {
  const Cell<T, D> cell = locate<T, D>(point, level);
  if (n_features == 2) {
    Two<T> sum{0, 0};
    for (int corner = 0; corner < (1 << D); ++corner) {
      const Two<T> from = load_two(table + (level.offset + corner_entry(cell, corner, level)) * 2);
      const T weight = corner_weight(cell, corner);
      sum.a += weight * from.a;
      sum.b += weight * from.b;
    }
    to[0] = sum.a;
    to[1] = sum.b;
    return;
  }
  for (int f = 0; f < n_features; ++f) {
    T sum = 0;
    for (int corner = 0; corner < (1 << D); ++corner)
      sum += corner_weight(cell, corner) * read(table + (level.offset + corner_entry(cell, corner, level)) * n_features + f);
    to[f] = sum;
  }
}

// Level by level, so that on CUDA the blocks at work read one level's table, which stays in the cache.
template <class T, class Table, int D>
struct HashEncode {
  Grid grid;
  const T* points;
  const Table* table;
  T* out;

  GTALK_HD void operator()(int64_t l, int64_t n) const {
    T* to = out + (n * grid.n_levels + l) * grid.n_features;
    encode_level<T, Table, D>(grid.levels[l], grid.n_features, points + n * D, table, to);
  }
};

template <class T, int D>
struct HashEncodeTableGrad {
  Grid grid;
  const T* points;
  const T* grad;
  T* table_grad;

  GTALK_HD void operator()(int64_t l, int64_t n) const {
    const Level level = grid.levels[l];
    const Cell<T, D> cell = locate<T, D>(points + n * D, level);
    const T* g = grad + (n * grid.n_levels + l) * grid.n_features;
    for (int corner = 0; corner < (1 << D); ++corner) {
      T* to = table_grad + (level.offset + corner_entry(cell, corner, level)) * grid.n_features;
      const T weight = corner_weight(cell, corner);
      if (grid.n_features == 2) {
        add_two(to, weight * g[0], weight * g[1]);
      } else {
        for (int f = 0; f < grid.n_features; ++f) add_to(to + f, weight * g[f]);
      }
    }
  }
};

template <class T, int D>
struct HashEncodePointGrad {
  Grid grid;
  const T* points;
  const T* table;
  const T* grad;
  T* point_grad;

  GTALK_HD void operator()(int64_t n) const {
    T sum[D] = {};
    for (int l = 0; l < grid.n_levels; ++l) {
      const Level level = grid.levels[l];
      const Cell<T, D> cell = locate<T, D>(points + n * D, level);
      const T* g = grad + (n * grid.n_levels + l) * grid.n_features;
      for (int corner = 0; corner < (1 << D); ++corner) {
        const T* from = table + (level.offset + corner_entry(cell, corner, level)) * grid.n_features;
        T dot = 0;
        for (int f = 0; f < grid.n_features; ++f) dot += g[f] * from[f];
        for (int d = 0; d < D; ++d) sum[d] += corner_slope(cell, corner, d) * dot * static_cast<T>(level.resolution);
      }
    }
    for (int d = 0; d < D; ++d) {
      const T p = points[n * D + d];
      point_grad[n * D + d] = p >= 0 && p <= 1 ? sum[d] : static_cast<T>(0);
    }
  }
};

// What the vectorised kernels can do.
inline bool simd_grid(const Grid& grid) {
  bool small = grid.n_features == 2;
  for (int l = 0; l < grid.n_levels; ++l) small &= grid.levels[l].size <= 1u << 22;
  return small;
}

template <class Backend, class T, class Table>
void run_hash_encode(const Grid& grid, const at::Tensor& points, const at::Tensor& table, at::Tensor& out) {
  const auto* p = points.const_data_ptr<T>();
  const auto* from = table.const_data_ptr<Table>();
  auto* to = out.mutable_data_ptr<T>();
  const double cost = 10.0;
  if constexpr (Backend::is_cpu && std::is_same_v<T, float>) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && simd_grid(grid)) {
      const auto kernel =
          std::is_same_v<Table, float> ? kernels->hash_encode_float : kernels->hash_encode_bfloat16;
      Backend::for_ranges(points.size(0), 2.0 * grid.n_levels, [&](int64_t begin, int64_t end) {
        kernel(grid, p + begin * grid.dim, from, to + begin * grid.n_levels * grid.n_features, end - begin);
      });
      return;
    }
  }
  if (grid.dim == 2) {
    Backend::for_rows(grid.n_levels, points.size(0), cost, HashEncode<T, Table, 2>{grid, p, from, to});
  } else {
    Backend::for_rows(grid.n_levels, points.size(0), cost, HashEncode<T, Table, 3>{grid, p, from, to});
  }
}

template <class Backend>
at::Tensor hash_encode(
    const at::Tensor& points, const at::Tensor& table, at::IntArrayRef resolutions, int64_t log2_table_size) {
  const Grid grid = make_grid(points.size(1), table.size(1), resolutions, log2_table_size);
  check_shape("table", table, {grid.n_entries, grid.n_features});
  const auto dtype = table.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  check_dtype("points", points, dtype);
  check_same_device({{"points", points}, {"table", table}});
  const c10::OptionalDeviceGuard guard(points.device());
  const at::Tensor p = points.contiguous(), from = table.contiguous();
  at::Tensor out = at::empty({points.size(0), grid.n_levels * grid.n_features}, points.options());
  if (table.scalar_type() == at::kDouble) {
    run_hash_encode<Backend, double, double>(grid, p, from, out);
  } else if (table.scalar_type() == at::kBFloat16) {
    run_hash_encode<Backend, float, c10::BFloat16>(grid, p, from, out);
  } else {
    check_dtype("table", table, at::kFloat);
    run_hash_encode<Backend, float, float>(grid, p, from, out);
  }
  return out;
}

template <class Backend, class T, int D>
void run_hash_encode_backward(
    const Grid& grid, const at::Tensor& grad, const at::Tensor& points, const at::Tensor& table, at::Tensor& table_grad,
    at::Tensor& point_grad) {
  const int64_t n = points.size(0);
  const auto* p = points.const_data_ptr<T>();
  const auto* g = grad.const_data_ptr<T>();
  if (table_grad.defined()) {
    auto* to = table_grad.mutable_data_ptr<T>();
    bool done = false;
    if constexpr (Backend::is_cpu && std::is_same_v<T, float>) {
      const simd::Kernels* kernels = simd::kernels();
      if (kernels && kernels->hash_encode_backward && simd_grid(grid)) {
        // whoever has a run of levels reads only their part of each row of grad: so the runs are long
        Backend::for_ranges(grid.n_levels, 15.0 * n + 1.0, [&](int64_t begin, int64_t end) {
          kernels->hash_encode_backward(grid, p, g, to, n, begin, end);
        }, 2);
        done = true;
      }
    }
    if (!done) Backend::for_rows(grid.n_levels, n, 20.0, HashEncodeTableGrad<T, D>{grid, p, g, to});
  }
  if (point_grad.defined()) {
    auto* to = point_grad.mutable_data_ptr<T>();
    const auto* from = table.const_data_ptr<T>();
    if constexpr (Backend::is_cpu && std::is_same_v<T, float>) {
      const simd::Kernels* kernels = simd::kernels();
      if (kernels && simd_grid(grid)) {
        Backend::for_ranges(n, 4.0 * grid.n_levels, [&](int64_t begin, int64_t end) {
          kernels->hash_encode_point_grad(
              grid, p + begin * D, from, g + begin * grid.n_levels * 2, to + begin * D, end - begin);
        });
        return;
      }
    }
    Backend::for_each(n, 20.0 * grid.n_levels, HashEncodePointGrad<T, D>{grid, p, from, g, to});
  }
}

template <class Backend>
std::tuple<at::Tensor, at::Tensor> hash_encode_backward(
    const at::Tensor& grad, const at::Tensor& points, const at::Tensor& table, at::IntArrayRef resolutions,
    int64_t log2_table_size, bool need_points, bool need_table) {
  const Grid grid = make_grid(points.size(1), table.size(1), resolutions, log2_table_size);
  check_shape("table", table, {grid.n_entries, grid.n_features});
  check_shape("grad", grad, {points.size(0), grid.n_levels * grid.n_features});
  check_dtype("table", table, grad.scalar_type());
  check_dtype("points", points, grad.scalar_type());
  check_same_device({{"points", points}, {"table", table}, {"grad", grad}});
  const c10::OptionalDeviceGuard guard(points.device());
  const at::Tensor g = grad.contiguous(), p = points.contiguous(), from = table.contiguous();
  at::Tensor point_grad = at::empty({need_points ? points.size(0) : 0, grid.dim}, points.options());
  at::Tensor table_grad = need_table ? at::zeros_like(from) : at::empty({0, grid.n_features}, table.options());
  at::Tensor no_points, no_table;
  at::Tensor& to_points = need_points ? point_grad : no_points;
  at::Tensor& to_table = need_table ? table_grad : no_table;
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "hash_encode_backward", [&] {
    if (grid.dim == 2) {
      run_hash_encode_backward<Backend, scalar_t, 2>(grid, g, p, from, to_table, to_points);
    } else {
      run_hash_encode_backward<Backend, scalar_t, 3>(grid, g, p, from, to_table, to_points);
    }
  });
  return {point_grad, table_grad};
}

template <class Backend>
void register_hash_encode(torch::Library& m) {
  m.impl("hash_encode", &hash_encode<Backend>);
  m.impl("hash_encode_backward", &hash_encode_backward<Backend>);
}

}  // namespace gtalk
