// What a function needs to run on both sides.
#pragma once

#if defined(__CUDACC__)
#define GTALK_HD __host__ __device__ __forceinline__
#else
#define GTALK_HD inline __attribute__((always_inline))
#endif
