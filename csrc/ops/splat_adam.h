// Adam for Gaussians and their motion bases, from the gradients of several images (gtalk/ops/splat.py: adam_frames_).
//
//   g = mean_b gradients[b],     m <- b1 m + (1 - b1) g,     v <- b2 v + (1 - b2) g^2,    s = sqrt(v / (1 - b2^t)) + eps
//   base <- base - rates m / (1 - b1^t) / s
//   h[n, k] = mean_b codes[b, k] inner[b, n],   m' <- b1 m' + (1 - b1) h
//   basis <- kept basis - basis_rate rates m' / (1 - b1^t) / s
//
// base, m, v [N, 16], gradients, inner [B, N, 16], basis, m' [N, K, 16], codes [B, K], rates, kept [16]. A thread has four
// numbers that lie together. Two launches a step, whatever N, K and B are; the gradient of a basis is never in memory.
#pragma once

#include <torch/library.h>

#include <cmath>

#include "../common/check.h"
#include "../common/load.h"
#include "../common/parallel_for.h"

namespace gtalk {

struct SplatAdamNumbers {
  float beta1, beta2, eps, first_scale, second_scale;  // 1 / (1 - b1^t), 1 / (1 - b2^t)

  SplatAdamNumbers(double b1, double b2, double epsilon, int64_t step)
      : beta1(static_cast<float>(b1)),
        beta2(static_cast<float>(b2)),
        eps(static_cast<float>(epsilon)),
        first_scale(static_cast<float>(1.0 / (1.0 - std::pow(b1, static_cast<double>(step))))),
        second_scale(static_cast<float>(1.0 / (1.0 - std::pow(b2, static_cast<double>(step))))) {
    TORCH_CHECK_VALUE(step >= 1, "step: expected a number from 1; got ", step, ".");
  }
};

struct SplatAdamBase {
  SplatAdamNumbers a;
  const float *gradients, *rates;
  float *base, *first, *second;
  int64_t frames, n;  // n: numbers of one image's gradient

  GTALK_HD void operator()(int64_t group) const {
    const int64_t i = 4 * group;
    Four g{};
    for (int64_t b = 0; b < frames; ++b) {
      const Four own = load_four(gradients + b * n + i);
      for (int c = 0; c < 4; ++c) g.v[c] += own.v[c];
    }
    Four value = *reinterpret_cast<Four*>(base + i), m = *reinterpret_cast<Four*>(first + i);
    Four v = *reinterpret_cast<Four*>(second + i);
    const Four rate = load_four(rates + i % 16);
    for (int c = 0; c < 4; ++c) {
      const float mean = g.v[c] / static_cast<float>(frames);
      m.v[c] = a.beta1 * m.v[c] + (1.f - a.beta1) * mean;
      v.v[c] = a.beta2 * v.v[c] + (1.f - a.beta2) * mean * mean;
      value.v[c] -= rate.v[c] * a.first_scale * m.v[c] / (std::sqrt(v.v[c] * a.second_scale) + a.eps);
    }
    *reinterpret_cast<Four*>(base + i) = value;
    *reinterpret_cast<Four*>(first + i) = m;
    *reinterpret_cast<Four*>(second + i) = v;
  }
};

struct SplatAdamBasis {
  SplatAdamNumbers a;
  const float *inner, *codes, *second, *rates, *kept;
  float *basis, *first;
  float basis_rate;
  int64_t frames, n, columns;  // n: Gaussians

  GTALK_HD void operator()(int64_t group) const {
    const int64_t quarter = group % 4, k = group / 4 % columns, row = group / 4 / columns;
    const int64_t of_row = 16 * row + 4 * quarter, i = 4 * group;
    Four h{};
    for (int64_t b = 0; b < frames; ++b) {
      const Four own = load_four(inner + b * n * 16 + of_row);
      const float code = read_only(codes + b * columns + k);
      for (int c = 0; c < 4; ++c) h.v[c] += code * own.v[c];
    }
    const Four v = load_four(second + of_row), rate = load_four(rates + 4 * quarter), keep = load_four(kept + 4 * quarter);
    Four value = *reinterpret_cast<Four*>(basis + i), m = *reinterpret_cast<Four*>(first + i);
    for (int c = 0; c < 4; ++c) {
      m.v[c] = a.beta1 * m.v[c] + (1.f - a.beta1) * h.v[c] / static_cast<float>(frames);
      const float size = std::sqrt(v.v[c] * a.second_scale) + a.eps;
      value.v[c] = value.v[c] * keep.v[c] - basis_rate * rate.v[c] * a.first_scale * m.v[c] / size;
    }
    *reinterpret_cast<Four*>(basis + i) = value;
    *reinterpret_cast<Four*>(first + i) = m;
  }
};

inline void check_rows(const char* name, const at::Tensor& tensor, std::initializer_list<int64_t> shape) {
  check_shape(name, tensor, shape);
  check_dtype(name, tensor, at::kFloat);
  check_in_place(name, tensor);
  TORCH_CHECK_VALUE(tensor.numel() == 0 || aligned(tensor.const_data_ptr(), 16), name,
                    ": expected memory that begins at a multiple of 16 bytes.");
}

// base [N, 16] by gradients [B, N, 16].
template <class Backend>
void step_base(const at::Tensor& base, const at::Tensor& gradients, const at::Tensor& first, const at::Tensor& second,
               const at::Tensor& rates, const SplatAdamNumbers& numbers) {
  const int64_t n = base.size(0);
  check_rows("base", base, {-1, 16});
  check_rows("gradients", gradients, {-1, n, 16});
  check_rows("first", first, {n, 16});
  check_rows("second", second, {n, 16});
  check_rows("rates", rates, {16});
  check_same_device({{"base", base}, {"gradients", gradients}, {"first", first}, {"second", second}, {"rates", rates}});
  if (n == 0 || gradients.size(0) == 0) return;
  Backend::for_each(4 * n, 12.0,
                    SplatAdamBase{numbers, gradients.const_data_ptr<float>(), rates.const_data_ptr<float>(),
                                  base.mutable_data_ptr<float>(), first.mutable_data_ptr<float>(),
                                  second.mutable_data_ptr<float>(), gradients.size(0), 16 * n});
}

// basis [N, K, 16] by inner [B, N, 16].
template <class Backend>
void step_basis(const at::Tensor& basis, const at::Tensor& inner, const at::Tensor& codes, const at::Tensor& first,
                const at::Tensor& second, const at::Tensor& rates, double basis_rate, const at::Tensor& kept,
                const SplatAdamNumbers& numbers) {
  const int64_t n = second.size(0), columns = basis.size(1), frames = codes.size(0);
  check_rows("basis", basis, {n, -1, 16});
  check_rows("inner", inner, {frames, n, 16});
  check_rows("codes", codes, {-1, columns});
  check_rows("first", first, {n, columns, 16});
  check_rows("second", second, {-1, 16});
  check_rows("rates", rates, {16});
  check_rows("kept", kept, {16});
  check_same_device({{"basis", basis}, {"inner", inner}, {"codes", codes}, {"first", first}, {"second", second},
                     {"rates", rates}, {"kept", kept}});
  if (n == 0 || columns == 0 || frames == 0) return;
  Backend::for_each(4 * n * columns, 12.0,
                    SplatAdamBasis{numbers, inner.const_data_ptr<float>(), codes.const_data_ptr<float>(),
                                   second.const_data_ptr<float>(), rates.const_data_ptr<float>(),
                                   kept.const_data_ptr<float>(), basis.mutable_data_ptr<float>(),
                                   first.mutable_data_ptr<float>(), static_cast<float>(basis_rate), frames, n, columns});
}

template <class Backend>
void splat_adam_frames(const at::Tensor& base, const at::Tensor& basis, const at::Tensor& gradients, const at::Tensor& inner,
                       const at::Tensor& codes, const at::Tensor& first, const at::Tensor& second,
                       const at::Tensor& basis_first, const at::Tensor& rates, double basis_rate, const at::Tensor& kept,
                       double beta1, double beta2, double epsilon, int64_t step) {
  const SplatAdamNumbers numbers(beta1, beta2, epsilon, step);
  const c10::OptionalDeviceGuard guard(base.device());
  step_base<Backend>(base, gradients, first, second, rates, numbers);
  step_basis<Backend>(basis, inner, codes, basis_first, second, rates, basis_rate, kept, numbers);
}

template <class Backend>
void splat_adam_one(const at::Tensor& value, const at::Tensor& gradient, const at::Tensor& first, const at::Tensor& second,
                    const at::Tensor& rates, double beta1, double beta2, double epsilon, int64_t step) {
  const c10::OptionalDeviceGuard guard(value.device());
  step_base<Backend>(value, gradient.contiguous().unsqueeze(0), first, second, rates,
                     SplatAdamNumbers(beta1, beta2, epsilon, step));
}

template <class Backend>
void splat_adam_basis_one(const at::Tensor& basis, const at::Tensor& gradient, const at::Tensor& code,
                          const at::Tensor& first, const at::Tensor& second, const at::Tensor& rates,
                          const at::Tensor& kept, double beta1, double beta2, double epsilon, int64_t step) {
  const c10::OptionalDeviceGuard guard(basis.device());
  step_basis<Backend>(basis, gradient.contiguous().unsqueeze(0), code.contiguous().unsqueeze(0), first, second, rates, 1.0,
                      kept, SplatAdamNumbers(beta1, beta2, epsilon, step));
}

template <class Backend>
void register_splat_adam(torch::Library& m) {
  m.impl("splat_adam_frames_", &splat_adam_frames<Backend>);
  if constexpr (!Backend::is_cpu) {  // the CPU has vectorised ones (splat/ops.cpp)
    m.impl("splat_adam_", &splat_adam_one<Backend>);
    m.impl("splat_adam_basis_", &splat_adam_basis_one<Backend>);
  }
}

}  // namespace gtalk
