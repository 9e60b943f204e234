// Geometry of a multi-resolution hash grid: which entries a point touches, and how much. See ops/hash_encode.h.
// No torch here: the vectorised kernels include it too.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace gtalk {

constexpr int kMaxLevels = 32;
constexpr uint32_t kPrimeY = 2654435761u;
constexpr uint32_t kPrimeZ = 805459861u;

struct Level {
  int32_t resolution;  // cells along each axis
  uint32_t mask;       // entries - 1 of a hashed level; 0 of a dense one
  uint32_t size;       // entries
  int64_t offset;      // first entry
};

struct Grid {
  Level levels[kMaxLevels];
  int32_t n_levels, n_features, dim;
  int64_t n_entries;
};

template <class T, int D>
struct Cell {
  uint32_t low[D];  // lowest corner
  T frac[D];        // position between it and the next
};

template <class T, int D>
GTALK_HD Cell<T, D> locate(const T* point, const Level& level) {
  Cell<T, D> cell;
  for (int d = 0; d < D; ++d) {
    const T unit = point[d] > 0 ? (point[d] < 1 ? point[d] : static_cast<T>(1)) : static_cast<T>(0);  // NaN -> 0
    const T x = unit * static_cast<T>(level.resolution);
    const int32_t floor = static_cast<int32_t>(x);
    const int32_t low = floor < level.resolution - 1 ? floor : level.resolution - 1;
    cell.low[d] = static_cast<uint32_t>(low);
    cell.frac[d] = x - static_cast<T>(low);
  }
  return cell;
}

// Bit d of `corner` says whether the corner is the upper one along axis d.
template <class T, int D>
GTALK_HD int64_t corner_entry(const Cell<T, D>& cell, int corner, const Level& level) {
  const uint32_t x = cell.low[0] + (corner & 1);
  const uint32_t y = cell.low[1] + (corner >> 1 & 1);
  const uint32_t z = D == 3 ? cell.low[D - 1] + (corner >> 2) : 0u;
  if (level.mask == 0) {
    const uint32_t side = static_cast<uint32_t>(level.resolution) + 1;
    return x + side * (y + side * z);
  }
  return (x + ((y * kPrimeY) ^ (z * kPrimeZ))) & level.mask;
}

template <class T, int D>
GTALK_HD T corner_weight(const Cell<T, D>& cell, int corner) {
  T weight = 1;
  for (int d = 0; d < D; ++d) weight *= (corner >> d & 1) ? cell.frac[d] : 1 - cell.frac[d];
  return weight;
}

// d corner_weight / d frac[axis].
template <class T, int D>
GTALK_HD T corner_slope(const Cell<T, D>& cell, int corner, int axis) {
  T slope = (corner >> axis & 1) ? 1 : -1;
  for (int d = 0; d < D; ++d)
    if (d != axis) slope *= (corner >> d & 1) ? cell.frac[d] : 1 - cell.frac[d];
  return slope;
}

}  // namespace gtalk
