// 128-bit vectors, as every x86-64 and ARM64 machine has; the compiler makes what it can of them elsewhere.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels.h"

#define GTALK_WIDTH 4
namespace gtalk::simd::portable {
namespace {
#include "all.inl"
}
}  // namespace gtalk::simd::portable
constexpr gtalk::simd::Kernels gtalk::simd::kernels_portable = gtalk::simd::portable::all_kernels;
