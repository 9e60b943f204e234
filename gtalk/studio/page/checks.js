// Looks at picture and sound while one looks into the camera, and says of each thing whether it is good, and what to do.
// Faces, light and sharpness are measured by the server with the measures of the report, on a small picture a second.

import { ask } from './dom.js';

const LOOK_MS = 1000, HEAR_MS = 50;
const SMALL = { width: 640, quality: 0.9 };
const FACE_PX = 140, LARGE = 0.72, ASIDE = 0.16;
const SOFT = 12, DARK = 55, BRIGHT = 215, BURNT = 0.03, DROWNED = 0.1;  // as in the report
const LOUD = 0.985, LOUD_SHARE = 0.001, QUIET_DB = -38, SILENT_DB = -75, NOISE_DB = -50, OVER_NOISE_DB = 18;
const MOVED = 6, MOVED_SHARE = 0.08;
const SLOW = 20;

export const CHECKS = ['face', 'light', 'sharp', 'clip', 'noise', 'still', 'rate'];

export class Checks extends EventTarget {
  words = {};  // check -> [word, values]
  last = null;  // what the server saw
  take = '';
  level = 0;
  #timers = [];
  #levels = [];
  #clipped = [];
  #before = null;
  #frames = [];
  #busy = false;

  constructor(camera, video) {
    super();
    Object.assign(this, { camera, video });
    this.canvas = Object.assign(document.createElement('canvas'), { width: SMALL.width, height: 360 });
  }

  start() {
    this.stop();
    this.#timers = [setInterval(() => this.#look(), LOOK_MS), setInterval(() => this.#hear(), HEAR_MS)];
    const count = (now) => {
      this.#frames = [...this.#frames.filter((s) => now - s < 3000), now];
      if (this.#timers.length) this.video.requestVideoFrameCallback?.(count);
    };
    this.video.requestVideoFrameCallback?.(count);
    this.#look();
  }

  stop() { this.#timers.forEach(clearInterval); this.#timers = []; }

  // Whether nothing is amiss, of those that matter to what is being recorded.
  good(names = CHECKS) { return names.every((name) => (this.words[name]?.[0] ?? 'good') === 'good'); }

  async #look() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || this.#busy || document.hidden) return;
    this.#busy = true;
    try {
      this.canvas.height = Math.round(SMALL.width * height / width);
      const draw = this.canvas.getContext('2d', { willReadFrequently: true });
      draw.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
      const jpeg = await new Promise((done) => this.canvas.toBlob(done, 'image/jpeg', SMALL.quality));
      const seen = await ask(`api/look?take=${encodeURIComponent(this.take)}`, { method: 'POST', body: jpeg });
      this.last = seen;
      this.words.face = [face(seen, height)];
      if (seen.faces) {
        this.words.light = [seen.light < DARK || seen.under > DROWNED ? 'dark' : seen.light > BRIGHT || seen.over > BURNT ? 'bright' : 'good'];
        this.words.sharp = [seen.sharpness < SOFT ? 'soft' : 'good'];
      }
      this.words.still = [this.#moves(draw, seen) ? 'moving' : 'good'];
      const span = this.#frames.at(-1) - this.#frames[0];
      if (span > 1500) {
        const rate = Math.round(1000 * (this.#frames.length - 1) / span);
        this.words.rate = [rate < SLOW ? 'slow' : 'good', { n: rate }];
      }
    } catch { /* told by who asks for the state */ } finally { this.#busy = false; }
    this.dispatchEvent(new Event('change'));
  }

  // Whether much of what is beside the person changed since the last look.
  #moves(draw, seen) {
    const { width, height } = this.canvas, step = 8, now = draw.getImageData(0, 0, width, height).data, grey = [];
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) { const i = 4 * (y * width + x); grey.push((now[i] + 2 * now[i + 1] + now[i + 2]) / 4); }
    }
    const before = this.#before;
    this.#before = grey;
    if (!before || before.length !== grey.length || !seen.faces) return false;
    const [x0, y0, w] = seen.box, columns = Math.ceil(width / step);
    let changed = 0, all = 0;
    grey.forEach((value, i) => {
      const x = (i % columns) * step / width, y = Math.floor(i / columns) * step / height;
      if (x > x0 - w && x < x0 + 2 * w && y > y0 - 0.6 * w) return;  // head, hair, shoulders
      all += 1;
      changed += Math.abs(value - before[i]) > MOVED;
    });
    return all > 50 && changed / all > MOVED_SHARE;
  }

  #hear() {
    const { meter } = this.camera;
    if (!meter) return;
    const samples = new Float32Array(meter.fftSize);
    meter.getFloatTimeDomainData(samples);
    const fresh = samples.subarray(samples.length - Math.min(samples.length, Math.round(meter.context.sampleRate * HEAR_MS / 1000)));
    let power = 0, clipped = 0;
    for (const value of fresh) { power += value * value; clipped += Math.abs(value) > LOUD; }
    const decibel = 10 * Math.log10(power / fresh.length + 1e-12);
    this.level = Math.max(0, Math.min(1, (decibel + 60) / 60));
    this.#levels = [...this.#levels.slice(-199), decibel];  // ten seconds
    this.#clipped = [...this.#clipped.slice(-199), clipped / fresh.length];
    if (this.#levels.length >= 20) this.#judgeSound();
    this.dispatchEvent(new Event('level'));
  }

  #judgeSound() {
    const sorted = [...this.#levels].sort((a, b) => a - b), at = (part) => sorted[Math.floor(part * (sorted.length - 1))];
    const silent = this.camera.muted || at(1) < SILENT_DB;
    const loud = this.#clipped.reduce((sum, one) => sum + one, 0) / this.#clipped.length > LOUD_SHARE;
    const spoken = at(0.95) > at(0.1) + 12;  // who says nothing is not too quiet
    this.words.clip = [silent ? 'muted' : loud ? 'loud' : spoken && at(0.95) < QUIET_DB ? 'quiet' : 'good'];
    this.words.noise = [!silent && at(0.05) > NOISE_DB && at(0.95) - at(0.05) < OVER_NOISE_DB ? 'noisy' : 'good'];
  }
}

function face(seen, heightPx) {
  if (!seen.faces) return 'none';
  if (seen.faces > 1) return 'two';
  if (seen.same === false) return 'other';
  const [x, y, w, h] = seen.box;
  if (h * heightPx < FACE_PX || h < 0.18) return 'small';
  if (h > LARGE) return 'large';
  return Math.abs(x + w / 2 - 0.5) > ASIDE || y < 0.02 || y + h > 0.98 ? 'aside' : 'good';
}
