// Blended planes to pictures, and the plate under the camera's framing. No include guard: see splat_vec.h.

static void resolve_bytes(const Resolve& o, unsigned char* rgb, unsigned char* alpha, int first_row, int last_row) {
  alignas(64) float lane[16];
  for (int row = first_row; row < last_row; row++)
    for (long i = 0; i < o.stride; i += 16) {
      const long at = row * o.stride + i, to = long(row) * o.width + i;
      const int live = o.width - i < 16 ? int(o.width - i) : 16;
      F T = load(o.planes + 3 * o.plane_size + at);
      for (int c = 0; c < 3; c++) {
        F v = load(o.planes + c * o.plane_size + at);
        if (o.background) v = v + T * load(o.background + c * o.plane_size + at);
        store(lane, maximum(splat(0.0f), minimum(v, splat(1.0f))) * 255.0f + splat(0.5f));
        for (int j = 0; j < live; j++) rgb[(to + j) * 3 + c] = (unsigned char)(int)lane[j];
      }
      store(lane, (1.0f - T) * 255.0f + splat(0.5f));
      for (int j = 0; j < live; j++) alpha[to + j] = (unsigned char)(int)lane[j];
    }
}

// depth: mean depth of what was seen, 0 where less than a thousandth is covered.
static void resolve_floats(const Resolve& o, float* rgb, float* alpha, float* depth, int first_row, int last_row) {
  alignas(64) float lane[16];
  for (int row = first_row; row < last_row; row++)
    for (long i = 0; i < o.stride; i += 16) {
      const long at = row * o.stride + i, to = long(row) * o.width + i;
      const int live = o.width - i < 16 ? int(o.width - i) : 16;
      F T = load(o.planes + 3 * o.plane_size + at);
      for (int c = 0; c < 3; c++) {
        F v = load(o.planes + c * o.plane_size + at);
        if (o.background) v = v + T * load(o.background + c * o.plane_size + at);
        store(lane, v);
        for (int j = 0; j < live; j++) rgb[(to + j) * 3 + c] = lane[j];
      }
      F covered = 1.0f - T;
      store(lane, covered);
      for (int j = 0; j < live; j++) alpha[to + j] = lane[j];
      F mean = load(o.planes + 4 * o.plane_size + at) / maximum(covered, splat(1e-3f));
      store(lane, keep(covered >= splat(1e-3f), mean));
      for (int j = 0; j < live; j++) depth[to + j] = lane[j];
    }
}

// A plate point p is seen at centre + (dx, dy) heights + exp(log_scale) (p - centre); edges go on beyond the plate.
// Bilinear, one axis at a time. columns: width ints and width floats of scratch, row: 3 rows of stride + 32.
static void frame_plate(const float* plate, float* out, long stride, long plane_size, int width, int height, float dx,
                        float dy, float log_scale, int* column, float* share, float* rows, int first_row, int last_row) {
  const float shrink = exp2_of(splat(-log_scale * LOG2_E)).p[0][0];
  for (int x = 0; x < width; x++) {
    float at = (x + 0.5f - 0.5f * width - dx * height) * shrink + 0.5f * width - 0.5f;
    at = at < 0.0f ? 0.0f : (at > width - 1.0f ? width - 1.0f : at);
    column[x] = int(at) < width - 2 ? int(at) : (width > 1 ? width - 2 : 0), share[x] = width > 1 ? at - column[x] : 0.0f;
  }
  for (int y = first_row; y < last_row; y++) {
    float at = (y + 0.5f - 0.5f * height - dy * height) * shrink + 0.5f * height - 0.5f;
    at = at < 0.0f ? 0.0f : (at > height - 1.0f ? height - 1.0f : at);
    const int top = int(at), bottom = top + 1 < height ? top + 1 : top;
    const float down = at - top;
    for (int c = 0; c < 3; c++) {
      const float *a = plate + c * plane_size + top * stride, *b = plate + c * plane_size + bottom * stride;
      for (long i = 0; i < stride; i += 16) {
        F upper = load(a + i);
        store(rows + i, upper + (load(b + i) - upper) * down);
      }
      float* to = out + c * plane_size + y * stride;
      int x = 0;
      for (; x + 16 <= width; x += 16) {
        const int from = column[x];
        if (column[x + 15] - from == 15) {
          F left = load(rows + from);
          store(to + x, left + (load(rows + from + 1) - left) * load(share + x));
        } else {
          for (int j = x; j < x + 16; j++) to[j] = rows[column[j]] + (rows[column[j] + 1] - rows[column[j]]) * share[j];
        }
      }
      for (; x < width; x++) to[x] = rows[column[x]] + (rows[column[x] + 1] - rows[column[x]]) * share[x];
      for (; x < stride; x++) to[x] = 0.0f;
    }
  }
}
