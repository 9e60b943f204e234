// Every operator of gtalk, and the (empty) Python module that loads them. Python side: gtalk/ops.
#include <Python.h>
#include <torch/library.h>

#include "tuned/kernels.h"

TORCH_LIBRARY(gtalk, m) {
  m.def("hash_encode(Tensor points, Tensor table, int[] resolutions, int log2_table_size) -> Tensor");
  m.def("hash_encode_backward(Tensor grad, Tensor points, Tensor table, int[] resolutions, int log2_table_size, "
        "bool need_points, bool need_table) -> (Tensor, Tensor)");

  // Which instruction set the CPU kernels use; for tests and benchmarks.
  m.def("isa() -> str", [] { return gtalk::tuned::isa(); });
  m.def("use_isa(str name) -> str", [](std::string name) { return gtalk::tuned::use_isa(name); });
}

PyMODINIT_FUNC PyInit__C() {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  return PyModule_Create(&module);
}
