// The timeline: a speech, its words, and the events of a score as bars. Every change is one step that can be undone.

const RATE = 16000, PIECE = 48000, LANE = 24, GRIP = 7;
const TRACKS = { // name: [usual value, usual seconds, movements]
  "emotion.smile": [0.7, 1.2], "emotion.happy": [0.7, 1.2], "emotion.sad": [0.7, 1.2], "emotion.angry": [0.7, 1.2],
  "emotion.surprised": [0.7, 1.2], "emotion.worried": [0.7, 1.2], "emotion.grin": [0.7, 1.2], "emotion.brows up": [0.7, 0.8],
  "gaze.yaw": [12, 1.2], "gaze.pitch": [-12, 1.2], "head.nod": [8, 0.55, 1], "head.shake": [9, 1.1, 2], "head.turn": [10, 1.2],
  "head.raise": [6, 1.2], "head.tilt": [7, 1.2], "head.lean": [2, 1.2], "head.still": [0.9, 1.2], "blink": [1, 0.4, 1],
  "articulation.jaw": [1.4, 0.5], "articulation.lips": [1.4, 0.5],
  "key.open": [1, 0], "key.wide": [1, 0], "key.round": [1, 0],
  "look.light": [0.3, 1.2], "look.warmth": [0.5, 1.2], "look.closer": [0.5, 1.2],
};
const KEY_PX = 10; // of a key, which is an instant

export class Timeline {
  constructor($, command, notice) {
    Object.assign(this, { $, command, notice, duration: 0, samples: null, words: [], events: [], past: [], chosen: null, startedAt: null });
    $("t-track").replaceChildren(...Object.keys(TRACKS).map((name) => new Option(name)));
    $("t-track").onchange = () => { $("t-value").value = TRACKS[$("t-track").value][0]; };
    $("t-track").onchange();
    $("t-file").onchange = () => this.open($("t-file").files[0]);
    $("t-align").onclick = () => command({ do: "words", text: $("t-text").value });
    $("t-instruct").onclick = () => command({ do: "instruct", say: $("t-say").value, words: this.words });
    $("t-add").onclick = () => this.add(this.duration * 0.1);
    $("t-undo").onclick = () => this.undo();
    $("t-play").onclick = () => this.direct(false);
    $("t-render").onclick = () => this.direct(true);
    $("t-save").onclick = () => command({ do: "write", score: this.score() });
    $("t-load").onchange = async () => command({ do: "read", text: await $("t-load").files[0].text() });
    $("t-value").onchange = () => this.revalue(Number($("t-value").value));
    $("t-lanes").onpointerdown = (event) => this.grab(event);
    $("t-lanes").ondblclick = (event) => this.remove(event);
    document.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && !$("timeline").hidden && event.target.tagName !== "INPUT") this.undo();
    });
    addEventListener("resize", () => this.draw());
  }

  async open(file) {
    try {
      const context = new OfflineAudioContext(1, RATE, RATE); // decodes to its own rate
      const sound = await context.decodeAudioData(await file.arrayBuffer());
      const mono = new Float32Array(sound.length);
      for (let c = 0; c < sound.numberOfChannels; c++) sound.getChannelData(c).forEach((v, i) => { mono[i] += v / sound.numberOfChannels; });
      this.samples = mono;
    } catch { return this.notice("This browser cannot read that sound file."); }
    Object.assign(this, { duration: this.samples.length / RATE, words: [], events: [], past: [] });
    for (let at = 0; at < this.samples.length; at += PIECE) {
      const piece = Int16Array.from(this.samples.subarray(at, at + PIECE), (v) => Math.max(-1, Math.min(1, v)) * 32767);
      this.command({ do: "speech", pcm: base64(new Uint8Array(piece.buffer)), first: at === 0, last: at + PIECE >= this.samples.length });
    }
    this.draw();
  }

  told(stage) {
    if (stage.duration) this.ready = stage.duration;
    if (stage.words) { this.words = stage.words; this.draw(); }
    if (stage.events) this.change([...this.events, ...stage.events]);
    if (stage.score) { if (stage.score.words.length) this.words = stage.score.words; this.change(stage.score.events); }
    if (stage.text !== undefined) { this.saved = stage.text; save(stage.text); }
  }

  score() { return { words: this.words, events: this.events }; }

  direct(record) {
    if (!this.samples) return this.notice("Choose a sound file first.");
    this.startedAt = performance.now();
    this.command({ do: "direct", score: this.score(), record });
  }

  change(events) { this.past.push(this.events); if (this.past.length > 200) this.past.shift(); this.events = events; this.draw(); }

  undo() { if (this.past.length) { this.events = this.past.pop(); this.chosen = null; this.draw(); } }

  add(start) {
    const track = this.$("t-track").value, [, seconds, times] = TRACKS[track];
    const event = { track, value: Number(this.$("t-value").value), start: round(start), end: round(Math.min(this.duration, start + seconds)) };
    if (times) event.times = times;
    this.change([...this.events, event]);
  }

  revalue(value) {
    if (this.chosen === null || !Number.isFinite(value)) return;
    this.change(this.events.map((event, i) => (i === this.chosen ? { ...event, value } : event)));
  }

  remove({ target }) {
    const at = number(target);
    if (at !== null) { this.chosen = null; this.change(this.events.filter((_, i) => i !== at)); }
  }

  grab(down) {
    const bar = down.target, at = number(bar);
    if (at === null) return;
    this.chosen = at;
    const first = this.events[at], end = first.end ?? this.duration, per = this.duration / this.$("t-lanes").clientWidth;
    this.$("t-value").value = first.value;
    const from = isKey(first) ? "whole" : down.offsetX < GRIP ? "start" : down.offsetX > bar.clientWidth - GRIP ? "end" : "whole";
    bar.setPointerCapture(down.pointerId);
    let moved = first;
    bar.onpointermove = (move) => {
      const by = (move.clientX - down.clientX) * per, length = end - first.start;
      let [a, b] = [first.start, end];
      if (from === "start") a = Math.max(0, Math.min(end - 0.05, first.start + by));
      else if (from === "end") b = Math.min(this.duration, Math.max(first.start + 0.05, end + by));
      else { a = Math.max(0, Math.min(this.duration - length, first.start + by)); b = a + length; }
      const edge = ([, start, stop]) => (isKey(first) ? (start + stop) / 2 : start); // snaps to words
      const near = from === "whole" && this.words.find((word) => Math.abs(edge(word) - a) < 6 * per);
      if (near) [a, b] = [edge(near), edge(near) + length];
      moved = { ...first, start: round(a), end: round(b) };
      this.place(bar, moved);
    };
    bar.onpointerup = bar.onpointercancel = () => {
      bar.onpointermove = bar.onpointerup = bar.onpointercancel = null;
      if (moved !== first) this.change(this.events.map((event, i) => (i === at ? moved : event)));
      else this.draw();
    };
  }

  place(bar, event) {
    const share = (time) => `${(100 * time) / Math.max(this.duration, 1e-3)}%`;
    bar.style.left = share(event.start);
    bar.style.width = isKey(event) ? `${KEY_PX}px` : share((event.end ?? this.duration) - event.start);
  }

  shown() {
    if (this.startedAt === null) return;
    const share = (performance.now() - this.startedAt) / 1000 / Math.max(this.duration, 1e-3);
    this.$("t-head").style.left = share > 1 ? "-2px" : `${100 * share}%`;
    if (share > 1) this.startedAt = null;
  }

  draw() {
    if (this.$("timeline").hidden) return;
    const lanes = [...new Set(this.events.map((event) => event.track))];
    this.$("t-lanes").style.height = `${LANE * Math.max(1, lanes.length)}px`;
    this.$("t-lanes").replaceChildren(...this.events.map((event, i) => {
      const bar = document.createElement("div");
      bar.className = i === this.chosen ? "t-event chosen" : "t-event";
      bar.dataset.number = i;
      bar.textContent = `${event.track.replace("emotion.", "")} ${event.value}${event.times > 1 ? ` x${event.times}` : ""}`;
      bar.style.top = `${LANE * lanes.indexOf(event.track) + 2}px`;
      this.place(bar, event);
      return bar;
    }));
    this.$("t-words").replaceChildren(...this.words.map(([text, start, end]) => {
      const word = document.createElement("span");
      word.textContent = text;
      this.place(word, { start, end });
      word.onclick = () => this.add(isKey({ track: this.$("t-track").value }) ? (start + end) / 2 : start);
      return word;
    }));
    this.drawWave();
  }

  drawWave() {
    const canvas = this.$("t-wave"), [width, height] = [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight];
    if (!this.samples || !width) return;
    const pen = canvas.getContext("2d"), step = this.samples.length / width;
    pen.fillStyle = "#6c8cff";
    for (let x = 0; x < width; x++) {
      let most = 0;
      for (let i = Math.floor(x * step); i < (x + 1) * step; i += 8) most = Math.max(most, Math.abs(this.samples[i] || 0));
      pen.fillRect(x, (height * (1 - most)) / 2, 1, Math.max(1, height * most));
    }
  }
}

const isKey = (event) => Boolean(event.track && event.track.startsWith("key."));
const round = (time) => Math.round(time * 1000) / 1000;
const number = (element) => (element.dataset && element.dataset.number !== undefined ? Number(element.dataset.number) : null);

function base64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

function save(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/yaml" }));
  link.download = "face.score.yaml";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
