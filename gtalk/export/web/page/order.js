// Depths of the Gaussians at a frame and their order, far to near, on the processor: all that drawing needs sorted.

const KEYS = 1 << 16;

export class Order {
  /** `bases`: [{first, count, codes, at, values (int8, [count, codes, 14]), scale ([codes, 14])}] of face and rest. */
  constructor(base, bases, limits) {
    this.count = base.length / 16;
    this.bases = bases.map(({ first, count, codes, at, values, scale }) => {
      // Positions alone, one code after the other: three of fourteen numbers are read in one go.
      const moves = new Int8Array(codes * count * 3);
      for (let n = 0; n < count; n++)
        for (let k = 0; k < codes; k++)
          for (let c = 0; c < 3; c++) moves[(k * count + n) * 3 + c] = values[(n * codes + k) * 14 + c];
      return { first, count, codes, at, moves, scale };
    });
    this.limits = limits.slice(0, 3);
    this.rest = new Float32Array(3 * this.count);
    this.share = new Float32Array(this.count);
    for (let n = 0; n < this.count; n++) {
      for (let c = 0; c < 3; c++) this.rest[3 * n + c] = base[16 * n + c];
      this.share[n] = 1 / (1 + Math.exp(-base[16 * n + 14]));
    }
    this.moved = new Float32Array(3 * this.count);
    this.depth = new Float32Array(this.count);
    this.key = new Uint16Array(this.count);
    this.starts = new Uint32Array(KEYS + 1);
    this.order = new Uint32Array(this.count);
  }

  /** Numbers of the Gaussians, farthest first. */
  of({ code, head, torso }) {
    const { moved, rest, share, depth, limits } = this;
    moved.fill(0);
    for (const { first, count, codes, at, moves, scale } of this.bases)
      for (let k = 0; k < codes; k++) {
        const value = code[at + k], x = value * scale[14 * k], y = value * scale[14 * k + 1], z = value * scale[14 * k + 2];
        let from = 3 * k * count;
        for (let i = 3 * first, end = i + 3 * count; i < end; i += 3, from += 3) {
          moved[i] += x * moves[from];
          moved[i + 1] += y * moves[from + 1];
          moved[i + 2] += z * moves[from + 2];
        }
      }
    const [lx, ly, lz] = limits, [a, b, c, d] = head.subarray(8), [e, f, g, h] = torso.subarray(8);
    let near = Infinity, far = -Infinity;
    for (let n = 0, i = 0; n < this.count; n++, i += 3) {
      const x = rest[i] + Math.max(-lx, Math.min(lx, moved[i])), y = rest[i + 1] + Math.max(-ly, Math.min(ly, moved[i + 1]));
      const z = rest[i + 2] + Math.max(-lz, Math.min(lz, moved[i + 2])), w = share[n];
      const at = (1 - w) * (a * x + b * y + c * z + d) + w * (e * x + f * y + g * z + h);
      depth[n] = at;
      if (at < near) near = at;
      if (at > far) far = at;
    }
    return this.#sorted(near, far);
  }

  #sorted(near, far) {
    const { depth, key, starts, order, count } = this, scale = (KEYS - 1) / Math.max(far - near, 1e-9);
    starts.fill(0);
    for (let n = 0; n < count; n++) {
      key[n] = (far - depth[n]) * scale;
      starts[key[n] + 1]++;
    }
    for (let k = 0; k < KEYS; k++) starts[k + 1] += starts[k];
    for (let n = 0; n < count; n++) order[starts[key[n]]++] = n;
    return order;
  }
}
