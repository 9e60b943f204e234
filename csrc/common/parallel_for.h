// The two backends: how a functor is run over a range of elements.
#pragma once

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstdint>

#include "crew.h"

#if defined(__CUDACC__)
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace gtalk {

// `cost` below is the rough number of nanoseconds of one element: a piece of work is at least 20 microseconds long.
struct Cpu {
  static constexpr bool is_cpu = true;
  static constexpr int kPieces = 4;  // for each worker: enough to even out, few enough to cost nothing

  // f(begin, end) for ranges that together are [0, n).
  template <class F>
  static void for_ranges(int64_t n, double cost, const F& f, int pieces_each = kPieces) {
    if (n <= 0) return;
    const int workers = Crew::workers();
    const auto most = static_cast<int64_t>(1.0 + cost * static_cast<double>(n) / 20000.0);
    const int64_t pieces = workers == 1 ? 1 : std::min({n, most, int64_t{workers} * pieces_each});
    if (pieces == 1) {
      f(int64_t{0}, n);
      return;
    }
    Crew::get().run(pieces, [&](int64_t piece, int) { f(n * piece / pieces, n * (piece + 1) / pieces); });
  }

  // f(i) for i in [0, n).
  template <class F>
  static void for_each(int64_t n, double cost, const F& f) {
    for_ranges(n, cost, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i);
    });
  }

  // f(row, i) for all rows and i in [0, n). One thread does all of a row, in order.
  template <class F>
  static void for_rows(int64_t rows, int64_t n, double cost, const F& f) {
    for_ranges(rows, cost * static_cast<double>(n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t i = 0; i < n; ++i) f(row, i);
    });
  }
};

#if defined(__CUDACC__)

template <class F>
__global__ void each_kernel(int64_t n, F f) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) f(i);
}

template <class F>
__global__ void rows_kernel(int64_t n, F f) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
    f(static_cast<int64_t>(blockIdx.y), i);
  }
}

struct Cuda {
  static constexpr bool is_cpu = false;
  static constexpr int threads = 128;

  static unsigned blocks(int64_t n) {
    return static_cast<unsigned>(std::min<int64_t>((n + threads - 1) / threads, 1 << 16));
  }

  template <class F>
  static void for_each(int64_t n, double /*cost*/, const F& f) {
    if (n == 0) return;
    each_kernel<<<blocks(n), threads, 0, c10::cuda::getCurrentCUDAStream()>>>(n, f);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  // Rows run at once: what they share must be written with add_to.
  template <class F>
  static void for_rows(int64_t rows, int64_t n, double /*cost*/, const F& f) {
    if (n == 0 || rows == 0) return;
    const dim3 grid(blocks(n), static_cast<unsigned>(rows));
    rows_kernel<<<grid, threads, 0, c10::cuda::getCurrentCUDAStream()>>>(n, f);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
};

#endif

}  // namespace gtalk
