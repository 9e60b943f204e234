// Gaussian splatting on the CPU: tensors in, tensors out. The arithmetic is in *.inl beside this file, its twin in
// gtalk/ops/reference/splat.py. On CUDA the same operators are gsplat's (gtalk/ops/splat_torch.py).
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <array>

#include "../common/check.h"
#include "../common/crew.h"
#include "../ops/adam.h"
#include "../simd/kernels.h"
#include "bin.h"
#include "deform.h"

namespace gtalk::splat {
namespace {

View view_of(const Tensor& transforms, at::ArrayRef<double> intrinsics, int64_t width, int64_t height) {
  check_shape("transforms", transforms, {2, 3, 4});
  TORCH_CHECK_VALUE(intrinsics.size() == 4, "intrinsics: expected fx, fy, cx, cy; got ", intrinsics.size(), " numbers.");
  TORCH_CHECK_VALUE(width >= 1 && height >= 1 && width < 32768 && height < 32768, "size: expected 1..32767; got ", width, "x", height, ".");
  View view{};
  std::memcpy(view.transforms, floats("transforms", transforms), sizeof(view.transforms));
  view.fx = intrinsics[0], view.fy = intrinsics[1], view.cx = intrinsics[2], view.cy = intrinsics[3];
  view.width = width, view.height = height, view.near = 0.01f, view.blur = view.fit_blur = BLUR_PX2;
  return view;
}

struct Scratch {  // kept between frames: allocating megabytes anew costs page faults
  Bins bins;
  std::vector<float> splats, gaussians, planes, plate, d_splats, photo, share;
  std::vector<int> column;
};
Scratch& scratch() {
  thread_local Scratch s;
  return s;
}

Tile tile_of(const float* splats, const uint32_t* list, const uint32_t* begin, const uint32_t* end, long t, int tiles_x, int height) {
  const int y0 = int(t / tiles_x) * TILE_H;
  return {splats, list + begin[t], long(end[t] - begin[t]), int(t % tiles_x) * TILE_W, y0, std::min(TILE_H, height - y0)};
}

float* at_least(std::vector<float>& v, long size) {
  if (long(v.size()) < size) v.resize(size);
  return v.data();
}

std::tuple<Tensor, Tensor, Tensor, Tensor> splat_rasterise(const Tensor& gaussians, const Tensor& transforms,
                                                           at::ArrayRef<double> intrinsics, int64_t width, int64_t height) {
  check_shape("gaussians", gaussians, {-1, 16});
  check_same_device({{"gaussians", gaussians}, {"transforms", transforms}});
  const View view = view_of(transforms, intrinsics, width, height);
  const long n = gaussians.size(0);
  const float* from = floats("gaussians", gaussians);
  float* seen = at_least(scratch().splats, n * 16);
  const Kernels& k = kernels();
  for_chunks(n, [&](long a, long b, int) { k.project(from, view, seen, a, b); });
  Bins& bins = scratch().bins;
  bin(seen, n, int(width), int(height), bins);
  const long stride = stride_of(int(width)), tiles = long(bins.tiles_x) * bins.tiles_y;
  Tensor planes = at::empty({5, height, stride}, gaussians.options());
  Tensor splats = at::empty({bins.seen, 16}, gaussians.options());
  Tensor ranges = at::empty({2, tiles}, gaussians.options().dtype(at::kInt));
  Tensor list = at::empty({long(bins.begin[tiles])}, ranges.options());
  std::memcpy(splats.mutable_data_ptr<float>(), bins.splats.data(), bins.seen * 64);
  std::memcpy(ranges.mutable_data_ptr<int>(), bins.begin.data(), tiles * 4);
  std::memcpy(ranges.mutable_data_ptr<int>() + tiles, bins.end.data(), tiles * 4);
  std::memcpy(list.mutable_data_ptr<int>(), bins.list.data(), list.numel() * 4);
  float* to = planes.mutable_data_ptr<float>();
  Crew::get().run(tiles, [&](long t, int) {
    k.blend_tile(tile_of(bins.splats.data(), bins.list.data(), bins.begin.data(), bins.end.data(), t, bins.tiles_x, int(height)),
                 to, stride, stride * height, true);
  });
  return {planes, splats, ranges, list};
}

std::tuple<Tensor, Tensor> splat_rasterise_backward(const Tensor& gaussians, const Tensor& transforms,
                                                    at::ArrayRef<double> intrinsics, int64_t width, int64_t height,
                                                    const Tensor& planes, const Tensor& splats, const Tensor& ranges,
                                                    const Tensor& list, const Tensor& d_planes) {
  const View view = view_of(transforms, intrinsics, width, height);
  const long n = gaussians.size(0), stride = stride_of(int(width));
  const int tiles_x = int(stride / TILE_W);
  const long tiles = long(tiles_x) * ((height + TILE_H - 1) / TILE_H);
  check_shape("gaussians", gaussians, {-1, 16});
  check_shape("planes", planes, {5, height, stride});
  check_shape("d_planes", d_planes, {-1, height, stride});
  TORCH_CHECK_VALUE(d_planes.size(0) >= 4, "d_planes: expected 4 planes or more; got ", d_planes.size(0), ".");
  check_shape("ranges", ranges, {2, tiles});
  check_dtype("ranges", ranges, at::kInt);
  check_dtype("list", list, at::kInt);
  check_same_device({{"gaussians", gaussians}, {"transforms", transforms}, {"planes", planes}, {"splats", splats}, {"ranges", ranges}, {"list", list}, {"d_planes", d_planes}});
  const auto* begin = reinterpret_cast<const uint32_t*>(ranges.const_data_ptr<int>());
  const auto* ids = reinterpret_cast<const uint32_t*>(list.const_data_ptr<int>());
  const float *rows = floats("splats", splats), *c = floats("planes", planes), *d = floats("d_planes", d_planes);
  const int workers = std::min(Crew::workers(), MOST);
  std::vector<float>& buffer = scratch().d_splats;
  buffer.assign(size_t(workers) * n * 16, 0.0f);
  float* d_splats = buffer.data();
  const Kernels& k = kernels();
  Crew::get().run(tiles, [&](long t, int worker) {
    k.blend_tile_backward(tile_of(rows, ids, begin, begin + tiles, t, tiles_x, int(height)), c, d,
                          d_splats + worker * n * 16, stride, stride * height);
  }, MOST);
  Tensor d_gaussians = at::empty_like(gaussians), d_transforms = at::zeros({MOST, 24}, gaussians.options());
  const float* g = floats("gaussians", gaussians);
  float *to = d_gaussians.mutable_data_ptr<float>(), *moved = d_transforms.mutable_data_ptr<float>();
  for_chunks(n, [&](long a, long b, int worker) {
    for (int w = 1; w < workers; w++)
      for (long i = a * 16; i < b * 16; i++) d_splats[i] += d_splats[w * n * 16 + i];
    k.project_backward(g, view, d_splats, to, moved + worker * 24, a, b);
  });
  return {d_gaussians, d_transforms.sum(0).reshape({2, 3, 4})};
}

std::tuple<Tensor, Tensor> splat_photo_loss(const Tensor& planes, const Tensor& background, const Tensor& truth,
                                            const Tensor& matte, const Tensor& labels, const Tensor& weights,
                                            double dssim_share, double coverage_weight) {
  check_shape("truth", truth, {-1, -1, 3});
  const int64_t height = truth.size(0), width = truth.size(1), stride = stride_of(int(width));
  check_shape("planes", planes, {-1, height, stride});
  check_shape("background", background, {3, height, stride});
  check_shape("matte", matte, {height, width});
  check_shape("labels", labels, {height, width});
  check_shape("weights", weights, {256});
  check_same_device({{"planes", planes}, {"background", background}, {"truth", truth}, {"matte", matte}, {"labels", labels}, {"weights", weights}});
  TORCH_CHECK_VALUE(planes.size(0) >= 4, "planes: expected 4 planes or more; got ", planes.size(0), ".");
  Tensor d_planes = at::empty({4, height, stride}, planes.options()), terms = at::empty({4}, planes.options().dtype(at::kDouble));
  std::vector<float>& space = scratch().photo;
  space.resize(photo_scratch(int(width), int(height)));
  Photo photo{floats("planes", planes), floats("background", background), bytes("truth", truth), bytes("matte", matte),
              bytes("labels", labels), floats("weights", weights), d_planes.mutable_data_ptr<float>(), space.data(),
              stride, stride * height, int(width), int(height), float(dssim_share), float(coverage_weight)};
  kernels().photo_loss(photo, terms.mutable_data_ptr<double>());
  return {d_planes, terms};
}

float* changed(const char* name, const Tensor& t) { return const_cast<float*>(floats(name, t)); }

std::array<float, 16> corrected(const Tensor& rates, const AdamRates& adam) {  // for the bias of the first moment
  check_shape("rates", rates, {16});
  std::array<float, 16> out;
  for (int c = 0; c < 16; c++) out[c] = floats("rates", rates)[c] * adam.lr;
  return out;
}

void splat_adam_(const Tensor& value, const Tensor& gradient, const Tensor& first, const Tensor& second,
                 const Tensor& rates, double beta1, double beta2, double epsilon, int64_t step) {
  const int64_t n = value.size(0);
  for (const auto& [name, t] : {std::pair{"value", value}, {"gradient", gradient}, {"first", first}, {"second", second}})
    check_shape(name, t, {n, 16});
  check_same_device({{"value", value}, {"gradient", gradient}, {"first", first}, {"second", second}, {"rates", rates}});
  float *v = changed("value", value), *m = changed("first", first), *s = changed("second", second);
  const float *g = floats("gradient", gradient);
  const AdamRates adam(step, 1.0, beta1, beta2, epsilon);
  const std::array<float, 16> rate = corrected(rates, adam);
  const Kernels& k = kernels();
  for_chunks(n, [&](long a, long b, int) { k.adam(v, g, m, s, rate.data(), adam.numbers(), a, b); });
}

void splat_adam_basis_(const Tensor& basis, const Tensor& gradient, const Tensor& code, const Tensor& first,
                       const Tensor& second, const Tensor& rates, const Tensor& kept, double beta1, double beta2,
                       double epsilon, int64_t step) {
  const int64_t n = basis.size(0), K = code.size(0);
  check_shape("basis", basis, {n, K, 16});
  check_shape("first", first, {n, K, 16});
  check_shape("gradient", gradient, {n, 16});
  check_shape("second", second, {n, 16});
  check_shape("kept", kept, {16});
  check_same_device({{"basis", basis}, {"gradient", gradient}, {"code", code}, {"first", first}, {"second", second}, {"rates", rates}, {"kept", kept}});
  float *B = changed("basis", basis), *m = changed("first", first);
  const float *g = floats("gradient", gradient), *c = floats("code", code), *s = floats("second", second);
  const float* keep = floats("kept", kept);
  const AdamRates adam(step, 1.0, beta1, beta2, epsilon);
  const std::array<float, 16> rate = corrected(rates, adam);
  const Kernels& k = kernels();
  for_chunks(n, [&](long a, long b, int) { k.adam_basis(B, g, c, m, s, rate.data(), keep, adam.numbers(), a, b, int(K)); });
}

void frame_plate_into(const Tensor& plate, int64_t plate_width, at::ArrayRef<double> framing, int width, int height, float* out) {
  Scratch& s = scratch();
  s.column.resize(width), s.share.resize(width + padded_width(int(plate_width)));
  const Plate o{floats("plate", plate), plate.size(2), stride_of(width), int(plate_width), int(plate.size(1)), width, height,
                float(framing[0]), float(framing[1]), float(framing[2]), s.column.data(), s.share.data(), s.share.data() + width};
  kernels().frame_plate(o, out, 0, height);
}

void check_plate(const Tensor& plate, int64_t plate_width, at::ArrayRef<double> framing) {
  check_shape("plate", plate, {3, -1, stride_of(int(plate_width))});
  TORCH_CHECK_VALUE(plate_width >= 1 && plate.size(1) >= 1, "plate: expected pixels; got none.");
  TORCH_CHECK_VALUE(framing.size() == 3, "framing: expected dx, dy, log scale; got ", framing.size(), " numbers.");
}

Tensor splat_plate(const Tensor& plate, int64_t plate_width, at::ArrayRef<double> framing, int64_t width, int64_t height) {
  check_plate(plate, plate_width, framing);
  Tensor out = at::empty({3, height, stride_of(int(width))}, plate.options());
  frame_plate_into(plate, plate_width, framing, int(width), int(height), out.mutable_data_ptr<float>());
  return out;
}

// `scale`: size of this picture over the one the Gaussians were fitted at.
// Motion to picture: deform both parts, project, sort, blend, lay over the plate. as_bytes: uint8 rgb and alpha and
// no depth; else floats.
std::tuple<Tensor, Tensor, Tensor> splat_frame(const Tensor& base, const Tensor& basis_a, const Tensor& code_a,
                                               const Tensor& basis_b, const Tensor& code_b, const Tensor& limit,
                                               const Tensor& transforms, at::ArrayRef<double> intrinsics, int64_t width,
                                               int64_t height, const std::optional<Tensor>& plate,
                                               int64_t plate_width, at::ArrayRef<double> framing, double scale, bool as_bytes,
                                               const std::optional<Tensor>& base_b) {
  const int64_t n_a = basis_a.size(0), n = base_b ? n_a + base_b->size(0) : base.size(0), stride = stride_of(int(width)), plane = stride * height;
  check_shape("base", base, {base_b ? n_a : n, 16});
  if (base_b) check_shape("base_b", *base_b, {n - n_a, 16});
  check_basis(basis_a, n_a, code_a);
  check_basis(basis_b, n - n_a, code_b);
  check_same_device({{"base", base}, {"basis_a", basis_a}, {"code_a", code_a}, {"base_b", base_b}, {"basis_b", basis_b}, {"code_b", code_b}, {"limit", limit}, {"transforms", transforms}, {"plate", plate}});
  check_shape("limit", limit, {16});
  View view = view_of(transforms, intrinsics, width, height);
  view.fit_blur = BLUR_PX2 * float(scale * scale), view.blur = std::max(BLUR_PX2, view.fit_blur);
  Scratch& s = scratch();
  const Kernels& k = kernels();
  const float *rows = floats("base", base), *most = floats("limit", limit);
  const Moved part_a(rows, basis_a, floats("code_a", code_a), most);
  const Moved part_b(base_b ? floats("base_b", *base_b) : rows + n_a * 16, basis_b, floats("code_b", code_b), most);
  float *gaussians = at_least(s.gaussians, n * 16), *splats = at_least(s.splats, n * 16);
  const auto place = [&](const Moved& part, long first, long a, long b) {  // rows of a part, which begins at `first`
    if (part.K > 0) part.rows(k, gaussians + first * 16, a, b);
    k.project(part.K > 0 ? gaussians + first * 16 : part.base, view, splats + first * 16, a, b);
  };
  for_chunks(n, [&](long a, long b, int) {
    if (a < n_a) place(part_a, 0, a, std::min(b, n_a));
    if (b > n_a) place(part_b, n_a, std::max(a, n_a) - n_a, b - n_a);
  });
  bin(splats, n, int(width), int(height), s.bins);
  const float* behind = nullptr;
  if (plate) {
    check_plate(*plate, plate_width, framing);
    behind = floats("plate", *plate);
    const bool moved = framing[0] != 0.0 || framing[1] != 0.0 || framing[2] != 0.0;
    if (moved || plate_width != width || plate->size(1) != height) {
      s.plate.resize(3 * plane);
      frame_plate_into(*plate, plate_width, framing, int(width), int(height), s.plate.data());
      behind = s.plate.data();
    }
  }
  const auto type = base.options().dtype(as_bytes ? at::kByte : at::kFloat);
  Tensor rgb = at::empty({height, width, 3}, type), alpha = at::empty({height, width}, type);
  Tensor depth = at::empty({as_bytes ? 0 : height, as_bytes ? 0 : width}, base.options());
  float* planes = at_least(s.planes, 5 * plane);
  const Resolve resolve{planes, behind, stride, plane, int(width)};
  const Bins& bins = s.bins;
  Crew::get().run(bins.tiles_y, [&](long band, int) {
    for (long t = band * bins.tiles_x; t < (band + 1) * bins.tiles_x; t++)
      k.blend_tile(tile_of(bins.splats.data(), bins.list.data(), bins.begin.data(), bins.end.data(), t, bins.tiles_x, int(height)),
                   planes, stride, plane, !as_bytes);
    const int first = int(band) * TILE_H, last = std::min(first + TILE_H, int(height));
    if (as_bytes)
      k.resolve_bytes(resolve, rgb.mutable_data_ptr<unsigned char>(), alpha.mutable_data_ptr<unsigned char>(), first, last);
    else
      k.resolve_floats(resolve, rgb.mutable_data_ptr<float>(), alpha.mutable_data_ptr<float>(), depth.mutable_data_ptr<float>(), first, last);
  });
  return {rgb, alpha, depth};
}

}  // namespace
}  // namespace gtalk::splat

TORCH_LIBRARY_IMPL(gtalk, CPU, m) {
  m.impl("splat_deform", gtalk::splat::splat_deform);
  m.impl("splat_express", gtalk::splat::splat_express);
  m.impl("splat_deform_backward", gtalk::splat::splat_deform_backward);
  m.impl("splat_rasterise", gtalk::splat::splat_rasterise);
  m.impl("splat_rasterise_backward", gtalk::splat::splat_rasterise_backward);
  m.impl("splat_photo_loss", gtalk::splat::splat_photo_loss);
  m.impl("splat_adam_", gtalk::splat::splat_adam_);
  m.impl("splat_adam_basis_", gtalk::splat::splat_adam_basis_);
  m.impl("splat_plate", gtalk::splat::splat_plate);
  m.impl("splat_frame", gtalk::splat::splat_frame);
}
