// A smooth displacement of the unit cube: trilinear between control points that reach from face to face.
#pragma once

#include "host_device.h"

namespace gtalk {

struct Warp {
  const float* points;  // [3, size, size, size]: component, z, y, x; nullptr: nothing moves
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
    const int row = size, plane = size * size, volume = plane * size;
    const float* corner = points + first[2] * plane + first[1] * row + first[0];
    for (int d = 0; d < 3; ++d, corner += volume) {
      float along_z[2];
      for (int z = 0; z < 2; ++z) {
        const float* low = corner + z * plane;
        const float* high = low + row;
        const float a = low[0] + part[0] * (low[1] - low[0]), b = high[0] + part[0] * (high[1] - high[0]);
        along_z[z] = a + part[1] * (b - a);
      }
      point[d] += along_z[0] + part[2] * (along_z[1] - along_z[0]);
    }
  }
};

}  // namespace gtalk
