#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels.h"

#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // inside the intrinsics of GCC 12
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#define GTALK_WIDTH 8
namespace gtalk::simd::avx2 {
namespace {
#include "all.inl"
}
}  // namespace gtalk::simd::avx2
constexpr gtalk::simd::Kernels gtalk::simd::kernels_avx2 = gtalk::simd::avx2::all_kernels;
#pragma GCC pop_options
#endif
