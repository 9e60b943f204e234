#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels.h"

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // inside the intrinsics of GCC 12
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#define GTALK_WIDTH 8
namespace gtalk::tuned::avx2 {
namespace {
#include "all.inl"
}
}  // namespace gtalk::tuned::avx2
constexpr gtalk::tuned::Kernels gtalk::tuned::kernels_avx2 = gtalk::tuned::avx2::all_kernels;
#pragma GCC pop_options
#endif
