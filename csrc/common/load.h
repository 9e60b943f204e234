// Numbers that lie together, read and written in one access: on CUDA a thread's access then fills what the bus moves.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "host_device.h"

namespace gtalk {

template <class T>
struct alignas(2 * sizeof(T)) Two {
  T a, b;
};

struct alignas(16) Four {
  float v[4];
};

// What no thread of the kernel writes: on CUDA it comes by the cache for such.
template <class T>
GTALK_HD T read_only(const T* from) {
#if defined(__CUDA_ARCH__)
  return __ldg(from);
#else
  return *from;
#endif
}

GTALK_HD Four load_four(const float* from) {
#if defined(__CUDA_ARCH__)
  const float4 all = __ldg(reinterpret_cast<const float4*>(from));
  return {{all.x, all.y, all.z, all.w}};
#else
  return *reinterpret_cast<const Four*>(from);
#endif
}

// A pair at an even place, as the type that is computed in.
template <class T>
GTALK_HD Two<T> load_two(const T* from) {
  return *reinterpret_cast<const Two<T>*>(from);
}
GTALK_HD Two<float> load_two(const float* from) {
#if defined(__CUDA_ARCH__)
  const float2 both = __ldg(reinterpret_cast<const float2*>(from));
  return {both.x, both.y};
#else
  return *reinterpret_cast<const Two<float>*>(from);
#endif
}
// Two halves of a word: a bfloat16 is the upper half of a float.
GTALK_HD Two<float> load_two(const c10::BFloat16* from) {
  const uint32_t both = read_only(reinterpret_cast<const uint32_t*>(from));
  union Word {
    uint32_t bits;
    float value;
  } low{both << 16}, high{both & 0xffff0000u};
  return {low.value, high.value};
}

inline bool aligned(const void* address, size_t bytes) { return reinterpret_cast<uintptr_t>(address) % bytes == 0; }

}  // namespace gtalk
