// What a page asks the face to express, in words or by shape: the twin of gtalk/rig/expression.py and, in small, of
// gtalk/motion/edits/emotion.py. Speech survives it: what opens the lips is lost for most, and wholly where they shut.

const REGIONS = ["brows", "eyes", "cheeks", "mouth"], OF_REGION = { brow: "brows", eye: "eyes", cheek: "cheeks", nose: "cheeks" };
const BAND_HZ = 2, LOST_OPENING = 0.6, LEAST_M = 0.0006, OPENS_M = 0.002;  // as there
const ATTACK_S = 0.08, RELEASE_S = 0.16, SPEAKS_M = 0.0025, SPEAKS_M_S = 0.02, SHUT_M = 0.0025, FIRMLY = 4;
const SWEEPS = 24, EVEN_SWEEPS = 8, TOUCHING_M = 5e-5;  // as in gtalk/rig/limits.py
const PART = /^\s*([A-Za-z][\w. -]*?)\s*(?::\s*([^@\s]+)\s*)?(?:@\s*([\w ,]+))?\s*$/;

/** Weights of the shapes of "happy:0.7", "happy:0.5,surprised:0.3", "smile@mouth+sad:0.8@brows,eyes" or "mouthSmile:0.4". Throws in words. */
export function weightsOf(text, words) {
  const out = new Float32Array(words.shapes.length);
  if (!text.trim()) return out;
  for (const part of text.split(text.includes("@") ? "+" : /[+,]/)) {
    const found = PART.exec(part), intensity = found?.[2] === undefined ? 1 : Number(found[2]);
    if (!found || Number.isNaN(intensity)) throw new Error(`emotion "${text}": write for example happy:0.7`);
    if (!(intensity >= 0 && intensity <= 1)) throw new Error(`emotion "${part.trim()}": a number from 0 to 1 was expected`);
    const regions = found[3]?.split(",").map((name) => name.trim().toLowerCase());
    const other = regions?.find((name) => !REGIONS.includes(name));
    if (other) throw new Error(`emotion "${part.trim()}": regions are ${REGIONS.join(", ")}`);
    for (const [shape, weight] of Object.entries(named(found[1], intensity, words)))
      if (!regions || regions.includes(regionOf(shape))) out[words.shapes.indexOf(shape)] += weight;
  }
  return out;
}

const regionOf = (shape) => OF_REGION[/^[a-z]+/.exec(shape)[0]] ?? "mouth";

function named(name, intensity, { shapes, whole, recipes, aliases }) {
  if (shapes.includes(name)) return Object.fromEntries((whole[name] ?? [name]).map((part) => [part, intensity]));
  if (shapes.includes(`${name}Left`) && shapes.includes(`${name}Right`)) return { [`${name}Left`]: intensity, [`${name}Right`]: intensity };
  const recipe = recipes[aliases[name.toLowerCase()] ?? name.toLowerCase()];
  if (!recipe) throw new Error(`emotion "${name}" is not known: ${Object.keys(recipes).join(", ")}, or a shape of ARKit`);
  return Object.fromEntries(Object.entries(recipe.shapes).map(([shape, [weight, power]]) => [shape, weight * intensity ** power]));
}

/** Eases towards what is asked for, and keeps it off the lips. */
export class Emotion {
  /** `face`: of the avatar. */
  constructor(face) {
    const { gap_rest: rest, gap_shapes: slopes, gap_opening: opening } = face.arrays, count = face.shapes;
    Object.assign(this, { face, rest, slopes, opening, count });
    this.target = new Float32Array(count);
    this.now = new Float32Array(count);
    this.speed = new Float32Array(count);
    const lips = opening.findIndex((value) => value === 0) < 0 ? rest.length : opening.findIndex((value) => value === 0);
    this.opens = Float32Array.from(this.now, (_, e) => {
      let mean = 0;
      for (let p = 0; p < lips; p++) mean += slopes[p * count + e] / lips;
      return Math.max(0, Math.min(1, (mean - LEAST_M) / (OPENS_M - LEAST_M)));
    });
    this.activity = 0;
    this.before = null;
  }

  /** Adds to a row of numbers what is expressed `seconds` after the last one. */
  over(row, codes, seconds) {
    this.#ease(Math.min(seconds, 0.1));
    if (!this.now.some((w) => w !== 0)) return row;
    const { arrays: { code_mean: mean, code_spread: spread }, openings } = this.face;
    const opening = openings.spoken(mean.map((m, k) => row[k] * spread[k] + m)) - openings.gapRest;
    const weights = this.#guarded(opening, Math.min(seconds, 0.1)), out = Float32Array.from(row);
    for (let e = 0; e < this.count; e++) out[codes + 13 + e] += weights[e];
    return out;
  }

  /** As a critically damped spring goes. */
  #ease(dt) {
    const omega = (2 * Math.PI * BAND_HZ) / 1.5, decay = Math.exp(-omega * dt);
    for (let e = 0; e < this.count; e++) {
      const most = this.target[e], aim = most > 1 ? 1 + 0.25 * Math.tanh((most - 1) / 0.25) : Math.max(0, most);
      const off = this.now[e] - aim, pull = this.speed[e] + omega * off;
      this.now[e] = aim + (off + pull * dt) * decay;
      this.speed[e] = (this.speed[e] - omega * pull * dt) * decay;
      if (Math.abs(this.now[e] - aim) < 1e-4 && Math.abs(this.speed[e]) < 1e-3) [this.now[e], this.speed[e]] = [aim, 0];
    }
  }

  #guarded(opening, dt) {
    const fast = this.before !== null && dt > 0 && Math.abs(opening - this.before) / dt > SPEAKS_M_S;
    this.before = opening;
    this.activity = Math.max(0, Math.min(1, this.activity + (opening > SPEAKS_M || fast ? dt / ATTACK_S : -dt / RELEASE_S)));
    const shut = Math.min(1, 4 * this.activity) * Math.max(0, Math.min(1, (FIRMLY * (SHUT_M - opening)) / SHUT_M));
    const weights = this.now.map((w, e) => w * (1 - Math.max(LOST_OPENING, shut) * this.opens[e]));
    return this.#uncrossed(weights, Math.max(0, opening));
  }

  /** At a pair of points that would pass through each other, shapes that close it give way. */
  #uncrossed(weights, opening) {
    const { rest, slopes, count } = this;
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      let worst = -1, least = -TOUCHING_M;
      for (let p = 0; p < rest.length; p++) {
        let gap = rest[p] + opening * this.opening[p];
        for (let e = 0; e < count; e++) gap += weights[e] * slopes[p * count + e];
        if (gap < least) [worst, least] = [p, gap];
      }
      if (worst < 0) break;
      const slope = weights.map((_, e) => Math.max(0, -slopes[worst * count + e])), closing = slope.map((s, e) => s * weights[e]);
      const even = sweep >= SWEEPS - EVEN_SWEEPS;
      const whole = closing.reduce((sum, c, e) => sum + (even ? c : c * slope[e]), 0);
      for (let e = 0; e < count; e++) {
        const give = (-least / Math.max(whole, 1e-12)) * (even ? (slope[e] > 0 ? 1 : 0) : slope[e]);
        weights[e] *= 1 - Math.max(0, Math.min(1, give));
      }
    }
    return weights;
  }
}
