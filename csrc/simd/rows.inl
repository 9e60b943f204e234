// Sixteen floats at once, as 16 / W vectors of vec.inl: a Gaussian, or a row of a tile. F holds floats, Mask the
// outcome of a comparison (all ones or zero).

constexpr int PARTS = 16 / W;

// The statement for i = 0 .. PARTS - 1. (Of loops over so few, GCC leaves some rolled and the vectors in memory.)
#define GTALK_PART(n, ...)   \
  {                          \
    constexpr int i = n;     \
    __VA_ARGS__;             \
  }
#if GTALK_WIDTH == 16
#define GTALK_EACH(...) GTALK_PART(0, __VA_ARGS__)
#elif GTALK_WIDTH == 8
#define GTALK_EACH(...) GTALK_PART(0, __VA_ARGS__) GTALK_PART(1, __VA_ARGS__)
#else
#define GTALK_EACH(...) \
  GTALK_PART(0, __VA_ARGS__) GTALK_PART(1, __VA_ARGS__) GTALK_PART(2, __VA_ARGS__) GTALK_PART(3, __VA_ARGS__)
#endif
// A function of rows that does `part` to every vector, its result going to r.p[i].
#define GTALK_ROWS(Result, declaration, part) \
  GTALK_INLINE Result declaration {           \
    Result r;                                 \
    GTALK_EACH(r.p[i] = part)                 \
    return r;                                 \
  }

struct F {
  VF p[PARTS];
};
struct Mask {
  VI p[PARTS];
};

GTALK_ROWS(F, row_of(float x), splat(x))
GTALK_ROWS(F, load_row(const float* from), load(from + i * W))
GTALK_ROWS(F, load_half_row(const uint16_t* from), load_half(from + i * W))
GTALK_INLINE void store(float* to, F v) { GTALK_EACH(store(to + i * W, v.p[i])) }

GTALK_ROWS(F, operator+(F a, F b), a.p[i] + b.p[i])
GTALK_ROWS(F, operator-(F a, F b), a.p[i] - b.p[i])
GTALK_ROWS(F, operator*(F a, F b), a.p[i] * b.p[i])
GTALK_ROWS(F, operator/(F a, F b), a.p[i] / b.p[i])
GTALK_INLINE F operator+(F a, float b) { return a + row_of(b); }
GTALK_INLINE F operator-(F a, float b) { return a - row_of(b); }
GTALK_INLINE F operator*(F a, float b) { return a * row_of(b); }
GTALK_INLINE F operator+(float a, F b) { return row_of(a) + b; }
GTALK_INLINE F operator-(float a, F b) { return row_of(a) - b; }
GTALK_INLINE F operator*(float a, F b) { return row_of(a) * b; }
GTALK_INLINE F operator/(float a, F b) { return row_of(a) / b; }
GTALK_INLINE F operator-(F a) { return 0.0f - a; }
GTALK_INLINE void operator+=(F& a, F b) { a = a + b; }
GTALK_INLINE void operator-=(F& a, F b) { a = a - b; }

GTALK_ROWS(Mask, operator<(F a, F b), a.p[i] < b.p[i])
GTALK_ROWS(Mask, operator>=(F a, F b), a.p[i] >= b.p[i])
GTALK_ROWS(Mask, operator&(Mask a, Mask b), a.p[i] & b.p[i])
GTALK_ROWS(F, select(Mask m, F yes, F no), m.p[i] ? yes.p[i] : no.p[i])
GTALK_INLINE F keep(Mask m, F v) { return select(m, v, row_of(0.0f)); }

GTALK_ROWS(F, maximum(F a, F b), max(a.p[i], b.p[i]))
GTALK_ROWS(F, minimum(F a, F b), min(a.p[i], b.p[i]))
GTALK_ROWS(F, root(F a), square_root(a.p[i]))
GTALK_ROWS(F, exp2_of(F x), exponential_2(x.p[i]))
GTALK_ROWS(F, log2_of(F x), logarithm_2(x.p[i]))
GTALK_INLINE F sigmoid(F x) {
  const F e = exp2_of(minimum(maximum(x, row_of(-80.0f)), row_of(80.0f)) * -1.44269504f);
  return 1.0f / (1.0f + e);
}

#if GTALK_WIDTH == 16
#define GTALK_FOLD(op) v.p[0]
#elif GTALK_WIDTH == 8
#define GTALK_FOLD(op) op(v.p[0], v.p[1])
#else
#define GTALK_FOLD(op) op(op(v.p[0], v.p[1]), op(v.p[2], v.p[3]))
#endif
GTALK_INLINE VF plus(VF a, VF b) { return a + b; }
GTALK_INLINE VI either(VI a, VI b) { return a | b; }
GTALK_INLINE float sum(F v) { return horizontal_sum(GTALK_FOLD(plus)); }
GTALK_INLINE float largest(F v) { return horizontal_max(GTALK_FOLD(max)); }
GTALK_INLINE bool any(Mask v) { return any(GTALK_FOLD(either)); }
#undef GTALK_FOLD

GTALK_INLINE F lanes() {  // 0 .. 15
  alignas(64) const float lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return load_row(lane);
}
