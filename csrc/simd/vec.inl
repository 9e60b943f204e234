// GTALK_WIDTH floats at once, in the compiler's own vector types. What they cannot say stands here per
// instruction set.

#define GTALK_INLINE static inline __attribute__((always_inline))

constexpr int W = GTALK_WIDTH;

typedef float VF __attribute__((vector_size(4 * W), may_alias));
typedef int32_t VI __attribute__((vector_size(4 * W), may_alias));
typedef uint32_t VU __attribute__((vector_size(4 * W), may_alias));
typedef float VFu __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef uint32_t VUu __attribute__((vector_size(4 * W), aligned(4), may_alias));

GTALK_INLINE VF load(const float* from) { return *reinterpret_cast<const VFu*>(from); }
GTALK_INLINE VU load(const uint32_t* from) { return *reinterpret_cast<const VUu*>(from); }
GTALK_INLINE void store(float* to, VF v) { *reinterpret_cast<VFu*>(to) = v; }
GTALK_INLINE void store(uint32_t* to, VU v) { *reinterpret_cast<VUu*>(to) = v; }
GTALK_INLINE VF splat(float x) { return x - VF{}; }
GTALK_INLINE VU splat(uint32_t x) { return x + VU{}; }
GTALK_INLINE VF as_float(VU v) { return reinterpret_cast<VF>(v); }

// b where a is NaN.
#if GTALK_WIDTH == 16
GTALK_INLINE VF max(VF a, VF b) { return _mm512_max_ps(a, b); }
GTALK_INLINE VF min(VF a, VF b) { return _mm512_min_ps(a, b); }
#elif GTALK_WIDTH == 8
GTALK_INLINE VF max(VF a, VF b) { return _mm256_max_ps(a, b); }
GTALK_INLINE VF min(VF a, VF b) { return _mm256_min_ps(a, b); }
#else
GTALK_INLINE VF max(VF a, VF b) { return a > b ? a : b; }
GTALK_INLINE VF min(VF a, VF b) { return a < b ? a : b; }
#endif

#if GTALK_WIDTH == 16

// The 4 bytes at base + Scale bytes * index.
template <int Scale>
GTALK_INLINE VU gather(const void* base, VU index) {
  return reinterpret_cast<VU>(_mm512_i32gather_epi32(reinterpret_cast<__m512i>(index), base, Scale));
}
GTALK_INLINE void store_part(float* to, VF v, int count) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), v);
}
GTALK_INLINE VF load_part(const float* from, int count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
}

#elif GTALK_WIDTH == 8

template <int Scale>
GTALK_INLINE VU gather(const void* base, VU index) {
  return reinterpret_cast<VU>(
      _mm256_i32gather_epi32(static_cast<const int*>(base), reinterpret_cast<__m256i>(index), Scale));
}

#else

template <int Scale>
GTALK_INLINE VU gather(const void* base, VU index) {
  VU v;
  for (int i = 0; i < W; ++i) std::memcpy(&v[i], static_cast<const char*>(base) + int64_t{Scale} * index[i], 4);
  return v;
}

#endif

#if GTALK_WIDTH != 16

GTALK_INLINE void store_part(float* to, VF v, int count) {
  for (int i = 0; i < count; ++i) to[i] = v[i];
}
GTALK_INLINE VF load_part(const float* from, int count) {
  VF v{};
  for (int i = 0; i < count; ++i) v[i] = from[i];
  return v;
}

#endif

// a * b + c; `_down` for a whole c of about 2^23 or more and the result rounded down (up to a rounding of a * b - 0.5).
#if GTALK_WIDTH == 16
GTALK_INLINE VF multiply_add(VF a, VF b, VF c) { return _mm512_fmadd_ps(a, b, c); }
GTALK_INLINE VF multiply_add_down(VF a, VF b, float c) {
  return _mm512_fmadd_round_ps(a, b, splat(c), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
#elif GTALK_WIDTH == 8
GTALK_INLINE VF multiply_add(VF a, VF b, VF c) { return _mm256_fmadd_ps(a, b, c); }
GTALK_INLINE VF multiply_add_down(VF a, VF b, float c) { return _mm256_fmadd_ps(a, b, splat(-0.5f)) + c; }
#else
GTALK_INLINE VF multiply_add(VF a, VF b, VF c) { return a * b + c; }
GTALK_INLINE VF multiply_add_down(VF a, VF b, float c) { return (a * b - 0.5f) + c; }
#endif

GTALK_INLINE VF square_root(VF v) {
#if GTALK_WIDTH == 16
  return _mm512_sqrt_ps(v);
#elif GTALK_WIDTH == 8
  return _mm256_sqrt_ps(v);
#else
  for (int i = 0; i < W; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

GTALK_INLINE bool any(VI mask) {
#if GTALK_WIDTH == 16
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(mask), reinterpret_cast<__m512i>(mask)) != 0;
#elif GTALK_WIDTH == 8
  return !_mm256_testz_si256(reinterpret_cast<__m256i>(mask), reinterpret_cast<__m256i>(mask));
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

// e^x to 2e-7, for |x| < 87 (clamped).
GTALK_INLINE VF exponential(VF x) {
  x = min(max(x, splat(-87.f)), splat(87.f));
  const VF shifted = multiply_add(x, splat(1.44269504f), splat(12582912.f));
  const VF whole = shifted - 12582912.f;
  const VF r = multiply_add(whole, splat(-1.42860677e-6f), multiply_add(whole, splat(-0.693145752f), x));
  VF sum = splat(1.f / 720.f);
  const float factors[] = {1.f / 120.f, 1.f / 24.f, 1.f / 6.f, 0.5f, 1.f, 1.f};
  for (float factor : factors) sum = multiply_add(sum, r, splat(factor));
  return sum * as_float((reinterpret_cast<VU>(shifted) - 0x4b400000u + 127u) << 23);
}

// 2^x for x <= 126; 0 below -126. Round to the nearest integer by adding 1.5 * 2^23, then a polynomial that
// is near-minimax on [-0.5, 0.5] (relative error below 3e-7).
GTALK_INLINE VF exponential_2(VF x) {
  x = max(x, splat(-126.f));
  const VF shifted = x + 12582912.f;
  const VF r = x - (shifted - 12582912.f);
  VF sum = r * 1.3333558e-3f + 9.6181291e-3f;
  sum = sum * r + 5.5504109e-2f;
  sum = sum * r + 2.4022651e-1f;
  sum = sum * r + 6.9314718e-1f;
  sum = sum * r + 1.f;
  return as_float(reinterpret_cast<VU>(sum) + ((reinterpret_cast<VU>(shifted) - 0x4b400000u) << 23));
}

// log2 of positive normal numbers: exponent, and the series of atanh for a mantissa in [sqrt(1/2), sqrt(2)).
GTALK_INLINE VF logarithm_2(VF x) {
  const VI raw = reinterpret_cast<VI>(x) - 0x3f3504f3;
  const VF m = reinterpret_cast<VF>((raw & 0x7fffff) + 0x3f3504f3);
  const VF s = (m - 1.f) / (m + 1.f), q = s * s;
  const VF sum = ((q * 0.41219858f + 0.57707802f) * q + 0.96179669f) * q + 2.8853901f;
  return sum * s + __builtin_convertvector(raw >> 23, VF);
}

struct Pair {
  VF low, high;
};

// (a0, b0, a1, b1, ...), in two vectors.
GTALK_INLINE Pair interleave(VF a, VF b) {
#if GTALK_WIDTH == 16
  const VI low{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}, high = low + 8;
#elif GTALK_WIDTH == 8
  const VI low{0, 8, 1, 9, 2, 10, 3, 11}, high = low + 4;
#else
  const VI low{0, 4, 1, 5}, high = low + 2;
#endif
  return {__builtin_shuffle(a, b, low), __builtin_shuffle(a, b, high)};
}

// (a0, a1, ...), (b0, b1, ...) of (a0, b0, a1, b1, ...), in two vectors.
GTALK_INLINE Pair deinterleave(VF low, VF high) {
#if GTALK_WIDTH == 16
  const VI even{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
#elif GTALK_WIDTH == 8
  const VI even{0, 2, 4, 6, 8, 10, 12, 14};
#else
  const VI even{0, 2, 4, 6};
#endif
  return {__builtin_shuffle(low, high, even), __builtin_shuffle(low, high, even + 1)};
}

#if GTALK_WIDTH == 16
GTALK_INLINE float horizontal_sum(VF v) { return _mm512_reduce_add_ps(v); }
GTALK_INLINE float horizontal_max(VF v) { return _mm512_reduce_max_ps(v); }
#else
GTALK_INLINE float horizontal_max(VF v) {
  float most = v[0];
  for (int i = 1; i < W; ++i) most = v[i] > most ? v[i] : most;
  return most;
}
#if GTALK_WIDTH == 8
GTALK_INLINE float horizontal_sum(VF v) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
#else
GTALK_INLINE float horizontal_sum(VF v) { return (v[0] + v[1]) + (v[2] + v[3]); }
#endif
#endif

// W IEEE halves. Without an instruction for it, subnormals are converted as integers, because processors take long
// over denormal floats.
#if GTALK_WIDTH == 16
GTALK_INLINE VF load_half(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
#elif GTALK_WIDTH == 8
GTALK_INLINE VF load_half(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
#else
GTALK_INLINE VF load_half(const uint16_t* from) {
  const VU wide = {from[0], from[1], from[2], from[3]};
  const VU sign = (wide & 0x8000u) << 16, magnitude = wide & 0x7fffu;
  const VU normal = (magnitude << 13) + 0x38000000u;
  const VU tiny = reinterpret_cast<VU>(__builtin_convertvector(reinterpret_cast<VI>(magnitude), VF) * 5.9604645e-8f);
  return as_float((magnitude < 0x400u ? tiny : normal) | sign);
}
#endif

// Zeroed floats, aligned to a cache line. (A std::vector's functions would be compiled for this instruction set and
// could be linked into code for another.)
struct Memory {
  explicit Memory(int64_t count) {
    const size_t bytes = (sizeof(float) * static_cast<size_t>(count) + 63) / 64 * 64;
    floats = static_cast<float*>(std::aligned_alloc(64, bytes));
    std::memset(floats, 0, bytes);
  }
  ~Memory() { std::free(floats); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  float* floats;
};
