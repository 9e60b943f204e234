// Sound of any rate to 16 kHz as it comes: a windowed sinc (Smith, "Digital Audio Resampling").

const ZEROS = 16;  // crossings of the sinc on either side

export class Resampler {
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
