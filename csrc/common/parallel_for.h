// The two backends: how a functor is run over a range of elements.
#pragma once

#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstdint>

#if defined(__CUDACC__)
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace gtalk {

// `cost` below is the rough number of nanoseconds of one element: a thread gets at least 20 microseconds of work.
struct Cpu {
  static constexpr bool is_cpu = true;

  static int64_t grain(double cost) { return std::max<int64_t>(1, static_cast<int64_t>(20000.0 / cost)); }

  // f(i) for i in [0, n).
  template <class F>
  static void for_each(int64_t n, double cost, const F& f) {
    at::parallel_for(0, n, grain(cost), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i);
    });
  }

  // f(row, i) for all rows and i in [0, n). One thread does all of a row, in order.
  template <class F>
  static void for_rows(int64_t rows, int64_t n, double cost, const F& f) {
    at::parallel_for(0, rows, grain(cost * std::max<int64_t>(n, 1)), [&](int64_t begin, int64_t end) {
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
