// Small multi-layer perceptron: a_0 = x, a_l = f(W_l a_{l-1} + b_l), y = W_L a_{L-1} + b_L; f(v) = max(v, slope v).
//
// x [N, I], W_l [out, in], b_l [out], y [N, O]; sizes up to 128, up to 4 layers. Backward, with d_L = dL/dy:
//   d_{l-1} = (W_l^T d_l) * f'(a_{l-1}),   dL/dW_l = sum_n d_l a_{l-1}^T,   dL/db_l = sum_n d_l
// The plain functors keep a point's activations in local memory, and weights in a block's shared one where they fit; the
// sums over points are products of matrices (ATen).
#pragma once

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

#include "../common/check.h"
#include "../common/parallel_for.h"
#include "../simd/kernels.h"

namespace gtalk {

constexpr int kMaxWidth = 128;
using simd::kMaxLayers;

template <class T>
struct Net {
  int n_layers;
  int sizes[kMaxLayers + 1];
  const T* weights[kMaxLayers];
  const T* biases[kMaxLayers];
  T slope;

  // How many weights and biases there are, and itself with all of them in other memory, of which each of some threads
  // copies its share.
  GTALK_HD int numbers() const {
    int sum = 0;
    for (int l = 0; l < n_layers; ++l) sum += sizes[l + 1] * (sizes[l] + (biases[l] ? 1 : 0));
    return sum;
  }
  GTALK_HD Net staged(T* memory, int thread, int threads) const {
    Net near = *this;
    for (int l = 0; l < n_layers; ++l) {
      const int count = sizes[l] * sizes[l + 1];
      for (int i = thread; i < count; i += threads) memory[i] = weights[l][i];
      near.weights[l] = memory;
      memory += count;
      if (!biases[l]) continue;
      for (int i = thread; i < sizes[l + 1]; i += threads) memory[i] = biases[l][i];
      near.biases[l] = memory;
      memory += sizes[l + 1];
    }
    return near;
  }

  // One layer of one point; kTile outputs at once, so that an input is read once for all of them.
  GTALK_HD void layer(int l, const T* in, T* out) const {
    constexpr int kTile = 4;
    const bool last = l + 1 == n_layers;
    const int inputs = sizes[l], outputs = sizes[l + 1];
    for (int o = 0; o < outputs; o += kTile) {
      T sum[kTile];
      const T* row[kTile];
      for (int k = 0; k < kTile; ++k) {
        const int place = o + k < outputs ? o + k : outputs - 1;  // beyond the last the last again, which is not kept
        sum[k] = biases[l] ? biases[l][place] : static_cast<T>(0);
        row[k] = weights[l] + place * inputs;
      }
      for (int i = 0; i < inputs; ++i)
        for (int k = 0; k < kTile; ++k) sum[k] += row[k][i] * in[i];
      for (int k = 0; k < kTile; ++k)
        if (o + k < outputs) out[o + k] = last || sum[k] > 0 ? sum[k] : sum[k] * slope;
    }
  }
};

template <class T>
struct MlpForward {
  using Number = T;
  Net<T> net;
  const T* x;
  T* y;

  GTALK_HD int numbers() const { return net.numbers(); }
  GTALK_HD MlpForward staged(T* memory, int thread, int threads) const {
    MlpForward near = *this;
    near.net = net.staged(memory, thread, threads);
    return near;
  }

  GTALK_HD void operator()(int64_t n) const {
    T memory[2][kMaxWidth];
    const T* in = x + n * net.sizes[0];
    for (int l = 0; l < net.n_layers; ++l) {
      T* out = l + 1 == net.n_layers ? y + n * net.sizes[l + 1] : memory[l & 1];
      net.layer(l, in, out);
      in = out;
    }
  }
};

// Leaves a_1 .. a_{L-1} and d_1 .. d_{L-1} of every point, for the sums over points.
template <class T>
struct MlpBackward {
  Net<T> net;
  const T *x, *dy;
  T* dx;               // may be nullptr
  T* a[kMaxLayers];    // a[l] holds a_l; a[0] is not used
  T* d[kMaxLayers];    // d[l] holds d_l

  using Number = T;
  GTALK_HD int numbers() const { return net.numbers(); }
  GTALK_HD MlpBackward staged(T* memory, int thread, int threads) const {
    MlpBackward near = *this;
    near.net = net.staged(memory, thread, threads);
    return near;
  }

  GTALK_HD void operator()(int64_t n) const {
    const T* in = x + n * net.sizes[0];
    for (int l = 0; l + 1 < net.n_layers; ++l) {
      T* out = a[l + 1] + n * net.sizes[l + 1];
      net.layer(l, in, out);
      in = out;
    }
    const T* slope = dy + n * net.sizes[net.n_layers];
    for (int l = net.n_layers - 1; l >= 0; --l) {
      T* to = l > 0 ? d[l] + n * net.sizes[l] : (dx ? dx + n * net.sizes[0] : nullptr);
      if (!to) return;
      for (int i = 0; i < net.sizes[l]; ++i) {
        T sum = 0;
        for (int o = 0; o < net.sizes[l + 1]; ++o) sum += net.weights[l][o * net.sizes[l] + i] * slope[o];
        to[i] = l == 0 || a[l][n * net.sizes[l] + i] > 0 ? sum : sum * net.slope;
      }
      slope = to;
    }
  }
};

// The network's tensors, made contiguous and kept alive.
struct NetTensors {
  std::vector<at::Tensor> weights, biases;
  int sizes[kMaxLayers + 1];

  NetTensors(const at::Tensor& x, at::TensorList w, at::TensorList b) {
    TORCH_CHECK_VALUE(!w.empty() && w.size() <= kMaxLayers, "weights: expected 1 to ", kMaxLayers, " layers; got ",
                      w.size(), ".");
    TORCH_CHECK_VALUE(b.empty() || b.size() == w.size(), "biases: expected none or ", w.size(), "; got ", b.size(), ".");
    check_shape("x", x, {-1, -1});
    sizes[0] = static_cast<int>(x.size(1));
    for (size_t l = 0; l < w.size(); ++l) {
      check_shape("weights", w[l], {-1, sizes[l]});
      check_dtype("weights", w[l], x.scalar_type());
      check_same_device({{"x", x}, {"weights", w[l]}});
      TORCH_CHECK_VALUE(w[l].size(0) >= 1 && w[l].size(0) <= kMaxWidth && sizes[l] >= 1 && sizes[l] <= kMaxWidth,
                        "weights: expected sizes 1 to ", kMaxWidth, "; got ", w[l].sizes(), ".");
      sizes[l + 1] = static_cast<int>(w[l].size(0));
      weights.push_back(w[l].contiguous());
      if (b.empty()) continue;
      check_shape("biases", b[l], {sizes[l + 1]});
      check_dtype("biases", b[l], x.scalar_type());
      check_same_device({{"x", x}, {"biases", b[l]}});
      biases.push_back(b[l].contiguous());
    }
  }

  template <class N, class T>
  N net(double slope) const {
    N net{};
    net.n_layers = static_cast<int>(weights.size());
    for (int l = 0; l <= net.n_layers; ++l) net.sizes[l] = sizes[l];
    for (int l = 0; l < net.n_layers; ++l) {
      net.weights[l] = weights[l].const_data_ptr<T>();
      net.biases[l] = biases.empty() ? nullptr : biases[l].const_data_ptr<T>();
    }
    net.slope = static_cast<T>(slope);
    return net;
  }

  double cost() const {  // multiplications of a point
    double sum = 0;
    for (size_t l = 0; l < weights.size(); ++l) sum += static_cast<double>(sizes[l]) * sizes[l + 1];
    return sum;
  }
};

template <class Backend>
at::Tensor mlp(const at::Tensor& x, at::TensorList weights, at::TensorList biases, double slope) {
  const NetTensors tensors(x, weights, biases);
  const c10::OptionalDeviceGuard guard(x.device());
  const at::Tensor in = x.contiguous();
  at::Tensor y = at::empty({x.size(0), tensors.sizes[weights.size()]}, x.options());
  if constexpr (Backend::is_cpu) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && x.scalar_type() == at::kFloat) {
      const auto net = tensors.net<simd::Mlp, float>(slope);
      const auto* from = in.const_data_ptr<float>();
      auto* to = y.mutable_data_ptr<float>();
      Backend::for_ranges(x.size(0), 0.02 * tensors.cost(), [&](int64_t begin, int64_t end) {
        kernels->mlp_forward(net, from + begin * x.size(1), to + begin * y.size(1), end - begin);
      });
      return y;
    }
  }
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlp", [&] {
    const auto net = tensors.net<Net<scalar_t>, scalar_t>(slope);
    Backend::for_each_staged(x.size(0), tensors.cost(),
                      MlpForward<scalar_t>{net, in.const_data_ptr<scalar_t>(), y.mutable_data_ptr<scalar_t>()});
  });
  return y;
}

using MlpGrads = std::tuple<at::Tensor, std::vector<at::Tensor>, std::vector<at::Tensor>>;

// The partial sums of so many parts are added in order, so that results depend neither on the threads nor on luck.
template <class Backend>
MlpGrads mlp_backward_simd(
    const simd::Kernels& kernels, const NetTensors& tensors, const at::Tensor& dy, const at::Tensor& x, double slope,
    bool need_x) {
  const auto net = tensors.net<simd::Mlp, float>(slope);
  const int64_t n = x.size(0), layers = net.n_layers;
  const int64_t parts = std::clamp<int64_t>(n / 2048, 1, 16);
  at::Tensor dx = at::empty({need_x ? n : 0, x.size(1)}, x.options());
  std::vector<at::Tensor> dw, db;
  for (int64_t l = 0; l < layers; ++l) {
    dw.push_back(at::zeros({parts, net.sizes[l + 1], net.sizes[l]}, x.options()));
    db.push_back(at::zeros({parts, tensors.biases.empty() ? 0 : net.sizes[l + 1]}, x.options()));
  }
  const auto* from = x.const_data_ptr<float>();
  const auto* slopes = dy.const_data_ptr<float>();
  auto* to = need_x ? dx.mutable_data_ptr<float>() : nullptr;
  Crew::get().run(parts, [&](int64_t part, int) {
    float *weight_sums[kMaxLayers], *bias_sums[kMaxLayers];
    for (int64_t l = 0; l < layers; ++l) {
      weight_sums[l] = dw[l].mutable_data_ptr<float>() + part * net.sizes[l] * net.sizes[l + 1];
      bias_sums[l] = tensors.biases.empty() ? nullptr : db[l].mutable_data_ptr<float>() + part * net.sizes[l + 1];
    }
    const int64_t begin = n * part / parts, end = n * (part + 1) / parts;
    kernels.mlp_backward(net, from + begin * x.size(1), slopes + begin * dy.size(1),
                         to ? to + begin * x.size(1) : nullptr, weight_sums, bias_sums, end - begin);
  });
  for (int64_t l = 0; l < layers; ++l) {
    dw[l] = dw[l].sum(0);
    db[l] = db[l].sum(0);
  }
  return {dx, dw, db};
}

template <class Backend>
MlpGrads mlp_backward(
    const at::Tensor& grad, const at::Tensor& x, at::TensorList weights, at::TensorList biases, double slope,
    bool need_x) {
  const NetTensors tensors(x, weights, biases);
  const int64_t layers = static_cast<int64_t>(weights.size());
  check_shape("grad", grad, {x.size(0), tensors.sizes[layers]});
  check_dtype("grad", grad, x.scalar_type());
  check_same_device({{"x", x}, {"grad", grad}});
  const c10::OptionalDeviceGuard guard(x.device());
  const at::Tensor in = x.contiguous(), dy = grad.contiguous();
  if constexpr (Backend::is_cpu) {
    const simd::Kernels* kernels = simd::kernels();
    if (kernels && x.scalar_type() == at::kFloat) {
      return mlp_backward_simd<Backend>(*kernels, tensors, dy, in, slope, need_x);
    }
  }
  at::Tensor dx = at::empty({need_x ? x.size(0) : 0, x.size(1)}, x.options());
  std::vector<at::Tensor> a{in}, d{at::Tensor()};
  for (int64_t l = 1; l < layers; ++l) {
    a.push_back(at::empty({x.size(0), tensors.sizes[l]}, x.options()));
    d.push_back(at::empty_like(a.back()));
  }
  d.push_back(dy);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlp_backward", [&] {
    MlpBackward<scalar_t> each{tensors.net<Net<scalar_t>, scalar_t>(slope), in.const_data_ptr<scalar_t>(),
                               dy.const_data_ptr<scalar_t>(), need_x ? dx.mutable_data_ptr<scalar_t>() : nullptr,
                               {}, {}};
    for (int64_t l = 1; l < layers; ++l) {
      each.a[l] = a[l].mutable_data_ptr<scalar_t>();
      each.d[l] = d[l].mutable_data_ptr<scalar_t>();
    }
    Backend::for_each_staged(x.size(0), 3.0 * tensors.cost(), each);
  });
  std::vector<at::Tensor> dw, db;
  for (int64_t l = 0; l < layers; ++l) {
    dw.push_back(at::mm(d[l + 1].t(), a[l]));
    db.push_back(tensors.biases.empty() ? at::zeros({0}, x.options()) : d[l + 1].sum(0));
  }
  return {dx, dw, db};
}

template <class Backend>
void register_mlp(torch::Library& m) {
  m.impl("mlp", &mlp<Backend>);
  m.impl("mlp_backward", &mlp_backward<Backend>);
}

}  // namespace gtalk
