// Arguments, checked on the C++ side too: what reaches a kernel is contiguous and of the size it reads.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <initializer_list>
#include <optional>

#include "grid.h"

namespace gtalk {

inline void check_shape(const char* name, const at::Tensor& tensor, std::initializer_list<int64_t> shape) {
  bool ok = tensor.dim() == static_cast<int64_t>(shape.size());
  int64_t axis = 0;
  for (int64_t size : shape) {
    if (ok && size >= 0) ok = tensor.size(axis) == size;  // -1 stands for any size
    ++axis;
  }
  TORCH_CHECK_VALUE(ok, name, ": expected shape ", c10::IntArrayRef(shape), " (-1: any); got ", tensor.sizes(), ".");
}

inline void check_dtype(const char* name, const at::Tensor& tensor, at::ScalarType dtype) {
  TORCH_CHECK_VALUE(tensor.scalar_type() == dtype, name, ": expected ", dtype, "; got ", tensor.scalar_type(), ".");
}

inline void check_in_place(const char* name, const at::Tensor& tensor) {
  TORCH_CHECK_VALUE(tensor.is_contiguous(), name, ": expected a contiguous tensor; got strides ", tensor.strides(), ".");
}

struct Named {
  const char* name;
  const at::Tensor* tensor;  // nullptr: an optional one that is not there

  Named(const char* name, const at::Tensor& t) : name(name), tensor(&t) {}
  Named(const char* name, const std::optional<at::Tensor>& t) : name(name), tensor(t ? &*t : nullptr) {}
};

// All must be where the first one is: a kernel takes their addresses as its own.
inline void check_same_device(std::initializer_list<Named> all) {
  const Named& first = *all.begin();
  for (const Named& one : all)
    TORCH_CHECK_VALUE(!one.tensor || one.tensor->device() == first.tensor->device(), one.name, ": expected device ",
                      first.tensor->device(), " of ", first.name, "; got ", one.tensor->device(), ".");
}

inline Grid make_grid(int64_t dim, int64_t n_features, at::IntArrayRef resolutions, int64_t log2_table_size) {
  const auto n_levels = static_cast<int64_t>(resolutions.size());
  TORCH_CHECK_VALUE(dim == 2 || dim == 3, "points: expected 2 or 3 coordinates; got ", dim, ".");
  TORCH_CHECK_VALUE(n_levels <= kMaxLevels, "resolutions: expected at most ", kMaxLevels, "; got ", n_levels, ".");
  TORCH_CHECK_VALUE(log2_table_size >= 1 && log2_table_size <= 26, "log2_table_size: expected 1..26; got ",
                    log2_table_size, ".");
  Grid grid{};
  grid.n_levels = static_cast<int32_t>(n_levels);
  grid.n_features = static_cast<int32_t>(n_features);
  grid.dim = static_cast<int32_t>(dim);
  const int64_t most = int64_t{1} << log2_table_size;
  for (int64_t l = 0; l < n_levels; ++l) {
    const int64_t res = resolutions[l];
    TORCH_CHECK_VALUE(res >= 1 && res <= 1 << 20, "resolutions: expected 1..2^20; got ", res, ".");
    const double vertices = dim == 2 ? double(res + 1) * double(res + 1) : double(res + 1) * double(res + 1) * double(res + 1);
    const bool dense = vertices <= static_cast<double>(most);
    const int64_t size = dense ? static_cast<int64_t>(vertices) : most;
    grid.levels[l] = {static_cast<int32_t>(res), dense ? 0u : static_cast<uint32_t>(most - 1),
                      static_cast<uint32_t>(size), grid.n_entries};
    grid.n_entries += size;
  }
  return grid;
}

}  // namespace gtalk
