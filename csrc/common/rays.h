// Rays, and how they walk through an occupancy grid. See ops/march.h. No torch here: the vectorised kernels include
// it too.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace gtalk {

constexpr int kMaxSteps = 1 << 24;  // beyond, a float does not tell lattice points apart
constexpr int kBlock = 4;           // cells along each side of a block, which is skipped at once where it is empty

struct Occupancy {
  const uint8_t* cells;
  const uint8_t* blocks;    // whether any cell of a block is occupied; four bytes more than there are blocks
  const uint32_t* bits;     // cells again, one bit each, 32 along z to a word; only on the CPU
  int bit_words;            // words of a row along z
  int size[3], n_blocks[3];
  float low[3], scale[3];   // cell = (point - low) * scale
  float inverse_size[3];

  GTALK_HD int64_t cell_index(int x, int y, int z) const {
    return (static_cast<int64_t>(x) * size[1] + y) * size[2] + z;
  }
  GTALK_HD int64_t block_index(int x, int y, int z) const {
    return (static_cast<int64_t>(x / kBlock) * n_blocks[1] + y / kBlock) * n_blocks[2] + z / kBlock;
  }
};

// Marks the blocks.
struct FillBlocks {
  Occupancy grid;
  uint8_t* blocks;

  GTALK_HD void operator()(int64_t i) const {
    const int z0 = static_cast<int>(i % grid.n_blocks[2]) * kBlock;
    const int y0 = static_cast<int>(i / grid.n_blocks[2] % grid.n_blocks[1]) * kBlock;
    const int x0 = static_cast<int>(i / grid.n_blocks[2] / grid.n_blocks[1]) * kBlock;
    uint8_t any = 0;
    for (int x = x0; x < x0 + kBlock && x < grid.size[0]; ++x)
      for (int y = y0; y < y0 + kBlock && y < grid.size[1]; ++y)
        for (int z = z0; z < z0 + kBlock && z < grid.size[2]; ++z) any |= grid.cells[grid.cell_index(x, y, z)];
    blocks[i] = any;
  }
};

// Packs one row of cells along z into bits.
struct FillBits {
  Occupancy grid;
  uint32_t* bits;

  GTALK_HD void operator()(int64_t row) const {
    const uint8_t* cells = grid.cells + row * grid.size[2];
    for (int w = 0; w < grid.bit_words; ++w) {
      uint32_t word = 0;
      for (int z = 32 * w; z < 32 * w + 32 && z < grid.size[2]; ++z) word |= static_cast<uint32_t>(cells[z] != 0) << (z & 31);
      bits[row * grid.bit_words + w] = word;
    }
  }
};

// Walks a ray's lattice points through the grid.
struct Walk {
  float start[3], slope[3], inverse_slope[3];  // in cells: start + t * slope
  float near, far, jitter, step, inverse_step;

  GTALK_HD Walk(const Occupancy& grid, const float* origin, const float* direction, float near_, float far_,
                float jitter_, float step_)
      : near(near_), far(far_), jitter(jitter_), step(step_), inverse_step(1.f / step_) {
    for (int d = 0; d < 3; ++d) {
      start[d] = (origin[d] - grid.low[d]) * grid.scale[d];
      slope[d] = direction[d] * grid.scale[d];
      inverse_slope[d] = 1.f / slope[d];
    }
  }

  GTALK_HD float t_of(int i) const { return near + (static_cast<float>(i) + jitter) * step; }

  // A point of the ray in the unit cube of the box.
  GTALK_HD void unit_point(const Occupancy& grid, float t, float* point) const {
    for (int d = 0; d < 3; ++d) point[d] = (start[d] + t * slope[d]) * grid.inverse_size[d];
  }

  // The first lattice point that cannot be before t, at least i + 1. A little early is only a test in vain.
  GTALK_HD int next(int i, float t) const {
    const float reached = (t - near) * inverse_step - jitter - 0.01f;
    const int then = reached < 16777216.f ? static_cast<int>(reached) : kMaxSteps;
    return then > i + 1 ? then : i + 1;
  }

  // Where the ray leaves the cell (or the block: side = kBlock) that holds `cell`.
  GTALK_HD float leave(const int* cell, int side) const {
    float t = far;
    for (int d = 0; d < 3; ++d) {
      const int low = cell[d] / side * side;
      const float exit = (static_cast<float>(slope[d] > 0.f ? low + side : low) - start[d]) * inverse_slope[d];
      t = exit < t ? exit : t;  // not where the slope is 0: then exit is infinite or NaN
    }
    return t;
  }

  // The next lattice point from i on that is to be taken, or -1. Its t is written.
  GTALK_HD int find(const Occupancy& grid, int i, float* t_found) const {
    for (;;) {
      const float t = t_of(i);
      if (!(t < far) || !(t > -3e38f) || i >= kMaxSteps) return -1;
      int cell[3];
      bool inside = true;
      float enter = t;  // where the ray can enter the box
      for (int d = 0; d < 3; ++d) {
        const float x = start[d] + t * slope[d], size = static_cast<float>(grid.size[d]);
        if (!(x >= 0.f) || !(x < size)) {
          inside = false;
          enter = ((x >= size ? size : 0.f) - start[d]) * inverse_slope[d];
          if (!(enter > t - step)) return -1;  // it goes away from the box (or is NaN)
          break;
        }
        cell[d] = static_cast<int>(x);
      }
      if (!inside) {
        i = next(i, enter);
      } else if (grid.blocks[grid.block_index(cell[0], cell[1], cell[2])] == 0) {
        i = next(i, leave(cell, kBlock));
      } else if (grid.cells[grid.cell_index(cell[0], cell[1], cell[2])] == 0) {
        i = next(i, leave(cell, 1));
      } else {
        *t_found = t;
        return i;
      }
    }
  }
};

struct RayBundle {
  const float *origins, *directions, *near, *far, *jitter;  // jitter may be nullptr: 0.5
  float step;
  int max_samples;

  GTALK_HD Walk walk(const Occupancy& grid, int64_t r) const {
    return Walk(grid, origins + 3 * r, directions + 3 * r, near[r], far[r], jitter ? jitter[r] : 0.5f, step);
  }
};

}  // namespace gtalk
