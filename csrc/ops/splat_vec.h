// Sixteen floats at once, for one instruction set. No include guard: splat_cpu.cpp includes this file once
// per instruction set, each time in its own namespace and under its own `#pragma GCC target`, with
//     GTALK_SPLAT_PARTS   native vectors that hold 16 floats: 1 (AVX-512), 2 (AVX2), 4 (128 bits: SSE, NEON)
// F holds floats, Mask the outcome of a comparison (all ones or zero). Everything is forced inline, so that no
// function compiled for one instruction set can be picked by the linker for another.

#define GTALK_INLINE static inline __attribute__((always_inline))
#if GTALK_SPLAT_PARTS == 1
#define GTALK_EACH(X) X(0)
#elif GTALK_SPLAT_PARTS == 2
#define GTALK_EACH(X) X(0) X(1)
#else
#define GTALK_EACH(X) X(0) X(1) X(2) X(3)
#endif

constexpr int PARTS = GTALK_SPLAT_PARTS;
constexpr int WIDTH = 16 / PARTS;  // floats in a native vector

typedef float NF __attribute__((vector_size(4 * WIDTH)));
typedef int NI __attribute__((vector_size(4 * WIDTH)));
typedef float NFu __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef unsigned short NH __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));

struct F {
  NF p[PARTS];
};
struct Mask {
  NI p[PARTS];
};

GTALK_INLINE F splat(float x) {
  F r;
#define X(i) r.p[i] = x - (NF){};
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F load(const float* from) {
  F r;
#define X(i) r.p[i] = *reinterpret_cast<const NFu*>(from + i * WIDTH);
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE void store(float* to, F v) {
#define X(i) *reinterpret_cast<NFu*>(to + i * WIDTH) = v.p[i];
  GTALK_EACH(X)
#undef X
}

#define GTALK_BINARY(op)                                  \
  GTALK_INLINE F operator op(F a, F b) {                  \
    F r;                                                  \
    GTALK_EACH(GTALK_OP)                                  \
    return r;                                             \
  }                                                       \
  GTALK_INLINE F operator op(F a, float b) { return a op splat(b); } \
  GTALK_INLINE F operator op(float a, F b) { return splat(a) op b; }
#define GTALK_OP(i) r.p[i] = a.p[i] + b.p[i];
GTALK_BINARY(+)
#undef GTALK_OP
#define GTALK_OP(i) r.p[i] = a.p[i] - b.p[i];
GTALK_BINARY(-)
#undef GTALK_OP
#define GTALK_OP(i) r.p[i] = a.p[i] * b.p[i];
GTALK_BINARY(*)
#undef GTALK_OP
#define GTALK_OP(i) r.p[i] = a.p[i] / b.p[i];
GTALK_BINARY(/)
#undef GTALK_OP

#define GTALK_COMPARE(op)                       \
  GTALK_INLINE Mask operator op(F a, F b) {        \
    Mask r;                                        \
    GTALK_EACH(GTALK_OP)                        \
    return r;                                   \
  }
#define GTALK_OP(i) r.p[i] = a.p[i] < b.p[i];
GTALK_COMPARE(<)
#undef GTALK_OP
#define GTALK_OP(i) r.p[i] = a.p[i] >= b.p[i];
GTALK_COMPARE(>=)
#undef GTALK_OP
GTALK_INLINE Mask operator&(Mask a, Mask b) {
  Mask r;
#define X(i) r.p[i] = a.p[i] & b.p[i];
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F operator-(F a) { return splat(0.0f) - a; }
GTALK_INLINE void operator+=(F& a, F b) { a = a + b; }
GTALK_INLINE void operator-=(F& a, F b) { a = a - b; }

GTALK_INLINE F select(Mask m, F yes, F no) {
  F r;
#define X(i) r.p[i] = m.p[i] ? yes.p[i] : no.p[i];
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F keep(Mask m, F v) { return select(m, v, splat(0.0f)); }

GTALK_INLINE NF bits_to_float(NI v) { return (NF)v; }
GTALK_INLINE NI float_to_bits(NF v) { return (NI)v; }

// What the instruction sets name differently.
#if GTALK_SPLAT_PARTS == 1
#define GTALK_MAX(a, b) (NF) _mm512_max_ps((__m512)(a), (__m512)(b))
#define GTALK_MIN(a, b) (NF) _mm512_min_ps((__m512)(a), (__m512)(b))
#define GTALK_SQRT(a) (NF) _mm512_sqrt_ps((__m512)(a))
GTALK_INLINE bool any(Mask m) { return _mm512_test_epi32_mask((__m512i)m.p[0], (__m512i)m.p[0]) != 0; }
GTALK_INLINE float sum(F v) { return _mm512_reduce_add_ps((__m512)v.p[0]); }
GTALK_INLINE float largest(F v) { return _mm512_reduce_max_ps((__m512)v.p[0]); }
GTALK_INLINE NF from_half(const unsigned short* h) {
  return (NF)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(h)));
}
#elif GTALK_SPLAT_PARTS == 2
#define GTALK_MAX(a, b) (NF) _mm256_max_ps((__m256)(a), (__m256)(b))
#define GTALK_MIN(a, b) (NF) _mm256_min_ps((__m256)(a), (__m256)(b))
#define GTALK_SQRT(a) (NF) _mm256_sqrt_ps((__m256)(a))
GTALK_INLINE bool any(Mask m) { return _mm256_movemask_ps((__m256)(m.p[0] | m.p[1])) != 0; }
GTALK_INLINE NF from_half(const unsigned short* h) {
  return (NF)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(h)));
}
GTALK_INLINE float sum(F v) {
  NF both = v.p[0] + v.p[1];
  __m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)both), _mm256_extractf128_ps((__m256)both, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
GTALK_INLINE float largest(F v) {
  NF both = GTALK_MAX(v.p[0], v.p[1]);
  float most = both[0];
  for (int i = 1; i < WIDTH; i++) most = both[i] > most ? both[i] : most;
  return most;
}
#else
#define GTALK_MAX(a, b) ((a) > (b) ? (a) : (b))
#define GTALK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define GTALK_SQRT(a) (NF){__builtin_sqrtf((a)[0]), __builtin_sqrtf((a)[1]), __builtin_sqrtf((a)[2]), __builtin_sqrtf((a)[3])}
GTALK_INLINE bool any(Mask m) {
  NI all = m.p[0] | m.p[1] | m.p[2] | m.p[3];
  return (all[0] | all[1] | all[2] | all[3]) != 0;
}
GTALK_INLINE float sum(F v) {
  NF four = (v.p[0] + v.p[1]) + (v.p[2] + v.p[3]);
  return (four[0] + four[1]) + (four[2] + four[3]);
}
GTALK_INLINE float largest(F v) {
  NF four = GTALK_MAX(GTALK_MAX(v.p[0], v.p[1]), GTALK_MAX(v.p[2], v.p[3]));
  float most = four[0];
  for (int i = 1; i < WIDTH; i++) most = four[i] > most ? four[i] : most;
  return most;
}
// IEEE half to float. Subnormals are converted as integers, because processors take long over denormal floats.
GTALK_INLINE NF from_half(const unsigned short* h) {
  NI wide = {h[0], h[1], h[2], h[3]};
  NI sign = (wide & 0x8000) << 16, magnitude = wide & 0x7fff;
  NI normal = (magnitude << 13) + 0x38000000;
  NI tiny = float_to_bits(__builtin_convertvector(magnitude, NF) * 5.9604645e-8f);
  return bits_to_float((magnitude < 0x400 ? tiny : normal) | sign);
}
#endif

GTALK_INLINE F load_half(const unsigned short* from) {
  F r;
#define X(i) r.p[i] = from_half(from + i * WIDTH);
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F maximum(F a, F b) {
  F r;
#define X(i) r.p[i] = GTALK_MAX(a.p[i], b.p[i]);
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F minimum(F a, F b) {
  F r;
#define X(i) r.p[i] = GTALK_MIN(a.p[i], b.p[i]);
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F root(F a) {
  F r;
#define X(i) r.p[i] = GTALK_SQRT(a.p[i]);
  GTALK_EACH(X)
#undef X
  return r;
}

// 2^x for x <= 126; 0 below -126. Round to the nearest integer by adding 1.5 * 2^23, then a polynomial that
// is near-minimax on [-0.5, 0.5] (relative error below 3e-7).
GTALK_INLINE F exp2_of(F x) {
  const float magic = 12582912.0f;
  F r;
#define X(i)                                                                       \
  {                                                                                \
    NF v = GTALK_MAX(x.p[i], -126.0f - (NF){});                                    \
    NF shifted = v + magic;                                                        \
    NF f = v - (shifted - magic);                                                  \
    NF y = f * 1.3333558e-3f + 9.6181291e-3f;                                      \
    y = y * f + 5.5504109e-2f;                                                     \
    y = y * f + 2.4022651e-1f;                                                     \
    y = y * f + 6.9314718e-1f;                                                     \
    y = y * f + 1.0f;                                                              \
    NI exponent = (float_to_bits(shifted) - 0x4b400000) << 23;                     \
    r.p[i] = bits_to_float(float_to_bits(y) + exponent);                           \
  }
  GTALK_EACH(X)
#undef X
  return r;
}
// log2 of positive normal numbers: exponent, and the series of atanh for a mantissa in [sqrt(1/2), sqrt(2)).
GTALK_INLINE F log2_of(F x) {
  F r;
#define X(i)                                                                       \
  {                                                                                \
    NI raw = float_to_bits(x.p[i]) - 0x3f3504f3;                                   \
    NI exponent = raw >> 23;                                                       \
    NF m = bits_to_float((raw & 0x7fffff) + 0x3f3504f3);                           \
    NF s = (m - 1.0f) / (m + 1.0f);                                                \
    NF q = s * s;                                                                  \
    NF y = ((q * 0.41219858f + 0.57707802f) * q + 0.96179669f) * q + 2.8853901f;   \
    r.p[i] = y * s + __builtin_convertvector(exponent, NF);                        \
  }
  GTALK_EACH(X)
#undef X
  return r;
}
GTALK_INLINE F sigmoid(F x) {
  F e = exp2_of(minimum(maximum(x, splat(-80.0f)), splat(80.0f)) * -1.44269504f);
  return 1.0f / (1.0f + e);
}
