// Who speaks, how loud, over which noise: the twin of gtalk/speech/normalise.py.

const MEMORY = 1500, PRIOR_FRAMES = 150;
const FLOOR_PRIOR_DB = -62, FLOOR_LOWEST_DB = -75, FLOOR_PART = 25, FLOOR_PARTS = 20, FLOOR_BIAS_DB = 2;
const DIGITAL_SILENCE_DB = -90, SETTLE = 15, HUM_RISE_DB = 0.25, PERIODIC = 0.72, PRIOR_RISE_DB = 2;

/** Weighted running mean of rows; a row's own value counts. */
export class RunningMean {
  #weight = PRIOR_FRAMES;

  constructor(mean) { this.mean = Float64Array.from(mean); }

  add(values, weight) {
    if (weight > 0) {
      this.#weight = Math.min(this.#weight + weight, MEMORY);
      const share = weight / this.#weight;
      for (let i = 0; i < this.mean.length; i++) this.mean[i] += share * (values[i] - this.mean[i]);
    }
    return this.mean;
  }
}

/** How surely each frame is speech, from periodicity and loudness over the noise floor. */
export class SpeechActivity {
  #floor = FLOOR_PRIOR_DB;
  #expected = FLOOR_PRIOR_DB;
  #recent = 0;
  #heard = 0;
  #power = 10 ** (FLOOR_PRIOR_DB / 10);
  #lowest = [];
  #part = Infinity;
  #left = FLOOR_PART;

  /** @returns {{activity: number, voicing: number}} */
  step({ level_db, periodicity }) {
    this.#follow(level_db, periodicity);
    const above = level_db - this.#floor;
    const voicing = sigmoid((periodicity - PERIODIC) / 0.05) * sigmoid((above - 6.5) / 1.5);
    this.#recent = Math.max(voicing, this.#recent * (0.93 + 0.015 * sigmoid((above - 12) / 2)));
    return { activity: this.#recent * sigmoid((above - 5) / 1.5), voicing };
  }

  /** Minimum statistics (Martin 2001) of what is not periodic. */
  #follow(level, periodicity) {
    if (!this.#heard && level <= DIGITAL_SILENCE_DB) return;
    this.#heard++;
    this.#power += 0.2 * (10 ** (level / 10) - this.#power);
    if (this.#heard > SETTLE && periodicity < PERIODIC)
      this.#part = Math.min(this.#part, 10 * Math.log10(this.#power) + FLOOR_BIAS_DB);
    const known = Math.min(this.#part, ...this.#lowest);
    if (!--this.#left) {
      const heard = this.#part < Infinity;
      this.#lowest.push(heard ? this.#part : known + HUM_RISE_DB);
      if (this.#lowest.length > FLOOR_PARTS) this.#lowest.shift();
      this.#expected += heard ? PRIOR_RISE_DB : 0;
      [this.#part, this.#left] = [Infinity, FLOOR_PART];
    }
    this.#floor = Math.max(FLOOR_LOWEST_DB, Math.min(known, this.#expected));
  }
}

function sigmoid(x) { return x > -30 ? 1 / (1 + Math.exp(-x)) : 0; }
