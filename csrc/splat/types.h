// What the splat kernels of all instruction sets share: constants, arguments, and the table of functions.
#pragma once

#include <cstdint>

#include "../common/adam.h"

namespace gtalk::splat {

constexpr int TILE_W = 16, TILE_H = 16;
constexpr float BLUR_PX2 = 0.3f;  // variance added to every splat: about a pixel's own width
constexpr float LOG2_E = 1.44269504f;
constexpr float MAX_ALPHA = 0.999f;
constexpr float LOG2_MIN_ALPHA = -7.99435344f;  // of 1/255
constexpr float MIN_T = 1e-4f;
constexpr int CHECK_EVERY = 16;  // splats between looks at whether a whole tile is opaque
constexpr int WINDOW = 7;        // of SSIM

struct View {
  float transforms[24];  // T_camera_head, T_camera_torso: 3x4 each, row by row
  float fx, fy, cx, cy, width, height, near;
  float blur;       // variance added to every splat, px^2
  float fit_blur;   // what it was when the Gaussians were fitted, in pixels of this picture: less in a smaller one,
                    // and a wider splat is then made fainter by as much (mip-splatting, Yu et al. 2024)
};

struct Tile {
  const float* splats;
  const uint32_t* list;
  long count;
  int x0, y0, rows;
};

struct Photo {
  const float* planes;           // red, green, blue, T
  const float* background;       // red, green, blue
  const unsigned char* truth;    // [height, width, 3]
  const unsigned char* matte;    // [height, width]
  const unsigned char* labels;   // [height, width]
  const float* weight_of_label;  // [256]
  float* d_planes;               // written: gradients of the planes
  float* scratch;                // photo_scratch(width, height) floats
  long stride, plane_size;
  int width, height;
  float dssim_share, coverage_weight;
};

inline long stride_of(int width) { return (width + 15) / 16 * 16; }
inline long padded_width(int width) { return stride_of(width) + 32; }
inline long photo_scratch(int width, int height) {
  return 2 * stride_of(width) * height + padded_width(width) * (8 + 3 * WINDOW) + 64;
}

struct Resolve {
  const float* planes;      // red, green, blue, T, depth
  const float* background;  // red, green, blue planes of the same layout, or null for premultiplied colour
  long stride, plane_size;
  int width;
};

struct Plate {
  const float* plate;  // three planes of plate_height rows of plate_stride
  long plate_stride, stride;
  int plate_width, plate_height, width, height;
  float dx, dy, log_scale;
  int* column;   // scratch: width
  float* share;  // scratch: width
  float* row;    // scratch: padded_width(plate_width)
};

// One instruction set's functions. `begin`, `end` and rows are ranges, so that callers may share work out.
struct Kernels {
  void (*deform)(const float* base, const float* basis, const float* code, const float* limit, float* out, long begin,
                 long end, int K);
  void (*deform_half)(const float* base, const uint16_t* basis, const float* code, const float* limit, float* out,
                      long begin, long end, int K);
  void (*keep_within)(float* out, const float* ranges, long plane, float share, const float* held, long begin, long end);
  void (*add_columns)(float* out, const int* starts, const int* rows, const uint16_t* values, const float* coefs, int count);
  void (*deform_backward)(const float* base, const float* basis, const float* limit, const float* out,
                          const float* d_out, float* inner, float* d_code, long begin, long end, int K);
  void (*adam)(float* value, const float* gradient, float* first, float* second, const float* rate, const AdamNumbers& adam,
               long begin, long end);
  void (*adam_basis)(float* basis, const float* gradient, const float* code, float* first, const float* second,
                     const float* rate, const float* kept, const AdamNumbers& adam, long begin, long end, int K);
  void (*project)(const float* gaussians, const View& view, float* splats, long begin, long end);
  void (*project_backward)(const float* gaussians, const View& view, const float* d_splats, float* d_gaussians,
                           float* d_transforms, long begin, long end);
  void (*blend_tile)(const Tile& tile, float* planes, long stride, long plane_size, bool with_depth);
  void (*blend_tile_backward)(const Tile& tile, const float* planes, const float* d_planes, float* d_splats, long stride,
                              long plane_size);
  void (*photo_loss)(const Photo& photo, double* terms);
  void (*resolve_bytes)(const Resolve& o, unsigned char* rgb, unsigned char* alpha, int first_row, int last_row);
  void (*resolve_floats)(const Resolve& o, float* rgb, float* alpha, float* depth, int first_row, int last_row);
  void (*frame_plate)(const Plate& plate, float* out, int first_row, int last_row);
};

}  // namespace gtalk::splat
