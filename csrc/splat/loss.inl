// Colour and coverage loss of a picture and its gradient, in one go. Included by simd/all.inl.
//
// x = colour + T background. loss = (1 - s) mean(weight |x - y|) + s (1 - SSIM(x, y)) / 2 + c mean((1 - T - matte)^2),
// SSIM as Wang et al. 2004, eq. 13, over all 7 x 7 windows inside the picture, uniform weights.


// Adds the gradient of  factor * sum over windows of SSIM(x, y)  to d, and returns that sum without the factor.
static double ssim_rows(const float* x, const float* y, float* d, float* d_T, const float* background, float* scratch,
                        const Photo& o, float factor) {
  const long pad = padded_width(o.width);
  float* vertical[5];
  float *product[3], *ring[3];
  for (int i = 0; i < 5; i++) vertical[i] = scratch + i * pad;
  for (int i = 0; i < 3; i++) product[i] = scratch + (5 + i) * pad + 16, ring[i] = scratch + (8 + i * WINDOW) * pad;
  __builtin_memset(scratch, 0, sizeof(float) * pad * (8 + 3 * WINDOW));
  const int windows_x = o.width - WINDOW + 1, windows_y = o.height - WINDOW + 1;
  const float share = 1.0f / (WINDOW * WINDOW), c1 = 1e-4f, c2 = 9e-4f;
  double total = 0.0;
  for (int row = 0; row < o.height; row++) {
    const int slot = row % WINDOW;
    if (row < windows_y) {
      for (long i = 0; i < o.stride; i += 16) {
        F sx = row_of(0.0f), sy = sx, sxx = sx, syy = sx, sxy = sx;
        for (int k = 0; k < WINDOW; k++) {
          F a = load_row(x + (row + k) * o.stride + i), b = load_row(y + (row + k) * o.stride + i);
          sx += a, sy += b, sxx = sxx + a * a, syy = syy + b * b, sxy = sxy + a * b;
        }
        store(vertical[0] + i, sx), store(vertical[1] + i, sy), store(vertical[2] + i, sxx);
        store(vertical[3] + i, syy), store(vertical[4] + i, sxy);
      }
      F row_total = row_of(0.0f);
      for (long i = 0; i < o.stride; i += 16) {
        F m[5];
        for (int q = 0; q < 5; q++) {
          F v = load_row(vertical[q] + i);
          for (int k = 1; k < WINDOW; k++) v += load_row(vertical[q] + i + k);
          m[q] = v * share;
        }
        F xx = m[0] * m[0], yy = m[1] * m[1], xy = m[0] * m[1];
        F l1 = xy * 2.0f + row_of(c1), l2 = (m[4] - xy) * 2.0f + row_of(c2);
        F m1 = xx + yy + row_of(c1), m2 = m[2] - xx + m[3] - yy + row_of(c2);
        F inverse = 1.0f / (m1 * m2), ssim = l1 * l2 * inverse;
        F d_cov = l1 * inverse * 2.0f, d_var = -(ssim * m1 * inverse);
        F d_mean = (m[1] * l2 * inverse - m[0] * ssim * m2 * inverse) * 2.0f - m[1] * d_cov - m[0] * d_var * 2.0f;
        Mask inside = row_of(float(windows_x - i) - 0.5f) >= lanes();
        row_total += keep(inside, ssim);
        const float f = factor * share;
        store(product[0] + i, keep(inside, d_mean * f)), store(product[1] + i, keep(inside, d_var * (2.0f * f)));
        store(product[2] + i, keep(inside, d_cov * f));
      }
      total += sum(row_total);
      for (int q = 0; q < 3; q++)
        for (long i = 0; i < o.stride; i += 16) {
          F v = load_row(product[q] + i);
          for (int k = 1; k < WINDOW; k++) v += load_row(product[q] + i - k);
          store(ring[q] + slot * pad + i, v);
        }
    } else {
      for (int q = 0; q < 3; q++) __builtin_memset(ring[q] + slot * pad, 0, sizeof(float) * o.stride);
    }
    for (long i = 0; i < o.stride; i += 16) {
      F v[3];
      for (int q = 0; q < 3; q++) {
        v[q] = load_row(ring[q] + i);
        for (int k = 1; k < WINDOW; k++) v[q] += load_row(ring[q] + k * pad + i);
      }
      const long at = row * o.stride + i;
      F gradient = v[0] + load_row(x + at) * v[1] + load_row(y + at) * v[2];
      store(d + at, load_row(d + at) + gradient);
      store(d_T + at, load_row(d_T + at) + gradient * load_row(background + at));
    }
  }
  return total;
}

// terms: mean weighted |x - y|, (1 - SSIM) / 2, mean coverage error squared, mean squared colour error.
static void photo_loss(const Photo& o, double* terms) {
  const long pixels = long(o.width) * o.height;
  float *x = o.scratch, *y = x + o.stride * o.height, *rest = y + o.stride * o.height;
  float* d_T = o.d_planes + 3 * o.plane_size;
  const float* T = o.planes + 3 * o.plane_size;
  alignas(64) float weight[16], wanted[16];
  double coverage = 0.0, absolute = 0.0, squared = 0.0, ssim = 0.0;
  for (int row = 0; row < o.height; row++)
    for (long i = 0; i < o.stride; i += 16) {
      const long at = row * o.stride + i;
      for (int j = 0; j < 16; j++) wanted[j] = i + j < o.width ? 1.0f - o.matte[long(row) * o.width + i + j] * (1.0f / 255.0f) : 0.0f;
      Mask inside = row_of(float(o.width - i) - 0.5f) >= lanes();
      F error = keep(inside, load_row(T + at) - load_row(wanted));
      coverage += sum(error * error);
      store(d_T + at, error * (2.0f * o.coverage_weight / pixels));
    }
  const bool windows = o.width >= WINDOW && o.height >= WINDOW && o.dssim_share > 0.0f;
  const long window_count = windows ? long(o.width - WINDOW + 1) * (o.height - WINDOW + 1) * 3 : 1;
  const float l1_factor = (1.0f - o.dssim_share) / (3.0f * pixels);
  for (int c = 0; c < 3; c++) {
    const float *colour = o.planes + c * o.plane_size, *background = o.background + c * o.plane_size;
    float* d = o.d_planes + c * o.plane_size;
    for (int row = 0; row < o.height; row++)
      for (long i = 0; i < o.stride; i += 16) {
        const long at = row * o.stride + i;
        const long from = long(row) * o.width + i;
        const int live = o.width - i < 16 ? int(o.width - i) : 16;
        for (int j = 0; j < live; j++) {
          wanted[j] = o.truth[(from + j) * 3 + c] * (1.0f / 255.0f);
          weight[j] = o.weight_of_label[o.labels[from + j]];
        }
        for (int j = live; j < 16; j++) wanted[j] = weight[j] = 0.0f;
        Mask inside = row_of(float(o.width - i) - 0.5f) >= lanes();
        F behind = load_row(background + at), b = load_row(wanted), w = load_row(weight);
        F a = keep(inside, load_row(colour + at) + load_row(T + at) * behind);
        F error = a - b, size = maximum(error, -error);
        store(x + at, a), store(y + at, b);
        absolute += sum(size * w), squared += sum(error * error);
        F sign = select(error >= row_of(0.0f), row_of(1.0f), row_of(-1.0f));
        sign = keep(size >= row_of(1e-12f), sign);
        F gradient = sign * w * l1_factor;
        store(d + at, gradient);
        store(d_T + at, load_row(d_T + at) + gradient * behind);
      }
    if (windows) ssim += ssim_rows(x, y, d, d_T, background, rest, o, -0.5f * o.dssim_share / window_count);
  }
  terms[0] = absolute / (3.0 * pixels), terms[1] = windows ? 0.5 * (1.0 - ssim / window_count) : 0.0;
  terms[2] = coverage / pixels, terms[3] = squared / (3.0 * pixels);
}
