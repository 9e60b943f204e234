// Fused multi-layer perceptron. A block of points goes through all layers while its activations stay in the first
// cache. Lanes are a layer's outputs, so that rows are read and written as they lie in memory.

constexpr int POINTS = 48;                   // of a block; a multiple of TILE
constexpr int TILE = W == 16 ? 12 : 6;       // points whose sums are kept in registers, two vectors each
constexpr int OUT_TILE = W == 16 ? 8 : 4;    // outputs of a tile of a weight gradient
constexpr int kMaxWidth = 128;

GTALK_INLINE int padded(int size) { return (size + W - 1) / W * W; }

// What happens to a sum before it is stored.
struct Plain {
  inline __attribute__((always_inline)) VF operator()(VF sum, int64_t, int64_t) const { return sum; }
};
struct Activate {
  float slope;
  inline __attribute__((always_inline)) VF operator()(VF sum, int64_t, int64_t) const { return max(sum, sum * slope); }
};
struct Slope {  // of the activation that made `value`
  const float* value;
  int64_t stride;
  float slope;
  inline __attribute__((always_inline)) VF operator()(VF sum, int64_t row, int64_t column) const {
    return load(value + row * stride + column) > 0.f ? sum : sum * slope;
  }
};

// Rows of POINTS points: in [.][k], out [.][n], each `stride` floats after the one before.
struct OutputRows {
  float* at;
  int64_t stride;
};
struct InputRows {
  const float* at;
  int64_t stride;
};

// out[p][0:n] = last(in[p][0:k] * weights[k][0:n] + bias) for POINTS rows. n is a multiple of W.
template <int Vectors, class Last>
GTALK_INLINE void product_tile(
    InputRows in, int k, const float* weights, int64_t n, const float* bias, OutputRows out, int64_t column,
    const Last& last) {
  for (int p = 0; p < POINTS; p += TILE) {
    VF sum[TILE][Vectors];
    for (int v = 0; v < Vectors; ++v) {
      const VF b = bias ? load(bias + column + v * W) : VF{};
      for (int i = 0; i < TILE; ++i) sum[i][v] = b;
    }
    const float* from = in.at + p * in.stride;
    for (int j = 0; j < k; ++j) {
      VF w[Vectors];
      for (int v = 0; v < Vectors; ++v) w[v] = load(weights + j * n + column + v * W);
#pragma GCC unroll 12
      for (int i = 0; i < TILE; ++i) {
        const VF x = splat(from[i * in.stride + j]);
        for (int v = 0; v < Vectors; ++v) sum[i][v] += x * w[v];
      }
    }
#pragma GCC unroll 12
    for (int i = 0; i < TILE; ++i)
      for (int v = 0; v < Vectors; ++v)
        store(out.at + (p + i) * out.stride + column + v * W, last(sum[i][v], p + i, column + v * W));
  }
}

template <class Last>
static void product(
    InputRows in, int k, const float* weights, int n, const float* bias, OutputRows out, const Last& last) {
  int column = 0;
  for (; column + 2 * W <= n; column += 2 * W) product_tile<2>(in, k, weights, n, bias, out, column, last);
  for (; column < n; column += W) product_tile<1>(in, k, weights, n, bias, out, column, last);
}

// sums[o][0:n] += sum over POINTS rows p of d[p][o] * a[p][0:n]. d_stride is a multiple of OUT_TILE, n of W.
template <int Vectors>
GTALK_INLINE void outer_tile(
    const float* d, int64_t d_stride, const float* a, int64_t a_stride, float* sums, int64_t n) {
  VF sum[OUT_TILE][Vectors];
#pragma GCC unroll 8
  for (int o = 0; o < OUT_TILE; ++o)
    for (int v = 0; v < Vectors; ++v) sum[o][v] = load(sums + o * n + v * W);
  for (int p = 0; p < POINTS; ++p) {
    VF row[Vectors];
    for (int v = 0; v < Vectors; ++v) row[v] = load(a + p * a_stride + v * W);
#pragma GCC unroll 8
    for (int o = 0; o < OUT_TILE; ++o) {
      const VF g = splat(d[p * d_stride + o]);
      for (int v = 0; v < Vectors; ++v) sum[o][v] += g * row[v];
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < OUT_TILE; ++o)
    for (int v = 0; v < Vectors; ++v) store(sums + o * n + v * W, sum[o][v]);
}

static void outer(const float* d, int d_stride, const float* a, int a_stride, float* sums) {
  for (int o = 0; o < d_stride; o += OUT_TILE) {
    int column = 0;
    for (; column + 2 * W <= a_stride; column += 2 * W)
      outer_tile<2>(d + o, d_stride, a + column, a_stride, sums + o * a_stride + column, a_stride);
    for (; column < a_stride; column += W)
      outer_tile<1>(d + o, d_stride, a + column, a_stride, sums + o * a_stride + column, a_stride);
  }
}

// Weights as the products want them.
struct Packed {
  float* forward[kMaxLayers];   // [in][padded out]
  float* backward[kMaxLayers];  // [out][padded in]
  float* bias[kMaxLayers];      // [padded out], nullptr without
};

GTALK_INLINE int64_t packed_floats(const Mlp& net) {
  int64_t floats = 0;
  for (int l = 0; l < net.n_layers; ++l)
    floats += int64_t{net.sizes[l]} * padded(net.sizes[l + 1]) + int64_t{net.sizes[l + 1]} * padded(net.sizes[l]) +
              padded(net.sizes[l + 1]);
  return floats;
}

static Packed pack(const Mlp& net, float* memory) {
  std::memset(memory, 0, sizeof(float) * packed_floats(net));
  Packed packed;
  for (int l = 0; l < net.n_layers; ++l) {
    const int in = net.sizes[l], out = net.sizes[l + 1], in_pad = padded(in), out_pad = padded(out);
    packed.forward[l] = memory;
    packed.backward[l] = memory += int64_t{in} * out_pad;
    packed.bias[l] = memory += int64_t{out} * in_pad;
    memory += out_pad;
    for (int o = 0; o < out; ++o) {
      for (int i = 0; i < in; ++i)
        packed.forward[l][i * out_pad + o] = packed.backward[l][o * in_pad + i] = net.weights[l][o * in + i];
      packed.bias[l][o] = net.biases[l] ? net.biases[l][o] : 0.f;
    }
  }
  return packed;
}

// Rows [n][size] to [POINTS][stride], zeros beyond.
static void copy_rows(const float* from, int64_t n, int size, float* to, int stride) {
  if (n < POINTS || size < stride) std::memset(to, 0, sizeof(float) * POINTS * stride);
  for (int64_t p = 0; p < n; ++p) std::memcpy(to + p * stride, from + p * size, sizeof(float) * size);
}

// Activations of all layers of a block; input first, which may be the caller's rows.
struct Activations {
  const float* at[kMaxLayers + 1];
  int stride[kMaxLayers + 1];
};

static Activations run_block(
    const Mlp& net, const Packed& packed, const float* x, int64_t n, int layers, bool pad_input, float* memory) {
  Activations a;
  const int in_pad = padded(net.sizes[0]);
  a.at[0] = x;
  a.stride[0] = net.sizes[0];
  if (n < POINTS || (pad_input && in_pad != net.sizes[0])) {
    copy_rows(x, n, net.sizes[0], memory, in_pad);
    a.at[0] = memory;
    a.stride[0] = in_pad;
  }
  memory += POINTS * in_pad;
  for (int l = 0; l < layers; ++l) {
    const int out_pad = padded(net.sizes[l + 1]);
    const InputRows in{a.at[l], a.stride[l]};
    const OutputRows out{memory, out_pad};
    if (l + 1 < net.n_layers) {
      product(in, net.sizes[l], packed.forward[l], out_pad, packed.bias[l], out, Activate{net.slope});
    } else {
      product(in, net.sizes[l], packed.forward[l], out_pad, packed.bias[l], out, Plain{});
    }
    a.at[l + 1] = memory;
    a.stride[l + 1] = out_pad;
    memory += POINTS * out_pad;
  }
  return a;
}

GTALK_INLINE int64_t activation_floats(const Mlp& net) {
  int64_t floats = 0;
  for (int l = 0; l <= net.n_layers; ++l) floats += POINTS * padded(net.sizes[l]);
  return floats;
}

static void mlp_forward(const Mlp& net, const float* x, float* y, int64_t n) {
  const Memory memory(packed_floats(net) + activation_floats(net));
  const Packed packed = pack(net, memory.floats);
  const int in = net.sizes[0], out = net.sizes[net.n_layers];
  for (int64_t p = 0; p < n; p += POINTS) {
    const int64_t size = n - p < POINTS ? n - p : POINTS;
    const Activations a =
        run_block(net, packed, x + p * in, size, net.n_layers, false, memory.floats + packed_floats(net));
    const float* from = a.at[net.n_layers];
    const int stride = a.stride[net.n_layers];
    if (stride == out) {
      std::memcpy(y + p * out, from, sizeof(float) * size * out);
    } else {
      for (int64_t i = 0; i < size; ++i) std::memcpy(y + (p + i) * out, from + i * stride, sizeof(float) * out);
    }
  }
}

// Adds to dw and db, which hold one [out][in] and [out] per layer (db may be nullptr); dx may be nullptr.
static void mlp_backward(
    const Mlp& net, const float* x, const float* dy, float* dx, float* const* dw, float* const* db, int64_t n) {
  const int last = net.n_layers;
  int64_t sums = 0, widest = 0;
  for (int l = 0; l <= last; ++l) widest = padded(net.sizes[l]) > widest ? padded(net.sizes[l]) : widest;
  for (int l = 0; l < last; ++l) sums += int64_t{padded(net.sizes[l + 1])} * (padded(net.sizes[l]) + 1);
  const int64_t fixed = packed_floats(net) + activation_floats(net);
  const Memory memory(fixed + sums + 2 * POINTS * widest);
  const Packed packed = pack(net, memory.floats);
  float* activations = memory.floats + packed_floats(net);
  float* all_sums = memory.floats + fixed;
  float* slopes[2] = {all_sums + sums, all_sums + sums + POINTS * widest};
  for (int64_t p = 0; p < n; p += POINTS) {
    const int64_t size = n - p < POINTS ? n - p : POINTS;
    const Activations a = run_block(net, packed, x + p * net.sizes[0], size, last - 1, true, activations);
    const float* d = dy + p * net.sizes[last];
    if (size < POINTS || padded(net.sizes[last]) != net.sizes[last]) {
      copy_rows(d, size, net.sizes[last], slopes[0], padded(net.sizes[last]));
      d = slopes[0];
    }
    float* sum = all_sums;
    for (int l = last; l-- > 0;) {
      const int out = padded(net.sizes[l + 1]), in = padded(net.sizes[l]);
      outer(d, out, a.at[l], a.stride[l], sum);
      sum += out * in;
      for (int o = 0; o < out; o += W) {
        VF total = load(sum + o);
        for (int i = 0; i < POINTS; ++i) total += load(d + i * out + o);
        store(sum + o, total);
      }
      sum += out;
      if (l == 0 && !dx) break;
      float* next = slopes[d == slopes[0]];
      const InputRows from{d, out};
      if (l > 0) {
        product(from, net.sizes[l + 1], packed.backward[l], in, nullptr, OutputRows{next, in},
                Slope{a.at[l], a.stride[l], net.slope});
      } else if (size == POINTS && in == net.sizes[0]) {
        product(from, net.sizes[1], packed.backward[0], in, nullptr, OutputRows{dx + p * in, in}, Plain{});
      } else {
        product(from, net.sizes[1], packed.backward[0], in, nullptr, OutputRows{next, in}, Plain{});
        for (int64_t i = 0; i < size; ++i)
          std::memcpy(dx + (p + i) * net.sizes[0], next + i * in, sizeof(float) * net.sizes[0]);
      }
      d = next;
    }
  }
  const float* sum = all_sums;
  for (int l = last; l-- > 0;) {
    const int out = padded(net.sizes[l + 1]), in = padded(net.sizes[l]);
    for (int o = 0; o < net.sizes[l + 1]; ++o)
      for (int i = 0; i < net.sizes[l]; ++i) dw[l][o * net.sizes[l] + i] += sum[o * in + i];
    sum += out * in;
    for (int o = 0; o < net.sizes[l + 1] && db[l]; ++o) db[l][o] += sum[o];
    sum += out;
  }
}
