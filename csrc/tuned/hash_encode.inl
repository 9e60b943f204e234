// Hash-grid encoding, two features a vertex. Lanes are levels: a group is W / 2 levels, each in two neighbouring
// lanes, so that a point's features come out side by side, as they are stored.
//
// Vertices x and x + 1 are neighbours in memory (see common/grid.h). In a packed table both are one 64-bit word:
// lane 2i holds vertex x and lane 2i + 1 vertex x + 1 of level i until the very end. In a float table a vertex is
// one 64-bit word: the lanes hold its two features.

constexpr int PER_GROUP = W / 2;

struct Group {
  VF resolution;
  VU last_cell;     // resolution - 1
  VU step_y, step_z;
  VU dense;         // all ones where the level is dense
  VU mask;          // all ones where the level is dense
  VU wrap;          // entry whose neighbour is entry 0; none where the level is dense
  VU offset;
  int floats;       // to be stored
};

GTALK_INLINE int n_groups(const Grid& grid) { return (grid.n_levels + PER_GROUP - 1) / PER_GROUP; }

static void make_groups(const Grid& grid, Group* groups) {
  for (int g = 0; g < n_groups(grid); ++g) {
    Group& group = groups[g];
    const int left = 2 * (grid.n_levels - g * PER_GROUP);
    group.floats = left < W ? left : W;
    for (int i = 0; i < W; ++i) {
      const int l = g * PER_GROUP + i / 2;
      const Level level = grid.levels[l < grid.n_levels ? l : 0];  // lanes beyond the last level are not stored
      const uint32_t side = static_cast<uint32_t>(level.resolution) + 1, dense = level.mask == 0 ? ~0u : 0u;
      group.resolution[i] = static_cast<float>(level.resolution);
      group.last_cell[i] = static_cast<uint32_t>(level.resolution) - 1;
      group.step_y[i] = dense ? side : kPrimeY;
      group.step_z[i] = dense ? side * side : kPrimeZ;
      group.dense[i] = dense;
      group.mask[i] = dense ? ~0u : level.mask;
      group.wrap[i] = dense ? ~0u : level.mask;
      group.offset[i] = static_cast<uint32_t>(level.offset);
    }
  }
}

struct Axis {
  VU low;   // lower vertex
  VF frac;  // position above it
};

GTALK_INLINE Axis locate_axis(VF unit, const Group& group) {
  const VF x = unit * group.resolution;
  const VI floor = __builtin_convertvector(x, VI);
  const VI last = reinterpret_cast<VI>(group.last_cell);
  const VI low = floor < last ? floor : last;
  return {reinterpret_cast<VU>(low), x - __builtin_convertvector(low, VF)};
}

GTALK_INLINE float clamp_unit(float p) { return p > 0.f ? (p < 1.f ? p : 1.f) : 0.f; }

// Rows of a cell: lines along x, each with the entry of its lower vertex (within the level) and its weight.
template <int D>
struct Rows {
  static constexpr int count = D == 3 ? 4 : 2;
  VU entry[count];
  VF weight[count];
  VF frac_x;
};

template <int D>
GTALK_INLINE Rows<D> locate_rows(const float* point, const Group& group) {
  Rows<D> rows;
  const Axis x = locate_axis(splat(clamp_unit(point[0])), group);
  const Axis y = locate_axis(splat(clamp_unit(point[1])), group);
  const VU y0 = y.low * group.step_y, y1 = y0 + group.step_y;
  rows.frac_x = x.frac;
  if constexpr (D == 3) {
    const Axis z = locate_axis(splat(clamp_unit(point[2])), group);
    const VU z0 = z.low * group.step_z, z1 = z0 + group.step_z;
    const VU ys[4] = {y0, y1, y0, y1}, zs[4] = {z0, z0, z1, z1};
    const VF v1 = y.frac * z.frac, v0 = z.frac - v1;
    const VF weights[4] = {1.f - y.frac - v0, y.frac - v1, v0, v1};
    for (int r = 0; r < 4; ++r) {
      rows.entry[r] = ((group.dense ? ys[r] + zs[r] : ys[r] ^ zs[r]) + x.low) & group.mask;
      rows.weight[r] = weights[r];
    }
  } else {
    rows.entry[0] = (y0 + x.low) & group.mask;
    rows.entry[1] = (y1 + x.low) & group.mask;
    rows.weight[0] = 1.f - y.frac;
    rows.weight[1] = y.frac;
  }
  return rows;
}

template <int D>
GTALK_INLINE VF encode_float(const Rows<D>& rows, const Group& group, const float* table) {
  VF low{}, high{};
  for (int r = 0; r < Rows<D>::count; ++r) {
    const VU next = (rows.entry[r] + 1) & group.mask;
    low += rows.weight[r] * as_float(gather64<8>(table, rows.entry[r] + group.offset));
    high += rows.weight[r] * as_float(gather64<8>(table, next + group.offset));
  }
  return low + rows.frac_x * (high - low);
}

// The word at an entry and the one at the next, for the rare rows that end at the table's border.
static __attribute__((noinline)) VU gather_wrapped(const uint32_t* table, VU entry, const Group& group) {
  VU words;
  for (int i = 0; i < W; ++i) words[i] = table[((entry[i] + (i & 1)) & group.mask[i]) + group.offset[i]];
  return words;
}

template <int D>
GTALK_INLINE VF encode_packed(const Rows<D>& rows, const Group& group, const uint32_t* table) {
  VF first{}, second{};
  for (int r = 0; r < Rows<D>::count; ++r) {
    VU words;
    if (__builtin_expect(any_equal(rows.entry[r], group.wrap), 0)) {
      words = gather_wrapped(table, rows.entry[r], group);
    } else {
      words = gather64<4>(table, rows.entry[r] + group.offset);
    }
    first += rows.weight[r] * as_float(words << 16);
    second += rows.weight[r] * as_float(words & 0xffff0000u);
  }
  const VF along_x = even_odd(1.f - rows.frac_x, rows.frac_x);
  first *= along_x;
  second *= along_x;
  return even_odd(first, second) + swap_pairs(even_odd(second, first));
}

template <int D, bool Packed>
static void encode_all(const Grid& grid, const float* points, const void* table, float* out, int64_t n) {
  Group groups[kMaxLevels / PER_GROUP];
  make_groups(grid, groups);
  const int count = n_groups(grid), row = 2 * grid.n_levels;
  for (int64_t i = 0; i < n; ++i) {
    for (int g = 0; g < count; ++g) {
      const Rows<D> rows = locate_rows<D>(points + i * D, groups[g]);
      VF features;
      if constexpr (Packed) {
        features = encode_packed<D>(rows, groups[g], static_cast<const uint32_t*>(table));
      } else {
        features = encode_float<D>(rows, groups[g], static_cast<const float*>(table));
      }
      float* to = out + i * row + g * W;
      if (groups[g].floats == W) {
        store(to, features);
      } else {
        store_part(to, features, groups[g].floats);
      }
    }
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

static constexpr Kernels all_kernels = {&hash_encode<false>, &hash_encode<true>, nullptr};
