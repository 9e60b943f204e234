// What is seen through parted lips and wide eyes: the twin of gtalk/avatar/expressing/openings.py.

import { scaled } from "./format.js";

const smooth = (x) => { const t = Math.max(0, Math.min(1, x)); return t * t * (3 - 2 * t); };
const UPPER = [0, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10];  // of the ring, as the lower lip's points 0 to 10
const clip = (x) => Math.max(0, Math.min(1, x));

export class Openings {
  constructor(words, arrays) {
    Object.assign(this, { words, arrays });
    this.byCode = scaled(arrays, "open_codes");
    this.byShape = scaled(arrays, "open_shapes");
    this.points = arrays.open_rest.length / 3;
    const gaps = (values) => {
      const fields = values.length / 3 / this.points, out = new Float32Array(fields);
      for (let f = 0; f < fields; f++)
        for (let i = 0; i < 5; i++)
          out[f] += (values[3 * (f * this.points + arrays.ring[17 - i]) + 1] - values[3 * (f * this.points + arrays.ring[3 + i]) + 1]) / 5;
      return out;
    };
    this.parts = this.#parting();
    this.grows = this.#growth();
    [this.gapRest] = gaps(arrays.open_rest);
    this.gapOfCode = gaps(this.byCode);
    this.gapOfShape = gaps(this.byShape);
  }

  /** How far each shape parts the lips, from corner to corner, metres: [E, 11]. */
  #parting() {
    const shapes = this.byShape.length / 3 / this.points, y = (e, i) => this.byShape[3 * (e * this.points + this.arrays.ring[i]) + 1];
    return Float32Array.from({ length: 11 * shapes }, (_, i) => y(Math.floor(i / 11), UPPER[i % 11]) - y(Math.floor(i / 11), i % 11));
  }

  /** By how much of its area each shape makes a triangle around the mouth grow: [E, U]. */
  #growth() {
    const { under, open_rest: rest } = this.arrays, count = under.length / 3, shapes = this.byShape.length / rest.length;
    const area = (e, u) => {
      const [a, b, c] = [0, 1, 2].map((j) => [0, 1, 2].map((i) => {
        const at = 3 * under[j * count + u] + i;
        return rest[at] + (e < 0 ? 0 : this.byShape[e * rest.length + at]);
      }));
      const p = b.map((v, i) => v - a[i]), q = c.map((v, i) => v - a[i]);
      return Math.hypot(p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]);
    };
    const before = Float32Array.from({ length: count }, (_, u) => Math.max(area(-1, u), 1e-9));
    return Float32Array.from({ length: shapes * count }, (_, i) => area(Math.floor(i / count), i % count) / before[i % count] - 1);
  }

  onset(weights) {
    let sum = 0;
    for (const w of weights) sum += Math.abs(w);
    return smooth(sum / this.words.onset);
  }

  /** How far speech parts the lips, metres, at a code that is not normalised. */
  spoken(code) { return this.gapRest + this.arrays.shut_code.reduce((sum, shut, k) => sum + (code[k] - shut) * this.gapOfCode[k], 0); }

  seenCode(code, weights) {
    const parted = this.gapOfShape.reduce((sum, gap, e) => sum + gap * weights[e], this.gapRest);
    const share = this.onset(weights) * clip(parted / this.words.parted_m) * (1 - clip(this.spoken(code) / this.words.parted_m - 0.5));
    return this.arrays.open_code.map((open, k) => code[k] + share * (open - code[k]));
  }

  #mesh(code, weights) {
    const out = Float32Array.from(this.arrays.open_rest), each = out.length;
    const byCode = summed(this.arrays.shut_code.map((shut, k) => code[k] - shut), this.byCode, each), byShape = summed(weights, this.byShape, each);
    return out.map((rest, i) => rest + byCode[i] + byShape[i]);
  }

  /**
   * Changes rows of `base` (16 numbers a Gaussian): what lies in the mouth, from row `inside` on, is covered by the lips
   * (channel 15), and what stands behind openings, from row `behind` on, is placed.
   * @param at positions of all Gaussians; @param eye the camera, head space.
   */
  shown(base, at, inside, behind, end, { raw, weights, share }, eye) {
    const { words, arrays } = this, mesh = this.#mesh(raw, weights), M = words.margin_m, { columns, rows } = words;
    const corner = (i) => mesh.subarray(3 * arrays.ring[i], 3 * arrays.ring[i] + 3);
    const lower = [...Array(11).keys()].map(corner), upper = UPPER.map(corner);
    const x0 = lower[0][0] - M, x1 = lower[10][0] + M;
    const front = [...lower, ...upper].reduce((sum, [, , z]) => sum + z, 0) / 22;
    const far = (words.depth_m - eye[2]) / (front - eye[2]);
    for (let column = 0; column < columns; column++) {
      const x = x0 + ((x1 - x0) * column) / (columns - 1), low = between(lower, x), high = between(upper, x);
      const size = Math.log(0.75 * Math.max((high - low + 2 * M) / rows, (x1 - x0) / columns));
      for (let row = 0; row < rows; row++) {
        const up = row / (rows - 1), n = 16 * (behind + row * columns + column);
        const y = (low - M) * (1 - up) + (high + M) * up;
        base.set([eye[0] + (x - eye[0]) * far, eye[1] + (y - eye[1]) * far, eye[2] + (front - eye[2]) * far], n);
        base.set([size, size, size + Math.log(0.3)], n + 3);
      }
    }
    const under = arrays.under.length / 3, cavity = columns * rows, opacity = (logit) => words.hidden + (words.shown - words.hidden) * share * logit;
    const grown = summed(weights, this.grows, under), parted = Math.max(...summed(weights, this.parts, 11));
    const [widened] = summed(weights.map((w) => Math.max(w, 0)), arrays.widens, 1);
    const seen = [clip(parted / words.least_parted_m - 1), Math.min(1, widened / words.wide_m)].map(opacity);
    for (let n = behind; n < end - under; n++) base[16 * n + 10] = seen[n < behind + cavity ? 0 : 1];
    const beyond = (x, y, z) => {
      const ahead = Math.max(0.5, Math.min(2, (front - eye[2]) / Math.min(z - eye[2], -1e-3)));
      const sx = eye[0] + (x - eye[0]) * ahead, sy = eye[1] + (y - eye[1]) * ahead;
      return Math.max(sy - between(upper, sx), between(lower, sx) - sy, lower[0][0] - sx, sx - lower[10][0]);
    };
    for (let i = 0, n = end - under; i < under; i++, n++) {
      for (let c = 0; c < 3; c++) {
        const sum = [0, 1, 2].reduce((s, j) => s + mesh[3 * arrays.under[j * under + i] + c], 0);
        base[16 * n + c] = sum / 3 + arrays.below[3 * i + c];
      }
      const shows = (beyond(base[16 * n], base[16 * n + 1], base[16 * n + 2]) - arrays.under_clear[i]) / words.fade_m;
      const needed = clip(Math.max(arrays.thin[i], (grown[i] - words.stretched) / (words.torn - words.stretched)));
      base[16 * n + 10] = opacity(needed * clip(shows));
    }
    for (let n = inside; n < behind; n++)
      base[16 * n + 15] = 10 * share * smooth((beyond(at[3 * n], at[3 * n + 1], at[3 * n + 2]) - words.outside_m) / words.fade_m);
    for (let n = behind; n < end; n++) for (let c = 0; c < 3; c++) at[3 * n + c] = base[16 * n + c];
  }
}

/** Rows of `each` values, weighted. */
function summed(weights, values, each) {
  const out = new Float32Array(each);
  weights.forEach((w, e) => { if (w) for (let i = 0, from = e * each; i < each; i++, from++) out[i] += w * values[from]; });
  return out;
}

/** y of a line of points at x, as numpy.interp. */
function between(line, x) {
  if (x <= line[0][0]) return line[0][1];
  for (let i = 1; i < line.length; i++)
    if (x < line[i][0]) return line[i - 1][1] + ((x - line[i - 1][0]) / (line[i][0] - line[i - 1][0])) * (line[i][1] - line[i - 1][1]);
  return line[line.length - 1][1];
}
