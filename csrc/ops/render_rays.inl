// March, encode, network and composite of a run of rays. A pool of rays is in flight; each round takes the next
// samples of all of them, until a batch is full, and a ray that has ended makes room for the next one. So the
// encoding and the network always work on full batches, and few samples behind a surface are computed.

constexpr int POOL = POINTS;
constexpr int BATCH = 3 * POINTS;
constexpr int ROUNDS = 16;  // of looks for samples, before what was found is evaluated

struct Flight {
  int64_t ray;
  int taken;  // samples so far
  bool ended;
  float transmittance, opaque, far;
};

struct Sample {
  int slot;
  float t;
};

struct Renderer {
  const RenderJob& job;
  const int channels, stride;        // of the composited features; of the network's outputs
  const Packed packed;
  float* activations;
  float *encoded, *outputs, *sums;   // [BATCH][2L], [BATCH][stride], [POOL][stride]
  Group groups[kMaxLevels / W];
  Lanes<POOL> lanes;
  Flight flights[POOL];
  int n_flights = 0;
  int64_t upcoming, end;

  static int64_t floats(const RenderJob& job) {
    const int64_t stride = padded(job.net.sizes[job.net.n_layers]);
    return packed_floats(job.net) + activation_floats(job.net) + BATCH * padded(2 * job.grid.n_levels) + BATCH * stride +
           POOL * stride;
  }

  Renderer(const RenderJob& job_, float* memory, int64_t begin, int64_t end_)
      : job(job_), channels(job.net.sizes[job.net.n_layers] - 1), stride(padded(job.net.sizes[job.net.n_layers])),
        packed(pack(job.net, memory)), upcoming(begin), end(end_) {
    activations = memory + packed_floats(job.net);
    encoded = activations + activation_floats(job.net);
    outputs = encoded + BATCH * padded(2 * job.grid.n_levels);
    sums = outputs + BATCH * stride;
    make_groups(job.grid, groups);
    std::memset(&lanes, 0, sizeof lanes);
    for (int slot = 0; slot < POOL; ++slot) lanes.end(slot);
  }

  void finish(int64_t ray, float opaque, float far, const float* sum) const {
    for (int c = 0; c < channels; ++c) job.features[ray * channels + c] = sum ? sum[c + 1] : 0.f;
    job.alpha[ray] = opaque;
    job.depth[ray] = far;
  }

  // Starts the next ray that meets the box.
  bool start(int slot) {
    for (; upcoming < end; ++upcoming) {
      if (!lanes.begin(slot, job.occupancy, job.rays, upcoming)) {
        finish(upcoming, 0.f, 0.f, nullptr);
        continue;
      }
      flights[slot] = {upcoming++, 0, false, 1.f, 0.f, 0.f};
      std::memset(sums + slot * stride, 0, sizeof(float) * stride);
      return true;
    }
    return false;
  }

  // Samples of all rays in flight, in rounds; those of one ray are front to back.
  int gather_batch(Sample* samples, float* points) {
    int size = 0;
    for (int round = 0; round < ROUNDS && size + POOL <= BATCH; ++round) {
      bool more = false;
      for (int lane = 0; lane < POOL; lane += W) {
        const Found found = look(lanes, lane, job.occupancy, job.rays.step);
        more |= any(found.going);
        for (int i = 0; i < W; ++i) flights[lane + i].ended |= !found.going[i];
        if (!any(found.taken)) continue;
        for (int i = 0; i < W; ++i) {
          if (!found.taken[i]) continue;
          for (int d = 0; d < 3; ++d) points[3 * size + d] = found.point[d][i] * job.occupancy.inverse_size[d];
          job.warp.apply(points + 3 * size);
          for (int d = 0; d < 3; ++d) points[3 * size + d] = clamp_unit(points[3 * size + d]);
          samples[size++] = {lane + i, found.t[i]};
          if (++flights[lane + i].taken >= job.rays.max_samples) lanes.end(lane + i);
        }
      }
      if (!more) break;
    }
    return size;
  }

  void evaluate(const float* points, int size) {
    const int row = 2 * job.grid.n_levels, count = n_groups(job.grid);
    for (int i = 0; i < size; ++i) {
      if (job.packed) {
        encode_point<3, true>(groups, count, points + 3 * i, job.table, encoded + i * row);
      } else {
        encode_point<3, false>(groups, count, points + 3 * i, job.table, encoded + i * row);
      }
    }
    for (int first = 0; first < size; first += POINTS) {
      const Activations a = run_block(job.net, packed, encoded + first * row, POINTS, job.net.n_layers, false, activations);
      std::memcpy(outputs + first * stride, a.at[job.net.n_layers], sizeof(float) * POINTS * stride);
    }
  }

  void composite_batch(const Sample* samples, int size) {
    float one_minus_alpha[BATCH];
    for (int i = 0; i < size; i += W) {
      VF x{};
      for (int j = 0; j < W; ++j) x[j] = outputs[(i + j) * stride];
      store(one_minus_alpha + i, 1.f / (1.f + exponential(x + job.density_bias)));
    }
    for (int i = 0; i < size; ++i) {
      Flight& flight = flights[samples[i].slot];
      if (flight.transmittance < job.early_stop) continue;
      const float w = flight.transmittance * (1.f - one_minus_alpha[i]);
      float* sum = sums + samples[i].slot * stride;
      for (int c = 0; c < stride; c += W) store(sum + c, load(sum + c) + w * load(outputs + i * stride + c));
      flight.opaque += w;
      flight.far += w * samples[i].t;
      flight.transmittance *= one_minus_alpha[i];
    }
  }

  // Writes the rays that have ended, and starts others in their place.
  void retire() {
    for (int slot = 0; slot < POOL; ++slot) {
      Flight& flight = flights[slot];
      if (flight.ray < 0 || (!flight.ended && flight.transmittance >= job.early_stop)) continue;
      finish(flight.ray, flight.opaque, flight.far, sums + slot * stride);
      if (!start(slot)) {
        lanes.end(slot);
        flight.ray = -1;
        --n_flights;
      }
    }
  }

  void run() {
    for (Flight& flight : flights) flight = {-1, 0, true, 0.f, 0.f, 0.f};
    while (n_flights < POOL && start(n_flights)) ++n_flights;
    Sample samples[BATCH];
    float points[3 * BATCH];
    while (n_flights > 0) {
      const int size = gather_batch(samples, points);
      evaluate(points, size);
      composite_batch(samples, size);
      retire();
    }
  }
};

static void render_rays(const RenderJob& job, int64_t begin, int64_t end) {
  const Memory memory(Renderer::floats(job));
  Renderer(job, memory.floats, begin, end).run();
}
