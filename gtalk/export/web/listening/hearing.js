// Sound to motion for the component: a file becomes something to play, a microphone moves the person at once.
// All of it happens in the page: no sound leaves it.

import { SHAPES } from "./format.js";
import { bytes } from "./loading.js";

const AHEAD_S = 0.4;  // of a file is understood before it is heard
const PIECE = 3200;

export class Hearing {
  #worker = null;
  #id = 0;
  #heard = () => {};
  /** Milliseconds that the last 40 ms of sound took. */
  times = [];

  /** `told` hears which share of speaker.bin has come. */
  constructor(folder, told = () => {}) { Object.assign(this, { folder, told }); }

  /** Fetches speaker.bin once. Throws in words. */
  ready() { return (this.loading ??= this.#load().catch((error) => { this.loading = null; throw error; })); }

  async #load() {
    const data = await bytes(new URL("speaker.bin", this.folder), this.told).catch((error) => {
      throw error.status === 404 ? new Error("this folder has no speaker.bin: the avatar was exported by an older gtalk, or cannot speak. Export it again") : error;
    });
    const worker = new Worker(new URL("./listening-worker.js", import.meta.url), { type: "module" });
    const header = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data: { loaded, failed } }) => (failed ? reject(new Error(failed)) : resolve(loaded));
      worker.onerror = () => reject(new Error("this browser is too old to listen: it has no workers of modules"));
      worker.postMessage({ load: data }, [data]);
    }).catch((error) => {
      worker.terminate();
      throw error;
    });
    worker.onmessage = ({ data }) => this.#told(data);
    worker.onerror = ({ message }) => this.#told({ failed: `listening broke: ${message}` });
    this.#worker = worker;
    return header;
  }

  #told(data) {
    if (data.failed) this.#heard(data);
    if (data.id !== this.#id) return;  // of what was begun before
    if (data.rows) this.times.push((data.took_ms * 1) / data.rows.length);
    if (this.times.length > 500) this.times.splice(0, 250);
    this.#heard(data);
  }

  #begin(rate_hz, heard) {
    this.#heard = heard;
    this.#worker.postMessage({ begin: ++this.#id, rate_hz });
    return this.#id;
  }

  /** A recording (address, Blob or bytes) as something to play, which grows while it plays. Throws in words. */
  async message(recording, captions = "") {
    const header = await this.ready(), bytes = await bytesOf(recording);
    const sound = new Blob([bytes]), samples = await decoded(bytes.slice(0)), rows = [];
    const frames = Math.ceil(samples.length / 640), wanted = Math.min(frames, AHEAD_S * header.fps);
    await new Promise((resolve, reject) => {
      const own = this.#begin(16000, ({ rows: more = [], failed }) => {
        if (failed) reject(new Error(failed));
        rows.push(...more.map(whole));
        if (rows.length >= wanted) resolve();
      });
      for (let at = 0; at < samples.length; at += PIECE) this.#worker.postMessage({ push: samples.slice(at, at + PIECE) });
      this.#worker.postMessage({ finish: own });
    });
    return { header: {}, frames, fps: header.fps, sound, captions, row: (index) => rows[Math.max(0, Math.min(rows.length - 1, index))] };
  }

  /** A stream of sound, by default the visitor's microphone. `shown` gets a row every 40 ms. Returns what ends it. */
  async listen(stream, shown, { audible = false } = {}) {
    const header = await this.ready();
    const own = stream ?? (await asked());
    const context = new AudioContext({ latencyHint: "interactive" });
    await context.audioWorklet.addModule(new URL("./microphone-worklet.js", import.meta.url));
    const source = context.createMediaStreamSource(own), tap = new AudioWorkletNode(context, "gtalk-tap", { numberOfOutputs: 0 });
    const id = this.#begin(context.sampleRate, ({ rows = [] }) => rows.forEach((row) => shown(whole(row))));
    tap.port.onmessage = ({ data }) => id === this.#id && this.#worker.postMessage({ push: data }, [data.buffer]);
    source.connect(tap);
    if (audible) source.connect(new DelayNode(context, { delayTime: header.lookahead_s })).connect(context.destination);
    await context.resume();
    return () => {
      if (id === this.#id) this.#id++;
      tap.port.onmessage = null;
      if (!stream) own.getTracks().forEach((track) => track.stop());
      return context.close();
    };
  }
}

async function asked() {
  if (!navigator.mediaDevices) throw new Error("the microphone needs a secure page: https, or localhost");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, channelCount: 1 } });
  } catch (error) {
    throw new Error(error.name === "NotFoundError" ? "no microphone was found" : "the microphone was not allowed: allow it in the address bar and try again");
  }
}

async function bytesOf(recording) {
  if (recording instanceof ArrayBuffer) return recording;
  if (recording instanceof Blob) return recording.arrayBuffer();
  return bytes(new URL(recording, document.baseURI));
}

/** Mono at 16 kHz. */
async function decoded(bytes) {
  const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes).catch(() => { throw new Error("this is no sound that the browser can read"); });
  const channels = Array.from({ length: sound.numberOfChannels }, (_, c) => sound.getChannelData(c));
  if (!sound.length) throw new Error("there is no sound in it");
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

/** With room for the weights of shapes. */
function whole(row) {
  const out = new Float32Array(row.length + SHAPES);
  out.set(row);
  return out;
}
