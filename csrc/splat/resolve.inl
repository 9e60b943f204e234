// Blended planes to pictures, and the plate under the camera's framing. Included by simd/all.inl.

typedef unsigned char VB __attribute__((vector_size(W), may_alias));
typedef unsigned char B16 __attribute__((vector_size(16), aligned(1), may_alias));

// [0, 1] to the nearest of 0..255; what lies outside is clamped, NaN is 0.
GTALK_INLINE void store_levels(unsigned char* to, F v) {
  const F scaled = minimum(maximum(v, row_of(0.0f)), row_of(1.0f)) * 255.0f + 0.5f;
  GTALK_EACH(const VB level = __builtin_convertvector(__builtin_convertvector(scaled.p[i], VI), VB);
             __builtin_memcpy(to + i * W, &level, W))
}
// r0 g0 b0 r1 ... of 16 pixels, from 16 bytes each.
GTALK_INLINE void interleave(const unsigned char (*c)[16], unsigned char* to) {
#if defined(__clang__) || __GNUC__ >= 12
  B16 r, g, b;
  __builtin_memcpy(&r, c[0], 16), __builtin_memcpy(&g, c[1], 16), __builtin_memcpy(&b, c[2], 16);
  B16 x = __builtin_shufflevector(r, g, 0, 16, -1, 1, 17, -1, 2, 18, -1, 3, 19, -1, 4, 20, -1, 5);
  B16 y = __builtin_shufflevector(r, g, 21, -1, 6, 22, -1, 7, 23, -1, 8, 24, -1, 9, 25, -1, 10, 26);
  B16 z = __builtin_shufflevector(r, g, -1, 11, 27, -1, 12, 28, -1, 13, 29, -1, 14, 30, -1, 15, 31, -1);
  x = __builtin_shufflevector(x, b, 0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15);
  y = __builtin_shufflevector(y, b, 0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15);
  z = __builtin_shufflevector(z, b, 26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31);
  __builtin_memcpy(to, &x, 16), __builtin_memcpy(to + 16, &y, 16), __builtin_memcpy(to + 32, &z, 16);
#else
  for (int j = 0; j < 16; j++) to[3 * j] = c[0][j], to[3 * j + 1] = c[1][j], to[3 * j + 2] = c[2][j];
#endif
}

static void resolve_bytes(const Resolve& o, unsigned char* rgb, unsigned char* alpha, int first_row, int last_row) {
  unsigned char level[4][16], pixels[48];
  for (int row = first_row; row < last_row; row++)
    for (long i = 0; i < o.stride; i += 16) {
      const long at = row * o.stride + i, to = long(row) * o.width + i;
      const int live = o.width - i < 16 ? int(o.width - i) : 16;
      F T = load_row(o.planes + 3 * o.plane_size + at);
      for (int c = 0; c < 3; c++) {
        F v = load_row(o.planes + c * o.plane_size + at);
        if (o.background) v = v + T * load_row(o.background + c * o.plane_size + at);
        store_levels(level[c], v);
      }
      store_levels(level[3], 1.0f - T);
      if (live == 16) {
        interleave(level, rgb + 3 * to);
        __builtin_memcpy(alpha + to, level[3], 16);
      } else {
        interleave(level, pixels);
        __builtin_memcpy(rgb + 3 * to, pixels, 3 * live);
        __builtin_memcpy(alpha + to, level[3], live);
      }
    }
}

// depth: mean depth of what was seen, 0 where less than a thousandth is covered.
static void resolve_floats(const Resolve& o, float* rgb, float* alpha, float* depth, int first_row, int last_row) {
  alignas(64) float lane[16];
  for (int row = first_row; row < last_row; row++)
    for (long i = 0; i < o.stride; i += 16) {
      const long at = row * o.stride + i, to = long(row) * o.width + i;
      const int live = o.width - i < 16 ? int(o.width - i) : 16;
      F T = load_row(o.planes + 3 * o.plane_size + at);
      for (int c = 0; c < 3; c++) {
        F v = load_row(o.planes + c * o.plane_size + at);
        if (o.background) v = v + T * load_row(o.background + c * o.plane_size + at);
        store(lane, v);
        for (int j = 0; j < live; j++) rgb[(to + j) * 3 + c] = lane[j];
      }
      F covered = 1.0f - T;
      store(lane, covered);
      for (int j = 0; j < live; j++) alpha[to + j] = lane[j];
      F mean = load_row(o.planes + 4 * o.plane_size + at) / maximum(covered, row_of(1e-3f));
      store(lane, keep(covered >= row_of(1e-3f), mean));
      for (int j = 0; j < live; j++) depth[to + j] = lane[j];
    }
}

// A plate point p is seen at centre + (dx, dy) heights + exp(log_scale) (p - centre); edges go on beyond the plate,
// which may be larger than the picture (both have one centre). Bilinear, one axis at a time.
static void frame_plate(const Plate& o, float* out, int first_row, int last_row) {
  const float shrink = exp2_of(row_of(-o.log_scale * LOG2_E)).p[0][0];
  const float middle_x = 0.5f * o.plate_width - 0.5f, middle_y = 0.5f * o.plate_height - 0.5f;
  for (int x = 0; x < o.width; x++) {
    float at = (x + 0.5f - 0.5f * o.width - o.dx * o.height) * shrink + middle_x;
    at = at < 0.0f ? 0.0f : (at > o.plate_width - 1.0f ? o.plate_width - 1.0f : at);
    const int most = o.plate_width > 1 ? o.plate_width - 2 : 0;
    o.column[x] = int(at) < most ? int(at) : most;
    o.share[x] = o.plate_width > 1 ? at - o.column[x] : 0.0f;
  }
  for (int y = first_row; y < last_row; y++) {
    float at = (y + 0.5f - 0.5f * o.height - o.dy * o.height) * shrink + middle_y;
    at = at < 0.0f ? 0.0f : (at > o.plate_height - 1.0f ? o.plate_height - 1.0f : at);
    const int top = int(at), bottom = top + 1 < o.plate_height ? top + 1 : top;
    const float down = at - top;
    for (int c = 0; c < 3; c++) {
      const float* a = o.plate + (long(c) * o.plate_height + top) * o.plate_stride;
      const float* b = o.plate + (long(c) * o.plate_height + bottom) * o.plate_stride;
      for (long i = 0; i < o.plate_stride; i += 16) {
        F upper = load_row(a + i);
        store(o.row + i, upper + (load_row(b + i) - upper) * down);
      }
      float* to = out + (long(c) * o.height + y) * o.stride;
      int x = 0;
      for (; x + 16 <= o.width; x += 16) {
        const int from = o.column[x];
        if (o.column[x + 15] - from == 15) {
          F left = load_row(o.row + from);
          store(to + x, left + (load_row(o.row + from + 1) - left) * load_row(o.share + x));
        } else {
          for (int j = x; j < x + 16; j++) {
            const float* at_column = o.row + o.column[j];
            to[j] = at_column[0] + (at_column[1] - at_column[0]) * o.share[j];
          }
        }
      }
      for (; x < o.width; x++) to[x] = o.row[o.column[x]] + (o.row[o.column[x] + 1] - o.row[o.column[x]]) * o.share[x];
      for (; x < o.stride; x++) to[x] = 0.0f;
    }
  }
}
