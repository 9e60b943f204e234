// Adam (Kingma & Ba 2015), in place, and its form for linear bases of tables.
//
//   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,   p <- p - lr / (1 - b1^s) * m / (sqrt(v / (1 - b2^s)) + eps)
//
// adam_step: tensors of one shape; with `sparse`, numbers with g = 0 are left alone.
// adam_basis_step: tables, m, v [K + 1, P]; the gradient of row k is c_k g, c_0 = 1, never formed. Columns with g = 0
// are left alone.  blend_basis: out[p] = H[0, p] + sum_k c_k H[k + 1, p], in float or packed as bfloat16.
#pragma once

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>

#include "../common/adam.h"
#include "../common/check.h"
#include "../common/load.h"
#include "../common/parallel_for.h"
#include "../simd/kernels.h"

namespace gtalk {

struct AdamRates {
  float lr, beta1, beta2, eps, root_scale;  // lr with the bias of m corrected; 1 / sqrt(1 - b2^s)

  AdamRates(int64_t step, double rate, double b1, double b2, double epsilon)
      : lr(static_cast<float>(rate / (1.0 - std::pow(b1, static_cast<double>(step))))),
        beta1(static_cast<float>(b1)),
        beta2(static_cast<float>(b2)),
        eps(static_cast<float>(epsilon)),
        root_scale(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(b2, static_cast<double>(step))))) {
    TORCH_CHECK_VALUE(step >= 1, "step: expected a number from 1; got ", step, ".");
  }

  AdamNumbers numbers() const { return {beta1, beta2, eps, root_scale}; }

  GTALK_HD void apply(float g, float rate, float* p, float* m, float* v) const {
    const float mean = beta1 * *m + (1.f - beta1) * g, square = beta2 * *v + (1.f - beta2) * g * g;
    *m = mean;
    *v = square;
    *p -= rate * mean / (std::sqrt(square) * root_scale + eps);
  }
};

// Four numbers that lie together are one thread's: a warp's accesses then fill what the bus moves. Where they lie otherwise
// (the last ones, or memory that begins elsewhere), it takes them one by one.
constexpr int64_t kFour = 4;

// One gradient times `factor` for four numbers; with `sparse` those without a gradient are left alone.
GTALK_HD void apply_four(const AdamRates& rates, float rate, const Four& g, float factor, bool sparse, float* p, float* m,
                         float* v) {
  Four value = *reinterpret_cast<Four*>(p), mean = *reinterpret_cast<Four*>(m), square = *reinterpret_cast<Four*>(v);
  for (int c = 0; c < 4; ++c)
    if (!sparse || g.v[c] != 0.f) rates.apply(factor * g.v[c], rate, value.v + c, mean.v + c, square.v + c);
  *reinterpret_cast<Four*>(p) = value;
  *reinterpret_cast<Four*>(m) = mean;
  *reinterpret_cast<Four*>(v) = square;
}

GTALK_HD bool any(const Four& g) { return g.v[0] != 0.f || g.v[1] != 0.f || g.v[2] != 0.f || g.v[3] != 0.f; }

struct AdamStep {
  AdamRates rates;
  float* p;
  const float* g;
  float *m, *v;
  int64_t n;
  bool sparse, whole;  // whole: all begin at a multiple of four

  GTALK_HD void operator()(int64_t group) const {
    const int64_t begin = group * kFour, end = begin + kFour < n ? begin + kFour : n;
    if (whole && end - begin == kFour) {
      const Four own = load_four(g + begin);
      if (!sparse || any(own)) apply_four(rates, rates.lr, own, 1.f, sparse, p + begin, m + begin, v + begin);
      return;
    }
    for (int64_t i = begin; i < end; ++i)
      if (!sparse || g[i] != 0.f) rates.apply(g[i], rates.lr, p + i, m + i, v + i);
  }
};

struct AdamBasisStep {
  AdamRates rates;
  float lr_basis;
  float* tables;
  const float *g, *coefs;
  float *m, *v;
  int64_t rows, n;
  bool whole;  // all rows begin at a multiple of four

  GTALK_HD void operator()(int64_t group) const {
    const int64_t begin = group * kFour, end = begin + kFour < n ? begin + kFour : n;
    Four own{};
    for (int64_t i = begin; i < end; ++i) own.v[i - begin] = g[i];
    if (!any(own)) return;
    for (int64_t k = 0; k < rows; ++k) {
      const float c = k == 0 ? 1.f : read_only(coefs + k - 1), rate = k == 0 ? rates.lr : lr_basis;
      const int64_t row = k * n;
      if (whole) {
        apply_four(rates, rate, own, c, true, tables + row + begin, m + row + begin, v + row + begin);
        continue;
      }
      for (int64_t i = begin; i < end; ++i)
        if (g[i] != 0.f) rates.apply(c * g[i], rate, tables + row + i, m + row + i, v + row + i);
    }
  }
};

inline bool all_whole(std::initializer_list<const float*> addresses) {
  bool whole = true;
  for (const float* address : addresses) whole &= aligned(address, sizeof(Four));
  return whole;
}

// Numbers are taken in runs: on the CPU so that the compiler can work on several at once, on CUDA in registers.
template <class T, class Out, int64_t kRun>
struct BlendBasis {
  const T *tables, *coefs;
  Out* out;
  int64_t rows, n;

  GTALK_HD void operator()(int64_t run) const {
    const int64_t begin = run * kRun, size = begin + kRun < n ? kRun : n - begin;
    T sum[kRun];
    for (int64_t i = 0; i < size; ++i) sum[i] = tables[begin + i];
    for (int64_t k = 1; k < rows; ++k)
      for (int64_t i = 0; i < size; ++i) sum[i] += coefs[k - 1] * tables[k * n + begin + i];
    for (int64_t i = 0; i < size; ++i) out[begin + i] = static_cast<Out>(sum[i]);
  }
};

template <class T, class Out>
struct Convert {
  const T* from;
  Out* to;
  GTALK_HD void operator()(int64_t i) const { to[i] = static_cast<Out>(from[i]); }
};

template <class Backend>
void adam_step(const at::Tensor& param, const at::Tensor& grad, const at::Tensor& exp_avg,
               const at::Tensor& exp_avg_sq, int64_t step, double lr, double beta1, double beta2, double eps, bool sparse) {
  const at::Tensor* all[] = {&param, &grad, &exp_avg, &exp_avg_sq};
  const char* names[] = {"param", "grad", "exp_avg", "exp_avg_sq"};
  for (int i = 0; i < 4; ++i) {
    check_dtype(names[i], *all[i], at::kFloat);
    check_in_place(names[i], *all[i]);
    TORCH_CHECK_VALUE(all[i]->sizes() == param.sizes(), names[i], ": expected shape ", param.sizes(), "; got ",
                      all[i]->sizes(), ".");
  }
  check_same_device({{"param", param}, {"grad", grad}, {"exp_avg", exp_avg}, {"exp_avg_sq", exp_avg_sq}});
  const c10::OptionalDeviceGuard guard(param.device());
  const AdamRates rates(step, lr, beta1, beta2, eps);
  const int64_t n = param.numel();
  if constexpr (Backend::is_cpu) {
    if (const simd::Kernels* kernels = simd::kernels()) {
      auto* p = param.mutable_data_ptr<float>();
      auto* m = exp_avg.mutable_data_ptr<float>();
      auto* v = exp_avg_sq.mutable_data_ptr<float>();
      const auto* g = grad.const_data_ptr<float>();
      Backend::for_ranges(n, 1.0, [&](int64_t begin, int64_t end) {
        kernels->adam(rates.numbers(), rates.lr, 1.f, p + begin, g + begin, m + begin, v + begin, end - begin, sparse);
      });
      return;
    }
  }
  auto *p = param.mutable_data_ptr<float>(), *m = exp_avg.mutable_data_ptr<float>(),
       *v = exp_avg_sq.mutable_data_ptr<float>();
  const auto* g = grad.const_data_ptr<float>();
  Backend::for_each((n + kFour - 1) / kFour, 1.5 * kFour, AdamStep{rates, p, g, m, v, n, sparse, all_whole({p, g, m, v})});
}

template <class Backend>
void adam_basis_step(const at::Tensor& tables, const at::Tensor& grad, const at::Tensor& coefs,
                     const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq, int64_t step, double lr, double lr_basis, double beta1, double beta2,
                     double eps) {
  const at::Tensor* all[] = {&tables, &exp_avg, &exp_avg_sq};
  const char* names[] = {"tables", "exp_avg", "exp_avg_sq"};
  for (int i = 0; i < 3; ++i) {
    check_dtype(names[i], *all[i], at::kFloat);
    check_in_place(names[i], *all[i]);
    TORCH_CHECK_VALUE(all[i]->sizes() == tables.sizes(), names[i], ": expected shape ", tables.sizes(), "; got ",
                      all[i]->sizes(), ".");
  }
  const int64_t rows = tables.size(0), n = rows > 0 ? tables.numel() / rows : 0;
  check_dtype("grad", grad, at::kFloat);
  check_in_place("grad", grad);
  TORCH_CHECK_VALUE(grad.numel() == n, "grad: expected ", n, " numbers; got ", grad.numel(), ".");
  check_shape("coefs", coefs, {rows - 1});
  check_dtype("coefs", coefs, at::kFloat);
  check_same_device({{"tables", tables}, {"grad", grad}, {"coefs", coefs}, {"exp_avg", exp_avg}, {"exp_avg_sq", exp_avg_sq}});
  const c10::OptionalDeviceGuard guard(tables.device());
  const at::Tensor c = coefs.contiguous();
  const AdamRates rates(step, lr, beta1, beta2, eps);
  const float basis_rate = AdamRates(step, lr_basis, beta1, beta2, eps).lr;
  if constexpr (Backend::is_cpu) {
    if (const simd::Kernels* kernels = simd::kernels()) {
      auto* p = tables.mutable_data_ptr<float>();
      auto* m = exp_avg.mutable_data_ptr<float>();
      auto* v = exp_avg_sq.mutable_data_ptr<float>();
      const auto* g = grad.const_data_ptr<float>();
      const auto* factors = c.const_data_ptr<float>();
      constexpr int64_t kColumns = 1024;  // whose gradient stays in the first cache while all rows are stepped
      Backend::for_ranges((n + kColumns - 1) / kColumns, 1.0 * kColumns * rows, [&](int64_t a, int64_t b) {
        for (int64_t run = a; run < b; ++run) {
          const int64_t begin = run * kColumns, size = std::min(kColumns, n - begin);
          for (int64_t k = 0; k < rows; ++k)
            kernels->adam(rates.numbers(), k == 0 ? rates.lr : basis_rate, k == 0 ? 1.f : factors[k - 1],
                          p + k * n + begin, g + begin, m + k * n + begin, v + k * n + begin, size, true);
        }
      });
      return;
    }
  }
  auto *p = tables.mutable_data_ptr<float>(), *m = exp_avg.mutable_data_ptr<float>(),
       *v = exp_avg_sq.mutable_data_ptr<float>();
  const bool whole = n % kFour == 0 && all_whole({p, m, v});
  Backend::for_each((n + kFour - 1) / kFour, 1.5 * kFour * rows,
                    AdamBasisStep{rates, basis_rate, p, grad.const_data_ptr<float>(), c.const_data_ptr<float>(), m, v, rows,
                                  n, whole});
}

template <class Backend, class T, class Out>
void run_blend(const at::Tensor& tables, const at::Tensor& coefs, const std::optional<at::Tensor>& rest, at::Tensor& out) {
  const int64_t rows = tables.size(0), n = tables.numel() / rows;
  auto* to = out.mutable_data_ptr<Out>();
  constexpr int64_t kRun = Backend::is_cpu ? 64 : 4;
  Backend::for_each((n + kRun - 1) / kRun, 0.3 * kRun * rows,
                    BlendBasis<T, Out, kRun>{tables.const_data_ptr<T>(), coefs.const_data_ptr<T>(), to, rows, n});
  if (!rest) return;
  const at::Tensor from = rest->contiguous();
  Backend::for_each(from.numel(), 0.3, Convert<T, Out>{from.const_data_ptr<T>(), to + n});
}

template <class Backend>
at::Tensor blend_basis(const at::Tensor& tables, const at::Tensor& coefs, const std::optional<at::Tensor>& rest,
                       at::ScalarType dtype) {
  TORCH_CHECK_VALUE(tables.dim() >= 2 && tables.size(0) >= 1, "tables: expected shape [K + 1, ...]; got ",
                    tables.sizes(), ".");
  check_shape("coefs", coefs, {tables.size(0) - 1});
  check_dtype("coefs", coefs, tables.scalar_type());
  check_same_device({{"tables", tables}, {"coefs", coefs}, {"rest", rest}});
  const c10::OptionalDeviceGuard guard(tables.device());
  const at::Tensor h = tables.contiguous(), c = coefs.contiguous();
  auto shape = tables.sizes().slice(1).vec();
  if (rest) {
    check_dtype("rest", *rest, tables.scalar_type());
    TORCH_CHECK_VALUE(rest->dim() == tables.dim() - 1 && rest->sizes().slice(1) == tables.sizes().slice(2),
                      "rest: expected rows like those of tables; got shape ", rest->sizes(), ".");
    shape[0] += rest->size(0);
  }
  at::Tensor out = at::empty(shape, tables.options().dtype(dtype));
  if (dtype == at::kBFloat16) {
    AT_DISPATCH_FLOATING_TYPES(tables.scalar_type(), "blend_basis",
                               [&] { run_blend<Backend, scalar_t, c10::BFloat16>(h, c, rest, out); });
  } else {
    check_dtype("tables", tables, dtype);
    AT_DISPATCH_FLOATING_TYPES(tables.scalar_type(), "blend_basis",
                               [&] { run_blend<Backend, scalar_t, scalar_t>(h, c, rest, out); });
  }
  return out;
}

template <class Backend>
void register_adam(torch::Library& m) {
  m.impl("adam_step_", &adam_step<Backend>);
  m.impl("adam_basis_step_", &adam_basis_step<Backend>);
  m.impl("blend_basis", &blend_basis<Backend>);
}

}  // namespace gtalk
