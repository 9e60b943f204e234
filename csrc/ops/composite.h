// Volume compositing of packed samples (Max 1995), ray by ray, front to back.
//
//   a_i = 1 - exp(-sigma_i dt_i),   T_i = prod_{j<i} (1 - a_j),   w_i = T_i a_i   (0 once T_i < early_stop)
//   features = sum w_i f_i,   alpha = sum w_i,   depth = sum w_i t_i
//
// sigma, t, dt [S], f [S, C], offsets [R + 1]; sigma is per unit of t. With g_i = dL/dw_i in all (through features,
// alpha, depth and w itself):  dL/dsigma_i = dt_i (T_{i+1} g_i - sum_{j>i} w_j g_j),   dL/df_i = w_i dL/dfeatures.
#pragma once

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <cmath>
#include <tuple>

#include "../common/check.h"
#include "../common/parallel_for.h"
#include "../simd/kernels.h"

namespace gtalk {

template <class T>
struct Samples {
  const T *sigma, *feature, *t, *dt;  // dt may be nullptr: `step` for all
  const int64_t* offsets;
  int64_t channels;
  T step, early_stop;

  GTALK_HD T one_minus_alpha(int64_t i) const {  // 1 - a_i
    return std::exp(-sigma[i] * (dt ? dt[i] : step));
  }
};

template <class T>
struct Composite {
  Samples<T> in;
  T *feature, *alpha, *depth, *weight;

  GTALK_HD void operator()(int64_t r) const {
    T transmittance = 1, opaque = 0, far = 0;
    T* sum = feature + r * in.channels;
    for (int64_t c = 0; c < in.channels; ++c) sum[c] = 0;
    int64_t i = in.offsets[r];
    for (; i < in.offsets[r + 1] && transmittance >= in.early_stop; ++i) {
      const T one_minus_alpha = in.one_minus_alpha(i), w = transmittance * (1 - one_minus_alpha);
      const T* f = in.feature + i * in.channels;
      for (int64_t c = 0; c < in.channels; ++c) sum[c] += w * f[c];
      opaque += w;
      far += w * in.t[i];
      weight[i] = w;
      transmittance *= one_minus_alpha;
    }
    for (; i < in.offsets[r + 1]; ++i) weight[i] = 0;
    alpha[r] = opaque;
    depth[r] = far;
  }
};

template <class T>
struct CompositeBackward {
  Samples<T> in;
  const T *weight, *g_feature, *g_alpha, *g_depth, *g_weight;
  T *g_sigma, *g_sample;  // [S], [S, C]

  GTALK_HD void operator()(int64_t r) const {
    const int64_t begin = in.offsets[r], end = in.offsets[r + 1];
    const T* g = g_feature + r * in.channels;
    T behind = 0;  // sum_{j>i} w_j g_j; found as the whole sum less what has been passed
    for (int64_t i = begin; i < end; ++i) {
      const T* f = in.feature + i * in.channels;
      T dot = g_alpha[r] + g_depth[r] * in.t[i] + g_weight[i];
      for (int64_t c = 0; c < in.channels; ++c) {
        dot += g[c] * f[c];
        g_sample[i * in.channels + c] = weight[i] * g[c];
      }
      g_sigma[i] = dot;
      behind += weight[i] * dot;
    }
    T transmittance = 1;
    for (int64_t i = begin; i < end; ++i) {
      if (transmittance < in.early_stop) {
        g_sigma[i] = 0;
        continue;
      }
      const T dot = g_sigma[i];
      behind -= weight[i] * dot;
      transmittance *= in.one_minus_alpha(i);
      g_sigma[i] = (in.dt ? in.dt[i] : in.step) * (transmittance * dot - behind);
    }
  }
};

struct CompositeArguments {
  at::Tensor sigmas, features, t, dt, offsets;

  CompositeArguments(const at::Tensor& s, const at::Tensor& f, const at::Tensor& depth, const std::optional<at::Tensor>& d,
                     const at::Tensor& o)
      : sigmas(s.contiguous()), features(f.contiguous()), t(depth.contiguous()), offsets(o.contiguous()) {
    check_shape("sigmas", s, {-1});
    check_shape("features", f, {s.size(0), -1});
    check_shape("t", depth, {s.size(0)});
    check_shape("ray_offsets", o, {-1});
    check_dtype("features", f, s.scalar_type());
    check_dtype("t", depth, s.scalar_type());
    check_dtype("ray_offsets", o, at::kLong);
    check_same_device({{"sigmas", s}, {"features", f}, {"t", depth}, {"dt", d}, {"ray_offsets", o}});
    TORCH_CHECK_VALUE(o.size(0) > 0, "ray_offsets: expected one number more than there are rays; got none.");
    if (!d) return;
    check_shape("dt", *d, {s.size(0)});
    check_dtype("dt", *d, s.scalar_type());
    dt = d->contiguous();
  }

  int64_t rays() const { return offsets.size(0) - 1; }

  // Like a tensor of samples, with zeros where those are that belong to no ray; only the CPU can look how many.
  template <class Backend>
  at::Tensor for_samples(const at::Tensor& like) const {
    if constexpr (Backend::is_cpu)
      if (offsets.const_data_ptr<int64_t>()[rays()] == sigmas.size(0)) return at::empty_like(like);
    return at::zeros_like(like);
  }

  double cost() const {
    return 20.0 + (10.0 + features.size(1)) * static_cast<double>(sigmas.size(0)) / std::max<double>(1.0, rays());
  }

  simd::CompositeJob job(double step, double early_stop) const {
    simd::CompositeJob job{};
    job.sigmas = sigmas.const_data_ptr<float>();
    job.features = features.const_data_ptr<float>();
    job.t = t.const_data_ptr<float>();
    job.dt = dt.defined() ? dt.const_data_ptr<float>() : nullptr;
    job.offsets = offsets.const_data_ptr<int64_t>();
    job.channels = static_cast<int>(features.size(1));
    job.step = static_cast<float>(step);
    job.early_stop = static_cast<float>(early_stop);
    return job;
  }

  template <class T>
  Samples<T> samples(double step, double early_stop) const {
    return {sigmas.const_data_ptr<T>(), features.const_data_ptr<T>(), t.const_data_ptr<T>(),
            dt.defined() ? dt.const_data_ptr<T>() : nullptr, offsets.const_data_ptr<int64_t>(), features.size(1),
            static_cast<T>(step), static_cast<T>(early_stop)};
  }
};

template <class Backend>
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> composite(
    const at::Tensor& sigmas, const at::Tensor& features, const at::Tensor& t, const std::optional<at::Tensor>& dt,
    double step, const at::Tensor& ray_offsets, double early_stop) {
  const CompositeArguments in(sigmas, features, t, dt, ray_offsets);
  const c10::OptionalDeviceGuard guard(sigmas.device());
  at::Tensor feature = at::empty({in.rays(), features.size(1)}, sigmas.options());
  at::Tensor alpha = at::empty({in.rays()}, sigmas.options()), depth = at::empty_like(alpha);
  at::Tensor weight = in.for_samples<Backend>(in.sigmas);
  if constexpr (Backend::is_cpu) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && sigmas.scalar_type() == at::kFloat) {
      simd::CompositeJob job = in.job(step, early_stop);
      job.features_out = feature.mutable_data_ptr<float>();
      job.alpha = alpha.mutable_data_ptr<float>();
      job.depth = depth.mutable_data_ptr<float>();
      job.weights = weight.mutable_data_ptr<float>();
      Backend::for_ranges(in.rays(), 0.4 * in.cost(),
                       [&](int64_t begin, int64_t end) { kernels->composite(job, begin, end); });
      return {feature, alpha, depth, weight};
    }
  }
  AT_DISPATCH_FLOATING_TYPES(sigmas.scalar_type(), "composite", [&] {
    Backend::for_each(in.rays(), in.cost(),
                      Composite<scalar_t>{in.samples<scalar_t>(step, early_stop), feature.mutable_data_ptr<scalar_t>(),
                                          alpha.mutable_data_ptr<scalar_t>(), depth.mutable_data_ptr<scalar_t>(),
                                          weight.mutable_data_ptr<scalar_t>()});
  });
  return {feature, alpha, depth, weight};
}

template <class Backend>
std::tuple<at::Tensor, at::Tensor> composite_backward(
    const at::Tensor& grad_feature, const at::Tensor& grad_alpha, const at::Tensor& grad_depth,
    const at::Tensor& grad_weight, const at::Tensor& weights, const at::Tensor& sigmas, const at::Tensor& features,
    const at::Tensor& t, const std::optional<at::Tensor>& dt, double step, const at::Tensor& ray_offsets,
    double early_stop) {
  const CompositeArguments in(sigmas, features, t, dt, ray_offsets);
  check_shape("grad_feature", grad_feature, {in.rays(), features.size(1)});
  check_shape("grad_alpha", grad_alpha, {in.rays()});
  check_shape("grad_depth", grad_depth, {in.rays()});
  check_shape("grad_weight", grad_weight, {sigmas.size(0)});
  check_shape("weights", weights, {sigmas.size(0)});
  check_same_device({{"sigmas", sigmas}, {"grad_feature", grad_feature}, {"grad_alpha", grad_alpha},
                     {"grad_depth", grad_depth}, {"grad_weight", grad_weight}, {"weights", weights}});
  const c10::OptionalDeviceGuard guard(sigmas.device());
  const at::Tensor gf = grad_feature.contiguous(), ga = grad_alpha.contiguous(), gd = grad_depth.contiguous();
  const at::Tensor gw = grad_weight.contiguous(), w = weights.contiguous();
  at::Tensor g_sigma = in.for_samples<Backend>(in.sigmas), g_sample = in.for_samples<Backend>(in.features);
  if constexpr (Backend::is_cpu) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && sigmas.scalar_type() == at::kFloat) {
      simd::CompositeJob job = in.job(step, early_stop);
      job.weights = const_cast<float*>(w.const_data_ptr<float>());  // only read
      job.grad_features = gf.const_data_ptr<float>();
      job.grad_alpha = ga.const_data_ptr<float>();
      job.grad_depth = gd.const_data_ptr<float>();
      job.grad_weights = gw.const_data_ptr<float>();
      job.grad_sigmas = g_sigma.mutable_data_ptr<float>();
      job.grad_samples = g_sample.mutable_data_ptr<float>();
      Backend::for_ranges(in.rays(), 0.6 * in.cost(),
                       [&](int64_t begin, int64_t end) { kernels->composite_backward(job, begin, end); });
      return {g_sigma, g_sample};
    }
  }
  AT_DISPATCH_FLOATING_TYPES(sigmas.scalar_type(), "composite_backward", [&] {
    Backend::for_each(
        in.rays(), 2.0 * in.cost(),
        CompositeBackward<scalar_t>{in.samples<scalar_t>(step, early_stop), w.const_data_ptr<scalar_t>(),
                                    gf.const_data_ptr<scalar_t>(), ga.const_data_ptr<scalar_t>(),
                                    gd.const_data_ptr<scalar_t>(), gw.const_data_ptr<scalar_t>(),
                                    g_sigma.mutable_data_ptr<scalar_t>(), g_sample.mutable_data_ptr<scalar_t>()});
  });
  return {g_sigma, g_sample};
}

template <class Backend>
void register_composite(torch::Library& m) {
  m.impl("composite", &composite<Backend>);
  m.impl("composite_backward", &composite_backward<Backend>);
}

}  // namespace gtalk
