// Listens beside the page, so that drawing never waits.
//
//   in   {load: ArrayBuffer} · {begin: id, rate_hz} · {push: Float32Array} · {finish: true} · {cut: true}
//   out  {loaded: header} · {id, rows: [Float32Array], took_ms} · {id, done: true} · {failed: words}

import { Speaker, readSpeaker } from "./speaker.js";

const ZEROS = 16;  // crossings of the sinc on either side

let file = null, speaker = null, resampler = null, id = 0;

onmessage = async ({ data }) => {
  try {
    if (data.load) {
      file = await readSpeaker(data.load);
      postMessage({ loaded: file.header });
    } else if (data.begin !== undefined) {
      id = data.begin;
      speaker = new Speaker(file, id);
      resampler = new Resampler(data.rate_hz);
    } else if (data.cut) speaker?.cut();
    else if (speaker) told(data);
  } catch (error) {
    postMessage({ failed: error.message });
  }
};

function told({ push, finish }) {
  const begun = performance.now(), rows = push ? speaker.push(resampler.push(push)) : speaker.finish();
  if (rows.length) postMessage({ id, rows, took_ms: performance.now() - begun });
  if (finish) postMessage({ id, done: true });
}

/** Sound of any rate to 16 kHz as it comes: a windowed sinc (Smith, "Digital Audio Resampling"). */
class Resampler {
  #kept;
  #at;  // of the next sample that comes out, in kept ones

  constructor(from_hz, to_hz = 16000) {
    this.step = from_hz / to_hz;
    this.cutoff = Math.min(1, to_hz / from_hz) * 0.94;
    this.reach = Math.ceil(ZEROS / this.cutoff);
    this.#kept = new Float32Array(this.reach);
    this.#at = this.reach;
  }

  push(samples) {
    if (this.step === 1) return samples;
    const all = new Float32Array(this.#kept.length + samples.length), out = [];
    all.set(this.#kept);
    all.set(samples, this.#kept.length);
    for (; this.#at + this.reach < all.length; this.#at += this.step) out.push(this.#sample(all));
    const gone = Math.max(0, Math.floor(this.#at) - this.reach);
    this.#kept = all.slice(gone);
    this.#at -= gone;
    return Float32Array.from(out);
  }

  #sample(all) {
    let sum = 0;
    for (let i = Math.ceil(this.#at - this.reach); i <= this.#at + this.reach; i++) {
      const t = (i - this.#at) * this.cutoff, x = Math.PI * t, window = 0.5 + 0.5 * Math.cos(x / ZEROS);
      if (Math.abs(t) < ZEROS) sum += all[i] * this.cutoff * window * (Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x);
    }
    return sum;
  }
}
