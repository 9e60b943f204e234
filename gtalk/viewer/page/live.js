// The page: draws the pictures when their sound is heard, sends the microphone, shows what is going on.
"use strict";

const $ = (id) => document.getElementById(id);
const face = $("face").getContext("2d");
const trace = $("trace").getContext("2d");
const state = { socket: null, frames: [], context: null, player: null, clock: null, gain: null, mic: null, skew: [], shown: 0, level: 0, stats: null, notice: "" };
window.gtalk = state; // browser tests read it

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/media`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { state.notice = ""; if (state.mic) socket.send(JSON.stringify({ do: "mic" })); };
  socket.onclose = () => { state.notice = "connection lost, trying again"; setTimeout(connect, 1000); };
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.stats) state.stats = message.stats;
      if (message.notice) state.notice = message.notice;
      return;
    }
    take(new DataView(data), data);
  };
  state.socket = socket;
}

async function take(view, buffer) {
  const time = view.getFloat64(1, true), audible = view.getUint8(9) === 1, size = view.getUint32(10, true);
  const samples = new Float32Array((buffer.byteLength - 14 - size) / 2);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(14 + size + 2 * i, true) / 32768;
  if (state.player) state.player.port.postMessage({ time, audible, samples });
  let sum = 0;
  for (const value of samples) sum += value * value;
  const rms = Math.sqrt(sum / Math.max(1, samples.length));
  if (!size) return;
  const picture = await createImageBitmap(new Blob([new Uint8Array(buffer, 14, size)], { type: "image/jpeg" }));
  state.frames.push({ time, picture, rms, audible });
  if (state.frames.length > 12) state.frames.shift().picture.close();
}

// The media time that is being heard now; without sound (not started, or the visitor's own voice) the newest
// picture is shown at once.
function heardTime() {
  if (!state.clock || !state.context || state.context.state !== "running") return null;
  const latency = state.context.outputLatency || state.context.baseLatency || 0;
  return state.clock.time + (state.context.currentTime - state.clock.at) - latency;
}

function draw() {
  requestAnimationFrame(draw);
  const newest = state.frames[state.frames.length - 1];
  if (!newest) return;
  const heard = heardTime();
  const due = heard === null || !newest.audible ? state.frames.length : state.frames.filter((f) => f.time <= heard).length;
  if (!due) return;
  const frame = state.frames[due - 1];
  for (const old of state.frames.splice(0, due)) if (old !== frame) old.picture.close();
  const canvas = $("face");
  if (canvas.width !== frame.picture.width || canvas.height !== frame.picture.height) {
    canvas.width = frame.picture.width; canvas.height = frame.picture.height;
  }
  face.drawImage(frame.picture, 0, 0);
  frame.picture.close();
  state.shown++;
  if (heard !== null && frame.audible) {
    state.skew.push((heard - frame.time) * 1000);
    if (state.skew.length > 100) state.skew.shift();
  }
  paintTrace(frame);
}

function paintTrace(frame) {
  const { width, height } = trace.canvas;
  trace.drawImage(trace.canvas, -2, 0);
  trace.fillStyle = "#16181c";
  trace.fillRect(width - 2, 0, 2, height);
  trace.fillStyle = "#5b8cff";
  const bar = Math.min(1, frame.rms * 6) * height;
  trace.fillRect(width - 2, (height - bar) / 2, 2, Math.max(1, bar));
}

function tell() {
  const s = state.stats;
  const lines = [];
  if (state.notice) lines.push(state.notice);
  if (s) lines.push(`${s.fps.toFixed(1)} fps   latency ${s.latency_p50_ms.toFixed(0)} / ${s.latency_p95_ms.toFixed(0)} ms`,
    `dropped ${s.dropped}   viewers ${s.listeners}`);
  if (state.skew.length) {
    const sorted = [...state.skew].sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1] - 20; // a frame is right for 40 ms: its middle is the truth
    lines.push(`A/V skew ${median.toFixed(0)} ms`);
    if (state.socket.readyState === 1) state.socket.send(JSON.stringify({ do: "skew", ms: median }));
  }
  $("say").textContent = lines.join("\n");
  $("level").style.width = `${Math.min(100, state.level * 300)}%`;
}

async function sound() {
  if (!state.context) {
    state.context = new AudioContext({ latencyHint: "interactive" });
    await state.context.audioWorklet.addModule("worklets.js");
    state.player = new AudioWorkletNode(state.context, "gtalk-player", { outputChannelCount: [1] });
    state.player.port.onmessage = ({ data }) => { state.clock = data; };
    state.gain = new GainNode(state.context);
    state.player.connect(state.gain).connect(state.context.destination);
  }
  await state.context.resume();
}

async function speak() {
  if (state.mic) return hush();
  try {
    await sound();
    const device = $("device").value;
    // The avatar's own voice must not drive it: the browser removes what it plays itself.
    const wish = { echoCancellation: true, noiseSuppression: false, autoGainControl: true, ...(device && { deviceId: { exact: device } }) };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wish });
    const source = new MediaStreamAudioSourceNode(state.context, { mediaStream: stream });
    const node = new AudioWorkletNode(state.context, "gtalk-microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => send(data);
    source.connect(node);
    stream.getAudioTracks()[0].onended = () => { state.notice = "the microphone was unplugged"; hush(); };
    state.mic = { stream, source, node };
    state.socket.send(JSON.stringify({ do: "mic" }));
    $("mic").classList.add("on");
    $("mic").textContent = "Mute";
    listDevices();
  } catch (error) {
    state.notice = error.name === "NotAllowedError" ? "the browser denied the microphone: allow it beside the address"
      : navigator.mediaDevices ? `no microphone: ${error.message}` : "browsers give the microphone only to https or localhost";
    tell();
  }
}

function hush() {
  if (!state.mic) return;
  state.mic.stream.getTracks().forEach((track) => track.stop());
  state.mic.source.disconnect();
  state.mic = null;
  state.level = 0;
  $("mic").classList.remove("on");
  $("mic").textContent = "Speak";
  if (state.socket.readyState === 1) state.socket.send(JSON.stringify({ do: "stop" }));
}

function send(block) {
  if (!state.mic || state.socket.readyState !== 1) return;
  let sum = 0;
  const message = new DataView(new ArrayBuffer(5 + 2 * block.length));
  message.setUint8(0, "M".charCodeAt(0));
  message.setUint32(1, state.context.sampleRate, true);
  block.forEach((value, i) => {
    sum += value * value;
    message.setInt16(5 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true);
  });
  state.level = Math.sqrt(sum / block.length);
  if (state.socket.bufferedAmount < 1 << 18) state.socket.send(message.buffer);
}

async function listDevices() {
  if (!navigator.mediaDevices) return;
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((d) => d.kind === "audioinput");
  const chosen = $("device").value;
  $("device").replaceChildren(...devices.map((d, i) => new Option(d.label || `microphone ${i + 1}`, d.deviceId, false, d.deviceId === chosen)));
}

$("mic").onclick = speak;
$("stop").onclick = () => {
  if (state.player) state.player.port.postMessage("flush");
  state.frames.splice(0).forEach((f) => f.picture.close());
  state.socket.send(JSON.stringify({ do: "stop" }));
};
$("mute").onclick = async () => {
  await sound();
  state.gain.gain.value = state.gain.gain.value ? 0 : 1;
  $("mute").textContent = state.gain.gain.value ? "Sound on" : "Sound off";
};
$("device").onchange = async () => { if (state.mic) { hush(); await speak(); } };
document.addEventListener("pointerdown", sound, { once: true }); // browsers start sound only after a touch
setInterval(tell, 1000);
listDevices();
connect();
draw();
