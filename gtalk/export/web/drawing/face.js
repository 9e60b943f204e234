// What an expression asks of the Gaussians at a frame: the twin of gtalk/avatar/expressing/codes.py and of `expressed` in
// gtalk/export/web/face.py. The shader looks up at the mesh's points what is summed up here.

import { scaled } from "./format.js";
import { Openings } from "./openings.js";

export const POINTS = 478;
export const BOUND = 12;  // numbers of a Gaussian's binding
export const MOST_FOLDS = 48;
export const EXPRESSED = 16;  // numbers of a column at a point: place 3, normal 3, slope 9

export class Face {
  /** `words`: the header's `expression`; `arrays`: of avatar.bin; `faceCodes`: numbers that the face's basis takes. */
  constructor(words, arrays, faceCodes) {
    Object.assign(this, { words, arrays, faceCodes });
    this.size = arrays.code_mean.length;
    this.shapes = words.shapes.length;
    this.openings = new Openings(words, arrays);
    const parts = [["mesh_place", 3], ["mesh_normal", 3], ["mesh_slope", 9]].map(([name, each]) => [scaled(arrays, name), each]);
    this.count = parts[0][0].length / 3 / POINTS;
    this.columns = new Float32Array(this.count * POINTS * EXPRESSED);
    for (let point = 0; point < this.count * POINTS; point++) {
      let to = EXPRESSED * point;
      for (const [values, each] of parts) for (let i = 0; i < each; i++) this.columns[to++] = values[each * point + i];
    }
    this.mesh = new Float32Array(2 * 2048 * 4);  // two rows of a texture: EXPRESSED a point, then 8 of what codes change
    this.codes = new Float32Array(4 * faceCodes);
    this.change = new Float32Array(this.size);
    this.folds = new Float32Array(MOST_FOLDS);  // how deep each fold of the skin is
    this.lines = arrays.line_colour ? arrays.fold_depths.length / this.shapes - 2 : MOST_FOLDS;  // the last two: between the lips
  }

  /** Numbers of bindings, BOUND a Gaussian: points of the triangle, height; weights of two, share, smoothness; which folds of the skin, and how much of each. */
  bound() {
    const { bound_points: points, bound, fold } = this.arrays, heights = scaled(this.arrays, "bound_height"), count = heights.length;
    const out = new Float32Array(BOUND * count), folds = fold && scaled(this.arrays, "fold_at");
    for (let n = 0, to = 0; n < count; n++, to += BOUND) {
      for (let i = 0; i < 3; i++) out[to + i] = points[3 * n + i];
      out[to + 3] = heights[n];
      for (let i = 0; i < 4; i++) out[to + 4 + i] = bound[4 * n + i] / 255;
      for (let i = 0; folds && i < 2; i++) out.set([fold[2 * n + i], folds[2 * n + i]], to + 8 + 2 * i);
    }
    return out;
  }

  /** `code` of the row, `weights` of the shapes: fills codes (of the groups right, left, far, inside), change and mesh. */
  of(code, weights) {
    const w = this.#single(weights), { size, faceCodes, codes, change, arrays: { code_mean: mean, code_spread: spread } } = this;
    const raw = Float32Array.from(mean, (m, k) => code[k] * spread[k] + m);
    const coefs = this.#divided(w, raw);
    for (let group = 0; group < 4; group++)
      for (let k = 0; k < faceCodes; k++) codes[group * faceCodes + k] = code[k] + (group < 2 && k < size ? change[k] / spread[k] : 0);
    const right = size - 4, left = size - 3, wink = change[right] - change[left];
    codes[left] += wink / spread[left];
    codes[faceCodes + right] -= wink / spread[right];
    const seen = this.openings.seenCode(raw, w);
    for (let k = 0; k < size; k++) codes[3 * faceCodes + k] = (seen[k] - mean[k]) / spread[k];
    this.#sum(coefs);
    return { raw, weights: w, share: this.openings.onset(w) };
  }

  /** Parts instead of what they make up. */
  #single(weights) {
    const out = Float32Array.from(weights), { shapes, whole } = this.words;
    for (const [name, parts] of Object.entries(whole)) {
      const at = shapes.indexOf(name);
      for (const part of parts) out[shapes.indexOf(part)] += out[at];
      out[at] = 0;
    }
    return out;
  }

  #divided(w, raw) {
    const { size, shapes, change, words, arrays: { to_codes: toCodes, large, lively, code_low: low, code_high: high } } = this;
    const asked = new Float32Array(size), over = new Float32Array(large.length);  // what geometry does instead of codes
    for (let k = 0; k < size; k++) for (let e = 0; e < shapes; e++) asked[k] += toCodes[k * shapes + e] * w[e];
    for (const some of [1, 0]) {  // those that speech changes, and the others
      const by = asked.map((_, k) => large.reduce((sum, e, i) => sum + (lively[i] === some ? toCodes[k * shapes + e] * w[e] : 0), 0));
      const share = Math.min(1, words.most_asked / Math.max(Math.hypot(...by), 1e-9));
      large.forEach((e, i) => { if (lively[i] === some) over[i] = (1 - share) * w[e]; });
      for (let k = 0; k < size; k++) asked[k] -= (1 - share) * by[k];
    }
    let sum = 0;
    for (let k = 0; k < size; k++) {
      const middle = 0.5 * (high[k] + low[k]), half = 0.5 * words.range_share * (high[k] - low[k]);
      change[k] = Math.max(Math.min(middle - half, raw[k]), Math.min(Math.max(middle + half, raw[k]), raw[k] + asked[k])) - raw[k];
      if (k < size - 4) sum += change[k] ** 2;
    }
    const length = Math.sqrt(sum), most = words.most_code, less = (most * Math.tanh(length / most)) / Math.max(length, 1e-9);
    for (let k = 0; k < size - 4; k++) change[k] *= less;
    const coefs = new Float32Array(this.count);
    coefs.set(w);
    for (let k = 0; k < size; k++) coefs[shapes + k] = asked[k] - change[k];
    coefs.set(over, shapes + size);
    return coefs;
  }

  #sum(coefs) {
    const { fold_depths: depths } = this.arrays, many = depths ? depths.length / this.shapes : 0;
    for (let fold = 0; fold < many; fold++) {
      this.folds[fold] = 0;
      for (let e = 0; e < this.shapes; e++) this.folds[fold] += coefs[e] * depths[e * many + fold];
    }
    const { mesh, columns, change, shapes, size, arrays: { mesh_chin: chins } } = this, each = POINTS * EXPRESSED;
    mesh.fill(0);
    const chin = (this.chin = [0, 0, 0]);
    coefs.forEach((coef, c) => {
      if (Math.abs(coef) < 1e-6) return;
      for (let i = 0, from = c * each; i < each; i++, from++) mesh[i] += coef * columns[from];
      for (let i = 0; i < 3; i++) chin[i] += coef * chins[3 * c + i];
    });
    for (let k = 0; k < size; k++) {
      if (Math.abs(change[k]) < 1e-6) continue;
      for (let point = 0, to = each, from = (shapes + k) * each; point < POINTS; point++, to += 8, from += EXPRESSED)
        for (let i = 0; i < 6; i++) mesh[to + i] += change[k] * columns[from + i];
    }
  }
}
