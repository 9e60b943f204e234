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
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,bmi,bmi2,prefer-vector-width=512")
#define GTALK_WIDTH 16
namespace gtalk::simd::avx512 {
namespace {
#include "all.inl"
}
}  // namespace gtalk::simd::avx512
constexpr gtalk::simd::Kernels gtalk::simd::kernels_avx512 = gtalk::simd::avx512::all_kernels;
#pragma GCC pop_options
#endif
