// Samples at 16 kHz to raw frames at 100 Hz: power spectrum, pitch, loudness. The twin of gtalk/speech/frontend.py and pitch.py.

export const RATE = 16000, HOP = 160, N_FFT = 512, BINS = N_FFT / 2 + 1;
const FRAME = 410, PRE_EMPHASIS = 0.97, FULL_SCALE = 32768;
const SUM = 512, MIN_LAG = 26, MAX_LAG = 268, PITCH = SUM + MAX_LAG, THRESHOLD = 0.15, FLOOR = 1e-7 * SUM;
const HAMMING = Float64Array.from({ length: FRAME }, (_, n) => 0.54 - 0.46 * Math.cos((2 * Math.PI * n) / (FRAME - 1)));

/** Cuts a stream into windows of `size`; window j begins `before` samples ahead of j * HOP. Silence lies around. */
class Windows {
  constructor(size, before) {
    this.size = size;
    this.kept = new Float32Array(before);
    this.samples = this.made = 0;
  }

  push(samples) {
    this.samples += samples.length;
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    return this.take(all, Math.max(0, Math.floor((all.length - this.size) / HOP) + 1));
  }

  finish() {
    const count = Math.ceil(this.samples / HOP) - this.made, wanted = (count - 1) * HOP + this.size;
    const all = new Float32Array(Math.max(this.kept.length, wanted));
    all.set(this.kept);
    return this.take(all, Math.max(0, count));
  }

  take(all, count) {
    const windows = Array.from({ length: count }, (_, j) => all.subarray(j * HOP, j * HOP + this.size));
    this.kept = all.slice(count * HOP);
    this.made += count;
    return windows;
  }
}

/** One running sound: push() and finish() give frames {power, level_db, f0_hz, periodicity}. */
export class Spectra {
  #frames = new Windows(FRAME + 1, FRAME / 2 + 1);
  #pitch = new Windows(PITCH, PITCH / 2);
  #early = [];

  push(samples) {
    return this.#analysed(this.#frames.push(samples), this.#pitch.push(samples));
  }

  finish() {
    return this.#analysed(this.#frames.finish(), this.#pitch.finish());
  }

  #analysed(frames, windows) {
    this.#early.push(...frames);
    return windows.map((window) => ({ ...spectrum(this.#early.shift()), ...yin(window) }));
  }
}

function spectrum(frame) {
  const re = new Float64Array(N_FFT), im = new Float64Array(N_FFT);
  let energy = 0;
  for (let i = 0; i < FRAME; i++) {
    energy += frame[i + 1] * frame[i + 1];
    re[i] = FULL_SCALE * (frame[i + 1] - PRE_EMPHASIS * frame[i]) * HAMMING[i];
  }
  fourier(re, im);
  const power = new Float64Array(BINS);
  for (let k = 0; k < BINS; k++) power[k] = re[k] * re[k] + im[k] * im[k];
  return { power, level_db: 10 * Math.log10(energy / FRAME + 1e-10) };
}

const COS = Float64Array.from({ length: N_FFT / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / N_FFT));
const SIN = Float64Array.from({ length: N_FFT / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / N_FFT));

/** In place, N_FFT long: Cooley and Tukey, radix 2. */
function fourier(re, im) {
  for (let i = 1, j = 0; i < N_FFT; i++) {
    let bit = N_FFT >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let half = 1; half < N_FFT; half *= 2)
    for (let start = 0, step = N_FFT / (2 * half); start < N_FFT; start += 2 * half)
      for (let k = 0; k < half; k++) {
        const a = start + k, b = a + half, c = COS[k * step], s = SIN[k * step];
        const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
        re[b] = re[a] - x; im[b] = im[a] - y;
        re[a] += x; im[a] += y;
      }
}

/** YIN (de Cheveigné and Kawahara 2002): F0, and how periodic the window is. */
function yin(window) {
  const x = new Float64Array(PITCH), d = new Float64Array(MAX_LAG + 1);
  let mean = 0;
  for (const value of window) mean += value;
  mean /= PITCH;
  for (let i = 0; i < PITCH; i++) x[i] = window[i] - mean;
  let energy = 0;
  for (let i = 0; i < SUM; i++) energy += x[i] * x[i];
  const own = energy;
  let sum = 0;
  d[0] = 1;
  for (let lag = 1; lag <= MAX_LAG; lag++) {
    energy += x[lag + SUM - 1] ** 2 - x[lag - 1] ** 2;
    let product = 0;
    for (let i = 0; i < SUM; i++) product += x[i] * x[i + lag];
    const difference = Math.max(own + energy - 2 * product, 0);
    sum += difference;
    d[lag] = (difference + FLOOR) / (sum / lag + FLOOR);
  }
  const lag = firstDip(d), before = d[lag - 1], here = d[lag], after = d[Math.min(lag + 1, MAX_LAG)];
  const curvature = before - 2 * here + after;
  const shift = curvature > 1e-9 ? (0.5 * (before - after)) / curvature : 0;
  return { f0_hz: RATE / (lag + Math.min(0.5, Math.max(-0.5, shift))), periodicity: Math.min(1, Math.max(0, 1 - here)) };
}

function firstDip(d) {
  let least = MIN_LAG;
  for (let lag = MIN_LAG; lag < MAX_LAG; lag++) {
    if (d[lag] < THRESHOLD && d[lag] <= d[lag - 1] && d[lag] <= d[lag + 1]) return lag;
    if (d[lag] < d[least]) least = lag;
  }
  return least;
}
