// Motion basis: gaussian[n] = base[n] + clamp(sum_k code[k] basis[n][k], -limit, limit), 16 floats each; its
// transpose, and Adam on the basis from the outer product of a Gaussian's gradient and the code. No include
// guard: see splat_vec.h.

GTALK_INLINE F basis_row(const void* basis, long row, const bool half) {
  return half ? load_half(static_cast<const unsigned short*>(basis) + row * 16)
              : load(static_cast<const float*>(basis) + row * 16);
}
GTALK_INLINE void deform_rows(const float* base, const void* basis, const bool half, const float* code,
                              const float* limit, float* out, long begin, long end, int K) {
  const F high = load(limit), low = -high;
  for (long n = begin; n < end; n++) {
    F even = splat(0.0f), odd = splat(0.0f);
    int k = 0;
    for (; k + 1 < K; k += 2) {
      even = even + basis_row(basis, n * K + k, half) * code[k];
      odd = odd + basis_row(basis, n * K + k + 1, half) * code[k + 1];
    }
    if (k < K) even = even + basis_row(basis, n * K + k, half) * code[k];
    store(out + n * 16, load(base + n * 16) + maximum(low, minimum(high, even + odd)));
  }
}
static void deform(const float* base, const float* basis, const float* code, const float* limit, float* out, long begin,
                   long end, int K) {
  deform_rows(base, basis, false, code, limit, out, begin, end, K);
}
static void deform_half(const float* base, const unsigned short* basis, const float* code, const float* limit,
                        float* out, long begin, long end, int K) {
  deform_rows(base, basis, true, code, limit, out, begin, end, K);
}

// Where the clamp held, no gradient passes to basis and code. `inner` receives the gradient that does.
static void deform_backward(const float* base, const float* basis, const float* limit, const float* out,
                            const float* d_out, float* inner, float* d_code, long begin, long end, int K) {
  const F high = load(limit) * 0.9999f;  // out - base is rounded
  for (long n = begin; n < end; n++) {
    F moved = load(out + n * 16) - load(base + n * 16);
    F g = keep(maximum(moved, -moved) < high, load(d_out + n * 16));
    store(inner + n * 16, g);
    for (int k = 0; k < K; k++) d_code[k] += sum(g * load(basis + (n * K + k) * 16));
  }
}

// Kingma and Ba 2015. rate[16] is per channel. `decay` pulls values towards zero (or towards `anchor`).
static void adam(float* value, const float* gradient, float* first, float* second, const float* rate,
                 const AdamStep& s, long begin, long end) {
  const F step = load(rate) * (1.0f / s.correction1);
  for (long n = begin; n < end; n++) {
    F g = load(gradient + n * 16);
    F m = load(first + n * 16) * s.beta1 + g * (1.0f - s.beta1);
    F v = load(second + n * 16) * s.beta2 + g * g * (1.0f - s.beta2);
    store(first + n * 16, m);
    store(second + n * 16, v);
    F denominator = root(v * (1.0f / s.correction2)) + splat(s.epsilon);
    store(value + n * 16, load(value + n * 16) - step * m / denominator);
  }
}

// The gradient of basis[n][k] is gradient[n] * code[k]. Its second moment is taken as the Gaussian's own,
// E[gradient[n]^2], because codes have unit variance: a direction that the clip seldom visits then moves in
// proportion to its evidence, instead of being scaled up to full steps, and a third of the memory is spared.
static void adam_basis(float* basis, const float* gradient, const float* code, float* first, const float* second,
                       const float* rate, const float* keep_share, const AdamStep& s, long begin, long end, int K) {
  const F step = load(rate) * (1.0f / s.correction1);
  const F kept = load(keep_share);
  for (long n = begin; n < end; n++) {
    F g = load(gradient + n * 16) * (1.0f - s.beta1);
    F scale = step / (root(load(second + n * 16) * (1.0f / s.correction2)) + splat(s.epsilon));
    float* row = basis + n * K * 16;
    float* moment = first + n * K * 16;
    for (int k = 0; k < K; k++) {
      F m = load(moment + k * 16) * s.beta1 + g * code[k];
      store(moment + k * 16, m);
      store(row + k * 16, load(row + k * 16) * kept - scale * m);
    }
  }
}
