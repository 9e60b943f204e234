// What shuts and rounds the lips, and how they rest: the twins of labial_closure.py, articulation.py, vad_gate.py and
// pause_gate.py in gtalk/motion/model/. `row(k)` is the row k rows after the instant of a frame.

import { clamp } from "./features.js";

const SHARPEN = 2, LEAST = 0.08, SURE = 0.3, SILENT = 0.15, SPOKEN = 0.5, REACH = 3, ACTIVITY_REACH = 4;
const HANGOVER = 8, AHEAD = 10, OPEN_FRAMES = 2, CLOSE_FRAMES = 3, EARLY_FRAMES = 12;
const RATE_HZ = 100, EARLY_S = 0.4, PAUSE_SILENT = 0.3, HISS = [18, 38], DB = 30 / Math.LN10, FLOOR_RISE_DB = 6 / RATE_HZ;
const FAINT_DB = 3, BREATH_DB = 6, TAIL_ROWS = 10, MEAN_ROWS = 3, RISE = 1 / 3, FALL = 1 / 5, CUT_ROWS = 40;

const ramp = (value, low, high) => clamp((value - low) / (high - low), 0, 1);

function mean(from, to, of) {
  let sum = 0;
  for (let k = from; k <= to; k++) sum += of(k);
  return sum / (to - from + 1);
}

/** Codes of the mouth with p, b, m, f, v, o, u and w as they are heard. Changes `mouth`. */
export function articulated(mouth, header, arrays, row) {
  const activity = header.groups.energy[0] + 1, { closure, pulls, future_rows: ahead } = header;
  if (closure) {
    const [first, stop] = header.groups.phones;
    const spoken = ramp(mean(-ACTIVITY_REACH, ACTIVITY_REACH, (k) => row(k)[activity]), SILENT, SPOKEN);
    const heard = ramp(mean(-REACH, REACH, (k) => {
      const own = row(k).subarray(first, stop).map((score) => Math.exp(SHARPEN * score));
      return closure.labials.reduce((sum, i) => sum + own[i], 0) / own.reduce((sum, value) => sum + value, 0);
    }), LEAST, SURE);
    const per = arrays.closure_per_code, power = dot(per, per);
    const excess = Math.max(closure.mean_m + dot(mouth, per) - closure.shut_m, 0) * closure.strength * heard * spoken;
    for (let i = 0; i < mouth.length; i++) mouth[i] -= (excess * per[i]) / Math.max(power, 1e-18);
  }
  if (!pulls) return;
  const spoken = ramp(mean(-ACTIVITY_REACH, ACTIVITY_REACH, (k) => row(Math.min(k, ahead))[activity]), SILENT, SPOKEN);
  pulls.each.forEach(({ column, least, sure, mean_m, target_m }, n) => {
    const heard = mean(-REACH, REACH, (k) => Math.exp(row(Math.min(pulls.lag_rows + k, ahead))[column]));
    const part = (name) => arrays[name].subarray(n * mouth.length, (n + 1) * mouth.length), step = part("pulls_step");
    const excess = Math.max(mean_m + dot(mouth, part("pulls_per_code")) - target_m, 0) * pulls.strength * spoken * ramp(heard, least, sure);
    for (let i = 0; i < mouth.length; i++) mouth[i] -= excess * step[i];
  });
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** How far the mouth may open: lips are shut where nobody speaks. */
export class SilenceGate {
  #open = 0;

  step(ahead, activity) {
    let near = -Infinity, all = -Infinity;
    for (let k = -HANGOVER; k <= ahead; k++) {
      all = Math.max(all, activity(k));
      if (k <= AHEAD) near = all;
    }
    const wanted = ramp(all, SILENT, SPOKEN), soon = ramp(near, SILENT, SPOKEN);
    this.#open += Math.min(Math.max(wanted - this.#open, -1 / CLOSE_FRAMES), 1 / (soon > this.#open ? OPEN_FRAMES : EARLY_FRAMES));
    return this.#open ** 2 * (3 - 2 * this.#open);
  }
}

/** How far it may open in a pause, as this person's does. */
export class PauseGate {
  #silent = Infinity;
  #breath = 0;
  #recent = [];
  #floor = Infinity;
  #open = 0;
  #over = false;
  #cut = 0;
  #unread = 0;

  constructor(habit, header) {
    Object.assign(this, { habit, mel: header.groups.mel[0], activity: header.groups.energy[0] + 1 });
  }

  /** Somebody cut in: what follows is no pause, until something else is said. */
  cut() { [this.#over, this.#cut] = [true, CUT_ROWS]; }

  step(ahead, row) {
    for (let k = this.#unread; k <= ahead; k++) this.#hear(row(k));
    this.#unread = ahead + 1 - 4;
    const { early, later, breath } = this.habit, wanted = [early, later, breath, 0][this.#kind()];
    this.#open += Math.min(Math.max(wanted - this.#open, -FALL), RISE);
    return this.#open;
  }

  #hear(row) {
    const hiss = DB * mean(HISS[0], HISS[1] - 1, (band) => row[this.mel + band]);
    this.#recent = [...this.#recent.slice(1 - MEAN_ROWS), hiss];
    const level = this.#recent.reduce((a, b) => a + b, 0) / this.#recent.length;
    this.#floor = Math.min(level, this.#floor + FLOOR_RISE_DB);
    this.#cut = Math.max(0, this.#cut - 1);
    if (row[this.activity] > PAUSE_SILENT) {
      [this.#silent, this.#breath] = [0, 0];
      this.#over &&= this.#cut > 0;
      return;
    }
    if (++this.#silent >= TAIL_ROWS)
      this.#breath = Math.max(this.#breath, Math.min((level - this.#floor - FAINT_DB) / (BREATH_DB - FAINT_DB), 1));
  }

  #kind() {
    const age = this.#silent / RATE_HZ, late = AHEAD / RATE_HZ;
    if (this.#over || age > this.habit.longest_s + late) return 3;
    return this.#breath > 0.5 ? 2 : Number(age > EARLY_S + late);
  }
}
