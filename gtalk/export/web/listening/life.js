// Head, brows, blinks and gaze: processes like those of gtalk/motion/idle/, with chances of their own.

const VALUES = 8, ORDER = 10, BURN_IN = 300, KNEE = 0.8, SACCADE_FRAMES = 2, VOICE_ROWS = [-49, -41, -33, -25, -17, -9, -1, 7];

/** Uniform numbers from a seed (Marsaglia's xorshift32), and what is made from them. */
export class Chance {
  #state;

  constructor(seed) { this.#state = (seed * 2654435761 + 1) >>> 0 || 1; }

  uniform() {
    let x = this.#state;
    x ^= x << 13; x ^= x >>> 17; x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state / 2 ** 32;
  }

  normal() { return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform()); }
  below(count) { return Math.floor(this.uniform() * count); }
  /** Of shape 2: two exponential waits. */
  gamma2(scale) { return -scale * (Math.log(1 - this.uniform()) + Math.log(1 - this.uniform())); }
}

/** Six numbers of the head about its mean pose, and two of the brows. */
export class Sway {
  #past = Array.from({ length: ORDER }, () => new Float64Array(VALUES));

  constructor(arrays, { calm }, seed) {
    const own = (name) => arrays[`sway_${name}`];
    Object.assign(this, { calm, mean: own("mean"), mixing: own("mixing"), coefficients: own("coefficients"), innovation: own("innovation"), voice: own("voice"), low: own("low"), high: own("high") });
    this.chance = new Chance(seed);
    for (let i = 0; i < BURN_IN; i++) this.#advance(1);
  }

  /** `prosody(k)`: [loudness, pitch x voicing, activity] k rows after the instant. */
  step(prosody) {
    const [, , active] = prosody(0), parts = this.#advance(this.calm + (1 - this.calm) * Math.min(1, Math.max(0, active)));
    const values = Float64Array.from(parts), moved = new Float64Array(VALUES);
    VOICE_ROWS.flatMap((k) => prosody(k)).forEach((value, i) => {
      for (let c = 0; c < VALUES; c++) values[c] += value * this.voice[i * VALUES + c];
    });
    for (let c = 0; c < VALUES; c++) for (let v = 0; v < VALUES; v++) moved[v] += values[c] * this.mixing[c * VALUES + v];
    return moved.map((value, v) => this.mean[v] + limited(value, this.low[v], this.high[v]));
  }

  #advance(liveliness) {
    const now = new Float64Array(VALUES);
    for (let c = 0; c < VALUES; c++) {
      for (let p = 0; p < ORDER; p++) now[c] += this.#past[p][c] * this.coefficients[c * ORDER + p];
      now[c] += this.chance.normal() * this.innovation[c] * liveliness;
    }
    this.#past = [now, ...this.#past.slice(0, -1)];
    return now;
  }
}

function limited(value, low, high) {
  const limit = value < 0 ? -low : high, share = Math.abs(value) / limit;
  return share > KNEE ? Math.sign(value) * limit * (KNEE + (1 - KNEE) * Math.tanh((share - KNEE) / (1 - KNEE))) : value;
}

/** Openness of both eyes, and gaze. */
export class Eyes {
  #shape = null;
  #at = 0;

  constructor(arrays, { blink_rate_hz, blink_spread, dwell_s }, fps, seed) {
    Object.assign(this, { rate: blink_rate_hz, spread: blink_spread, dwell: dwell_s, fps });
    this.shapes = arrays.eyes_blink_shapes;  // [n, frames, 2]
    this.targets = arrays.eyes_gaze_targets;
    this.mean = arrays.eyes_gaze_mean;
    this.follow = arrays.eyes_gaze_of_head;
    this.frames = 14;
    this.chance = new Chance(seed + 1);
    this.left = Math.floor((0.2 + 0.8 * this.chance.uniform()) * this.#pause());
    this.from = this.target = this.#pick();
    this.since = SACCADE_FRAMES;
    this.stay = this.#dwell();
  }

  step(pose) {
    const [left, right] = this.#closure(), look = this.#look();
    const gaze = [0, 1].map((g) => this.mean[g] + look[g] + pose.reduce((sum, value, i) => sum + value * this.follow[2 * i + g], 0));
    return { eyes: [1 - left, 1 - right], gaze };
  }

  #closure() {
    if (this.#shape === null) {
      if (--this.left > 0) return [0, 0];
      this.#shape = this.chance.below(this.shapes.length / (2 * this.frames));
      this.#at = 0;
      this.left = this.#pause();
    }
    const at = 2 * (this.#shape * this.frames + this.#at), now = [this.shapes[at], this.shapes[at + 1]];
    if (++this.#at >= this.frames) this.#shape = null;
    return now;
  }

  #pause() {
    const mean = Math.max(1 / Math.max(this.rate, 1e-3) - this.frames / this.fps, 0.1);
    return Math.max(1, Math.round(Math.exp(Math.log(mean) - 0.5 * this.spread ** 2 + this.spread * this.chance.normal()) * this.fps));
  }

  #look() {
    if (--this.stay <= 0) [this.from, this.target, this.since, this.stay] = [this.target, this.#pick(), 0, this.#dwell()];
    this.since = Math.min(this.since + 1, SACCADE_FRAMES);
    const share = this.since / SACCADE_FRAMES;
    return [0, 1].map((g) => this.from[g] + (this.target[g] - this.from[g]) * share);
  }

  #pick() {
    const at = 2 * this.chance.below(this.targets.length / 2);
    return [this.targets[at], this.targets[at + 1]];
  }

  #dwell() { return Math.max(SACCADE_FRAMES + 1, Math.round(this.chance.gamma2(this.dwell / 2) * this.fps)); }
}
