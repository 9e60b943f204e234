// The two backends: how a functor is run over a range of elements.
#pragma once

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstdint>
#include <vector>

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

  // As for_each, for an f with numbers that all elements read. It says how many (`numbers`), and makes itself anew with
  // them in memory that is nearer (`staged`): on CUDA the block's own, here that of a thread.
  template <class F>
  static void for_each_staged(int64_t n, double cost, const F& f) {
    for_ranges(n, cost, [&](int64_t begin, int64_t end) {
      std::vector<typename F::Number> nearby(f.numbers());
      const F near = f.staged(nearby.data(), 0, 1);
      for (int64_t i = begin; i < end; ++i) near(i);
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

constexpr int kThreads = 128;  // of a block

template <class F>
__global__ void __launch_bounds__(kThreads) staged_kernel(int64_t n, F f) {
  extern __shared__ double2 nearby[];  // of the strictest alignment
  const F near = f.staged(reinterpret_cast<typename F::Number*>(nearby), threadIdx.x, blockDim.x);
  __syncthreads();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) near(i);
}

template <class F>
__global__ void __launch_bounds__(kThreads) each_kernel(int64_t n, F f) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) f(i);
}

template <class F>
__global__ void __launch_bounds__(kThreads) rows_kernel(int64_t n, F f) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += stride) {
    f(static_cast<int64_t>(blockIdx.y), i);
  }
}

struct Cuda {
  static constexpr bool is_cpu = false;
  static constexpr int threads = kThreads;
  static constexpr size_t kNearby = 48 << 10;  // bytes of shared memory that every block may have
  static constexpr unsigned kResident = 2048;  // blocks that are enough for any GPU; each copies the numbers once

  static unsigned blocks(int64_t n) {
    return static_cast<unsigned>(std::min<int64_t>((n + threads - 1) / threads, 1 << 16));
  }

  template <class F>
  static void for_each(int64_t n, double /*cost*/, const F& f) {
    if (n == 0) return;
    each_kernel<<<blocks(n), threads, 0, c10::cuda::getCurrentCUDAStream()>>>(n, f);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }

  template <class F>
  static void for_each_staged(int64_t n, double cost, const F& f) {
    const size_t bytes = static_cast<size_t>(f.numbers()) * sizeof(typename F::Number);
    if (bytes > kNearby) return for_each(n, cost, f);
    if (n == 0) return;
    const unsigned count = std::min(blocks(n), kResident);
    staged_kernel<<<count, threads, bytes, c10::cuda::getCurrentCUDAStream()>>>(n, f);
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
