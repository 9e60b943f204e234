// Three traces of the same instants, newest at the right: sound, pitch, opening of the mouth.

const PER_TICK = 4; // columns
const LANES = { wave: [0, 0.46], pitch: [0.48, 0.72], mouth: [0.75, 1] };
const LOW_HZ = 70, HIGH_HZ = 420, WIDEST = 0.25; // of the outer eye distance

export class Traces {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.last = { pitch: null, mouth: null, time: null };
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.fit();
  }

  fit() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    this.unit = ratio;
    this.pen.fillStyle = "#0b0d11";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.pen.fillStyle = "#1b1f27";
    for (const [top] of [LANES.pitch, LANES.mouth]) this.pen.fillRect(0, top * this.canvas.height - 1.5 * ratio, this.canvas.width, ratio);
  }

  add(frame) {
    const { pen, unit } = this, { width, height } = this.canvas, column = unit, step = PER_TICK * column;
    if (step >= width) return;
    pen.drawImage(this.canvas, step, 0, width - step, height, 0, 0, width - step, height);
    pen.fillStyle = "#0b0d11";
    pen.fillRect(width - step, 0, step, height);
    pen.fillStyle = "#1b1f27";
    for (const [top] of [LANES.pitch, LANES.mouth]) pen.fillRect(width - step, top * height - 1.5 * unit, step, unit);

    const [top, bottom] = LANES.wave.map((share) => share * height), middle = (top + bottom) / 2, half = (bottom - top) / 2 - unit;
    pen.fillStyle = frame.audible ? "#6c8cff" : "#4cc38a";
    frame.wave.forEach(([low, high], i) => {
      const up = Math.min(1, Math.sqrt(high)) * half, down = Math.min(1, Math.sqrt(-low)) * half;
      pen.fillRect(width - step + i * column, middle - up, column, Math.max(unit, up + down));
    });

    const pitch = frame.pitch > 0 ? Math.log(frame.pitch / LOW_HZ) / Math.log(HIGH_HZ / LOW_HZ) : null;
    this.line("pitch", pitch, "#f0b429", step);
    this.line("mouth", frame.aperture / WIDEST, "#ff7ab2", step);
  }

  // A piece of line from the last value to this one, broken where there is none.
  line(name, value, colour, step) {
    const { pen, unit } = this, { width, height } = this.canvas, [top, bottom] = LANES[name];
    const y = value === null ? null : height * (bottom - (bottom - top) * Math.max(0.06, Math.min(0.94, value)));
    const before = this.last[name];
    this.last[name] = y;
    if (y === null) return;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.6 * unit;
    pen.beginPath();
    pen.moveTo(width - step - unit, before ?? y);
    pen.lineTo(width, y);
    pen.stroke();
  }
}
