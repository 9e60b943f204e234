// <gtalk-avatar src="me/">: a person made by gtalk, drawn here. `src` is a folder that `gtalk export --format web` wrote.
//
//   attributes  src, background ("plate", "transparent" or a colour), orbit (turn by dragging), unlabelled (the page
//               itself says that this person is generated), emotion ("happy:0.7"), gaze ("visitor" or "10,-5" degrees)
//   methods     play(url | ArrayBuffer), pause(), resume(), seek(seconds), turn(yaw, pitch, distance), show(row),
//               speak(url | Blob | ArrayBuffer), listen(stream?), hush()
//   properties  duration, currentTime, playing, captions, header, emotion, gaze, shapes ({mouthSmileLeft: 0.5})
//   events      ready, play, pause, ended, caption, emotion, listening, hushed, error

import { Emotion, weightsOf } from "./emotion.js";
import { AFTER_CODES, SHAPES, readMessage } from "./format.js";
import { Gaze, gazeOf } from "./gaze.js";
import { Hearing } from "./hearing.js";
import { bytes } from "./loading.js";
import { LEAST_DETAIL, MARKUP, Pace, WORDS, behind, turnable } from "./looks.js";
import { MAX_PITCH, MAX_YAW, orbit } from "./pose.js";
import { Renderer, readAvatar } from "./renderer.js";
import { Stage } from "./stage.js";
import { cues, rowAt } from "./timeline.js";

const BLEND_S = 0.3;  // from what it does to what it does next
const PATIENCE_MS = 1500;  // how long nothing is said of a file that is on its way
const HOLDS_UP_S = 0.12, HELD_S = 1.5;  // pictures that hold up what is to be said wait for it, so long at most each
const TOLD_MS = 8000;  // how long what was refused stays on the picture

export class GtalkAvatar extends HTMLElement {
  static observedAttributes = ["src", "background", "emotion", "gaze"];
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
    this.#root.innerHTML = MARKUP;
    this.#part("button").addEventListener("click", () => this.#sounds());
    this.#canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.renderer = this.#stage = null; this.#tell(WORDS.lost); });
    this.#canvas.addEventListener("webglcontextrestored", () => {
      this.#tell("");
      try { this.#build(); } catch (error) { this.#fail(error); }
    });
    // A call or a locked screen stops the sound: the button asks for it again.
    this.#sound.addEventListener("pause", () => { if (this.playing && !this.#sound.ended) this.#part("button").hidden = false; });
    turnable(this.#canvas, this, () => this.#view);
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
    if (name === "gaze" && now !== before) this.#look(now ?? "");
  }
  #loop; #visible;

  async #load(src) {
    const folder = new URL(src.endsWith("/") ? src : `${src}/`, document.baseURI);
    this.hush();
    this.#loads++;
    this.hearing = new Hearing(folder, this.#patience());
    const file = (name) => new URL(name, folder).href;
    this.#still(file("poster.jpg"));
    try {
      const image = new Image();
      image.crossOrigin = "anonymous";
      image.src = file("plate.jpg");
      const files = Promise.all([bytes(file("avatar.bin"), this.#patience()), bytes(file("idle.gtm")), image.decode().catch(() => { throw new Error("plate.jpg could not be loaded"); })]);
      files.catch(() => {});  // it is told below
      this.#stage ??= new Stage(this.#canvas);
      const [avatar, idle] = await files;
      [this.avatar, this.#idle] = await Promise.all([readAvatar(avatar), readMessage(idle)]);
      this.#plate = image;
      this.#build();
      this.#tell("");
      this.#emotion = this.avatar.face && new Emotion(this.avatar.face);
      this.#gaze = this.avatar.face && new Gaze(this.avatar.face);
      this.dispatchEvent(new Event("ready"));
      if (this.emotion) this.#express(this.emotion);
      if (this.gaze) this.#look(this.gaze);
    } catch (error) {
      this.#fail(error);
      if (!navigator.onLine) addEventListener("online", () => this.#load(src), { once: true });
    }
  }
  #stage = null;
  #plate;

  /** A picture until there is one that moves. */
  #still(poster) {
    const image = this.#part("img");
    image.src = poster;
    image.onerror = () => { image.hidden = true; };
    image.hidden = !(this.#canvas.hidden = true);
  }

  /** A still picture instead, and why. */
  #fail(error) {
    this.#loads++;  // what still comes is not told of
    this.renderer = null;
    this.#still(new URL("poster.jpg", new URL(`${this.getAttribute("src")}/`, document.baseURI)).href);
    this.#tell(`${error.message}. A still picture is shown.`);
    this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
  }

  /** What cannot be said or heard is told over the picture for a while; the person lives on. Throws it. */
  #refuse(error) {
    this.#tell(error.message);
    setTimeout(() => { if (this.#part(".words").textContent === error.message) this.#tell(""); }, TOLD_MS);
    this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
    throw error;
  }

  #build() {
    const { width, height } = this.header.camera;
    this.style.aspectRatio ||= `${width} / ${height}`;
    this.renderer = new Renderer(this.#canvas, this.avatar, this.#plate, (this.#stage ??= new Stage(this.#canvas)));
    this.#canvas.hidden = false;
    this.#idleFrom = performance.now();  // as on the still picture
  }
  #idleFrom = 0;

  /** Plays a message (.gtm, by address or as bytes); resolves when it has begun. Throws in words when it is another file. */
  async play(message) {
    await this.#play(await readMessage(typeof message === "string" ? await bytes(new URL(message, document.baseURI).href) : message));
  }

  /** Says a recording (WAV, MP3, ... by address or as bytes): its motion is made here. Resolves when it has begun. */
  async speak(recording, captions = "") {
    this.hush();
    this.#asked++;
    try {
      await this.#play(await this.hearing.message(recording, captions).catch((error) => this.#refuse(error)));
    } finally {
      this.#asked--;
    }
  }

  #asked = 0;  // recordings that are being understood
  #slow = false;

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
      this.#refuse(error);
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
  turn(yaw, pitch = 0, distance = 1) {
    const within = (value, most) => Math.max(-most, Math.min(most, value));
    this.#view = { yaw: within(yaw, MAX_YAW), pitch: within(pitch, MAX_PITCH), distance };
  }

  /** Shows one frame of numbers until something plays: for streams of motion that the page has from elsewhere. */
  show(row) { this.#live = row && padded(row, this.header.codes + AFTER_CODES + SHAPES); }
  #live = null;

  /** What the face expresses over all that it does: "happy:0.7", mixtures, shapes; see docs/guides/direction.md. */
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

  /** Where the eyes turn beside what they do by themselves: "visitor" follows who looks from aside, "10,-5" are degrees. */
  get gaze() { return this.getAttribute("gaze") ?? ""; }
  set gaze(text) { this.setAttribute("gaze", text); }
  #gaze = null;

  #look(text) {
    if (!this.avatar) return;
    try {
      if (!this.#gaze) throw new Error("this avatar's gaze cannot be turned: it was fitted without its face's mesh");
      this.#gaze.asked = gazeOf(text);
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
    if (!renderer || renderer.busy) return;
    const now = performance.now(), seconds = (now - this.#drawn) / 1000;
    if (this.#asked && this.#slow && seconds < HELD_S) return;
    if (!this.#asked) this.#slow = seconds > HOLDS_UP_S;
    this.#drawn = now;
    this.#pace.picture(seconds);
    const scale = devicePixelRatio * (this.drawTimes.length ? this.#pace.detail : LEAST_DETAIL), { clientWidth, clientHeight } = this.#canvas, { width, height } = this.header.camera;
    const shown = Math.min(clientWidth / width, clientHeight / height) * scale;
    const wide = Math.max(16, Math.round(width * shown)), high = Math.max(16, Math.round(height * shown));
    if (this.#canvas.width !== wide || this.#canvas.height !== high) Object.assign(this.#canvas, { width: wide, height: high });
    this.#shown = this.#blended(this.#now());
    const { yaw, pitch, distance } = this.#view, { pivot_m, up } = this.header;
    const looking = this.#gaze ? this.#gaze.over(this.#shown, this.#view, seconds) : this.#shown;
    const row = this.#emotion ? this.#emotion.over(looking, this.header.codes, seconds) : looking;
    try {
      this.drawTimes.push(renderer.draw(row, { T_new_own: orbit(yaw, pitch, distance, pivot_m, up), background: behind(this.getAttribute("background")) }));
    } catch (error) {
      this.#fail(error);
    }
    this.#part("img").hidden = !this.#canvas.hidden;
    if (this.drawTimes.length > 600) this.drawTimes.splice(0, 300);
  }

  #drawn = 0;
  #pace = new Pace();

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
    const length = (this.#idle.frames - 1) / this.#idle.fps, at = ((performance.now() - this.#idleFrom) / 1000) % (2 * length);
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

  #loads = 0;

  /** Says of a file how far it has come, once that takes longer than nobody minds. */
  #patience() {
    const own = this.#loads;
    let begun = null;
    return (share) => {
      if (own !== this.#loads) return;
      begun ??= performance.now();
      if (share < 1 && performance.now() - begun > PATIENCE_MS) this.#tell(`Loading: ${Math.floor(100 * share)} %`);
      if (share === 1) this.#tell("");
    };
  }

  #tell(words) { Object.assign(this.#part(".words"), { textContent: words, hidden: !words }); }
}

/** A row with weights of shapes behind it, whether it had them or not. */
function padded(row, length) {
  const out = new Float32Array(length);
  out.set(row);
  return out;
}

if (!customElements.get("gtalk-avatar")) customElements.define("gtalk-avatar", GtalkAvatar);
