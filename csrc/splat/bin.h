// Depth order and tile lists. One radix sort by depth for the whole picture, then every tile's list is filled in
// that order, so no tile sorts. Plain C++, one thread: it is about a tenth of a frame.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "types.h"

namespace gtalk::splat {

struct Bins {
  long seen = 0;                    // splats in the picture
  int tiles_x = 0, tiles_y = 0;
  std::vector<float> splats;        // [seen, 16] in depth order; 13 source row, 14 rows and 15 columns as 2 x 16 bits
  std::vector<uint32_t> begin, end; // of every tile's list
  std::vector<uint32_t> list;       // rows of `splats`, front to back
  std::vector<uint32_t> keys, keys2, order, order2;
};

inline uint32_t float_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
inline float bits_float(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

// Stable sort of order by keys: three passes of 11 bits. Positive floats sort as their bits do.
inline void sort_by_key(Bins& b, long count) {
  uint32_t histogram[3][2048] = {};
  for (long i = 0; i < count; i++) {
    uint32_t key = b.keys[i];
    histogram[0][key & 2047]++, histogram[1][(key >> 11) & 2047]++, histogram[2][key >> 22]++;
  }
  for (int pass = 0; pass < 3; pass++) {
    uint32_t* h = histogram[pass];
    uint32_t total = 0;
    for (int i = 0; i < 2048; i++) {
      uint32_t c = h[i];
      h[i] = total, total += c;
    }
    const int shift = 11 * pass;
    for (long i = 0; i < count; i++) {
      uint32_t to = h[(b.keys[i] >> shift) & 2047]++;
      b.keys2[to] = b.keys[i], b.order2[to] = b.order[i];
    }
    std::swap(b.keys, b.keys2), std::swap(b.order, b.order2);
  }
}

// Half width of { dx : kxx dx^2 + 2 kxy dx dy + kyy dy^2 <= reach } to one side, at one dy.
inline float side_at(float kxx, float kxy, float kyy, float reach, float dy, float sign) {
  float root = kxy * kxy * dy * dy - kxx * (kyy * dy * dy - reach);
  return (-kxy * dy + sign * std::sqrt(root > 0.0f ? root : 0.0f)) / kxx;
}

inline void bin(const float* source, long count, int width, int height, Bins& b) {
  b.tiles_x = (width + TILE_W - 1) / TILE_W, b.tiles_y = (height + TILE_H - 1) / TILE_H;
  const long tiles = long(b.tiles_x) * b.tiles_y;
  if (long(b.keys.size()) < count) {
    b.keys.resize(count), b.keys2.resize(count), b.order.resize(count), b.order2.resize(count);
    b.splats.resize(count * 16);
  }
  b.begin.assign(tiles + 1, 0), b.end.resize(tiles);
  long seen = 0;
  for (long n = 0; n < count; n++) {
    if (!(source[n * 16 + 10] > 0.0f)) continue;
    b.keys[seen] = float_bits(source[n * 16 + 9]), b.order[seen] = uint32_t(n), seen++;
  }
  sort_by_key(b, seen);
  long kept = 0;
  for (long i = 0; i < seen; i++) {
    const float* s = source + long(b.order[i]) * 16;
    int x0 = int(std::ceil(s[0] - s[10] - 0.5f)), x1 = int(std::floor(s[0] + s[10] - 0.5f));
    int y0 = int(std::ceil(s[1] - s[11] - 0.5f)), y1 = int(std::floor(s[1] + s[11] - 0.5f));
    x0 = x0 < 0 ? 0 : x0, y0 = y0 < 0 ? 0 : y0;
    x1 = x1 >= width ? width - 1 : x1, y1 = y1 >= height ? height - 1 : y1;
    if (x0 > x1 || y0 > y1) continue;
    float* to = b.splats.data() + kept++ * 16;
    std::memcpy(to, s, 13 * sizeof(float));
    to[13] = bits_float(b.order[i]), to[14] = bits_float(y0 | y1 << 16), to[15] = bits_float(x0 | x1 << 16);
    for (int ty = y0 / TILE_H; ty <= y1 / TILE_H; ty++)
      for (int tx = x0 / TILE_W; tx <= x1 / TILE_W; tx++) b.begin[long(ty) * b.tiles_x + tx + 1]++;
  }
  b.seen = kept;
  for (long t = 0; t < tiles; t++) b.begin[t + 1] += b.begin[t], b.end[t] = b.begin[t];
  if (b.list.size() < b.begin[tiles]) b.list.resize(b.begin[tiles] + b.begin[tiles] / 4);
  for (long i = 0; i < kept; i++) {
    const float* s = b.splats.data() + i * 16;
    const uint32_t rows = float_bits(s[14]), columns = float_bits(s[15]);
    const int y0 = rows & 0xffff, y1 = rows >> 16, x0 = columns & 0xffff, x1 = columns >> 16;
    const int tx0 = x0 / TILE_W, tx1 = x1 / TILE_W, ty0 = y0 / TILE_H, ty1 = y1 / TILE_H;
    if (tx0 == tx1 || ty0 == ty1) {
      for (int ty = ty0; ty <= ty1; ty++)
        for (int tx = tx0; tx <= tx1; tx++) b.list[b.end[long(ty) * b.tiles_x + tx]++] = uint32_t(i);
      continue;
    }
    // The ellipse misses corners of its box: its true extent in every row of tiles.
    const float kxx = s[2] * (-2.0f / 1.44269504f), kyy = s[4] * (-2.0f / 1.44269504f), kxy = s[3] * (-1.0f / 1.44269504f);
    const float reach = (s[5] + 7.99435344f) * (2.0f / 1.44269504f) + 1e-3f;
    const float turn = kxy * s[10] / kyy;  // the rightmost point is at dy = -turn, the leftmost at +turn
    for (int ty = ty0; ty <= ty1; ty++) {
      const int first = ty * TILE_H > y0 ? ty * TILE_H : y0, last = ty * TILE_H + TILE_H - 1 < y1 ? ty * TILE_H + TILE_H - 1 : y1;
      const float low = float(first) + 0.5f - s[1], high = float(last) + 0.5f - s[1];
      const float at_right = -turn < low ? low : (-turn > high ? high : -turn);
      const float at_left = turn < low ? low : (turn > high ? high : turn);
      const float right = s[0] + side_at(kxx, kxy, kyy, reach, at_right, 1.0f);
      const float left = s[0] + side_at(kxx, kxy, kyy, reach, at_left, -1.0f);
      int from = int(std::ceil(left - 0.5f)), to = int(std::floor(right - 0.5f));
      from = from < x0 ? x0 : from, to = to > x1 ? x1 : to;
      for (int tx = from / TILE_W; tx <= to / TILE_W && from <= to; tx++) b.list[b.end[long(ty) * b.tiles_x + tx]++] = uint32_t(i);
    }
  }
}

}  // namespace gtalk::splat
