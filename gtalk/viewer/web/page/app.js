// The page: buttons, numbers and traces around the worker that shows the avatar (media.js).

import { Rtc } from "./rtc.js";
import { Sound } from "./sound.js";
import { Timeline } from "./timeline.js";
import { Traces } from "./traces.js";

const $ = (id) => document.getElementById(id);
const here = new URL("./", location.href);
const worker = new Worker("media.js");
const sound = new Sound(worker);
const traces = new Traces($("trace"));
const timeline = new Timeline($, (message) => command(message), notice);
const asks = new URLSearchParams(location.search), wantsRtc = asks.has("rtc");
// /face shows the face and nothing else, for OBS and kiosks; ?alpha=1 without the room behind it.
const bare = location.pathname.endsWith("/face"), clear = bare && asks.has("alpha");
document.documentElement.classList.toggle("bare", bare);
document.documentElement.classList.toggle("clear", clear);
// Browser tests and benchmarks read this.
const state = { shown: 0, passed: 0, skew: [], latency: [], stats: null, past: [], notice: "", level: 0, connected: false, drawn: "server", log: null, sound, worker, speak, command, timeline };
window.gtalk = state;

function command(message) { worker.postMessage({ command: message }); }

function notice(text) {
  state.notice = text;
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

const told = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const keep = (values, value, most) => { values.push(value); if (values.length > most) values.shift(); };

function shown(frame) {
  state.shown++;
  if (frame.latency !== null) keep(state.latency, frame.latency, 250);
  if (frame.skew !== null) keep(state.skew, frame.skew, 100);
  if (state.log) state.log.push([frame.at, frame.time, frame.latency, frame.skew, frame.aperture, frame.at - frame.arrived, ...frame.wave.map(([low, high]) => Math.max(high, -low))]);
  traces.add(frame);
  timeline.shown(frame);
}

function fromServer(message) {
  if (message.stats) {
    state.stats = message.stats;
    keep(state.past, message.stats, 11); // the last ten seconds
  }
  if (message.hello) welcome(message.hello);
  if (message.notice) notice(message.notice);
  if (message.muted) hush();
  if (message.stage) timeline.told(message.stage);
  if ("recording" in message) showRecording(message.recording);
  if (message.recorded) download();
}

// Picture and sound by WebRTC, the rest by the socket; by the socket alone where that cannot be.
async function openRtc() {
  const video = $("video"), count = () => { state.shown++; video.requestVideoFrameCallback?.(count); };
  try {
    state.rtc ??= await Rtc.open(video, notice);
    await state.rtc.arrived;
    video.hidden = false;
    if (state.drawn !== "WebRTC") count();
    state.drawn = "WebRTC";
    worker.postMessage({ apart: true });
    showSound(sound.running);
  } catch (error) {
    notice(`No WebRTC: ${error.message}`);
  }
}

function welcome({ voices, mic, label, cast, ears }) {
  state.ears = ears;
  if (cast.length) { // several faces: who is to say it stands before it
    $("voice").hidden = true;
    $("words").title = `NAME: words, of ${cast.join(", ")}; several one after the other`;
    if (!state.cast) $("words").value = cast.map((name, i) => `${name}: ${i ? "It is good to be here." : "Hello, and welcome."}`).join(" ");
    state.cast = cast;
  }
  if (wantsRtc) openRtc();
  $("label").hidden = label === false;
  $("voice").replaceChildren(...voices.map((name) => new Option(name)));
  $("mic").disabled = !mic;
}

worker.onmessage = ({ data }) => {
  if (data.shown) { shown(data.shown); state.underruns = data.underruns; state.skips = data.skips; }
  else if (data.traced) { traces.add(data.traced); timeline.shown(data.traced); }
  else if (data.passed) state.passed += data.passed;
  else if (data.level !== undefined) state.level = data.level;
  else if (data.server) fromServer(data.server);
  else if (data.drawn) Object.assign(state, { drawn: data.drawn, drawMs: data.ms, why: data.why });
  else if ("connected" in data) {
    state.connected = data.connected;
    if (data.never > 1) whyRefused();
    if (data.reason) notice(`The server closed the connection: ${data.reason}`);
    else if (data.connected && state.notice.startsWith("The server")) notice("");
  }
};

// Numbers, once a second.
let shownBefore = 0, toldAt = performance.now();
function tell() {
  const now = performance.now(), fps = ((state.shown - shownBefore) * 1000) / (now - toldAt);
  [shownBefore, toldAt] = [state.shown, now];
  sound.tell();
  const s = state.stats;
  const status = state.connected ? (s && s.speaking ? s.speaking : "listening") : "connection lost, trying again";
  $("status").dataset.state = state.connected ? "live" : "lost";
  $("status-text").textContent = status;
  $("n-fps").textContent = fps.toFixed(1);
  if (!sound.microphone) state.latency.length = 0;
  $("n-latency").textContent = state.latency.length ? `${told(state.latency, 0.5).toFixed(0)} / ${told(state.latency, 0.95).toFixed(0)} ms` : "–";
  if (state.skew.length) {
    const median = told(state.skew, 0.5);
    $("n-skew").textContent = `${median > 0 ? "+" : ""}${median.toFixed(0)} ms`;
    command({ do: "skew", ms: median });
  }
  if (s) {
    const [before] = state.past, dropped = s.dropped - before.dropped;
    $("n-late").textContent = `${((100 * dropped) / Math.max(1, s.drawn - before.drawn + dropped)).toFixed(1)} %`;
    $("n-queue").textContent = `${s.buffered_s.toFixed(2)} s + ${s.decided}`;
    $("n-memory").textContent = `${s.memory_mb.toFixed(0)} MB`;
    $("n-viewers").textContent = s.listeners;
  }
}

function meter() {
  requestAnimationFrame(meter);
  $("level").style.width = sound.microphone ? `${Math.min(100, state.level * 350)}%` : "0";
}

function label(button, on, text) {
  button.classList.toggle("on", on);
  button.querySelector(".label").textContent = text;
}

async function speak() {
  if (sound.microphone) return hush();
  notice("");
  try {
    await sound.listen($("device").value, () => { notice("The microphone was unplugged."); hush(); }, state.ears);
    await state.rtc?.speak(sound.microphone.track);
    label($("mic"), true, "Mute");
    listDevices();
  } catch (error) {
    notice(sound.why(error));
  }
}

function hush() {
  state.rtc?.speak(null);
  sound.hush();
  state.level = 0;
  label($("mic"), false, "Speak");
}

async function listDevices() {
  if (!navigator.mediaDevices) return;
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "audioinput" && d.deviceId);
  const chosen = $("device").value;
  $("device").replaceChildren(...devices.map((d, i) => new Option(d.label || `microphone ${i + 1}`, d.deviceId, false, d.deviceId === chosen)));
  $("device").hidden = devices.length < 2;
}

function showRecording(on) { label($("record"), on, on ? "Save" : "Record"); state.recording = on; }

function download() {
  const link = document.createElement("a");
  link.href = new URL("recording.mp4", here);
  link.download = "gtalk.mp4";
  link.click();
}

function toggleSettings() {
  const panel = $("panel"), open = panel.hidden;
  panel.hidden = !open;
  $("settings").setAttribute("aria-expanded", open);
  if (open && !panel.querySelector("iframe")) {
    const frame = document.createElement("iframe");
    frame.title = "settings";
    frame.src = new URL("viser/", here);
    // Only viser's controls are wanted here: they fill the panel, its empty scene and its notes stay away.
    frame.onload = () => {
      const style = frame.contentDocument.createElement("style");
      style.textContent = `canvas, .mantine-Notifications-root { display: none !important; }
        .mantine-Paper-root:has(.mantine-ScrollArea-root) { position: fixed !important; inset: 0 !important; width: 100% !important;
          height: 100% !important; max-width: none !important; max-height: none !important; background: #16191f !important; box-shadow: none !important; }
        .mantine-ScrollArea-content, .mantine-ScrollArea-content > div { width: 100% !important; min-width: 0 !important; }`;
      frame.contentDocument.head.append(style);
    };
    panel.append(frame);
  }
}

// Orbit: a drag turns, two fingers or the wheel come closer, a double tap goes back to the front.
const view = { yaw: 0, pitch: 0, distance: 1 };
const fingers = new Map();
let turning = 0;
function look() {
  const clamp = (value, most) => Math.max(-most, Math.min(most, value));
  view.yaw = clamp(view.yaw, Math.PI / 6);
  view.pitch = clamp(view.pitch, Math.PI / 9);
  view.distance = Math.max(0.6, Math.min(2, view.distance));
  worker.postMessage({ look: { ...view } }); // where it draws by itself, that is all it takes
  turning ||= setTimeout(() => { turning = 0; command({ do: "orbit", ...view }); }, 40); // one a picture is enough
}
const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
const face = $("face");
face.onpointerdown = (event) => { face.setPointerCapture(event.pointerId); fingers.set(event.pointerId, { x: event.clientX, y: event.clientY }); };
face.onpointerup = face.onpointercancel = (event) => fingers.delete(event.pointerId);
face.onpointermove = (event) => {
  const last = fingers.get(event.pointerId);
  if (!last) return;
  const before = fingers.size === 2 ? spread() : 0;
  view.yaw -= fingers.size === 1 ? (event.clientX - last.x) * 0.004 : 0;
  view.pitch += fingers.size === 1 ? (event.clientY - last.y) * 0.004 : 0;
  [last.x, last.y] = [event.clientX, event.clientY];
  if (before) view.distance *= before / Math.max(1, spread());
  look();
};
face.ondblclick = () => { Object.assign(view, { yaw: 0, pitch: 0, distance: 1 }); look(); };
face.addEventListener("wheel", (event) => { event.preventDefault(); view.distance *= Math.exp(event.deltaY * 0.001); look(); }, { passive: false });

$("mic").onclick = speak;
$("stop").onclick = () => command({ do: "stop" });
$("mute").onclick = () => {
  if (sound.running && !sound.woke) sound.toggle();
  else sound.start().catch((error) => notice(sound.why(error))); // it was asleep: this touch is to wake it, not to mute it
  sound.woke = false;
  showSound(sound.running);
};
$("unmute").onclick = () => sound.start().catch((error) => notice(sound.why(error)));
function showSound(running) {
  const on = !sound.gain || sound.gain.gain.value > 0;
  $("mute").classList.toggle("off", !on || !running);
  $("mute").querySelector(".label").textContent = on ? "Sound on" : "Sound off";
  $("video").muted = !on || !running; // browsers play a silent one without a touch
  $("unmute").hidden = running || !sound.context || !on;
}
sound.onstate = showSound;
$("record").onclick = () => command({ do: "record", on: !state.recording });
$("device").onchange = async () => { if (sound.microphone) { hush(); await speak(); } };
$("text").onsubmit = async (event) => {
  event.preventDefault();
  await sound.start();
  if ($("words").value.trim()) command({ do: "say", text: $("words").value, voice: $("voice").value });
  $("words").blur();
};
$("director").onclick = () => {
  const open = $("timeline").hidden;
  $("timeline").hidden = !open;
  $("director").setAttribute("aria-expanded", open);
  timeline.draw();
};
$("settings").onclick = $("close").onclick = toggleSettings;
// Beside this page, which may lie below a path of a proxy's.
const home = new URL(here.pathname.replace(/\/s\/[^/]+\/$/, "/"), location.href);
$("fresh").href = new URL(`s/${Math.random().toString(36).slice(2, 8)}/`, home);
$("session").textContent = (location.pathname.match(/\/s\/([^/]+)/) || ["", ""])[1];
for (const touch of ["pointerdown", "keydown"]) document.addEventListener(touch, () => sound.touch(), true);
sound.start().catch(() => {}); // where no touch is needed (OBS, kiosks) there may be nobody to touch it
if (navigator.mediaDevices) navigator.mediaDevices.ondevicechange = listDevices;

history.replaceState(null, "", location.pathname); // the token need not stay in the address: a cookie has it
const socket = new URL("media", here);
socket.searchParams.set("key", document.querySelector("meta[name=gtalk-key]").content);
async function whyRefused() {
  const question = new URL("media", here);
  question.searchParams.set("origin", location.origin);
  question.searchParams.set("key", socket.searchParams.get("key"));
  const answer = await fetch(question).catch(() => null);
  if (answer && answer.ok && !state.connected) notice(`The server cannot be reached through its socket. ${await answer.text()}`);
}
socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
if (face.transferControlToOffscreen) {
  const canvas = face.transferControlToOffscreen();
  worker.postMessage({ open: socket.href, canvas, clear }, [canvas]);
  new ResizeObserver(() => worker.postMessage({ height: Math.max(256, Math.min(1024, Math.round(face.clientHeight * devicePixelRatio))) })).observe(face);
} else notice("This browser is too old to show the avatar: Chrome 69, Firefox 105 or Safari 16.4 can.");
if (!bare && matchMedia("(min-width: 1180px)").matches) toggleSettings();
setInterval(tell, 1000);
listDevices();
meter();
