// Moves the moments by a gradient and returns what the numbers go down by.
GTALK_INLINE VF adam_root(const AdamNumbers& a, VF v) { return square_root(v) * a.root_scale + a.eps; }
GTALK_INLINE VF adam_step(const AdamNumbers& a, VF rate, VF g, VF* m, VF* v) {
  *m = a.beta1 * *m + (1.f - a.beta1) * g;
  *v = a.beta2 * *v + (1.f - a.beta2) * g * g;
  return rate * *m / adam_root(a, *v);
}

// n numbers, W at a time. With `sparse`, vectors without a gradient are not even read.
static void adam(
    const AdamNumbers& a, float rate, float factor, float* p, const float* grad, float* m, float* v, int64_t n,
    bool sparse) {
  for (int64_t i = 0; i < n; i += W) {
    const int count = static_cast<int>(n - i < W ? n - i : W);
    const bool whole = count == W;
    const VF raw = whole ? load(grad + i) : load_part(grad + i, count);
    const VI touched = sparse ? raw != 0.f : ~VI{};
    if (sparse && !any(touched)) continue;
    const VF g = raw * factor;
    const VF old_p = whole ? load(p + i) : load_part(p + i, count);
    const VF old_m = whole ? load(m + i) : load_part(m + i, count);
    const VF old_v = whole ? load(v + i) : load_part(v + i, count);
    VF mean = old_m, square = old_v;
    const VF stepped = old_p - adam_step(a, splat(rate), g, &mean, &square);
    const VF results[] = {touched ? stepped : old_p, touched ? mean : old_m, touched ? square : old_v};
    float* const places[] = {p + i, m + i, v + i};
    for (int k = 0; k < 3; ++k) {
      if (whole) {
        store(places[k], results[k]);
      } else {
        store_part(places[k], results[k], count);
      }
    }
  }
}
