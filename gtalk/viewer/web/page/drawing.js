// Draws the avatar in the visitor's browser, from the numbers of each tick: gtalk/export/web/rows.py.

import { AFTER_CODES, SHAPES } from "./draw/format.js";
import { orbit } from "./draw/pose.js";
import { Renderer, readAvatar } from "./draw/renderer.js";

const BY_PROCESSOR = /swiftshader|llvmpipe|software|basic render/i;

export class Drawing {
  /** `slowly`: also without a graphics processor; `clear`: nothing behind the person. Throws where it cannot draw. */
  static async open(slowly, clear = false) {
    const probe = new OffscreenCanvas(16, 16).getContext("webgl2");
    if (!probe?.getExtension("EXT_color_buffer_float")) throw new Error("this browser has no WebGL2");
    const named = probe.getExtension("WEBGL_debug_renderer_info")?.UNMASKED_RENDERER_WEBGL ?? probe.RENDERER;
    if (!slowly && BY_PROCESSOR.test(probe.getParameter(named))) throw new Error("this browser has no graphics processor");
    probe.getExtension("WEBGL_lose_context")?.loseContext();
    const file = async (name) => {
      const answer = await fetch(new URL(`draw/${name}`, import.meta.url));
      if (!answer.ok) throw new Error(`${name} could not be loaded (${answer.status})`);
      return answer;
    };
    const [avatar, plate] = await Promise.all([
      file("avatar.bin").then((answer) => answer.arrayBuffer()).then(readAvatar),
      file("plate.jpg").then((answer) => answer.blob()).then((blob) => createImageBitmap(blob)),
    ]);
    return new Drawing(avatar, plate, clear ? null : "plate");
  }

  constructor(avatar, plate, background) {
    this.background = background;
    this.avatar = avatar;
    this.canvas = new OffscreenCanvas(512, 512);
    this.lost = false;
    this.canvas.addEventListener("webglcontextlost", () => { this.lost = true; });
    this.renderer = new Renderer(this.canvas, avatar, plate);
  }

  /** Numbers of one tick as a row of a message; `version` 1 is that of an older gtalk. */
  row(buffer, version = 2) {
    const { codes } = this.avatar.header, view = new DataView(buffer), out = new Float32Array(codes + AFTER_CODES + SHAPES);
    return version === 1 ? inFloats(view, codes, out) : inSteps(view, codes, out);
  }

  /** The canvas with a row on it. Throws where the browser took the picture away. */
  draw(row, { yaw, pitch, distance }, height) {
    if (this.lost) throw new Error("the browser took the picture away");
    const { camera } = this.avatar.header, width = Math.round((camera.width * height) / camera.height);
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const { pivot_m, up } = this.avatar.header;
    this.renderer.draw(row, { T_new_own: orbit(yaw, pitch, distance, pivot_m, up), background: this.background });
    return this.canvas;
  }
}

/** Whole steps: see gtalk/export/web/rows.py. */
function inSteps(view, codes, out) {
  const map = view.getUint8(1), first = 34 + map;
  for (let i = 0; i < 3; i++) out[codes + i] = view.getInt16(2 + 2 * i, true) * 1e-4;
  for (let i = 0; i < 3; i++) out[codes + 3 + i] = view.getInt32(8 + 4 * i, true) * 1e-6;
  for (let i = 0; i < 7; i++) out[codes + 6 + i] = view.getInt16(20 + 2 * i, true) * 4e-5;
  const small = (n) => { // 12 bits, from an even or an odd half byte on
    const at = first + (3 * n >> 1), two = view.getUint8(at) | view.getUint8(at + 1) << 8;
    return ((n & 1 ? two >> 4 : two) & 0xfff) << 20 >> 20;
  };
  for (let k = 0; k < codes; k++) out[k] = small(k) / 256;
  for (let shape = 0, n = codes; shape < 8 * map; shape++)
    if (view.getUint8(34 + (shape >> 3)) >> (shape & 7) & 1) out[codes + AFTER_CODES + shape] = small(n++) / 1024;
  return out;
}

/** Floats and half floats. */
function inFloats(view, codes, out) {
  for (let i = 0; i < AFTER_CODES; i++) out[codes + i] = view.getFloat32(4 * i, true);
  const used = (view.byteLength - 4 * AFTER_CODES - 2 * codes) / 3, at = (i) => half(view.getUint16(4 * AFTER_CODES + 2 * i, true));
  for (let k = 0; k < codes; k++) out[k] = at(k);
  for (let i = 0; i < used; i++) out[codes + AFTER_CODES + view.getUint8(view.byteLength - used + i)] = at(codes + i);
  return out;
}

/** A half float's bits as a number. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
