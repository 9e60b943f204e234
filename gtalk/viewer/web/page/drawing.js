// Draws the avatar in the visitor's browser, from the numbers of each tick: gtalk/export/web/message.py, pack_row.

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

  /** Numbers of one tick as a row of a message. */
  row(buffer) {
    const { codes } = this.avatar.header, view = new DataView(buffer), out = new Float32Array(codes + AFTER_CODES + SHAPES);
    for (let i = 0; i < AFTER_CODES; i++) out[codes + i] = view.getFloat32(4 * i, true);
    const used = (buffer.byteLength - 4 * AFTER_CODES - 2 * codes) / 3, at = (i) => half(view.getUint16(4 * AFTER_CODES + 2 * i, true));
    for (let k = 0; k < codes; k++) out[k] = at(k);
    for (let i = 0; i < used; i++) out[codes + AFTER_CODES + view.getUint8(buffer.byteLength - used + i)] = at(codes + i);
    return out;
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

/** A half float's bits as a number. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
