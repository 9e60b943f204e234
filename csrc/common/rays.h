// Rays, and how they walk through an occupancy grid. See ops/march.h. No torch here: the vectorised kernels include
// it too.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace gtalk {

constexpr int kMaxSteps = 1 << 24;  // beyond, a float does not tell lattice points apart

struct Occupancy {
  const uint8_t* cells;
  int size[3];
  float low[3], scale[3];  // cell = (point - low) * scale
  float inverse_size[3];
};

// Walks a ray's lattice points through the grid.
struct Walk {
  const Occupancy& grid;
  float start[3], slope[3];  // in cells: start + t * slope
  float near, far, jitter, step;

  GTALK_HD Walk(const Occupancy& occupancy, const float* origin, const float* direction, float near_, float far_,
                float jitter_, float step_)
      : grid(occupancy), near(near_), far(far_), jitter(jitter_), step(step_) {
    for (int d = 0; d < 3; ++d) {
      start[d] = (origin[d] - grid.low[d]) * grid.scale[d];
      slope[d] = direction[d] * grid.scale[d];
    }
  }

  GTALK_HD float t_of(int i) const { return near + (static_cast<float>(i) + jitter) * step; }

  // A point of the ray in the unit cube of the box.
  GTALK_HD void unit_point(float t, float* point) const {
    for (int d = 0; d < 3; ++d) point[d] = (start[d] + t * slope[d]) * grid.inverse_size[d];
  }

  // The first lattice point that cannot be before t, at least i + 1. A little early is only a test in vain.
  GTALK_HD int next(int i, float t) const {
    const float reached = (t - near) / step - jitter - 0.01f;
    const int then = reached < 16777216.f ? static_cast<int>(reached) : kMaxSteps;
    return then > i + 1 ? then : i + 1;
  }

  // The next lattice point from i on that is to be taken, or -1. Its t is written.
  GTALK_HD int find(int i, float* t_found) const {
    for (;;) {
      const float t = t_of(i);
      if (!(t < far) || !(t > -3e38f) || i >= kMaxSteps) return -1;
      int cell[3];
      float leave = far;  // where the ray leaves this cell, or, outside the box, can enter it
      bool inside = true;
      for (int d = 0; d < 3; ++d) {
        const float x = start[d] + t * slope[d];
        const float size = static_cast<float>(grid.size[d]);
        if (!(x >= 0.f) || !(x < size)) {
          inside = false;
          const float wall = x >= size ? size : 0.f;
          const float enter = (wall - start[d]) / slope[d];
          if (!(enter > t - step)) return -1;  // it goes away from the box (or is NaN)
          leave = enter;
          break;
        }
        cell[d] = static_cast<int>(x);
        const float wall = static_cast<float>(slope[d] > 0.f ? cell[d] + 1 : cell[d]);
        const float exit = slope[d] != 0.f ? (wall - start[d]) / slope[d] : far;
        leave = exit < leave ? exit : leave;
      }
      if (inside &&
          grid.cells[(static_cast<int64_t>(cell[0]) * grid.size[1] + cell[1]) * grid.size[2] + cell[2]] != 0) {
        *t_found = t;
        return i;
      }
      i = next(i, leave);
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
