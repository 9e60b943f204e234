// Which English phone a frame sounds like, by the Gaussians of CMU Sphinx: the twin of gtalk/speech/phones.py.

import { accumulate, product } from "./dense.js";
import { scaled } from "./format.js";

export const REACH = 3;  // rows on either side that a row of scores needs
const FORGET = 0.7, RISE = 0.995, FALL = 0.5, MASK_DECAY = 0.85, MASK_LEVEL = 0.2, MAX_GAIN = 20, SPREAD = 4;
const TEMPER = 0.25, FLOOR = -8, CEPSTRA = 13, STREAMS = 3;
const FAR = 20;  // below the likeliest codeword: adds nothing

/** Power spectra to cepstra, with asymmetric noise suppression (Kim and Stern 2012, PNCC, III-B and III-C). */
export class Cepstra {
  #state = null;

  constructor(bands, matrix) {
    Object.assign(this, { bands, matrix, count: matrix.length / CEPSTRA });
  }

  of(power) {
    const { count, matrix } = this, band = product(power, this.bands, count), gain = this.#gain(band);
    const out = new Float64Array(CEPSTRA);
    for (let f = 0; f < count; f++) {
      const low = Math.max(f - SPREAD, 0), high = Math.min(f + SPREAD + 1, count);
      let sum = 0;
      for (let i = low; i < high; i++) sum += gain[i];
      const value = Math.log(Math.max((band[f] * sum) / (high - low), 1e-4));
      for (let k = 0; k < CEPSTRA; k++) out[k] += value * matrix[f * CEPSTRA + k];
    }
    return out;
  }

  #gain(band) {
    this.#state ??= Array.from(band, (b) => ({ power: b, noise: b / MAX_GAIN, floor: b / MAX_GAIN, peak: 0 }));
    return this.#state.map((s, f) => {
      s.power = FORGET * s.power + (1 - FORGET) * band[f];
      s.noise = envelope(s.power, s.noise);
      const signal = Math.max(s.power - s.noise, 1);
      s.floor = envelope(signal, s.floor);
      const faded = MASK_DECAY * s.peak, masked = signal < faded ? s.peak * MASK_LEVEL : signal;
      s.peak = Math.max(signal, faded);
      return Math.max(Math.min(Math.max(masked, s.floor), MAX_GAIN * s.power) / Math.max(s.power, 1), 1 / MAX_GAIN);
    });
  }
}

function envelope(value, floor) {
  const keep = value >= floor ? RISE : FALL;
  return keep * floor + (1 - keep) * value;
}

/** Evaluates the Gaussians: cepstra with their neighbours to tempered log-posteriors. */
export class PhoneScores {
  constructor(arrays, phones) {
    const { phone_shift: shift, phone_scale: scale, phone_offset: offset, phone_weights: weights } = arrays;
    Object.assign(this, { phones, shift, scale, offset, weights, linear: scaled(arrays, "phone_linear") });
    this.codewords = offset.length / (STREAMS * phones);
    this.states = weights.length / offset.length;
    this.density = new Float64Array(this.codewords);
    this.mass = new Float64Array(this.states);
  }

  /** `near`: seven rows of cepstra about the one that is asked; `mean`: of the voice. */
  of(near, mean) {
    const { phones, states, density } = this, [c0, c1, c2, c3, c4, c5, c6] = near;
    const total = new Float64Array(phones * states), x = new Float64Array(2 * CEPSTRA);
    for (let s = 0; s < STREAMS; s++) {
      for (let d = 0; d < CEPSTRA; d++) {
        const raw = s === 0 ? c3[d] - mean[d] : s === 1 ? c5[d] - c1[d] : c6[d] - c2[d] - (c4[d] - c0[d]);
        const value = (raw - this.shift[s * CEPSTRA + d]) / this.scale[s * CEPSTRA + d];
        [x[d], x[CEPSTRA + d]] = [value * value, value];
      }
      for (let p = 0; p < phones; p++) this.#phone(s, p, x, density, total);
    }
    return tempered(total, phones, states);
  }

  #phone(s, p, x, density, total) {
    const { codewords, states, weights } = this, first = (s * this.phones + p) * codewords;
    for (let c = 0; c < codewords; c++) density[c] = this.offset[first + c];
    accumulate(density, x, this.linear, first * 2 * CEPSTRA);
    let peak = -Infinity;
    for (let c = 0; c < codewords; c++) if (density[c] > peak) peak = density[c];
    const mass = this.mass.fill(0);
    for (let c = 0; c < codewords; c++) {
      if (density[c] < peak - FAR) continue;
      const e = Math.exp(density[c] - peak), at = (first + c) * states;
      for (let k = 0; k < states; k++) mass[k] += e * weights[at + k];
    }
    for (let k = 0; k < states; k++) total[p * states + k] += peak + Math.log(mass[k] + 1e-30);
  }
}

function tempered(total, phones, states) {
  const score = new Float64Array(phones);
  let most = -Infinity;
  for (let p = 0; p < phones; p++) {
    const own = total.subarray(p * states, (p + 1) * states), peak = Math.max(...own);
    score[p] = TEMPER * (peak + Math.log(own.reduce((sum, value) => sum + Math.exp(value - peak), 0)));
    most = Math.max(most, score[p]);
  }
  const sum = Math.log(score.reduce((all, value) => all + Math.exp(value - most), 0));
  return score.map((value) => Math.max(value - most - sum, FLOOR));
}
