// Ray marching with a ray in each lane; see common/rays.h for one ray at a time. Empty rays and empty space cost
// little here: all lanes cross a cell or a block at once.

GTALK_INLINE VI as_int(VU v) { return reinterpret_cast<VI>(v); }
GTALK_INLINE VU as_bits(VI v) { return reinterpret_cast<VU>(v); }

// N rays (a multiple of W) between two of their samples.
template <int N>
struct Lanes {
  alignas(64) float start[3][N], slope[3][N], inverse_slope[3][N];  // in cells
  alignas(64) float near[N], far[N], jitter[N];
  alignas(64) int32_t index[N];  // lattice point to look at next; kMaxSteps where the ray has ended

  void end(int lane) { index[lane] = kMaxSteps; }

  // Puts a ray into a lane, at its first lattice point in the box; false where it does not meet it.
  bool begin(int lane, const Occupancy& grid, const RayBundle& rays, int64_t r) {
    const Walk walk = rays.walk(grid, r);
    float enter = walk.near, leave = walk.far, sum = walk.near + walk.jitter;
    for (int d = 0; d < 3; ++d) {
      const float a = -walk.start[d] * walk.inverse_slope[d];
      const float b = (static_cast<float>(grid.size[d]) - walk.start[d]) * walk.inverse_slope[d];
      const float first = a < b ? a : b, last = a < b ? b : a;  // NaN: a side that the ray lies in
      enter = first > enter ? first : enter;
      leave = last < leave ? last : leave;
      sum += walk.start[d] + walk.slope[d];
    }
    leave += 2.f * walk.step;
    end(lane);
    if (!(enter < leave) || !(sum - sum == 0.f)) return false;  // it passes by, or is not finite
    const float margin = walk.jitter + 1.f, i = (enter - walk.near) * walk.inverse_step - margin;
    if (!(i < 16777216.f)) return false;
    index[lane] = i > 0.f ? static_cast<int32_t>(i) : 0;
    near[lane] = walk.near;
    far[lane] = leave < walk.far ? leave : walk.far;
    jitter[lane] = walk.jitter;
    for (int d = 0; d < 3; ++d) {
      start[d][lane] = walk.start[d];
      slope[d][lane] = walk.slope[d];
      inverse_slope[d][lane] = walk.inverse_slope[d];
    }
    return true;
  }
};

struct Found {
  VI taken;        // all ones where a lattice point was taken; its t is below
  VI going;        // all ones where the ray has not ended
  VF t, point[3];  // point in cells
};

// Looks at one lattice point of W rays from `lane` on, and moves each to the next one worth a look.
template <int N>
GTALK_INLINE Found look(Lanes<N>& lanes, int lane, const Occupancy& grid, float step) {
  Found found;
  const VI index = as_int(load(reinterpret_cast<const uint32_t*>(lanes.index) + lane));
  const VF near = load(lanes.near + lane), far = load(lanes.far + lane), jitter = load(lanes.jitter + lane);
  const VF t = near + (__builtin_convertvector(index, VF) + jitter) * step;
  found.t = t;
  found.going = (index < kMaxSteps) & (t < far);
  VI inside = found.going, cell[3];
  for (int d = 0; d < 3; ++d) {
    const VF x = load(lanes.start[d] + lane) + t * load(lanes.slope[d] + lane);
    inside &= (x >= 0.f) & (x < static_cast<float>(grid.size[d]));
    cell[d] = __builtin_convertvector(x, VI);
    found.point[d] = x;
  }
  for (int d = 0; d < 3; ++d) cell[d] &= inside;
  const VI word = (cell[0] * grid.size[1] + cell[1]) * grid.bit_words + (cell[2] >> 5);
  const VU bits = gather<4>(grid.bits, as_bits(word)) >> as_bits(cell[2] & 31);
  const VI full = -(as_int(bits) & 1);
  static_assert(kBlock == 4, "blocks are found by shifts");
  const VI block = ((cell[0] >> 2) * grid.n_blocks[1] + (cell[1] >> 2)) * grid.n_blocks[2] + (cell[2] >> 2);
  const VI block_full = (as_int(gather<1>(grid.blocks, as_bits(block))) & 0xff) != 0;
  found.taken = inside & full;
  VF leave = far;
  const VI rest = block_full ? VI{} : 3 - VI{};  // a cell or a block is left at its side along each axis
  for (int d = 0; d < 3; ++d) {
    const VI low = cell[d] & ~rest, side = load(lanes.slope[d] + lane) > 0.f ? low + rest + 1 : low;
    const VF exit = (__builtin_convertvector(side, VF) - load(lanes.start[d] + lane)) * load(lanes.inverse_slope[d] + lane);
    leave = exit < leave ? exit : leave;
  }
  const VF reached = min((leave - near) * (1.f / step) - jitter - 0.01f, splat(16777216.f));
  const VI skip = __builtin_convertvector(reached, VI), after = index + 1;
  VI next = (inside & ~found.taken & (skip > after)) ? skip : after;
  next = found.going ? next : kMaxSteps - VI{};
  *reinterpret_cast<VI*>(lanes.index + lane) = next;
  return found;
}

// Rays [begin, end): counts[r], and t of ray r from samples + r * max_samples on.
static void march(
    const Occupancy& grid, const RayBundle& rays, int64_t begin, int64_t end, int64_t* counts, float* samples) {
  Lanes<W> lanes;
  std::memset(&lanes, 0, sizeof lanes);
  for (int64_t first = begin; first < end; first += W) {
    const int size = static_cast<int>(end - first < W ? end - first : W);
    for (int i = 0; i < W; ++i) {
      if (i < size) {
        counts[first + i] = 0;
        lanes.begin(i, grid, rays, first + i);
      } else {
        lanes.end(i);
      }
    }
    for (;;) {
      const Found found = look(lanes, 0, grid, rays.step);
      if (!any(found.going)) break;
      if (!any(found.taken)) continue;
      for (int i = 0; i < size; ++i) {
        if (!found.taken[i]) continue;
        int64_t& count = counts[first + i];
        samples[(first + i) * rays.max_samples + count] = found.t[i];
        if (++count >= rays.max_samples) lanes.end(i);
      }
    }
  }
}
