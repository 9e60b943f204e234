// Adding to memory that several elements of a loop write to.
#pragma once

#include "host_device.h"

namespace gtalk {

// On CUDA an atomic addition. On the CPU a plain one: a loop that needs it must give everything that shares
// memory to one thread (Backend::for_rows does: a row belongs to one thread).
template <class T>
GTALK_HD void add_to(T* to, T value) {
#if defined(__CUDA_ARCH__)
  atomicAdd(to, value);
#else
  *to += value;
#endif
}

// Two that lie together, at an even place. Nothing is added where both are nothing: samples that no ray owns would all
// queue for one place. In one access where the GPU has such (sm_90).
template <class T>
GTALK_HD void add_two(T* to, T a, T b) {
  if (a == 0 && b == 0) return;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (sizeof(T) == sizeof(float)) {
    atomicAdd(reinterpret_cast<float2*>(to), make_float2(a, b));
    return;
  }
#endif
  add_to(to, a);
  add_to(to + 1, b);
}

}  // namespace gtalk
