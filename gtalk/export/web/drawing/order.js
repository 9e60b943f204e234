// Places and depths of the Gaussians at a frame and their order, far to near, on the processor: all that drawing needs sorted.

import { BOUND, EXPRESSED } from "./face.js";

const KEYS = 1 << 16;

export class Order {
  /** `avatar`: as readAvatar gives it. */
  constructor({ base, count, bases, header, ends, bound, jaw }) {
    this.count = count;
    this.bases = bases.map(({ first, count, codes, at, values, scale }) => {
      // Positions alone, one code after the other: three of fourteen numbers are read in one go.
      const moves = new Int8Array(codes * count * 3);
      for (let n = 0; n < count; n++)
        for (let k = 0; k < codes; k++)
          for (let c = 0; c < 3; c++) moves[(k * count + n) * 3 + c] = values[(n * codes + k) * 14 + c];
      return { first, count, codes, at, moves, scale };
    });
    Object.assign(this, { ends, bound, jaw, limits: header.limits.slice(0, 3) });
    this.rest = new Float32Array(3 * this.count);
    this.share = new Float32Array(this.count);
    for (let n = 0; n < this.count; n++) {
      for (let c = 0; c < 3; c++) this.rest[3 * n + c] = base[16 * n + c];
      this.share[n] = 1 / (1 + Math.exp(-base[16 * n + 14]));
    }
    this.at = new Float32Array(3 * this.count);  // head space
    this.depth = new Float32Array(this.count);
    this.key = new Uint16Array(this.count);
    this.starts = new Uint32Array(KEYS + 1);
    this.order = new Uint32Array(this.count);
  }

  /** Moves the Gaussians. `face`: what an expression asks for, see Face.of; null without one. */
  move(code, face) {
    const { at, rest, limits: [lx, ly, lz] } = this, [own, others] = this.bases, [right, left, far, speaking, expressing] = this.ends;
    at.fill(0);
    if (face) {
      [[0, right], [right, left], [left, far], [speaking, expressing]].forEach(([begin, end], group) =>
        this.#add(own, face.codes.subarray(group * own.codes, (group + 1) * own.codes), begin, end));
    } else this.#add(own, code.subarray(0, own.codes), 0, speaking);
    this.#add(others, code.subarray(others.at), others.first, this.count);
    for (let i = 0; i < at.length; i += 3) {
      at[i] = rest[i] + Math.max(-lx, Math.min(lx, at[i]));
      at[i + 1] = rest[i + 1] + Math.max(-ly, Math.min(ly, at[i + 1]));
      at[i + 2] = rest[i + 2] + Math.max(-lz, Math.min(lz, at[i + 2]));
    }
    if (face) this.#express(face);
  }

  #add({ first, count, codes, moves, scale }, values, begin, end) {
    const { at } = this;
    for (let k = 0; k < codes; k++) {
      const value = values[k], x = value * scale[14 * k], y = value * scale[14 * k + 1], z = value * scale[14 * k + 2];
      for (let i = 3 * begin, from = 3 * (k * count + begin - first), last = 3 * end; i < last; i += 3, from += 3) {
        at[i] += x * moves[from];
        at[i + 1] += y * moves[from + 1];
        at[i + 2] += z * moves[from + 2];
      }
    }
  }

  #express({ mesh, chin }) {
    const { at, bound, jaw, ends: [, , far, speaking, expressing] } = this;
    for (let n = 0, i = 0, b = 0; n < far; n++, i += 3, b += BOUND) {
      const p = EXPRESSED * bound[b], q = EXPRESSED * bound[b + 1], r = EXPRESSED * bound[b + 2], share = bound[b + 6];
      const u = bound[b + 4] * share, v = bound[b + 5] * share, w = share - u - v;
      at[i] += u * mesh[p] + v * mesh[q] + w * mesh[r];
      at[i + 1] += u * mesh[p + 1] + v * mesh[q + 1] + w * mesh[r + 1];
      at[i + 2] += u * mesh[p + 2] + v * mesh[q + 2] + w * mesh[r + 2];
    }
    for (let n = speaking; n < expressing; n++) for (let c = 0; c < 3; c++) at[3 * n + c] += jaw[n - speaking] * chin[c];
  }

  /** Numbers of the Gaussians, farthest first, as both transforms place them. */
  sorted(head, torso) {
    const { at, share, depth } = this, [a, b, c, d] = head.subarray(8), [e, f, g, h] = torso.subarray(8);
    let near = Infinity, far = -Infinity;
    for (let n = 0, i = 0; n < this.count; n++, i += 3) {
      const x = at[i], y = at[i + 1], z = at[i + 2], w = share[n];
      const deep = (1 - w) * (a * x + b * y + c * z + d) + w * (e * x + f * y + g * z + h);
      depth[n] = deep;
      if (deep < near) near = deep;
      if (deep > far) far = deep;
    }
    return this.#counted(near, far);
  }

  #counted(near, far) {
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
