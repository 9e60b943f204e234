// Where the eyes look beside what they do by themselves: at the visitor who walks around the person, or aside.

const UNIT_RAD = 0.25, MARGIN = 0.1;  // GAZE_UNIT_RAD and CLAMP_MARGIN of gtalk/basis.py
const SETTLE_S = 0.06;  // a glance

/** What a page asks for: "visitor", or degrees towards the image's right and upwards, "10,-5". Throws in words. */
export function gazeOf(text) {
  const words = text.trim();
  if (!words || words === "visitor") return { visitor: !!words, yaw: 0, pitch: 0 };
  const parts = words.split(",").map((part) => (part.trim() ? Number(part) : NaN));
  if (parts.length !== 2 || parts.some(Number.isNaN)) throw new Error(`gaze "${text}": write "visitor", or degrees to the right and upwards as 10,-5`);
  const [yaw, pitch] = parts.map((degrees) => (degrees * Math.PI) / 180);
  return { visitor: false, yaw, pitch };
}

export class Gaze {
  #now = [0, 0];

  /** `face`: of the avatar. */
  constructor({ arrays: { code_spread: spread, code_mean: mean, code_low: low, code_high: high }, size }) {
    this.channels = [size - 2, size - 1].map((k) => ({ k, spread: spread[k], low: (low[k] - MARGIN * (high[k] - low[k]) - mean[k]) / spread[k], high: (high[k] + MARGIN * (high[k] - low[k]) - mean[k]) / spread[k] }));
    this.asked = gazeOf("");
  }

  /** A row with the eyes turned, `seconds` after the last one, as far as the clip has shown them. `view`: the visitor's. */
  over(row, { yaw, pitch }, seconds) {
    const { asked } = this, aim = asked.visitor ? [yaw, pitch] : [asked.yaw, asked.pitch], share = 1 - Math.exp(-seconds / SETTLE_S);
    this.#now = this.#now.map((value, i) => value + share * (aim[i] - value));
    if (this.#now.every((value) => Math.abs(value) < 1e-4)) return row;
    const out = Float32Array.from(row);
    this.channels.forEach(({ k, spread, low, high }, i) => {
      out[k] = Math.max(Math.min(low, row[k]), Math.min(Math.max(high, row[k]), row[k] + this.#now[i] / UNIT_RAD / spread));
    });
    return out;
  }
}
