// Compositing of a run of rays: lanes are samples where the exponentials are taken, and channels where the features
// are summed.

// exp(-sigma dt) of samples [begin, end), at most CHUNK of them.
constexpr int CHUNK = 256;

GTALK_INLINE void pass_through(const CompositeJob& job, int64_t begin, int size, float* one_minus_alpha) {
  for (int i = 0; i < size; i += W) {
    const int count = size - i < W ? size - i : W;
    const VF sigma = count == W ? load(job.sigmas + begin + i) : load_part(job.sigmas + begin + i, count);
    VF dt = splat(job.step);
    if (job.dt) dt = count == W ? load(job.dt + begin + i) : load_part(job.dt + begin + i, count);
    store(one_minus_alpha + i, exponential(-sigma * dt));
  }
}

static void composite(const CompositeJob& job, int64_t first, int64_t last) {
  const int channels = job.channels;
  float one_minus_alpha[CHUNK + W];
  for (int64_t r = first; r < last; ++r) {
    float transmittance = 1.f, opaque = 0.f, far = 0.f;
    float* sum = job.features_out + r * channels;
    const int64_t end = job.offsets[r + 1];
    std::memset(sum, 0, sizeof(float) * channels);
    for (int64_t begin = job.offsets[r]; begin < end; begin += CHUNK) {
      const int size = static_cast<int>(end - begin < CHUNK ? end - begin : CHUNK);
      if (transmittance >= job.early_stop) pass_through(job, begin, size, one_minus_alpha);
      int used = 0;
      for (; used < size && transmittance >= job.early_stop; ++used) {
        const float w = transmittance * (1.f - one_minus_alpha[used]);
        job.weights[begin + used] = w;
        opaque += w;
        far += w * job.t[begin + used];
        transmittance *= one_minus_alpha[used];
      }
      for (int i = used; i < size; ++i) job.weights[begin + i] = 0.f;
      for (int c = 0; c < channels; c += W) {
        const int count = channels - c < W ? channels - c : W;
        VF total = load_part(sum + c, count);
        for (int i = 0; i < used; ++i)
          total += job.weights[begin + i] * load_part(job.features + (begin + i) * channels + c, count);
        store_part(sum + c, total, count);
      }
    }
    job.alpha[r] = opaque;
    job.depth[r] = far;
  }
}

static void composite_backward(const CompositeJob& job, int64_t first, int64_t last) {
  const int channels = job.channels;
  float one_minus_alpha[CHUNK + W];
  for (int64_t r = first; r < last; ++r) {
    const int64_t start = job.offsets[r], end = job.offsets[r + 1];
    const float* g = job.grad_features + r * channels;
    float behind = 0.f;
    for (int64_t i = start; i < end; ++i) {
      const float w = job.weights[i];
      VF product{};
      for (int c = 0; c < channels; c += W) {
        const int count = channels - c < W ? channels - c : W;
        const VF along = load_part(g + c, count);
        product += along * load_part(job.features + i * channels + c, count);
        store_part(job.grad_samples + i * channels + c, along * w, count);
      }
      const float dot = horizontal_sum(product) + job.grad_alpha[r] + job.grad_depth[r] * job.t[i] + job.grad_weights[i];
      job.grad_sigmas[i] = dot;
      behind += w * dot;
    }
    float transmittance = 1.f;
    for (int64_t begin = start; begin < end; begin += CHUNK) {
      const int size = static_cast<int>(end - begin < CHUNK ? end - begin : CHUNK);
      pass_through(job, begin, size, one_minus_alpha);
      for (int i = 0; i < size; ++i) {
        float& to = job.grad_sigmas[begin + i];
        if (transmittance < job.early_stop) {
          to = 0.f;
          continue;
        }
        behind -= job.weights[begin + i] * to;
        transmittance *= one_minus_alpha[i];
        to = (job.dt ? job.dt[begin + i] : job.step) * (transmittance * to - behind);
      }
    }
  }
}
