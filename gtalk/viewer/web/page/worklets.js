// Sound in and out on the audio thread: the microphone posts pieces, the player keeps the media clock.

const quanta = (seconds) => 128 * Math.max(1, Math.round((sampleRate * seconds) / 128));

// Posts 5 ms pieces with the instant of their first sample, to the port that it is given.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blocks = [0, 1].map(() => new Float32Array(quanta(0.005)));
    this.filled = 0;
    this.port.onmessage = ({ data }) => { this.out = data; };
  }
  process(inputs) {
    const [input, right] = inputs[0];
    if (!input || !this.out) return true;
    this.blocks[0].set(input, this.filled);
    this.blocks[1].set(right ?? input, this.filled);
    this.filled += input.length;
    if (this.filled >= this.blocks[0].length) {
      const end = currentTime + input.length / sampleRate;
      this.out.postMessage({ samples: this.blocks[0].slice(), right: right ? this.blocks[1].slice() : null, end });
      this.filled = 0;
    }
    return true;
  }
}

const LEAD = 0.08; // seconds that are collected before it starts, so that the network's jitter is not heard
const LONGEST = 0.25; // what a lead grows to by GROW at each gap; it shrinks by SHRINK a second
const GROW = 0.04, SHRINK = 0.0002;
const MOST = 0.4; // seconds that may wait; past that the oldest are skipped
const GIVE = 0.005; // its pace bends by at most so much to hold the lead: nobody hears it
const RATE = 16000;

// Plays ticks in order (linear interpolation to the device's rate) and tells which media time sounds. The
// server's clock and the sound card's are never quite the same: the pace follows what waits.
class Pacer {
  constructor() { this.lead = LEAD; this.underruns = 0; this.skips = 0; this.flush(); }
  flush() { this.ticks = []; this.position = 0; this.playing = false; this.waiting = this.lead; }
  get held() {
    let sum = -this.position;
    for (const tick of this.ticks) sum += tick.samples.length;
    return sum / RATE;
  }
  push(tick) {
    this.ticks.push(tick);
    if (this.held > MOST) { this.ticks.shift(); this.position = 0; this.skips++; }
    if (!this.playing && this.held >= this.lead) this.playing = true;
  }
  gap() {
    this.underruns++;
    this.lead = Math.min(LONGEST, this.lead + GROW);
    this.playing = false;
    this.position = 0;
    this.waiting = this.lead;
  }
  // Media time of the next sample, or null.
  get time() { return this.playing && this.ticks.length ? this.ticks[0].time + this.position / RATE : null; }
  fill(out, rate) {
    this.waiting += 0.002 * (this.held - this.waiting); // over some hundred blocks: ticks come in lumps
    const bend = Math.max(-GIVE, Math.min(GIVE, 0.2 * (this.waiting - this.lead)));
    const step = (RATE / rate) * (1 + bend);
    this.lead = Math.max(LEAD, this.lead - (SHRINK * out.length) / rate);
    for (let i = 0; i < out.length; i++) {
      if (!this.playing) { out[i] = 0; continue; }
      const tick = this.ticks[0], at = Math.floor(this.position), part = this.position - at;
      const a = tick.samples[at] || 0, b = at + 1 < tick.samples.length ? tick.samples[at + 1] : a;
      out[i] = tick.audible ? a + (b - a) * part : 0;
      this.position += step;
      if (this.position >= tick.samples.length) {
        this.position -= tick.samples.length;
        this.ticks.shift();
        if (!this.ticks.length) this.gap();
      }
    }
  }
}

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.pacer = new Pacer();
    this.told = 0;
    this.port.onmessage = ({ data }) => {
      this.out = data;
      data.onmessage = ({ data: tick }) => (tick === "flush" ? this.pacer.flush() : this.pacer.push(tick));
    };
  }
  process(_, outputs) {
    const time = this.pacer.time;
    if (this.out && currentTime - this.told > 0.015) {
      this.told = currentTime;
      this.out.postMessage({ time, at: currentTime, underruns: this.pacer.underruns, skips: this.pacer.skips });
    }
    this.pacer.fill(outputs[0][0], sampleRate);
    return true;
  }
}

registerProcessor("gtalk-microphone", Microphone);
registerProcessor("gtalk-player", Player);
