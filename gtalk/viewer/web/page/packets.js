// Sound that comes as packets of Opus, one a tick, beside ticks without any: all are handed on in their order.

const RATE = 16000, DELAY_S = 0.0065; // of the player; of the codec, see gtalk/media/output/opus.py
const MOST = 25; // ticks that may wait: a decoder that gives nothing for a second has given up
const CONFIG = { codec: "opus", sampleRate: 48000, numberOfChannels: 1 };

export class Packets {
  /** Whether this browser decodes them. */
  static async known() {
    try {
      return !!self.AudioDecoder && (await AudioDecoder.isConfigSupported(CONFIG)).supported;
    } catch {
      return false;
    }
  }

  /** `play(frame, samples)` gets every tick; `failed(words)` is called once when the decoder gives up. */
  constructor(play, failed) {
    Object.assign(this, { play, failed, waiting: [] });
    this.#open();
  }

  #open() {
    this.decoder = new AudioDecoder({ output: (data) => this.#decoded(data), error: ({ message }) => this.#giveUp(message) });
    this.decoder.configure(CONFIG);
  }

  /** A tick whose samples are there. */
  add(frame, samples) {
    this.waiting.push({ frame, samples });
    this.#drain();
  }

  /** A tick whose sound is still packed, `count` samples of it. */
  unpack(frame, packet, count) {
    const tick = { frame: { ...frame, time: frame.time - DELAY_S }, count, samples: null };
    if (this.decoder.state !== "configured") return this.add(tick.frame, new Float32Array(count));
    this.waiting.push(tick);
    if (this.waiting.length > MOST) return this.#giveUp("nothing came back");
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: Math.round(1e6 * frame.time), data: packet }));
  }

  /** Someone cut in: what is still packed is not wanted any more. */
  flush() {
    this.waiting = [];
    if (this.decoder.state === "closed") return;
    this.decoder.reset();
    this.decoder.configure(CONFIG);
  }

  #decoded(data) {
    const tick = this.waiting.find(({ samples }) => !samples), all = new Float32Array(data.numberOfFrames);
    data.copyTo(all, { planeIndex: 0, format: "f32-planar" });
    const step = data.sampleRate / RATE; // nothing above 8 kHz is in it, so that others can be left out
    data.close();
    if (!tick) return;
    tick.samples = Float32Array.from({ length: tick.count }, (_, i) => all[i * step] ?? 0);
    this.#drain();
  }

  #giveUp(words) {
    if (this.decoder.state !== "closed") this.decoder.close();
    for (const tick of this.waiting) tick.samples ??= new Float32Array(tick.count);
    this.#drain();
    this.failed(words);
  }

  #drain() { while (this.waiting[0]?.samples) { const { frame, samples } = this.waiting.shift(); this.play(frame, samples); } }
}
