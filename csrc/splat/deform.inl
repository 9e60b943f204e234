// Motion basis: gaussian[n] = base[n] + clamp(sum_k code[k] basis[n][k], -limit, limit), 16 floats each; its
// transpose, what expressions add to it, and Adam on the basis from the outer product of a Gaussian's gradient and the code. No include
// guard: see splat_vec.h.

GTALK_INLINE F basis_row(const void* basis, long row, const bool half) {
  return half ? load_half_row(static_cast<const uint16_t*>(basis) + row * 16)
              : load_row(static_cast<const float*>(basis) + row * 16);
}
GTALK_INLINE void deform_rows(const float* base, const void* basis, const bool half, const float* code,
                              const float* limit, float* out, long begin, long end, int K) {
  const F high = load_row(limit), low = -high;
  for (long n = begin; n < end; n++) {
    F even = row_of(0.0f), odd = row_of(0.0f);
    int k = 0;
    for (; k + 1 < K; k += 2) {
      even = even + basis_row(basis, n * K + k, half) * code[k];
      odd = odd + basis_row(basis, n * K + k + 1, half) * code[k + 1];
    }
    if (k < K) even = even + basis_row(basis, n * K + k, half) * code[k];
    store(out + n * 16, load_row(base + n * 16) + maximum(low, minimum(high, even + odd)));
  }
}
static void deform(const float* base, const float* basis, const float* code, const float* limit, float* out, long begin,
                   long end, int K) {
  deform_rows(base, basis, false, code, limit, out, begin, end, K);
}
static void deform_half(const float* base, const uint16_t* basis, const float* code, const float* limit,
                        float* out, long begin, long end, int K) {
  deform_rows(base, basis, true, code, limit, out, begin, end, K);
}

// Looks within a range (wholly at share 1), and a sum that was made before on top. `ranges`: two tables of `plane` floats.
static void keep_within(float* out, const float* ranges, long plane, float share, const float* held, long begin, long end) {
  for (long i = begin * 16; i < end * 16; i += 16) {
    F v = load_row(out + i);
    if (ranges) {
      const F within = minimum(maximum(v, load_row(ranges + i)), load_row(ranges + plane + i));
      v = share == 1.0f ? within : v + (within - v) * share;
    }
    store(out + i, held ? v + load_row(held + i) : v);
  }
}

// Sparse columns of a block of Gaussians: out[rows[j]] += coefs[c] values[j] for j in [starts[c], starts[c + 1]), 16
// halves each. Columns with coefficient 0 are not read.
static void add_columns(float* out, const int* starts, const int* rows, const uint16_t* values, const float* coefs, int count) {
  for (int c = 0; c < count; c++) {
    const float share = coefs[c];
    if (share == 0.0f) continue;
    for (int j = starts[c]; j < starts[c + 1]; j++) {
      float* to = out + rows[j] * 16L;
      store(to, load_row(to) + load_half_row(values + j * 16L) * share);
    }
  }
}

// Where the clamp held, no gradient passes to basis and code. `inner` receives the gradient that does.
static void deform_backward(const float* base, const float* basis, const float* limit, const float* out,
                            const float* d_out, float* inner, float* d_code, long begin, long end, int K) {
  const F high = load_row(limit) * 0.9999f;  // out - base is rounded
  for (long n = begin; n < end; n++) {
    F moved = load_row(out + n * 16) - load_row(base + n * 16);
    F g = keep(maximum(moved, -moved) < high, load_row(d_out + n * 16));
    store(inner + n * 16, g);
    for (int k = 0; k < K; k++) d_code[k] += sum(g * load_row(basis + (n * K + k) * 16));
  }
}

// Adam (ops/adam.inl) with a rate for each of the 16 channels, bias corrected.
static void adam_rows(float* value, const float* gradient, float* first, float* second, const float* rates,
                      const AdamNumbers& a, long begin, long end) {
  const F rate = load_row(rates);
  for (long n = begin; n < end; n++) {
    const F g = load_row(gradient + n * 16);
    F m = load_row(first + n * 16), v = load_row(second + n * 16), p = load_row(value + n * 16);
    GTALK_EACH(p.p[i] -= adam_step(a, rate.p[i], g.p[i], &m.p[i], &v.p[i]))
    store(first + n * 16, m), store(second + n * 16, v), store(value + n * 16, p);
  }
}

// The gradient of basis[n][k] is gradient[n] * code[k]. Its second moment is taken as the Gaussian's own,
// E[gradient[n]^2], because codes have unit variance: a direction that the clip seldom visits then moves in
// proportion to its evidence, instead of being scaled up to full steps, and a third of the memory is spared.
static void adam_basis(float* basis, const float* gradient, const float* code, float* first, const float* second,
                       const float* rates, const float* kept_share, const AdamNumbers& a, long begin, long end, int K) {
  const F rate = load_row(rates), kept = load_row(kept_share);
  for (long n = begin; n < end; n++) {
    const F g = load_row(gradient + n * 16) * (1.0f - a.beta1), v = load_row(second + n * 16);
    F scale;
    GTALK_EACH(scale.p[i] = rate.p[i] / adam_root(a, v.p[i]))
    float* row = basis + n * K * 16;
    float* moment = first + n * K * 16;
    for (int k = 0; k < K; k++) {
      F m = load_row(moment + k * 16) * a.beta1 + g * code[k];
      store(moment + k * 16, m);
      store(row + k * 16, load_row(row + k * 16) * kept - scale * m);
    }
  }
}
