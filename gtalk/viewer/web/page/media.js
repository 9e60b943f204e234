// The worker behind the page: owns the socket, decodes pictures, draws each when its sound is heard, sends the
// microphone. Nothing that the page or the settings do can hold it up.
"use strict";

const KEPT = 12; // pictures that may wait to be shown
const DISPLAY_S = 0.008; // what is drawn now is seen with the next refresh, half of one later on average
const LOOK_MS = 4; // how often waiting pictures are looked at where the display's own beat is not to be had
const state = {
  address: "", socket: null, canvas: null, pen: null, frames: [], order: 0, drawn: -1, player: null, microphone: null,
  drawing: null, packets: null, view: { yaw: 0, pitch: 0, distance: 1 }, height: 512, last: null, whole: [], asked: "server", clear: false, rate: 48000, offset: null, offsets: [], latency: 0, running: false, capture: [], lost: 0, said: 0, apart: false,
};

const post = (message) => self.postMessage(message);
const command = (message) => { if (state.socket && state.socket.readyState === 1) state.socket.send(JSON.stringify(message)); };

function connect() {
  const socket = new WebSocket(state.address);
  socket.binaryType = "arraybuffer";
  let opened = false;
  socket.onopen = () => {
    opened = true;
    state.lost = 0;
    post({ connected: true });
    if (state.microphone) command({ do: "mic" });
    if (state.drawing) command({ do: "draw", here: true, opus: !!state.packets, rows: 2 });
    if (state.apart) command({ do: "apart", on: true });
  };
  socket.onclose = ({ code, reason }) => {
    post({ connected: false, never: opened ? 0 : state.lost + 1, reason: code === 1008 || code === 1009 ? reason || `closed with ${code}` : "" });
    setTimeout(connect, Math.min(5000, 500 * 2 ** state.lost++));
  };
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return take(new DataView(data), data);
    const message = JSON.parse(data);
    if (message.flush) flush();
    if (message.hello) drawHere(message.hello.draw);
    post({ server: message });
  };
  state.socket = socket;
}

function flush() {
  for (const frame of state.frames.splice(0)) frame.picture?.close();
  if (state.packets) state.packets.flush();
  if (state.player) state.player.postMessage("flush");
  state.offset = null;
  state.offsets = [];
}

// Where the browser can, this worker draws what the server tells; where it cannot, or is slow at it, pictures come.
async function drawHere(asked) {
  if (asked === "server" || state.drawing || state.asked === asked) return;
  state.asked = asked;
  try {
    const { Drawing } = await import("./drawing.js");
    state.drawing = await Drawing.open(asked === "browser" || state.clear, state.clear);
    await unpackHere();
    command({ do: "draw", here: true, opus: !!state.packets, rows: 2 });
  } catch (error) {
    post({ drawn: "server", why: error.message });
  }
}

// Sound comes packed where the browser can unpack it, else as plain samples.
async function unpackHere() {
  const { Packets } = await import("./packets.js");
  if (!(await Packets.known())) return;
  state.packets = new Packets(play, () => {
    state.packets = null;
    if (state.drawing) command({ do: "draw", here: true, opus: false, rows: 2 });
  });
}

function drawThere(why) {
  state.drawing = null;
  command({ do: "draw", here: false });
  post({ drawn: "server", why });
}

const SLOW_MS = 25, LOOKED_AT = 6; // of the 40 that a picture has, on a machine that does other things too

// Draws a row of numbers now.
function paint(row) {
  const begun = performance.now(), { canvas, pen, drawing, view } = state;
  try {
    const drawn = drawing.draw(row, view, state.height);
    if (canvas.width !== drawn.width || canvas.height !== drawn.height) Object.assign(canvas, { width: drawn.width, height: drawn.height });
    if (state.clear) pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(drawn, 0, 0);
  } catch (error) {
    return drawThere(error.message);
  }
  state.last = row;
  state.whole.push(performance.now() - begun);
  if (state.whole.length < LOOKED_AT) return;
  const median = state.whole.sort((a, b) => a - b)[LOOKED_AT / 2];
  state.whole = [];
  post({ drawn: "browser", ms: median });
  if (state.asked === "auto" && !state.clear && median > SLOW_MS) drawThere(`a picture took ${median.toFixed(0)} ms`);
}

// A tick to be drawn here: what it says of itself, and where its numbers and its sound lie.
function told(view) {
  const letter = String.fromCharCode(view.getUint8(0));
  const wave = (at) => [0, 1, 2, 3].map((i) => [view.getInt8(at + 2 * i) / 127, view.getInt8(at + 1 + 2 * i) / 127]);
  if (letter !== "P") { // of an older gtalk
    return { frame: { ...tick(view), wave: wave(26) }, packed: letter === "O", rows: 1, count: view.getUint16(34, true), size: view.getUint16(36, true), head: 38 };
  }
  const flags = view.getUint8(1), known = { audible: !!(flags & 1), heard: flags & 2 ? view.getFloat64(26, true) : NaN };
  const traced = { aperture: view.getUint16(10, true) / 1e4, pitch: view.getUint16(12, true) / 10, wave: wave(14) };
  const frame = { ...arrival(), time: view.getFloat64(2, true), ...known, ...traced };
  return { frame, packed: !!(flags & 4), rows: 2, count: view.getUint16(22, true), size: view.getUint16(24, true), head: flags & 2 ? 34 : 26 };
}

function takeNumbers(view, buffer) {
  const { frame, packed, rows, count, size, head } = told(view), { packets } = state;
  if (packed) {
    // A packet that comes after the decoder gave up sounds like nothing; those after it are plain.
    packets ? packets.unpack(frame, new Uint8Array(buffer, head + size), count) : play(frame, new Float32Array(count));
  } else {
    const samples = new Float32Array(count), sound = (buffer.byteLength - head - size) / 2;
    for (let i = 0; i < sound; i++) samples[i] = view.getInt16(head + size + 2 * i, true) / 32768;
    hand(frame, samples);
  }
  if (state.apart) return post({ traced: { ...frame, at: performance.timeOrigin + performance.now(), latency: null, skew: null } });
  if (!state.drawing) return;
  frame.row = state.drawing.row(buffer.slice(head, head + size), rows);
  wait(frame);
}

function arrival() { return { order: state.order++, arrived: performance.timeOrigin + performance.now() }; }

// What every tick says of itself, whoever draws it.
function tick(view) {
  const time = view.getFloat64(1, true), heard = view.getFloat64(9, true), audible = view.getUint8(25) === 1;
  return { ...arrival(), time, heard, audible, aperture: view.getFloat32(17, true), pitch: view.getFloat32(21, true) };
}

// After what is still being unpacked.
function hand(frame, samples) { state.packets ? state.packets.add(frame, samples) : play(frame, samples); }

function play({ time, audible }, samples) {
  if (state.player && state.running) state.player.postMessage({ time, audible, samples }); // asleep, it would pile up
}

function wait(frame) {
  state.frames.push(frame);
  state.frames.sort((a, b) => a.order - b.order);
  if (state.frames.length > KEPT) state.frames.shift().picture?.close();
  // At once where nothing is to be waited for: the display takes it with its next refresh. What is drawn here waits for
  // that beat, so that a browser that draws slowly leaves pictures out instead of falling behind.
  if (!frame.row) draw();
}

async function take(view, buffer) {
  if (view.getUint8(0) !== "F".charCodeAt(0)) return takeNumbers(view, buffer);
  const frame = tick(view), size = view.getUint32(26, true), head = 30;
  const samples = new Float32Array((buffer.byteLength - head - size) / 2);
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(head + size + 2 * i, true) / 32768;
  frame.wave = outline(samples);
  hand(frame, samples);
  if (!size) return;
  try {
    frame.picture = await createImageBitmap(new Blob([new Uint8Array(buffer, head, size)], { type: "image/jpeg" }));
  } catch { return; }
  if (frame.order < state.drawn) return frame.picture.close();
  wait(frame);
}

// Least and greatest value in each quarter of a tick.
function outline(samples) {
  const wave = [], part = Math.ceil(samples.length / 4);
  for (let i = 0; i < 4; i++) {
    let low = 0, high = 0;
    for (const value of samples.subarray(i * part, (i + 1) * part)) { low = Math.min(low, value); high = Math.max(high, value); }
    wave.push([low, high]);
  }
  return wave;
}

// The media time that is being heard now; null where no sound is played.
function heardTime(now) {
  return state.running && state.offset !== null ? state.offset + now / 1000 - state.latency : null;
}

// A report of the player says which time sounded when it left; the least delayed of the last ones tells best.
function hear({ time, underruns, skips }) {
  state.underruns = underruns; state.skips = skips;
  if (time === null) { state.offset = null; state.offsets = []; return; }
  state.offsets.push(time - performance.now() / 1000);
  if (state.offsets.length > 40) state.offsets.shift();
  state.offset = Math.max(...state.offsets);
}

function beat() {
  self.requestAnimationFrame ? requestAnimationFrame(beat) : setTimeout(beat, LOOK_MS);
  draw();
}

function draw() {
  const newest = state.frames[state.frames.length - 1];
  if (!newest) return;
  const now = performance.now(), heard = heardTime(now);
  // The visitor's own voice is not played: there the newest picture is the right one, at once.
  const due = heard === null || !newest.audible ? state.frames.length : state.frames.filter((f) => f.time <= heard + DISPLAY_S).length;
  if (!due) return;
  const frame = state.frames[due - 1];
  for (const old of state.frames.splice(0, due)) if (old !== frame) { old.picture?.close(); post({ passed: 1 }); }
  if (frame.row) {
    if (state.drawing) paint(frame.row);
    delete frame.row;
  } else show(frame);
  state.drawn = frame.order;
  frame.at = performance.timeOrigin + now; // on a clock that the page shares
  frame.latency = frame.heard === frame.heard ? now - frame.heard : null;
  frame.skew = heard !== null && frame.audible ? (heard - frame.time) * 1000 : null; // positive: the picture is late
  post({ shown: frame, underruns: state.underruns, skips: state.skips });
}

function show(frame) {
  const { canvas, pen } = state, { width, height } = frame.picture;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  pen.drawImage(frame.picture, 0, 0);
  frame.picture.close();
  delete frame.picture;
  state.last = null;
}

// When a sample entered the page: the audio thread's clock, laid on ours by the least delayed recent piece.
function captured(end, now) {
  state.capture.push(now - end * 1000);
  if (state.capture.length > 250) state.capture.shift();
  return end * 1000 + Math.min(...state.capture);
}

function speak({ samples, right, end }) {
  if (state.apart) { // WebRTC carries it
    if (++state.said % 6 === 0) post({ level: Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length) });
    return;
  }
  if (!state.microphone || !state.socket || state.socket.readyState !== 1) return;
  const two = !!right && state.ears, step = two ? 4 : 2;
  const message = new DataView(new ArrayBuffer(13 + step * samples.length));
  let sum = 0;
  message.setUint8(0, (two ? "S" : "M").charCodeAt(0));
  message.setUint32(1, state.rate, true);
  message.setFloat64(5, captured(end, performance.now()) - (samples.length * 1000) / state.rate, true);
  samples.forEach((value, i) => {
    sum += value * value;
    message.setInt16(13 + step * i, Math.max(-1, Math.min(1, value)) * 32767, true);
    if (two) message.setInt16(15 + step * i, Math.max(-1, Math.min(1, right[i])) * 32767, true);
  });
  if (state.socket.bufferedAmount < 1 << 16) state.socket.send(message.buffer); // a line that is stuck: old sound is of no use
  if (++state.said % 6 === 0) post({ level: Math.sqrt(sum / samples.length) });
}

self.onmessage = ({ data }) => {
  if (data.open) {
    state.address = data.open;
    state.clear = data.clear;
    state.canvas = data.canvas;
    state.pen = data.canvas.getContext("2d", { alpha: data.clear });
    connect();
    beat();
  } else if (data.player) {
    state.player = data.player;
    state.player.onmessage = ({ data: report }) => hear(report);
  } else if (data.sound) {
    state.running = data.sound.running;
    state.latency = data.sound.latency;
  } else if (data.microphone) {
    state.rate = data.rate;
    state.capture = [];
    state.microphone = data.microphone;
    state.microphone.onmessage = ({ data: piece }) => speak(piece);
    state.ears = data.ears;
    if (!state.apart) command({ do: "mic", raw: !!data.ears });
  } else if (data.apart) {
    state.apart = true;
    command({ do: "apart", on: true });
  } else if (data.look) {
    state.view = data.look;
    if (state.drawing && state.last) paint(state.last); // a view that is turned waits for no tick
  } else if (data.height) {
    state.height = data.height;
  } else if (data.hush) {
    if (state.microphone) state.microphone.close();
    state.microphone = null;
    command({ do: "mute" });
  } else if (data.command) {
    if (data.command.do === "stop") flush();
    command(data.command);
  }
};
