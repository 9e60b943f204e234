// What is said, how high and how loud, 100 rows a second: the twin of gtalk/speech/features.py.

import { product } from "./dense.js";
import { Ears } from "./ears.js";
import { Cepstra, PhoneScores, REACH } from "./phones.js";
import { Spectra } from "./spectra.js";
import { RunningMean, SpeechActivity } from "./voice.js";

const MELS = 40, CEPSTRA = 13, PITCH_HOLD = 0.97, PAUSE_WEIGHT = 0.15;

/** One running sound; push() and finish() give rows. */
export class Features {
  #spectra = new Spectra();
  #activity = new SpeechActivity();
  #held = 0;
  #waiting = [];  // rows whose phones are still to come
  #context = [];  // cepstra for the differences

  constructor(header, arrays) {
    Object.assign(this, { groups: header.groups, mel: arrays.mel, size: Math.max(...Object.values(header.groups).map(([, stop]) => stop)) });
    const mean = arrays.voice_mean;
    this.means = {
      mel: new RunningMean(mean.slice(0, MELS)), cepstra: new RunningMean(mean.slice(MELS, MELS + CEPSTRA)),
      level: new RunningMean(mean.slice(MELS + CEPSTRA)), f0: new RunningMean(arrays.voice_log_f0),
    };
    const [first, stop] = header.groups.phones ?? [0, 0];
    this.phones = stop > first && { cepstra: new Cepstra(arrays.phone_bands, arrays.cepstra), scores: new PhoneScores(arrays, stop - first) };
    this.ears = new Ears(arrays, header.ears);
  }

  push(samples) { return this.#rows(this.#spectra.push(samples)); }

  finish() {
    const rows = this.#rows(this.#spectra.finish());
    for (let i = 0; i < REACH && this.phones && this.#context.length; i++) {
      this.#context.push(this.#context.at(-1));
      rows.push(...this.#scored());
    }
    return rows;
  }

  #rows(frames) {
    const done = [];
    for (const frame of frames) {
      const row = this.#row(frame);
      if (!this.phones) {
        done.push(this.#heard(row));
        continue;
      }
      const cepstra = this.phones.cepstra.of(frame.power), { activity } = row;
      const mean = this.means.cepstra.add(cepstra, Math.max(activity, row.mel[0] > -2.9 ? PAUSE_WEIGHT : 0));
      if (!this.#context.length) this.#context = Array(REACH).fill(cepstra);
      this.#context.push(cepstra);
      this.#waiting.push({ ...row, mean: mean.slice() });
      done.push(...this.#scored());
    }
    return done;
  }

  #scored() {
    if (this.#context.length <= 2 * REACH || !this.#waiting.length) return [];
    const row = this.#waiting.shift(), phones = this.phones.scores.of(this.#context, row.mean);
    this.#context.shift();
    return [this.#heard(row, phones)];
  }

  #row(frame) {
    const { activity, voicing } = this.#activity.step(frame), bands = product(frame.power, this.mel, MELS);
    for (let i = 0; i < MELS; i++) bands[i] = Math.log(bands[i] + 1);
    const mean = this.means.mel.add(bands, activity);
    const mel = Float32Array.from(bands, (value, i) => clamp(value - mean[i], -9, 6) / 3);
    const [level] = this.means.level.add([frame.level_db], activity);
    const log = Math.log(Math.max(frame.f0_hz, 1)), [usual] = this.means.f0.add([log], voicing ** 2);
    this.#held += voicing * (clamp((log - usual) / Math.LN2, -1.5, 1.5) - this.#held);
    this.#held *= 1 - (1 - PITCH_HOLD) * (1 - voicing);
    return { mel, pitch: [this.#held, voicing], level: clamp(frame.level_db - level, -60, 20) / 10, activity };
  }

  #heard({ mel, pitch, level, activity }, phones) {
    const out = new Float32Array(this.size), { groups } = this;
    out.set(mel, groups.mel[0]);
    out.set(pitch, groups.pitch[0]);
    out.set([level, activity], groups.energy[0]);
    if (phones) out.set(phones, groups.phones[0]);
    out.set(this.ears.hear(mel), groups.ears[0]);
    return out;
  }
}

export function clamp(value, low, high) { return Math.min(high, Math.max(low, value)); }
