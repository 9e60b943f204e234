// The splat kernels of every instruction set this machine may have, and the choice among them at run time.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <string>

#include "splat_types.h"

#if defined(__GNUC__) && !defined(__clang__)  // GCC 12 takes its own intrinsics' undefined registers for mistakes
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
namespace gtalk::splat::avx512 {
#define GTALK_SPLAT_PARTS 1
#include "splat_simd.h"
}  // namespace gtalk::splat::avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace gtalk::splat::avx2 {
#define GTALK_SPLAT_PARTS 2
#include "splat_simd.h"
}  // namespace gtalk::splat::avx2
#pragma GCC pop_options
#endif

namespace gtalk::splat::portable {
#define GTALK_SPLAT_PARTS 4
#include "splat_simd.h"
}  // namespace gtalk::splat::portable

namespace gtalk::splat {

// By the name that gtalk::tuned::isa() gives.
inline const Kernels& kernels_of(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return avx512::kernels;
  if (isa == "avx2") return avx2::kernels;
#endif
  return portable::kernels;
}

}  // namespace gtalk::splat
