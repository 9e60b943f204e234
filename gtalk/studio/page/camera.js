// The camera and the microphone: which there are, what they give, and why they do not.

const WANTED = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };  // as the person sounds

export class Camera extends EventTarget {
  stream = null;
  context = null;
  meter = null;

  // Turn on. Throws an error with a `code` of texts.faults.
  async open(camera = '', microphone = '') {
    if (!navigator.mediaDevices?.getUserMedia) throw { code: 'insecure' };
    if (!window.MediaRecorder) throw { code: 'no_recorder' };
    this.close();
    const pick = (id) => (id ? { deviceId: { exact: id } } : {});
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { ...WANTED, facingMode: 'user', ...pick(camera) }, audio: { ...PLAIN, ...pick(microphone) },
      });
    } catch (error) { throw { code: await reason(error), message: error.message }; }
    for (const track of this.stream.getTracks()) track.addEventListener('ended', () => this.#lost());
    const sound = this.stream.getAudioTracks()[0];
    for (const event of ['mute', 'unmute']) sound.addEventListener(event, () => this.dispatchEvent(new Event('mute')));
    this.context = new AudioContext();
    this.context.resume();
    this.meter = new AnalyserNode(this.context, { fftSize: 4096 });
    this.context.createMediaStreamSource(this.stream).connect(this.meter);
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close();
    this.stream = this.context = this.meter = null;
  }

  get size() {
    const { width = 0, height = 0 } = this.stream?.getVideoTracks()[0]?.getSettings() ?? {};
    return { width, height };
  }

  get muted() { return this.stream?.getAudioTracks()[0]?.muted ?? true; }

  async devices(kind) {
    return (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind && device.deviceId);
  }

  chosen(kind) {
    const [track] = (kind === 'videoinput' ? this.stream?.getVideoTracks() : this.stream?.getAudioTracks()) ?? [];
    return track?.getSettings().deviceId ?? '';
  }

  #lost() {
    if (this.stream) this.dispatchEvent(new Event('lost'));
  }
}

async function reason(error) {
  if (error.name === 'NotAllowedError' || error.name === 'SecurityError') return window.isSecureContext ? 'denied' : 'insecure';
  if (error.name === 'NotReadableError' || error.name === 'AbortError') return 'in_use';
  if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError') {
    const found = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    return found.some((device) => device.kind === 'videoinput') ? 'no_microphone' : 'no_camera';
  }
  return 'unknown';
}
