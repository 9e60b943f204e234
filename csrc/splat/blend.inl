// Front-to-back blending of one tile, and its gradient. Included by simd/all.inl.
//
// alpha = min(0.999, opacity exp(-sigma)), ignored below 1/255; w = alpha T, T <- T (1 - alpha). A row of a tile is
// one vector. The gradient also runs front to back: the light from behind a splat is what remains of the pixel's
// final colour, so no state but that colour is stored.
//
// Planes: red, green, blue (premultiplied), transmittance T, and depth (sum of w z); each height rows of `stride`.


GTALK_INLINE int bits_of(float x) {
  int bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}
GTALK_INLINE void blend_rows(const Tile& tile, const bool with_depth, F* red, F* green, F* blue, F* T, F* depth) {
  const F columns = lanes() + row_of(float(tile.x0) + 0.5f);
  const int last_row = tile.y0 + tile.rows - 1;
  for (long i = 0; i < tile.count; i++) {
    if (i % CHECK_EVERY == CHECK_EVERY - 1) {
      F most = T[0];
      for (int y = 1; y < tile.rows; y++) most = maximum(most, T[y]);
      if (largest(most) < MIN_T) break;
    }
    const float* s = tile.splats + long(tile.list[i]) * 16;
    const int bounds = bits_of(s[14]);
    const int from = (bounds & 0xffff) < tile.y0 ? tile.y0 : (bounds & 0xffff);
    const int to = (bounds >> 16) > last_row ? last_row : (bounds >> 16);
    const F dx = columns - row_of(s[0]);
    const F along = dx * s[2] * dx + row_of(s[5]), across = dx * s[3];
    for (int y = from; y <= to; y++) {
      const float dy = float(y) + 0.5f - s[1];
      F exponent = (across + row_of(s[4] * dy)) * dy + along;
      Mask covered = exponent >= row_of(LOG2_MIN_ALPHA);
      if (!any(covered)) continue;
      const int row = y - tile.y0;
      F weight = keep(covered, minimum(exp2_of(exponent), row_of(MAX_ALPHA))) * T[row];
      red[row] = red[row] + weight * s[6];
      green[row] = green[row] + weight * s[7];
      blue[row] = blue[row] + weight * s[8];
      if (with_depth) depth[row] = depth[row] + weight * s[9];
      T[row] = T[row] - weight;
    }
  }
}

GTALK_INLINE void clear_rows(F* red, F* green, F* blue, F* T, F* depth, int rows) {
  for (int y = 0; y < rows; y++) red[y] = green[y] = blue[y] = depth[y] = row_of(0.0f), T[y] = row_of(1.0f);
}

static void blend_tile(const Tile& tile, float* planes, long stride, long plane_size, bool with_depth) {
  F red[TILE_H], green[TILE_H], blue[TILE_H], T[TILE_H], depth[TILE_H];
  clear_rows(red, green, blue, T, depth, tile.rows);
  if (with_depth)
    blend_rows(tile, true, red, green, blue, T, depth);
  else
    blend_rows(tile, false, red, green, blue, T, depth);
  for (int y = 0; y < tile.rows; y++) {
    float* to = planes + long(tile.y0 + y) * stride + tile.x0;
    store(to, red[y]), store(to + plane_size, green[y]), store(to + 2 * plane_size, blue[y]);
    store(to + 3 * plane_size, T[y]);
    if (with_depth) store(to + 4 * plane_size, depth[y]);
  }
}

// d_planes: gradients of red, green, blue and T. d_splats rows (see project.inl) are added to.
static void blend_tile_backward(const Tile& tile, const float* planes, const float* d_planes, float* d_splats,
                                long stride, long plane_size) {
  F T[TILE_H], S[TILE_H], gr[TILE_H], gg[TILE_H], gb[TILE_H];
  for (int y = 0; y < tile.rows; y++) {
    const float* c = planes + long(tile.y0 + y) * stride + tile.x0;
    const float* d = d_planes + long(tile.y0 + y) * stride + tile.x0;
    gr[y] = load_row(d), gg[y] = load_row(d + plane_size), gb[y] = load_row(d + 2 * plane_size);
    S[y] = gr[y] * load_row(c) + gg[y] * load_row(c + plane_size) + gb[y] * load_row(c + 2 * plane_size) +
           load_row(d + 3 * plane_size) * load_row(c + 3 * plane_size);
    T[y] = row_of(1.0f);
  }
  const F columns = lanes() + row_of(float(tile.x0) + 0.5f);
  const int last_row = tile.y0 + tile.rows - 1;
  for (long i = 0; i < tile.count; i++) {
    if (i % CHECK_EVERY == CHECK_EVERY - 1) {
      F most = T[0];
      for (int y = 1; y < tile.rows; y++) most = maximum(most, T[y]);
      if (largest(most) < MIN_T) break;
    }
    const float* s = tile.splats + long(tile.list[i]) * 16;
    const int bounds = bits_of(s[14]);
    const int from = (bounds & 0xffff) < tile.y0 ? tile.y0 : (bounds & 0xffff);
    const int to = (bounds >> 16) > last_row ? last_row : (bounds >> 16);
    const F dx = columns - row_of(s[0]);
    const F along = dx * s[2] * dx + row_of(s[5]), across = dx * s[3];
    // Sums over pixels of e = -d loss / d sigma, times powers of dy; powers of dx are applied once at the end.
    F e0 = row_of(0.0f), e1 = row_of(0.0f), e2 = row_of(0.0f), r = row_of(0.0f), g = row_of(0.0f), b = row_of(0.0f);
    for (int y = from; y <= to; y++) {
      const float dy = float(y) + 0.5f - s[1];
      F exponent = (across + row_of(s[4] * dy)) * dy + along;
      Mask covered = exponent >= row_of(LOG2_MIN_ALPHA);
      if (!any(covered)) continue;
      const int row = y - tile.y0;
      F raw = exp2_of(exponent);
      F alpha = keep(covered, minimum(raw, row_of(MAX_ALPHA)));
      F weight = alpha * T[row];
      r += weight * gr[row], g += weight * gg[row], b += weight * gb[row];
      F light = gr[row] * s[6] + gg[row] * s[7] + gb[row] * s[8];
      F behind = S[row] - weight * light;
      F e = (T[row] * light - behind / (1.0f - alpha)) * alpha;
      e = keep(row_of(MAX_ALPHA) >= raw, e);
      S[row] = behind;
      T[row] = T[row] - weight;
      e0 += e, e1 += e * dy, e2 += e * (dy * dy);
    }
    float* d = d_splats + long(bits_of(s[13])) * 16;
    const float kxx = s[2] * (-2.0f / LOG2_E), kxy = s[3] * (-1.0f / LOG2_E), kyy = s[4] * (-2.0f / LOG2_E);
    const F e0x = e0 * dx;
    const float sx = sum(e0x), sy = sum(e1);
    d[0] += kxx * sx + kxy * sy, d[1] += kxy * sx + kyy * sy;
    d[2] -= 0.5f * sum(e0x * dx), d[3] -= sum(e1 * dx), d[4] -= 0.5f * sum(e2);
    d[5] += sum(e0) / s[12];
    d[6] += sum(r), d[7] += sum(g), d[8] += sum(b);
  }
}
