// The visitor's microphone and loudspeaker; the sound itself goes between the audio thread and the worker.

export class Sound {
  constructor(worker) {
    this.worker = worker;
    this.context = this.gain = this.microphone = this.starting = null;
    this.woke = false; // whether the last touch found the sound asleep, and woke it
    this.onstate = () => {};
  }

  get running() { return !!this.context && this.context.state === "running"; }

  // Every touch wakes it: browsers start sound after one only, and calls and locked screens put it to sleep again.
  touch() {
    this.woke = !this.running;
    if (this.woke) this.start().catch(() => {});
  }

  // Loudspeaker and media clock. Browsers allow it after a touch, and only to https or localhost.
  start() {
    this.starting ||= this.open().catch((error) => { this.starting = null; throw error; });
    return this.starting.then(() => this.context.resume());
  }

  async open() {
    const context = new AudioContext({ latencyHint: "interactive" });
    if (!context.audioWorklet) throw new DOMException("no sound here", "SecurityError");
    await context.audioWorklet.addModule("worklets.js");
    const player = new AudioWorkletNode(context, "gtalk-player", { outputChannelCount: [1] });
    const { port1, port2 } = new MessageChannel();
    player.port.postMessage(port1, [port1]);
    this.worker.postMessage({ player: port2 }, [port2]);
    this.gain = new GainNode(context);
    player.connect(this.gain).connect(context.destination);
    this.context = context;
    context.onstatechange = () => this.tell();
    document.addEventListener("visibilitychange", () => { if (!document.hidden && !this.running) context.resume().catch(() => {}); });
    this.tell();
  }

  // What the worker must know to match picture and sound.
  tell() {
    if (!this.context) return;
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    this.worker.postMessage({ sound: { running: this.running, latency } });
    this.onstate(this.running);
  }

  toggle() {
    this.gain.gain.value = this.gain.gain.value ? 0 : 1;
    return this.gain.gain.value > 0;
  }

  // `ears`: the server tells directions of two channels. Browsers that remove echoes give one channel only.
  async listen(device, onEnded, ears = false) {
    await this.start();
    // The avatar's own voice must not drive it: the browser removes what it plays itself.
    const wish = { echoCancellation: !ears, noiseSuppression: false, autoGainControl: !ears, ...(ears && { channelCount: { ideal: 2 } }), ...(device && { deviceId: { exact: device } }) };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wish });
    const source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
    const node = new AudioWorkletNode(this.context, "gtalk-microphone", { numberOfOutputs: 0 });
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage(port1, [port1]);
    const two = ears && stream.getAudioTracks()[0].getSettings().channelCount === 2;
    this.worker.postMessage({ microphone: port2, rate: this.context.sampleRate, ears: two }, [port2]);
    source.connect(node);
    const track = stream.getAudioTracks()[0];
    track.onended = onEnded;
    this.microphone = { stream, source, node, track };
  }

  hush() {
    if (!this.microphone) return;
    this.microphone.track.onended = null;
    this.microphone.track.stop();
    this.microphone.source.disconnect();
    this.microphone = null;
    this.worker.postMessage({ hush: true });
  }

  why(error) {
    if (!window.isSecureContext || !navigator.mediaDevices) return "Browsers give microphone and sound only to https or localhost: use --tls-cert, or an SSH tunnel.";
    if (error.name === "NotAllowedError") return "The browser denied the microphone: allow it beside the address.";
    if (error.name === "NotFoundError") return "There is no microphone.";
    if (error.name === "NotReadableError") return "Another program holds the microphone.";
    return `The microphone failed: ${error.message}`;
  }
}
