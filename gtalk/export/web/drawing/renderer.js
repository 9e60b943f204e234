// Draws an avatar's Gaussians with WebGL2: deform and project once each, then quads from far to near, then the plate.

import { BOUND, Face, MOST_FOLDS } from "./face.js";
import { readSections } from "./format.js";
import { bytes, empty, floats, framebuffer, refill, texture } from "./gl.js";
import { Order } from "./order.js";
import { place } from "./pose.js";
import { Stage } from "./stage.js";

const ROW = 256;  // Gaussians in a row of the textures that hold them
const CODE_ROWS = 6;  // of the texture of codes: four groups of the face, what is no face, what an expression changes
const MARK = 128, UNITS = 256, LEAST_SIDE = 96;  // the mark's tile; units of a picture's shorter side (gtalk/marks/pattern.py)

/** What avatar.bin holds, as the renderer takes it: 16 channels a Gaussian. */
export async function readAvatar(buffer) {
  const { header, arrays } = await readSections(buffer, "GTAV", 2);
  const count = arrays.base.length / 15, base = new Float32Array(16 * ROW * Math.ceil(count / ROW));
  for (let n = 0; n < count; n++)
    for (let c = 0; c < 15; c++) base[16 * n + c] = arrays.base[15 * n + c] * arrays.base_step[c] + arrays.base_low[c];
  const { face_codes: faceCodes, rest_codes: restCodes, codes, behind, expression: words } = header;
  const faceCount = arrays.face.length / (14 * faceCodes), first = faceCount + behind;
  const bases = [
    { first: 0, count: faceCount, codes: faceCodes, at: 0, values: arrays.face, scale: arrays.face_scale },
    { first, count: count - first, codes: restCodes, at: codes - restCodes, values: arrays.rest, scale: arrays.rest_scale },
  ];
  const face = words && new Face(words, arrays, faceCodes);
  const ends = words?.ends ?? Array(5).fill(faceCount);
  return { header, arrays, count, base, bases, ends, face, bound: bound(face, ends, arrays), jaw: arrays.jaw, mark: arrays.mark, markRgb: arrays.mark_rgb };
}

/** Bindings of all of the face: BOUND numbers a Gaussian, those in the mouth with whether they go with the jaw. */
function bound(face, [, , far, speaking, expressing], { jaw }) {
  const out = new Float32Array(BOUND * expressing);
  if (face) out.set(face.bound());
  for (let n = speaking; n < expressing; n++) out[BOUND * n] = jaw[n - speaking];
  return out;
}

export class Renderer {
  /** `plate`: an image of what stands behind. `stage`: of the canvas. Throws an Error where there is no WebGL2. */
  constructor(canvas, avatar, plate, stage = new Stage(canvas)) {
    Object.assign(this, { canvas, avatar, stage, gl: stage.gl, programs: stage.programs, size: [0, 0], underway: [] });
    this.order = new Order(avatar);
    this.#upload(plate);
  }

  #upload(plate) {
    const gl = this.gl, { base, bases, bound, arrays, count } = this.avatar;
    this.base = floats(gl, base, 4 * ROW);
    this.tables = bases.map(({ values }) => bytes(gl, values, 14));
    this.bound = floats(gl, bound);
    this.ranges = bytes(gl, interleaved(arrays.ranges ?? new Int8Array(0)), 16);
    this.mesh = floats(gl, new Float32Array(4 * 2048 * 2), 2048);
    this.codeWidth = 4 * Math.max(bases[0].codes, bases[1].codes);
    this.codeValues = new Float32Array(4 * this.codeWidth * CODE_ROWS);
    this.codes = floats(gl, this.codeValues, this.codeWidth);
    const rows = Math.ceil(count / ROW);
    this.splats = [0, 1, 2].map(() => empty(gl, gl.RGBA32F, ROW, rows));
    this.splatBuffer = framebuffer(gl, this.splats);
    this.rows = rows;
    this.plate = texture(gl, gl.LINEAR);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE, plate);
    const { mark = new Int8Array(MARK * MARK), markRgb = [0, 0, 0] } = this.avatar;
    this.markRgb = markRgb;
    this.mark = texture(gl, gl.LINEAR, gl.REPEAT);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8_SNORM, MARK, MARK, 0, gl.RED, gl.BYTE, mark);
    Object.assign(this, this.stage.ordered(count));
  }

  /**
   * Draws one frame of a message.
   * @param row its numbers; @param view {T_new_own, background: "plate" | null | [r, g, b]}.
   * @returns milliseconds that the processor took.
   */
  draw(row, { T_new_own, background = "plate" }) {
    const begin = performance.now(), gl = this.gl, { header } = this.avatar;
    this.#resize();
    const now = place(header, row, T_new_own), expressed = this.#express(now);
    this.#project(now, expressed);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.numbers);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.order.sorted(now.head, now.torso));
    this.#splat();
    this.#resolve(now.framing, background);
    if (this.underway.length > 1) gl.deleteSync(this.underway.shift());  // nobody asks whether it is busy
    this.underway.push(gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0));
    gl.flush();
    return performance.now() - begin;
  }

  /** Whether two pictures are still being drawn: a third would hold up the thread that asks for it. */
  get busy() {
    const { gl, underway } = this;
    while (underway.length && (gl.isContextLost() || gl.getSyncParameter(underway[0], gl.SYNC_STATUS) === gl.SIGNALED)) gl.deleteSync(underway.shift());
    return underway.length > 1;
  }

  #resize() {
    const gl = this.gl, { width, height } = this.canvas;
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    if (this.person) gl.deleteTexture(this.person);
    this.person = empty(gl, gl.RGBA16F, width, height);
    this.personBuffer = framebuffer(gl, [this.person], this.personBuffer);
  }

  /** Moves the Gaussians on the processor; what the row's expression asks for, null without one. */
  #express({ code, head, weights }) {
    const { face, base, ends: [, , , inside, behind] } = this.avatar;
    const asked = face && weights.some((w) => w !== 0) ? face.of(code, weights) : null;
    this.order.move(code, asked && face);
    if (!asked) return null;
    const eye = [0, 1, 2].map((c) => -(head[c] * head[3] + head[4 + c] * head[7] + head[8 + c] * head[11]));
    const end = behind + this.avatar.header.behind, first = Math.floor(inside / ROW);
    face.openings.shown(base, this.order.at, inside, behind, end, asked, eye);
    refill(this.gl, this.base, base, 4 * ROW, first, Math.ceil(end / ROW) - first);
    refill(this.gl, this.mesh, face.mesh, 2048, 0, 2);
    return asked;
  }

  #project({ code, head, torso }, expressed) {
    const gl = this.gl, { header, bases, count, ends, face, arrays } = this.avatar, [width, height] = this.size;
    const [own, others] = bases, k3 = own.codes, fill = (row, values, { codes, scale }) => {
      for (let k = 0, to = 4 * this.codeWidth * row; k < codes; k++, to += 16)
        for (let c = 0; c < 14; c++) this.codeValues[to + c] = 127 * values[k] * scale[14 * k + c];
    };
    for (let group = 0; group < (expressed ? 4 : 1); group++)
      fill(group, expressed ? face.codes.subarray(group * k3, (group + 1) * k3) : code, own);
    fill(4, code.subarray(others.at), others);
    if (expressed) fill(5, face.change.map((change, k) => change / arrays.code_spread[k]), { ...own, codes: face.size });
    refill(gl, this.codes, this.codeValues, this.codeWidth, 0, CODE_ROWS);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.splatBuffer);
    gl.viewport(0, 0, ROW, this.rows);
    gl.disable(gl.BLEND);
    const { width: ownWidth, intrinsics: [focal, , cx, cy] } = header.camera, scale = width / ownWidth;
    const steps = expressed ? Array.from(arrays.ranges_scale, (step) => 127 * step) : Array(7).fill(0), words = header.expression ?? {};
    this.programs.project.use(
      { base: this.base, face: this.tables[0], rest: this.tables[1], codes: this.codes, bound: this.bound, ranges: this.ranges, mesh: this.mesh },
      {
        count: ["1i", count], faceCount: ["1i", own.count], faceCodes: ["1i", k3], restCodes: ["1i", others.codes],
        behind: ["1i", header.behind], ends: ["4i", ...ends.slice(0, 4)], share: ["1f", expressed?.share ?? 0],
        steps: ["4fv", [...steps, 0]], most: ["4f", words.most_log_scale ?? 0, words.most_shade ?? 0, 0, 0],
        chin: ["3f", ...(expressed ? face.chin : [0, 0, 0])], light: ["3f", ...(arrays.light ?? [0, 0, 0])],
        folds: ["4fv", face?.folds ?? new Float32Array(MOST_FOLDS)], tint: ["3f", ...(words.fold_tint ?? [0, 0, 0])],
        line: ["3f", ...(arrays.line_colour ?? [0, 0, 0])], lines: ["1i", face?.lines ?? MOST_FOLDS],
        limits: ["4fv", [...header.limits, 0, 0]], size: ["2f", width, height],
        camera: ["4f", focal * scale, cx * scale, cy * scale, 0.3 * scale * scale],
        head: ["Matrix4x3fv", columns(head)], torso: ["Matrix4x3fv", columns(torso)],
      });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  #splat() {
    const gl = this.gl, [width, height] = this.size;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.personBuffer);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const [places, shapes, colours] = this.splats;
    this.programs.splat.use({ places, shapes, colours }, { size: ["2f", width, height] });
    gl.bindVertexArray(this.vertices);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.avatar.count);
    gl.bindVertexArray(null);
    gl.disable(gl.BLEND);
  }

  #resolve(framing, background) {
    const gl = this.gl, onPlate = background === "plate";
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, ...this.size);
    this.programs.resolve.use(
      { person: this.person, plate: this.plate, mark: this.mark },
      {
        size: ["2f", ...this.size], framing: ["3f", ...framing], margin: ["1f", this.avatar.header.plate_margin],
        markUnit: ["1f", (Math.min(...this.size) / UNITS) * MARK],
        markRgb: ["3f", ...(Math.min(...this.size) < LEAST_SIDE ? [0, 0, 0] : this.markRgb)],
        hasPlate: ["1i", onPlate ? 1 : 0], behind: ["4f", ...(Array.isArray(background) ? [...background, 1] : [0, 0, 0, 0])],
      });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

const columns = (T) => Float32Array.from([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11], (i) => T[i]);

/** [7, 2, N] bytes as 16 for each Gaussian: least of scales and opacity, least of colours, then the greatest. */
function interleaved(values) {
  const count = values.length / 14, out = new Int8Array(16 * count);
  for (let c = 0; c < 7; c++)
    for (let side = 0; side < 2; side++)
      for (let n = 0; n < count; n++) out[16 * n + 8 * side + c] = values[(2 * c + side) * count + n];
  return out;
}
