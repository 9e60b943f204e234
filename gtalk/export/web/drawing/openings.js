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
    this.grows = this.#growth();
    [this.gapRest] = gaps(arrays.open_rest);
    this.gapOfCode = gaps(this.byCode);
    this.gapOfShape = gaps(this.byShape);
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

  /** Points of the mesh for a code without its expression, and with it. */
  #meshes(code, weights) {
    const rest = this.arrays.open_rest, each = rest.length;
    const byCode = summed(this.arrays.shut_code.map((shut, k) => code[k] - shut), this.byCode, each), byShape = summed(weights, this.byShape, each);
    const spoken = Float32Array.from(rest, (value, i) => value + byCode[i]);
    return [spoken, spoken.map((value, i) => value + byShape[i])];
  }

  /** 0 as long as the mouth is no wider open than the clip has shown it, 1 far beyond. */
  #unlikeSeen(code, weights) {
    const { words, gapOfShape } = this, widest = Math.max(this.spoken(this.arrays.open_code), words.parted_m);
    return clip((gapOfShape.reduce((sum, gap, e) => sum + gap * weights[e], this.spoken(code)) / widest - words.wider) / words.wider);
  }

  /**
   * Changes rows of `base` (16 numbers a Gaussian): what lies in the mouth, from row `inside` on, is covered by the lips
   * (channel 15), and what stands behind openings, from row `behind` on, is placed.
   * @param at positions of all Gaussians; @param eye the camera, head space.
   */
  shown(base, at, inside, behind, end, { raw, weights, share }, eye) {
    const { words, arrays } = this, [before, mesh] = this.#meshes(raw, weights);
    const rims = (points) => {
      const corner = (i) => points.subarray(3 * arrays.ring[i], 3 * arrays.ring[i] + 3);
      return [[...Array(11).keys()].map(corner), UPPER.map(corner)];
    };
    const [lower, upper] = rims(mesh), spoken = rims(before), rest = rims(arrays.open_rest);
    const front = [...lower, ...upper].reduce((sum, [, , z]) => sum + z, 0) / 22, unlike = this.#unlikeSeen(raw, weights);
    const most = (value) => Math.max(...lower.map((_, i) => value(i)));
    const parted = most((i) => upper[i][1] - lower[i][1] - (rest[1][i][1] - rest[0][i][1]));
    const opens = parted > words.least_parted_m;
    const bared = opens ? most((i) => Math.max(upper[i][1] - spoken[1][i][1], spoken[0][i][1] - lower[i][1])) : 0;
    const opacity = (logit) => words.hidden + (words.shown - words.hidden) * share * logit;
    const [cavity, eyes, upperTeeth, lowerTeeth] = words.parts, under = arrays.under.length / 3;
    if (opens) this.#cavity(base, behind, lower, upper, front, eye);
    const seen = (x, y, z) => {
      const ahead = Math.max(0.5, Math.min(2, (front - eye[2]) / Math.min(z - eye[2], -1e-3)));
      return [eye[0] + (x - eye[0]) * ahead, eye[1] + (y - eye[1]) * ahead];
    };
    const beyond = ([low, high], [x, y]) => Math.max(y - between(high, x), between(low, x) - y, low[0][0] - x, x - low[10][0]);
    const covered = (outside) => smooth(outside / words.fade_m);
    const [widened] = summed(weights.map((w) => Math.max(w, 0)), arrays.widens, 1);
    for (let n = 0; n < eyes; n++)
      base[16 * (behind + n) + 10] = opacity(n < cavity ? (opens ? Math.min(1, parted / words.least_parted_m - 1) : 0) : Math.min(1, widened / words.wide_m));
    const moved = summed(arrays.shut_code.map((shut, k) => raw[k] - shut), arrays.jaw_codes, 3);
    const jaw = summed(weights, arrays.jaw_shapes, 3).map((value, c) => value + moved[c]);
    for (let i = eyes, n = behind + eyes; i < lowerTeeth; i++, n++) {
      for (let c = 0; c < 3; c++) base[16 * n + c] = arrays.backing[15 * i + c] + (i < upperTeeth ? 0 : jaw[c]);
      const place = seen(base[16 * n], base[16 * n + 1], base[16 * n + 2]);
      const unknown = Math.max(clip(beyond(spoken, place) / words.bared_m + 0.5), unlike);
      base[16 * n + 10] = opacity(bared > words.bared_m ? unknown * (1 - covered(beyond([lower, upper], place) - words.outside_m)) : 0);
    }
    const grown = summed(weights, this.grows, under);
    for (let i = 0, n = end - under; i < under; i++, n++) {
      for (let c = 0; c < 3; c++) {
        const sum = [0, 1, 2].reduce((s, j) => s + mesh[3 * arrays.under[j * under + i] + c], 0);
        base[16 * n + c] = sum / 3 + arrays.below[3 * i + c];
      }
      const outside = beyond([lower, upper], seen(base[16 * n], base[16 * n + 1], base[16 * n + 2]));
      const needed = clip(Math.max(arrays.thin[i], (grown[i] - words.stretched) / (words.torn - words.stretched)));
      base[16 * n + 10] = opacity(needed * clip((outside - arrays.under_clear[i]) / words.fade_m));
    }
    for (let n = inside; n < behind; n++) {
      const place = seen(at[3 * n], at[3 * n + 1], at[3 * n + 2]);
      const hidden = Math.max(covered(beyond([lower, upper], place) - words.outside_m), covered(beyond(spoken, place) - words.bared_m));
      base[16 * n + 15] = 10 * share * Math.max(hidden, unlike);
    }
    for (let n = behind; n < end; n++) for (let c = 0; c < 3; c++) at[3 * n + c] = base[16 * n + c];
  }

  /** Spreads the cavity's sheet behind the lips, as the camera sees them. */
  #cavity(base, behind, lower, upper, front, eye) {
    const { words, arrays: { along } } = this, M = words.margin_m, { columns, rows } = words;
    const far = (words.depth_m - eye[2]) / (front - eye[2]);
    const at = (rim, column, c) => rim.reduce((sum, point, i) => sum + along[11 * column + i] * point[c], 0);
    const wide = (at(upper, columns - 1, 0) - at(upper, 0, 0)) / columns;
    for (let column = 0; column < columns; column++) {
      const [low, high] = [lower, upper].map((rim, i) => [at(rim, column, 0), at(rim, column, 1) + (i ? M : -M)]);
      const size = Math.log(0.75 * Math.max((high[1] - low[1]) / rows, wide));
      for (let row = 0; row < rows; row++) {
        const up = row / (rows - 1), n = 16 * (behind + row * columns + column);
        const [x, y] = [0, 1].map((c) => low[c] + (high[c] - low[c]) * up);
        base.set([eye[0] + (x - eye[0]) * far, eye[1] + (y - eye[1]) * far, eye[2] + (front - eye[2]) * far], n);
        base.set([size, size, size + Math.log(0.3)], n + 3);
      }
    }
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
