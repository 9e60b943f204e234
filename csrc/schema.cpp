// Every operator of gtalk, and the (empty) Python module that loads them. Python side: gtalk/ops.
#include <Python.h>
#include <torch/library.h>

#include "simd/kernels.h"

TORCH_LIBRARY(gtalk, m) {
  m.def("hash_encode(Tensor points, Tensor table, int[] resolutions, int log2_table_size) -> Tensor");
  m.def("hash_encode_backward(Tensor grad, Tensor points, Tensor table, int[] resolutions, int log2_table_size, "
        "bool need_points, bool need_table) -> (Tensor, Tensor)");
  m.def("march(Tensor origins, Tensor directions, Tensor near, Tensor far, Tensor occupancy, Tensor aabb, float step, "
        "int max_samples, Tensor? jitter, int? capacity=None) -> (Tensor, Tensor, Tensor)");
  m.def("mlp(Tensor x, Tensor[] weights, Tensor[] biases, float slope) -> Tensor");
  m.def("mlp_backward(Tensor grad, Tensor x, Tensor[] weights, Tensor[] biases, float slope, bool need_x) "
        "-> (Tensor, Tensor[], Tensor[])");
  m.def("composite(Tensor sigmas, Tensor features, Tensor t, Tensor? dt, float step, Tensor ray_offsets, "
        "float early_stop) -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("composite_backward(Tensor grad_feature, Tensor grad_alpha, Tensor grad_depth, Tensor grad_weight, "
        "Tensor weights, Tensor sigmas, Tensor features, Tensor t, Tensor? dt, float step, Tensor ray_offsets, "
        "float early_stop) -> (Tensor, Tensor)");
  m.def("blend_basis(Tensor tables, Tensor coefs, Tensor? rest, ScalarType dtype) -> Tensor");
  m.def("adam_step_(Tensor(a!) param, Tensor grad, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, int step, float lr, "
        "float beta1, float beta2, float eps, bool sparse) -> ()");
  m.def("adam_basis_step_(Tensor(a!) tables, Tensor grad, Tensor coefs, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, "
        "int step, float lr, float lr_basis, float beta1, float beta2, float eps) -> ()");
  m.def("render_rays(Tensor origins, Tensor directions, Tensor near, Tensor far, Tensor occupancy, Tensor aabb, "
        "float step, int max_samples, Tensor table, int[] resolutions, int log2_table_size, Tensor[] weights, "
        "Tensor[] biases, float density_bias, float early_stop, Tensor? warp) -> (Tensor, Tensor, Tensor)");

  // Gaussian splatting; on CUDA by gsplat and torch (gtalk/ops/splat_torch.py).
  m.def("splat_deform(Tensor base, Tensor basis, Tensor code, Tensor limit) -> Tensor");
  m.def("splat_express(Tensor base, Tensor basis, Tensor codes, int[] ends, Tensor limit, Tensor? ranges, float share,"
        " Tensor? held, Tensor starts, Tensor rows, Tensor values, Tensor coefs, int spare=0) -> Tensor");
  m.def("splat_deform_backward(Tensor base, Tensor basis, Tensor limit, Tensor out, Tensor d_out) -> (Tensor, Tensor)");
  m.def("splat_rasterise(Tensor gaussians, Tensor transforms, float[] intrinsics, int width, int height)"
        " -> (Tensor, Tensor, Tensor, Tensor)");
  m.def("splat_rasterise_backward(Tensor gaussians, Tensor transforms, float[] intrinsics, int width, int height,"
        " Tensor planes, Tensor splats, Tensor ranges, Tensor list, Tensor d_planes) -> (Tensor, Tensor)");
  m.def("splat_photo_loss(Tensor planes, Tensor background, Tensor truth, Tensor matte, Tensor labels, Tensor weights,"
        " float dssim_share, float coverage_weight) -> (Tensor, Tensor)");
  m.def("splat_adam_(Tensor(a!) value, Tensor gradient, Tensor(b!) first, Tensor(c!) second, Tensor rates, float beta1,"
        " float beta2, float epsilon, int step) -> ()");
  m.def("splat_adam_basis_(Tensor(a!) basis, Tensor gradient, Tensor code, Tensor(b!) first, Tensor second, Tensor rates,"
        " Tensor kept, float beta1, float beta2, float epsilon, int step) -> ()");
  m.def("splat_adam_frames_(Tensor(a!) base, Tensor(b!) basis, Tensor gradients, Tensor inner, Tensor codes,"
        " Tensor(c!) first, Tensor(d!) second, Tensor(e!) basis_first, Tensor rates, float basis_rate, Tensor kept,"
        " float beta1, float beta2, float epsilon, int step) -> ()");
  m.def("splat_plate(Tensor plate, int plate_width, float[] framing, int width, int height) -> Tensor");
  m.def("splat_frame(Tensor base, Tensor basis_a, Tensor code_a, Tensor basis_b, Tensor code_b, Tensor limit,"
        " Tensor transforms, float[] intrinsics, int width, int height, Tensor? plate, int plate_width, float[] framing,"
        " float scale, bool as_bytes, Tensor? base_b=None)"
        " -> (Tensor, Tensor, Tensor)");

  // Which instruction set the CPU kernels use; for tests and benchmarks.
  m.def("isa() -> str", gtalk::simd::isa);
  m.def("use_isa(str name) -> str", [](std::string name) { return gtalk::simd::use_isa(name); });
}

PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  return PyModule_Create(&module);
}
