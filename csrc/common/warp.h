// A smooth displacement of the unit cube: trilinear between control points that reach from face to face.
#pragma once

#include "host_device.h"

namespace gtalk {

struct Warp {
  const float* points;  // [size, size, size, 4]: z, y, x, component (the last is not used); nullptr: nothing moves
  int size;

  // Moves a point of the unit cube; beyond it the displacement at its border holds.
  GTALK_HD void apply(float* point) const {
    if (!points) return;
    int first[3];
    float part[3];
    for (int d = 0; d < 3; ++d) {
      const float unit = point[d] > 0.f ? (point[d] < 1.f ? point[d] : 1.f) : 0.f;
      const float x = unit * static_cast<float>(size - 1);
      const int cell = static_cast<int>(x);
      first[d] = cell < size - 2 ? cell : size - 2;
      part[d] = x - static_cast<float>(first[d]);
    }
    const int row = 4 * size, plane = row * size;
    const float* near = points + first[2] * plane + first[1] * row + 4 * first[0];
    const float* far = near + plane;
    float moved[4];
    for (int d = 0; d < 4; ++d) {  // four at once, where the compiler can
      const float a = near[d] + part[0] * (near[d + 4] - near[d]);
      const float b = near[d + row] + part[0] * (near[d + row + 4] - near[d + row]);
      const float e = far[d] + part[0] * (far[d + 4] - far[d]);
      const float f = far[d + row] + part[0] * (far[d + row + 4] - far[d + row]);
      const float low = a + part[1] * (b - a), high = e + part[1] * (f - e);
      moved[d] = low + part[2] * (high - low);
    }
    for (int d = 0; d < 3; ++d) point[d] += moved[d];
  }
};

}  // namespace gtalk
