// Any sound to rows of a message, as it comes: `PersonMotionModel.for_live()` of gtalk/motion/model/model.py in the page.

import { readSections } from "./format.js";
import { Features, clamp } from "./features.js";
import { Eyes, Sway } from "./life.js";
import { PauseGate, SilenceGate, articulated } from "./lips.js";
import { Net, readout } from "./net.js";
import { rowOf } from "./row.js";

const KEPT_ROWS = 96, PER_FRAME = 4, BROWS = 2;

/** What a folder's speaker.bin holds. Throws an Error in words when it is another file. */
export async function readSpeaker(buffer) {
  const file = await readSections(buffer, "GTSP", 1).catch((error) => { throw new Error(`speaker.bin: ${error.message}`); });
  try {
    new Speaker(file).push(new Float32Array(640));
  } catch {
    throw new Error("speaker.bin: the file is damaged: parts of it are missing or do not fit together. Export it again");
  }
  return file;
}

export class Speaker {
  #rows = [];
  #before = 0;  // rows that are kept no more
  #frames = 0;
  #codes = [];

  constructor({ header, arrays }, seed = 0) {
    Object.assign(this, { header, arrays });
    this.features = new Features(header, arrays);
    this.net = new Net(arrays, header.net);
    this.gate = new SilenceGate();
    this.pauses = header.pauses && new PauseGate(header.pauses, header);
    this.sway = new Sway(arrays, header.sway, seed);
    this.eyes = new Eyes(arrays, header.eyes, header.fps, seed);
  }

  /** Rows that are certain now. Samples: 16 kHz, mono. */
  push(samples) { return this.features.push(samples).flatMap((row) => this.#heard(row)); }

  /** No more samples: the remaining rows. */
  finish() {
    const out = this.features.finish().flatMap((row) => this.#heard(row)), count = Math.ceil(this.#total / PER_FRAME);
    while (this.#total && this.#frames < count) out.push(...this.#heard(this.#rows.at(-1)));
    return out;
  }

  /** What is being said is cut off: no pause follows in which lips stay parted. */
  cut() { this.pauses?.cut(); }

  get #total() { return this.#before + this.#rows.length; }

  #heard(row) {
    this.#rows.push(row);
    const code = this.net.push(row);
    if (code) this.#codes.push(code);
    const now = PER_FRAME * this.#frames;
    if (this.#total <= now + this.header.future_rows) return [];
    const at = (k) => this.#rows[clamp(now + k - this.#before, 0, this.#rows.length - 1)];
    const shown = this.#frame(this.#codes.shift(), at);
    this.#frames++;
    if (this.#rows.length > 2 * KEPT_ROWS) this.#before += this.#rows.splice(0, this.#rows.length - KEPT_ROWS).length;
    return [shown];
  }

  #frame(code, row) {
    const { header, arrays } = this, { pitch, energy } = header.groups, mouth = Float64Array.from(code.subarray(0, -BROWS));
    if (header.readout) {
      const { share, ahead_rows } = header.readout, own = readout(arrays, ahead_rows, header.groups, row);
      for (let i = 0; i < mouth.length; i++) mouth[i] = (1 - share) * mouth[i] + share * own[i];
    }
    let open = this.gate.step(header.ahead_rows, (k) => row(k)[energy[0] + 1]);
    if (this.pauses) open += (1 - open) * this.pauses.step(header.ahead_rows, row);
    for (let i = 0; i < mouth.length; i++) mouth[i] = clamp(mouth[i], arrays.mouth_low[i], arrays.mouth_high[i]);
    articulated(mouth, header, arrays, row);
    for (let i = 0; i < mouth.length; i++) mouth[i] = arrays.rest[i] + open * (mouth[i] - arrays.rest[i]);
    const prosody = (k) => { const r = row(k); return [r[energy[0]], r[pitch[0]] * r[pitch[0] + 1], r[energy[0] + 1]]; };
    const sway = Array.from(this.sway.step(prosody)), pose = sway.slice(0, 6), { eyes, gaze } = this.eyes.step(pose);
    const brows_m = [0, 1].map((b) => open * code[mouth.length + b] * arrays.brow_scale[b] + sway[6 + b]);
    return rowOf({ mouth: Array.from(mouth), eyes, gaze, brows_m }, pose, header, arrays);
  }
}
