// <gtalk-avatar src="me/">: a person made by gtalk, drawn here. `src` is a folder that `gtalk export --format web` wrote.
//
//   attributes  src, background ("plate", "transparent" or a colour), orbit (turn by dragging), unlabelled (the page
//               itself says that this person is generated), emotion ("happy:0.7")
//   methods     play(url | ArrayBuffer), pause(), resume(), seek(seconds), turn(yaw, pitch, distance), show(row),
//               speak(url | Blob | ArrayBuffer), listen(stream?), hush()
//   properties  duration, currentTime, playing, captions, header, emotion, shapes ({mouthSmileLeft: 0.5})
//   events      ready, play, pause, ended, caption, emotion, listening, hushed, error

import { Emotion, weightsOf } from "./emotion.js";
import { AFTER_CODES, SHAPES, readMessage } from "./format.js";
import { Hearing } from "./hearing.js";
import { orbit } from "./pose.js";
import { Renderer, readAvatar } from "./renderer.js";

const BLEND_S = 0.3;  // from what it does to what it does next
const WORDS = { generated: "AI generated", tap: "Tap for sound", lost: "The picture was lost; it comes back." };
const STYLE = `
:host { display: block; position: relative; overflow: hidden; }
canvas, img { display: block; width: 100%; height: 100%; object-fit: contain; touch-action: pan-y; }
.label, .words, button { position: absolute; font: 12px/1.4 system-ui, sans-serif; color: #fff; background: #0009; border: 0; border-radius: 4px; padding: 2px 8px; }
.label { left: 8px; bottom: 8px; } .words { left: 8px; right: 8px; top: 8px; } button { right: 8px; bottom: 8px; padding: 6px 12px; cursor: pointer; }
[hidden] { display: none; }`;

export class GtalkAvatar extends HTMLElement {
  static observedAttributes = ["src", "background", "emotion"];
  #root = this.attachShadow({ mode: "open" });
  #view = { yaw: 0, pitch: 0, distance: 1 };
  #idle = null;
  #message = null;
  #sound = new Audio();
  #clock = { begun: 0, at: 0, running: false };
  #from = null;  // what was shown when the message changed
  #shown = null;
  #said = -1;
  /** Milliseconds of the processor that the last pictures took. */
  drawTimes = [];

  constructor() {
    super();
    this.#root.innerHTML = `<style>${STYLE}</style><canvas part="canvas"></canvas><img alt="" hidden>
      <span class="label" part="label">${WORDS.generated}</span><span class="words" role="status" hidden></span>
      <button hidden>${WORDS.tap}</button>`;
    this.#part("button").addEventListener("click", () => this.#sounds());
    this.#canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.renderer = null; this.#tell(WORDS.lost); });
    this.#canvas.addEventListener("webglcontextrestored", () => {
      this.#tell("");
      try { this.#build(); } catch (error) { this.#fail(error); }
    });
    // A call or a locked screen stops the sound: the button asks for it again.
    this.#sound.addEventListener("pause", () => { if (this.playing && !this.#sound.ended) this.#part("button").hidden = false; });
    this.#drag();
  }

  get #canvas() { return this.#part("canvas"); }
  #part(name) { return this.#root.querySelector(name); }
  get header() { return this.avatar?.header; }
  get playing() { return this.#clock.running; }
  get duration() { return this.#message ? this.#message.frames / this.#message.fps : 0; }
  get captions() { return this.#message?.captions ?? ""; }
  get currentTime() {
    if (!this.#clock.running) return this.#clock.at;
    // A sound that plays is the clock; pictures follow it.
    if (this.#message?.sound && !this.#sound.paused) return this.#sound.currentTime;
    return this.#clock.at + (performance.now() - this.#clock.begun) / 1000;
  }

  connectedCallback() {
    this.#part(".label").hidden = this.hasAttribute("unlabelled");
    this.#visible = new IntersectionObserver(([entry]) => { this.inView = entry.isIntersecting; });
    this.#visible.observe(this);
    this.inView = true;
    const tick = () => { this.#loop = requestAnimationFrame(tick); if (this.inView) this.#draw(); };
    this.#loop = requestAnimationFrame(tick);
  }
  disconnectedCallback() { cancelAnimationFrame(this.#loop); this.#visible.disconnect(); this.#sound.pause(); this.hush(); }
  attributeChangedCallback(name, before, now) {
    if (name === "src" && now && now !== before) this.#load(now);
    if (name === "emotion" && now !== before) this.#express(now ?? "");
  }
  #loop; #visible;

  async #load(src) {
    const folder = new URL(src.endsWith("/") ? src : `${src}/`, document.baseURI);
    this.hush();
    this.hearing = new Hearing(folder);
    const file = (name) => new URL(name, folder).href;
    try {
      const image = new Image();
      image.src = file("plate.jpg");
      image.crossOrigin = "anonymous";
      const [avatar, idle] = await Promise.all([bytes(file("avatar.bin")), bytes(file("idle.gtm")), image.decode().catch(() => { throw new Error("plate.jpg could not be loaded"); })]);
      [this.avatar, this.#idle] = await Promise.all([readAvatar(avatar), readMessage(idle)]);
      this.#plate = image;
      this.#build();
      this.#emotion = this.avatar.face && new Emotion(this.avatar.face);
      this.dispatchEvent(new Event("ready"));
      if (this.emotion) this.#express(this.emotion);
    } catch (error) {
      this.#fail(error);
    }
  }
  #plate;

  /** A still picture instead, and why. */
  #fail(error) {
    this.renderer = null;
    this.#part("img").src = new URL("poster.jpg", new URL(`${this.getAttribute("src")}/`, document.baseURI)).href;
    this.#part("img").hidden = !(this.#canvas.hidden = true);
    this.#tell(`${error.message}. A still picture is shown.`);
    this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
  }

  #build() {
    const { width, height } = this.header.camera;
    this.style.aspectRatio ||= `${width} / ${height}`;
    this.renderer = new Renderer(this.#canvas, this.avatar, this.#plate);
  }

  /** Plays a message (.gtm, by address or as bytes); resolves when it has begun. Throws in words when it is another file. */
  async play(message) {
    await this.#play(await readMessage(typeof message === "string" ? await bytes(new URL(message, document.baseURI).href) : message));
  }

  /** Says a recording (WAV, MP3, ... by address or as bytes): its motion is made here. Resolves when it has begun. */
  async speak(recording, captions = "") {
    this.hush();
    await this.#play(await this.hearing.message(recording, captions));
  }

  /** Moves with a MediaStream's sound, or the visitor's microphone, until hush(). `audible`: it is heard too, in time. */
  async listen(stream = null, { audible = false } = {}) {
    this.hush();
    this.pause();
    const mine = (this.#listening = { stop: null });
    try {
      const stop = await this.hearing.listen(stream, (row) => { if (this.#listening === mine) this.#rowHeard(row); }, { audible });
      if (this.#listening !== mine) return void stop();
      mine.stop = stop;
      this.dispatchEvent(new Event("listening"));
    } catch (error) {
      this.hush();
      throw error;
    }
  }

  hush() {
    const mine = this.#listening;
    this.#listening = null;
    mine?.stop?.();
    if (!mine) return;
    this.#from = this.#shown && { row: this.#shown, at: performance.now() };
    this.#live = null;
    this.dispatchEvent(new Event("hushed"));
  }
  #listening = null;

  #rowHeard(row) {
    if (!this.#live && this.#shown) this.#from = { row: this.#shown, at: performance.now() };
    this.#live = row;
  }

  async #play(next) {
    if (this.header && next.row(0).length !== this.header.codes + AFTER_CODES + SHAPES) throw new Error("this message was made for another avatar");
    this.pause();
    this.#from = this.#shown && { row: this.#shown, at: performance.now() };
    this.#message = next;
    this.#clock = { begun: 0, at: 0, running: false };
    this.#said = -1;
    this.#cues = null;
    if (this.#sound.src) URL.revokeObjectURL(this.#sound.src);
    this.#sound.removeAttribute("src");
    if (next.sound) this.#sound.src = URL.createObjectURL(next.sound);
    await this.resume();
  }

  async resume() {
    if (!this.#message || this.playing) return;
    this.#clock = { begun: performance.now(), at: this.#clock.at, running: true };
    this.dispatchEvent(new Event("play"));
    if (this.#message.sound) await this.#sounds();
  }

  pause() {
    if (!this.playing) return;
    this.#clock = { begun: 0, at: this.currentTime, running: false };
    this.#sound.pause();
    this.dispatchEvent(new Event("pause"));
  }

  seek(seconds) {
    const at = Math.max(0, Math.min(this.duration, seconds));
    this.#clock = { ...this.#clock, at, begun: performance.now() };
    if (this.#message?.sound) this.#sound.currentTime = at;
  }

  /** Looks at the person from aside: radians, and times the clip's distance. */
  turn(yaw, pitch = 0, distance = 1) { this.#view = { yaw, pitch, distance }; }

  /** Shows one frame of numbers until something plays: for streams of motion that the page has from elsewhere. */
  show(row) { this.#live = row && padded(row, this.header.codes + AFTER_CODES + SHAPES); }
  #live = null;

  /** What the face expresses over all that it does: "happy:0.7", mixtures, shapes; see docs/direction.md. */
  get emotion() { return this.getAttribute("emotion") ?? ""; }
  set emotion(text) { this.setAttribute("emotion", text); }
  /** Weights of ARKit's shapes by name, instead of an emotion. */
  get shapes() { return Object.fromEntries([...(this.#emotion?.target ?? [])].map((w, e) => [this.header.expression.shapes[e], w]).filter(([, w]) => w)); }
  set shapes(weights) { this.emotion = Object.entries(weights).map(([name, weight]) => `${name}:${weight}`).join("+"); }
  #emotion = null;

  #express(text) {
    if (!this.avatar) return;  // it is obeyed when the avatar is there
    try {
      if (!this.#emotion) throw new Error("this avatar knows no expressions: it was fitted without its face's mesh");
      this.#emotion.target = weightsOf(text, this.header.expression);
      this.dispatchEvent(new CustomEvent("emotion", { detail: text }));
    } catch (error) {
      this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
    }
  }

  /** A browser that lets no page sound by itself says so, and the button asks for the touch that it wants. */
  async #sounds() {
    this.#sound.currentTime = this.#clock.at = this.currentTime;
    this.#clock.begun = performance.now();
    try {
      await this.#sound.play();
      this.#part("button").hidden = true;
    } catch {
      this.#part("button").hidden = !this.playing;
    }
  }

  #draw() {
    const renderer = this.renderer;
    if (!renderer) return;
    const scale = devicePixelRatio, { clientWidth, clientHeight } = this.#canvas, { width, height } = this.header.camera;
    const shown = Math.min(clientWidth / width, clientHeight / height) * scale;
    const wide = Math.max(16, Math.round(width * shown)), high = Math.max(16, Math.round(height * shown));
    if (this.#canvas.width !== wide || this.#canvas.height !== high) Object.assign(this.#canvas, { width: wide, height: high });
    const now = performance.now(), seconds = (now - this.#drawn) / 1000;
    this.#drawn = now;
    this.#shown = this.#blended(this.#now());
    const row = this.#emotion ? this.#emotion.over(this.#shown, this.header.codes, seconds) : this.#shown;
    const { yaw, pitch, distance } = this.#view, { pivot_m, up } = this.header;
    try {
      this.drawTimes.push(renderer.draw(row, { T_new_own: orbit(yaw, pitch, distance, pivot_m, up), background: this.#behind() }));
    } catch (error) {
      this.#fail(error);
    }
    if (this.drawTimes.length > 600) this.drawTimes.splice(0, 300);
  }

  #drawn = 0;

  /** The numbers of now: of what plays, of what was shown from outside, or of a person at rest. */
  #now() {
    if (this.#message && (this.playing || this.#clock.at > 0)) {
      const at = this.currentTime;
      this.#caption(at);
      if (at < this.duration || !this.playing) return rowAt(this.#message, at);
      this.#from = { row: this.#shown, at: performance.now() };
      this.#clock = { begun: 0, at: 0, running: false };
      this.#sound.pause();
      this.dispatchEvent(new Event("ended"));
    }
    if (this.#live) return this.#live;
    // There and back: a person at rest may be seen backwards, and so has no seam.
    const length = (this.#idle.frames - 1) / this.#idle.fps, at = (performance.now() / 1000) % (2 * length);
    return rowAt(this.#idle, at < length ? at : 2 * length - at);
  }

  #blended(row) {
    if (!this.#from) return row;
    const share = (performance.now() - this.#from.at) / 1000 / BLEND_S;
    if (share >= 1) { this.#from = null; return row; }
    const smooth = share * share * (3 - 2 * share), before = this.#from.row;
    return row.map((value, i) => before[i] + smooth * (value - before[i]));
  }

  #caption(at) {
    this.#cues ??= cues(this.captions);
    const index = this.#cues.findIndex(({ start, end }) => start <= at && at < end);
    if (index !== this.#said) {
      this.#said = index;
      this.dispatchEvent(new CustomEvent("caption", { detail: this.#cues[index]?.text ?? "" }));
    }
  }
  #cues = null;

  #behind() {
    const asked = this.getAttribute("background") || "plate";
    if (asked === "plate") return "plate";
    if (asked === "transparent") return null;
    const probe = new OffscreenCanvas(1, 1).getContext("2d");
    probe.fillStyle = asked;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((v) => v / 255);
  }

  #drag() {
    let from = null;
    this.#canvas.addEventListener("pointerdown", (event) => {
      if (!this.hasAttribute("orbit")) return;
      from = { x: event.clientX, y: event.clientY, ...this.#view };
      this.#canvas.setPointerCapture(event.pointerId);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (from) this.turn(from.yaw - (event.clientX - from.x) / 400, from.pitch + (event.clientY - from.y) / 400, from.distance);
    });
    for (const name of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(name, () => { from = null; });
  }

  #tell(words) { Object.assign(this.#part(".words"), { textContent: words, hidden: !words }); }
}

/** A row with weights of shapes behind it, whether it had them or not. */
function padded(row, length) {
  const out = new Float32Array(length);
  out.set(row);
  return out;
}

/** Between two frames what lies between. */
function rowAt(message, seconds) {
  const at = Math.max(0, Math.min(message.frames - 1, seconds * message.fps)), first = Math.floor(at), share = at - first;
  const a = message.row(first);
  if (share === 0) return a;
  const b = message.row(first + 1);
  return a.map((value, i) => value + share * (b[i] - value));
}

/** Cues of a WebVTT text. */
function cues(text) {
  const seconds = (clock) => clock.split(":").reduce((sum, part) => 60 * sum + parseFloat(part.replace(",", ".")), 0);
  return text.split(/\n\s*\n/).flatMap((block) => {
    const lines = block.split("\n"), at = lines.findIndex((line) => line.includes("-->"));
    if (at < 0) return [];
    const [start, end] = lines[at].split("-->").map((part) => seconds(part.trim().split(" ")[0]));
    return [{ start, end, text: lines.slice(at + 1).join("\n") }];
  });
}

async function bytes(url) {
  const answer = await fetch(url).catch(() => { throw new Error(`${url} could not be loaded: no connection`); });
  if (!answer.ok) throw new Error(`${url} could not be loaded (${answer.status})`);
  return answer.arrayBuffer();
}

if (!customElements.get("gtalk-avatar")) customElements.define("gtalk-avatar", GtalkAvatar);
