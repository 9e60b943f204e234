// Gradients of the table and of the points, two features a vertex. For the table lanes are points: for each level of
// a block of points the entries are found W at a time, and then added to one point after the other, two neighbouring
// vertices at once. For the points lanes are levels, as in hash_encode.inl.

typedef float V4 __attribute__((vector_size(16)));
typedef float V4u __attribute__((vector_size(16), aligned(4), may_alias));

struct Block {
  float unit[3][BLOCK];     // coordinates of the points that have a gradient
  const float* grad[BLOCK]; // their rows
  int size;
};

struct BlockRows {
  uint32_t entry[4][BLOCK];  // of the lower vertex, within the level
  float weight[4][BLOCK], frac_x[BLOCK];
};

template <int D>
GTALK_INLINE void rows_of_block(const Block& block, const Level& level, BlockRows& rows) {
  Group group;  // the same level in all lanes
  const uint32_t side = static_cast<uint32_t>(level.resolution) + 1;
  const bool dense = level.mask == 0;
  group.resolution = splat(static_cast<float>(level.resolution));
  group.last_cell = splat(12582911.f + static_cast<float>(level.resolution));
  const VU step_y = splat(dense ? side : kPrimeY), step_z = splat(dense ? side * side : kPrimeZ);
  const VU mask = splat(dense ? (1u << 22) - 1u : level.mask);
  for (int i = 0; i < block.size; i += W) {
    const Axis x = locate_axis(load(block.unit[0] + i), group), y = locate_axis(load(block.unit[1] + i), group);
    const VU y0 = y.low * step_y, y1 = y0 + step_y;
    store(rows.frac_x + i, x.frac);
    if constexpr (D == 3) {
      const Axis z = locate_axis(load(block.unit[2] + i), group);
      const VU z0 = z.low * step_z, z1 = z0 + step_z;
      const VU ys[4] = {y0, y1, y0, y1}, zs[4] = {z0, z0, z1, z1};
      const VF both = y.frac * z.frac, only_y = y.frac - both, only_z = z.frac - both;
      const VF weights[4] = {1.f - y.frac - only_z, only_y, only_z, both};
      for (int r = 0; r < 4; ++r) {
        const VU line = dense ? ys[r] + zs[r] : ys[r] ^ zs[r];
        store(rows.entry[r] + i, (line + x.low) & mask);
        store(rows.weight[r] + i, weights[r]);
      }
    } else {
      store(rows.entry[0] + i, (y0 + x.low) & mask);
      store(rows.entry[1] + i, (y1 + x.low) & mask);
      store(rows.weight[0] + i, 1.f - y.frac);
      store(rows.weight[1] + i, y.frac);
    }
  }
}

template <int D>
static void scatter_block(const Block& block, const Level& level, int l, float* table_grad) {
  BlockRows rows;
  rows_of_block<D>(block, level, rows);
  const uint32_t wrap = level.mask ? level.mask : ~0u;
  float* base = table_grad + 2 * level.offset;
  for (int i = 0; i < block.size; ++i) {
    const float g0 = block.grad[i][2 * l], g1 = block.grad[i][2 * l + 1], x = rows.frac_x[i];
    const V4 along_x = V4{g0, g1, g0, g1} * V4{1.f - x, 1.f - x, x, x};
    for (int r = 0; r < (D == 3 ? 4 : 2); ++r) {
      const uint32_t entry = rows.entry[r][i];
      const V4 add = along_x * rows.weight[r][i];
      if (__builtin_expect(entry == wrap, 0)) {  // the upper vertex is entry 0
        base[2 * entry] += add[0];
        base[2 * entry + 1] += add[1];
        base[0] += add[2];
        base[1] += add[3];
      } else {
        V4u* to = reinterpret_cast<V4u*>(base + 2 * entry);
        *to = *to + add;
      }
    }
  }
}

template <int D>
static void backward_all(
    const Grid& grid, const float* points, const float* grad, float* table_grad, int64_t n, int64_t first, int64_t last) {
  const int64_t row = 2 * grid.n_levels;
  Block block;
  std::memset(block.unit, 0, sizeof block.unit);
  for (int64_t i = 0; i < n;) {
    block.size = 0;
    for (; i < n && block.size < BLOCK; ++i) {
      const float* g = grad + i * row;
      bool any = false;  // samples behind a surface have none
      for (int64_t j = 2 * first; j < 2 * last; ++j) any |= g[j] != 0.f;
      if (!any) continue;
      for (int d = 0; d < D; ++d) block.unit[d][block.size] = clamp_unit(points[i * D + d]);
      block.grad[block.size++] = g;
    }
    for (int64_t l = first; l < last; ++l) scatter_block<D>(block, grid.levels[l], static_cast<int>(l), table_grad);
  }
}

static void hash_encode_backward(
    const Grid& grid, const float* points, const float* grad, float* table_grad, int64_t n, int64_t first, int64_t last) {
  if (grid.dim == 2) {
    backward_all<2>(grid, points, grad, table_grad, n, first, last);
  } else {
    backward_all<3>(grid, points, grad, table_grad, n, first, last);
  }
}

// Gradients of the features of W levels from `from` on, first and second apart; 0 for levels beyond the grid's.
GTALK_INLINE Pair gradients_of_levels(const float* from, int floats) {
  VF low{}, high{};
  if (floats == 2 * W) {
    low = load(from);
    high = load(from + W);
  } else {
    low = load_part(from, floats < W ? floats : W);
    if (floats > W) high = load_part(from + W, floats - W);
  }
  return deinterleave(low, high);
}

// What the lines along x of a cell say of the gradient: the loss at the cell's corners is `dot`, and linear between.
template <int D>
GTALK_INLINE void add_slopes(const Rows<D>& rows, const Group& group, Pair g, const float* table, VF* sums) {
  VF line[Rows<D>::count], along_x{};
  for (int r = 0; r < Rows<D>::count; ++r) {
    VF dot[2];
    const VU entries[2] = {rows.low[r], rows.high[r]};
    for (int side = 0; side < 2; ++side)
      dot[side] = g.low * as_float(gather<8>(table, entries[side])) +
                  g.high * as_float(gather<8>(table + 1, entries[side]));
    const VF rise = dot[1] - dot[0];
    along_x += rows.weight[r] * rise;
    line[r] = dot[0] + rows.frac_x * rise;
  }
  sums[0] += group.resolution * along_x;
  VF along_y = line[1] - line[0];
  if constexpr (D == 3) {
    const VF far_y = line[3] - line[2], near_z = line[2] - line[0], far_z = line[3] - line[1];
    along_y += rows.frac_z * (far_y - along_y);
    sums[2] += group.resolution * (near_z + rows.frac_y * (far_z - near_z));
  }
  sums[1] += group.resolution * along_y;
}

template <int D>
static void point_gradients(
    const Grid& grid, const float* points, const float* table, const float* grad, float* point_grad, int64_t n) {
  Group groups[kMaxLevels / W];
  make_groups(grid, groups);
  const int count = n_groups(grid);
  for (int64_t i = 0; i < n; ++i) {
    const float* point = points + i * D;
    float unit[D];
    for (int d = 0; d < D; ++d) unit[d] = clamp_unit(point[d]);
    VF sums[3] = {};
    for (int g = 0; g < count; ++g) {
      const Pair of_levels = gradients_of_levels(grad + (i * grid.n_levels + g * W) * 2, groups[g].floats);
      if (!any((of_levels.low != 0.f) | (of_levels.high != 0.f))) continue;  // samples behind a surface have none
      add_slopes<D>(locate_rows<D>(unit, groups[g]), groups[g], of_levels, table, sums);
    }
    for (int d = 0; d < D; ++d) point_grad[i * D + d] = point[d] >= 0.f && point[d] <= 1.f ? horizontal_sum(sums[d]) : 0.f;
  }
}

static void hash_encode_point_grad(
    const Grid& grid, const float* points, const float* table, const float* grad, float* point_grad, int64_t n) {
  if (grid.dim == 2) {
    point_gradients<2>(grid, points, table, grad, point_grad, n);
  } else {
    point_gradients<3>(grid, points, table, grad, point_grad, n);
  }
}
