// Every operator of gtalk, and the (empty) Python module that loads them. Python side: gtalk/ops.
#include <Python.h>
#include <torch/library.h>

#include "tuned/kernels.h"

TORCH_LIBRARY(gtalk, m) {
  m.def("hash_encode(Tensor points, Tensor table, int[] resolutions, int log2_table_size) -> Tensor");
  m.def("hash_encode_backward(Tensor grad, Tensor points, Tensor table, int[] resolutions, int log2_table_size, "
        "bool need_points, bool need_table) -> (Tensor, Tensor)");
  m.def("march(Tensor origins, Tensor directions, Tensor near, Tensor far, Tensor occupancy, Tensor aabb, float step, "
        "int max_samples, Tensor? jitter) -> (Tensor, Tensor, Tensor)");
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

  // Which instruction set the CPU kernels use; for tests and benchmarks.
  m.def("isa() -> str", [] { return gtalk::tuned::isa(); });
  m.def("use_isa(str name) -> str", [](std::string name) { return gtalk::tuned::use_isa(name); });
}

PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  return PyModule_Create(&module);
}
