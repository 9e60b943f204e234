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
GTALK_INLINE VF splat(float x) { return x - VF{}; }
GTALK_INLINE VU splat(uint32_t x) { return x + VU{}; }
GTALK_INLINE VF max(VF a, VF b) { return a > b ? a : b; }  // b where a is NaN
GTALK_INLINE VF min(VF a, VF b) { return a < b ? a : b; }
GTALK_INLINE VF as_float(VU v) { return reinterpret_cast<VF>(v); }

#if GTALK_WIDTH == 16

GTALK_INLINE bool any_equal(VU a, VU b) {
  return _mm512_cmpeq_epi32_mask(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)) != 0;
}
// Per 64-bit lane: the 8 bytes at base + 4 or 8 bytes * (the lane's low word).
template <int Scale>
GTALK_INLINE VU gather64(const void* base, VU index) {
  const __m512i wide = _mm512_maskz_mov_epi32(0x5555, reinterpret_cast<__m512i>(index));
  return reinterpret_cast<VU>(_mm512_i64gather_epi64(wide, base, Scale));
}
GTALK_INLINE void store_part(float* to, VF v, int count) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), v);
}
GTALK_INLINE VF load_part(const float* from, int count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
}

#elif GTALK_WIDTH == 8

GTALK_INLINE bool any_equal(VU a, VU b) {
  const __m256i same = _mm256_cmpeq_epi32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b));
  return !_mm256_testz_si256(same, same);
}
template <int Scale>
GTALK_INLINE VU gather64(const void* base, VU index) {
  const __m256i wide = _mm256_blend_epi32(reinterpret_cast<__m256i>(index), _mm256_setzero_si256(), 0xAA);
  return reinterpret_cast<VU>(_mm256_i64gather_epi64(static_cast<const long long*>(base), wide, Scale));
}

#else

GTALK_INLINE bool any_equal(VU a, VU b) {
  bool any = false;
  for (int i = 0; i < W; ++i) any |= a[i] == b[i];
  return any;
}
template <int Scale>
GTALK_INLINE VU gather64(const void* base, VU index) {
  uint64_t words[W / 2];
  for (int i = 0; i < W / 2; ++i)
    std::memcpy(&words[i], static_cast<const char*>(base) + int64_t{Scale} * index[2 * i], 8);
  VU v;
  std::memcpy(&v, words, sizeof v);
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

// Neighbouring lanes swapped: (1, 0, 3, 2, ...).
GTALK_INLINE VF swap_pairs(VF v) {
#if GTALK_WIDTH == 16
  return _mm512_permute_ps(v, 0xB1);
#elif GTALK_WIDTH == 8
  return _mm256_permute_ps(v, 0xB1);
#else
  return __builtin_shuffle(v, VI{1, 0, 3, 2});
#endif
}

// Even lanes of a, odd lanes of b.
GTALK_INLINE VF even_odd(VF a, VF b) {
#if GTALK_WIDTH == 16
  return _mm512_mask_mov_ps(a, 0xAAAA, b);
#elif GTALK_WIDTH == 8
  return _mm256_blend_ps(a, b, 0xAA);
#else
  return __builtin_shuffle(a, b, VI{0, 5, 2, 7});
#endif
}
