// Hash-grid encoding, two features a vertex. Lanes are levels: a group is W of them, so that every table that a
// point needs is read at once and its features are written as they are stored.

struct Group {
  VF resolution;
  VF last_cell;  // 1.5 * 2^23 + resolution - 1
  VU step_y, step_z;
  VU dense;      // all ones where the level is dense
  VU mask;       // of entries; of 22 bits where the level is dense
  VU offset;
  int floats;    // to be stored
};

GTALK_INLINE int n_groups(const Grid& grid) { return (grid.n_levels + W - 1) / W; }

static void make_groups(const Grid& grid, Group* groups) {
  for (int g = 0; g < n_groups(grid); ++g) {
    Group& group = groups[g];
    const int left = grid.n_levels - g * W;
    group.floats = 2 * (left < W ? left : W);
    for (int i = 0; i < W; ++i) {
      const Level level = grid.levels[i < left ? g * W + i : 0];  // lanes beyond the last level are not stored
      const uint32_t side = static_cast<uint32_t>(level.resolution) + 1, dense = level.mask == 0 ? ~0u : 0u;
      group.resolution[i] = static_cast<float>(level.resolution);
      group.last_cell[i] = 12582911.f + static_cast<float>(level.resolution);
      group.step_y[i] = dense ? side : kPrimeY;
      group.step_z[i] = dense ? side * side : kPrimeZ;
      group.dense[i] = dense;
      group.mask[i] = dense ? (1u << 22) - 1u : level.mask;
      group.offset[i] = static_cast<uint32_t>(level.offset);
    }
  }
}

GTALK_INLINE float clamp_unit(float p) { return p > 0.f ? (p < 1.f ? p : 1.f) : 0.f; }

struct Axis {
  VU low;   // lower vertex, modulo 2^22
  VF frac;  // position above it, 0..1
};

// Adding 1.5 * 2^23 rounds x down to an integer (a whole x either way, which interpolates to the same), which the
// sum's bits show on top of 0x4b400000. That is 0 modulo 2^22, and stays so when it is multiplied: the masks of
// the entries remove it, so it need not be subtracted.
GTALK_INLINE Axis locate_axis(VF p, const Group& group) {
  const VF floor = min(multiply_add_down(p, group.resolution, 12582912.f), group.last_cell);
  return {reinterpret_cast<VU>(floor), multiply_add(p, group.resolution, 12582912.f - floor)};
}

// Rows of a cell: lines along x, each with the entries of its two vertices and its weight. The point is clamped.
template <int D>
struct Rows {
  static constexpr int count = D == 3 ? 4 : 2;
  VU low[count], high[count];
  VF weight[count];
  VF frac_x, frac_y, frac_z;
};

template <int D>
GTALK_INLINE Rows<D> locate_rows(const float* point, const Group& group) {
  Rows<D> rows;
  const Axis x = locate_axis(splat(point[0]), group);
  const Axis y = locate_axis(splat(point[1]), group);
  const VU y0 = y.low * group.step_y, y1 = y0 + group.step_y;
  rows.frac_x = x.frac;
  rows.frac_y = y.frac;
  VU line[4] = {y0, y1};
  if constexpr (D == 3) {
    const Axis z = locate_axis(splat(point[2]), group);
    const VU z0 = z.low * group.step_z, z1 = z0 + group.step_z;
    const VU ys[4] = {y0, y1, y0, y1}, zs[4] = {z0, z0, z1, z1};
    for (int r = 0; r < 4; ++r) line[r] = group.dense ? ys[r] + zs[r] : ys[r] ^ zs[r];
    rows.frac_z = z.frac;
    const VF both = y.frac * z.frac, only_y = y.frac - both, only_z = z.frac - both;
    rows.weight[0] = 1.f - y.frac - only_z;
    rows.weight[1] = only_y;
    rows.weight[2] = only_z;
    rows.weight[3] = both;
  } else {
    rows.weight[0] = 1.f - y.frac;
    rows.weight[1] = y.frac;
  }
  for (int r = 0; r < Rows<D>::count; ++r) {
    const VU entry = line[r] + x.low;
    rows.low[r] = (entry & group.mask) + group.offset;
    rows.high[r] = ((entry + 1) & group.mask) + group.offset;
  }
  return rows;
}

template <int D, bool Packed>
GTALK_INLINE Pair encode(const Rows<D>& rows, const void* table) {
  VF first[2] = {}, second[2] = {};  // feature, at the lower and the upper x
  for (int r = 0; r < Rows<D>::count; ++r) {
    const VU entries[2] = {rows.low[r], rows.high[r]};
    for (int side = 0; side < 2; ++side) {
      if constexpr (Packed) {
        const VU word = gather<4>(table, entries[side]);
        first[side] += rows.weight[r] * as_float(word << 16);
        second[side] += rows.weight[r] * as_float(word & 0xffff0000u);
      } else {
        first[side] += rows.weight[r] * as_float(gather<8>(table, entries[side]));
        second[side] += rows.weight[r] * as_float(gather<8>(static_cast<const float*>(table) + 1, entries[side]));
      }
    }
  }
  return interleave(first[0] + rows.frac_x * (first[1] - first[0]), second[0] + rows.frac_x * (second[1] - second[0]));
}

template <int D, bool Packed>
GTALK_INLINE void encode_point(const Group* groups, int count, const float* point, const void* table, float* to) {
  for (int g = 0; g < count; ++g, to += 2 * W) {
    const Pair features = encode<D, Packed>(locate_rows<D>(point, groups[g]), table);
    const int floats = groups[g].floats;
    if (floats == 2 * W) {
      store(to, features.low);
      store(to + W, features.high);
    } else {
      store_part(to, features.low, floats < W ? floats : W);
      if (floats > W) store_part(to + W, features.high, floats - W);
    }
  }
}

constexpr int BLOCK = 64;  // points whose coordinates are clamped together

template <int D, bool Packed>
static void encode_all(const Grid& grid, const float* points, const void* table, float* out, int64_t n) {
  Group groups[kMaxLevels / W];
  make_groups(grid, groups);
  const int count = n_groups(grid);
  float units[BLOCK * D];
  for (int64_t begin = 0; begin < n; begin += BLOCK) {
    const int size = static_cast<int>(n - begin < BLOCK ? n - begin : BLOCK);
    for (int i = 0; i < size * D; ++i) units[i] = clamp_unit(points[begin * D + i]);
    for (int i = 0; i < size; ++i)
      encode_point<D, Packed>(groups, count, units + i * D, table, out + (begin + i) * 2 * grid.n_levels);
  }
}

template <bool Packed>
static void hash_encode(const Grid& grid, const float* points, const void* table, float* out, int64_t n) {
  if (grid.dim == 2) {
    encode_all<2, Packed>(grid, points, table, out, n);
  } else {
    encode_all<3, Packed>(grid, points, table, out, n);
  }
}
