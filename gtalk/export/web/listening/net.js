// The person's network, a row at a time, and the plain regression beside it: the twins of gtalk/motion/model/net.py and readout.py.

import { concatenated, dense } from "./dense.js";

const KERNEL = 3, PAST_ROWS = 22, STEP_ROWS = 4;

/** Rows to codes: a frame comes out once every four rows, when the last row that it looks at is there. */
export class Net {
  #stems = [];
  #downs = [];
  #fresh = [];
  #begun = false;

  constructor(arrays, { dilations, before, past_rows }) {
    const layer = (name) => ({ weight: arrays[`net_${name}`], bias: arrays[`net_${name}_bias`] });
    for (const name of ["stem", "down", "head", "out"]) this[name] = layer(name);
    this.blocks = dilations.map((dilation, i) => ({ dilation, before: before[i], conv: layer(`conv${i}`), mix: layer(`mix${i}`), kept: [] }));
    this.past = past_rows;
  }

  /** @returns {Float32Array | null} */
  push(row) {
    const stem = activated(dense(this.stem, row));
    if (!this.#begun) this.#stems = Array(this.past).fill(stem);
    const waiting = this.#begun ? [stem] : [...this.#stems.splice(0), stem];
    this.#begun = true;
    let out = null;
    for (const each of waiting) out = this.#step(each) ?? out;
    return out;
  }

  #step(stem) {
    this.#stems.push(stem);
    if (this.#stems.length < 4) return null;
    let x = activated(dense(this.down, concatenated(this.#stems)));
    this.#stems.splice(0, 2);
    for (const block of this.blocks) {
      block.kept.push(x);
      if (block.kept.length <= (KERNEL - 1) * block.dilation) return null;
      const seen = Array.from({ length: KERNEL }, (_, i) => block.kept[i * block.dilation]), own = block.kept[block.before];
      const change = dense(block.mix, activated(dense(block.conv, concatenated(seen))));
      block.kept.shift();
      x = own.map((value, i) => value + change[i]);
    }
    this.#fresh.push(x);
    if (this.#fresh.length < 2) return null;
    const code = dense(this.out, activated(dense(this.head, concatenated(this.#fresh))));
    this.#fresh = [];
    return code;
  }
}

/** bias + what is heard around an instant · table. */
export function readout(arrays, ahead, groups, row) {
  const out = Float64Array.from(arrays.readout_bias), width = out.length, table = arrays.readout;
  let at = 0;
  for (let tap = ahead; tap >= -PAST_ROWS; tap -= STEP_ROWS) {
    const own = row(tap);
    for (const [start, stop] of [groups.ears, groups.energy])
      for (let i = start; i < stop; i++, at += width) for (let k = 0; k < width; k++) out[k] += own[i] * table[at + k];
  }
  return out;
}

function activated(x) {
  return x.map((value) => 0.5 * value * (1 + erf(value * Math.SQRT1_2)));  // GELU
}

/** Abramowitz and Stegun 7.1.26: exact to 1.5e-7. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}
