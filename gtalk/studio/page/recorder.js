// Records one stretch of a part in numbered pieces, each into the outbox as it comes.

import { outbox } from './store.js';

const KINDS = ['video/webm;codecs=vp8,opus', 'video/webm', 'video/mp4'];
const BITS = { videoBitsPerSecond: 8_000_000, audioBitsPerSecond: 128_000 };
const ASLEEP_MS = 5000, TICK_MS = 500;

export class Stretch extends EventTarget {
  state = 'ready';
  seconds = 0;
  #number = 0;
  #tick = null;
  #seen = 0;

  // `take`: folder's name; `part`; `stretch`: its number, free on the server; `fresh`: earlier stretches make way.
  constructor(stream, { take, part, stretch, fresh, pieceS }) {
    super();
    const type = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    const suffix = type?.startsWith('video/mp4') ? 'mp4' : 'webm';
    this.path = `api/takes/${take}/${part}/${stretch}.${suffix}`;
    Object.assign(this, { part, stretch, fresh, pieceS, labels: [] });
    this.recorder = new MediaRecorder(stream, { mimeType: type, ...BITS });
    this.recorder.ondataavailable = ({ data }) => {
      if (data.size) outbox.put({ path: this.path, number: this.#number++, blob: data });
    };
    this.recorder.onerror = () => this.stop();
    this.recorder.onstop = () => this.#close();
  }

  start() {
    this.recorder.start(1000 * this.pieceS);
    this.state = 'recording';
    this.#seen = Date.now();
    this.#tick = setInterval(() => this.#look(), TICK_MS);
  }

  pause() { if (this.state === 'recording') { this.recorder.pause(); this.state = 'paused'; } }
  resume() { if (this.state === 'paused') { this.recorder.resume(); this.state = 'recording'; this.#seen = Date.now(); } }
  stop() { if (this.recorder.state !== 'inactive') this.recorder.stop(); }

  // A device that was asleep wakes up in the middle of a stretch: it ends there, so that no hole is in it.
  #look() {
    const gone = Date.now() - this.#seen;
    this.#seen = Date.now();
    if (this.state !== 'recording') return;
    if (gone > ASLEEP_MS) {
      this.dispatchEvent(new CustomEvent('asleep', { detail: gone / 1000 }));
      this.stop();
    } else { this.seconds += gone / 1000; }
  }

  #close() {
    clearInterval(this.#tick);
    this.state = 'stopped';
    if (this.#number) {
      outbox.put({ path: this.path, close: { count: this.#number, seconds: this.seconds, fresh: this.fresh, labels: this.labels } });
    }
    this.dispatchEvent(new Event('stop'));
  }
}

// A file of the visitor's, in the same pieces; `onshare` is told how much has been put.
export async function sendFile(file, { take, stretch, pieceBytes, onshare }) {
  const suffix = (file.name.split('.').pop() || 'mp4').toLowerCase().replace(/[^a-z0-9]/g, '').slice(0, 4).padEnd(2, '0');
  const path = `api/takes/${take}/upload/${stretch}.${suffix}`;
  const count = Math.ceil(file.size / pieceBytes);
  for (let number = 0; number < count; number += 1) {
    await outbox.put({ path, number, blob: file.slice(number * pieceBytes, (number + 1) * pieceBytes) });
    while (outbox.waiting > 2 && !outbox.trouble) await new Promise((done) => setTimeout(done, 50));
    onshare((number + 1) / count);
  }
  await outbox.put({ path, close: { count, seconds: 0, fresh: true } });
  return path;
}
