// The ears: what lips do, heard in any voice. The twin of gtalk/speech/student.py.

import { concatenated, dense } from "./dense.js";

const BANDS = 40, STEM_ROWS = 6, KERNEL = 5, VISEMES = 13, FLOOR = -6;

export class Ears {
  #rows = [];
  #odd = false;

  constructor(arrays, { blocks, quiet }) {
    const at = (name) => arrays[`ears_${name}`];
    this.stem = { weight: at("stem"), bias: at("stem_bias") };
    this.out = { weight: at("out"), bias: at("out_bias") };
    this.width = this.stem.bias.length;
    this.layers = blocks.map(([dilation, future], i) => ({
      dilation, reach: (KERNEL - 1) * dilation, centre: (KERNEL - 1 - future) * dilation,
      taps: { weight: at(`taps${i}`), bias: at(`bias${i}`) }, mix: { weight: at(`mix${i}`), bias: at(`mix_bias${i}`) }, kept: [],
    }));
    const silence = new Float32Array(BANDS).fill(quiet);
    this.#rows = Array(STEM_ROWS - 2).fill(silence);
    let frame = dense(this.stem, concatenated(Array(STEM_ROWS).fill(silence)));
    for (const layer of this.layers) {
      layer.kept = Array(layer.reach).fill(frame);
      frame = this.#through(layer, frame);
    }
    this.last = this.#told(frame);
  }

  /** One row of mel bands; what is told is of an instant nine or ten rows earlier. */
  hear(mel) {
    this.#rows.push(mel);
    if (this.#odd) {
      let frame = dense(this.stem, concatenated(this.#rows));
      this.#rows = this.#rows.slice(2);
      for (const layer of this.layers) frame = this.#through(layer, frame);
      this.last = this.#told(frame);
    }
    this.#odd = !this.#odd;
    return this.last;
  }

  #through(layer, frame) {
    layer.kept.push(frame);
    const seen = Array.from({ length: KERNEL }, (_, i) => layer.kept[i * layer.dilation]), own = layer.kept[layer.centre];
    const out = dense(layer.mix, rectified(dense(layer.taps, concatenated(seen))));
    layer.kept.shift();
    return out.map((value, i) => value + own[i]);
  }

  #told(frame) {
    const out = dense(this.out, rectified(frame));
    let peak = -Infinity, sum = 0;
    for (let v = 0; v < VISEMES; v++) peak = Math.max(peak, out[v]);
    for (let v = 0; v < VISEMES; v++) sum += Math.exp(out[v] - peak);
    const log = peak + Math.log(sum);
    return out.map((value, i) => (i < VISEMES ? Math.max(value - log, FLOOR) : Math.tanh(value)));
  }
}

function rectified(x) { return x.map((value) => (value > 0 ? value : 0)); }
