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

}  // namespace gtalk
