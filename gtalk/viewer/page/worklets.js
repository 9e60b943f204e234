// Sound in and out on the audio thread: the microphone posts blocks, the player keeps the media clock.

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate * 0.02));
    this.filled = 0;
  }
  process(inputs) {
    const input = inputs[0][0];
    if (!input) return true;
    for (const value of input) {
      this.block[this.filled++] = value;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

// Plays ticks in order at 16 kHz (linear interpolation to the device's rate) and reports which media time
// is sounding. `lead` seconds are collected before it starts, so that the network's jitter is not heard.
class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ticks = [];
    this.position = 0;
    this.playing = false;
    this.lead = 0.08;
    this.reported = 0;
    this.port.onmessage = ({ data }) => {
      if (data === "flush") { this.ticks = []; this.playing = false; this.position = 0; return; }
      this.ticks.push(data);
      const held = this.ticks.reduce((sum, tick) => sum + tick.samples.length, 0) / 16000 - this.position / 16000;
      if (!this.playing && held >= this.lead) this.playing = true;
      // A clock that runs slower than the server's piles sound up: skip back to the lead.
      while (held > 0.4 && this.ticks.length > 3) { this.ticks.shift(); this.position = 0; break; }
    };
  }
  process(_, outputs) {
    const out = outputs[0][0];
    const step = 16000 / sampleRate;
    for (let i = 0; i < out.length; i++) {
      if (!this.playing || !this.ticks.length) { out[i] = 0; this.playing = this.playing && this.ticks.length > 0; continue; }
      const tick = this.ticks[0];
      const at = Math.floor(this.position), part = this.position - at;
      const a = tick.samples[at] || 0, b = at + 1 < tick.samples.length ? tick.samples[at + 1] : a;
      out[i] = tick.audible ? a + (b - a) * part : 0;
      this.position += step;
      if (this.position >= tick.samples.length) { this.position -= tick.samples.length; this.ticks.shift(); }
    }
    if (this.ticks.length && currentTime - this.reported > 0.01) {
      this.reported = currentTime;
      this.port.postMessage({ time: this.ticks[0].time + this.position / 16000, at: currentTime });
    }
    return true;
  }
}

registerProcessor("gtalk-microphone", Microphone);
registerProcessor("gtalk-player", Player);
