// Draws an avatar's Gaussians with WebGL2: deform and project once each, then quads from far to near, then the plate.

import { readSections } from "./format.js";
import { Order } from "./order.js";
import { place } from "./pose.js";
import { PROJECT, QUAD, RESOLVE, SPLAT, SPLAT_VERTEX } from "./shaders.js";

const ROW = 256;  // Gaussians in a row of the textures that hold them
const MARK = 128, UNITS = 256, LEAST_SIDE = 96;  // the mark's tile; units of a picture's shorter side (gtalk/marks/pattern.py)

/** What avatar.bin holds, as the renderer takes it: 16 channels a Gaussian. */
export function readAvatar(buffer) {
  const { header, arrays } = readSections(buffer, "GTAV", 1);
  const count = arrays.base.length / 15, base = new Float32Array(16 * count);
  for (let n = 0; n < count; n++)
    for (let c = 0; c < 15; c++) base[16 * n + c] = arrays.base[15 * n + c] * arrays.base_step[c] + arrays.base_low[c];
  const { face_codes: faceCodes, rest_codes: restCodes, codes } = header;
  const faceCount = arrays.face.length / (14 * faceCodes);
  const bases = [
    { first: 0, count: faceCount, codes: faceCodes, at: 0, values: arrays.face, scale: arrays.face_scale },
    { first: faceCount, count: count - faceCount, codes: restCodes, at: codes - restCodes, values: arrays.rest, scale: arrays.rest_scale },
  ];
  return { header, count, base, bases, mark: arrays.mark, markRgb: arrays.mark_rgb };
}

export class Renderer {
  /** `plate`: an image of what stands behind. Throws an Error where there is no WebGL2. */
  constructor(canvas, avatar, plate) {
    this.canvas = canvas;
    this.avatar = avatar;
    this.order = new Order(avatar.base, avatar.bases, avatar.header.limits);
    const gl = canvas.getContext("webgl2", { alpha: true, premultipliedAlpha: true, antialias: false });
    if (!gl) throw new Error("this browser has no WebGL2");
    if (!gl.getExtension("EXT_color_buffer_float")) throw new Error("this browser cannot draw into float textures");
    this.gl = gl;
    this.programs = {
      project: program(gl, QUAD, PROJECT),
      splat: program(gl, SPLAT_VERTEX, SPLAT),
      resolve: program(gl, QUAD, RESOLVE),
    };
    this.#upload(plate);
    this.size = [0, 0];
  }

  #upload(plate) {
    const gl = this.gl, { base, bases, count } = this.avatar;
    this.base = floats(gl, base);
    this.tables = bases.map(({ values }) => bytes(gl, values));
    const codes = bases[0].codes + bases[1].codes;
    this.codeValues = new Float32Array(16 * codes);
    this.codes = floats(gl, this.codeValues, 4 * codes);
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
    this.vertices = gl.createVertexArray();
    this.numbers = gl.createBuffer();
    gl.bindVertexArray(this.vertices);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.numbers);
    gl.bufferData(gl.ARRAY_BUFFER, 4 * count, gl.DYNAMIC_DRAW);
    const at = gl.getAttribLocation(this.programs.splat.handle, "number");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribIPointer(at, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(at, 1);
    gl.bindVertexArray(null);
  }

  /**
   * Draws one frame of a message.
   * @param row its numbers; @param view {T_new_own, background: "plate" | null | [r, g, b]}.
   * @returns milliseconds that the processor took.
   */
  draw(row, { T_new_own, background = "plate" }) {
    const begin = performance.now(), gl = this.gl, { header } = this.avatar;
    this.#resize();
    const now = place(header, row, T_new_own);
    this.#project(now);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.numbers);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.order.of(now));
    this.#splat();
    this.#resolve(now.framing, background);
    return performance.now() - begin;
  }

  #resize() {
    const gl = this.gl, { width, height } = this.canvas;
    if (this.size[0] === width && this.size[1] === height) return;
    this.size = [width, height];
    if (this.person) gl.deleteTexture(this.person);
    this.person = empty(gl, gl.RGBA16F, width, height);
    this.personBuffer = framebuffer(gl, [this.person], this.personBuffer);
  }

  #project({ code, head, torso }) {
    const gl = this.gl, { header, bases, count } = this.avatar, [width, height] = this.size;
    let to = 0;
    for (const { codes, at, scale } of bases)
      for (let k = 0; k < codes; k++, to += 16)
        for (let c = 0; c < 14; c++) this.codeValues[to + c] = 127 * code[at + k] * scale[14 * k + c];
    gl.bindTexture(gl.TEXTURE_2D, this.codes);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, this.codeValues.length / 4, 1, gl.RGBA, gl.FLOAT, this.codeValues);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.splatBuffer);
    gl.viewport(0, 0, ROW, this.rows);
    gl.disable(gl.BLEND);
    const { width: ownWidth, intrinsics: [focal, , cx, cy] } = header.camera, scale = width / ownWidth;
    this.programs.project.use(
      { base: this.base, face: this.tables[0], rest: this.tables[1], codes: this.codes },
      {
        count: ["1i", count], faceCount: ["1i", bases[0].count], faceCodes: ["1i", bases[0].codes],
        restCodes: ["1i", bases[1].codes], limits: ["4fv", [...header.limits, 0, 0]], size: ["2f", width, height],
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

function program(gl, vertexSource, fragmentSource) {
  const handle = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertexSource], [gl.FRAGMENT_SHADER, fragmentSource]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(handle, shader);
  }
  gl.linkProgram(handle);
  if (!gl.getProgramParameter(handle, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(handle).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`a shader did not build: ${[...logs, gl.getProgramInfoLog(handle)].join(" ")}`);
  }
  const places = {}, place = (name) => (places[name] ??= gl.getUniformLocation(handle, name));
  return {
    handle,
    use(textures, values) {
      gl.useProgram(handle);
      Object.entries(textures).forEach(([name, value], unit) => {
        gl.activeTexture(gl.TEXTURE0 + unit);
        gl.bindTexture(gl.TEXTURE_2D, value);
        gl.uniform1i(place(name), unit);
      });
      for (const [name, [kind, ...given]] of Object.entries(values))
        kind.startsWith("Matrix") ? gl.uniformMatrix4x3fv(place(name), false, given[0]) : gl[`uniform${kind}`](place(name), ...given);
      gl.activeTexture(gl.TEXTURE0);
    },
  };
}

function texture(gl, filter, wrap = gl.CLAMP_TO_EDGE) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, filter);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, wrap);
  return made;
}

function empty(gl, format, width, height) {
  const made = texture(gl, gl.NEAREST);
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  return made;
}

/** Numbers as texels of four, in rows of `width`. */
function floats(gl, values, width = 1024) {
  const rows = Math.ceil(values.length / 4 / width), padded = new Float32Array(rows * width * 4);
  padded.set(values);
  const made = empty(gl, gl.RGBA32F, width, rows);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, rows, gl.RGBA, gl.FLOAT, padded);
  return made;
}

/** A basis of 14 channels as texels of four for each Gaussian and code; -127 to 127 is -1 to 1. */
function bytes(gl, values, width = 2048) {
  const entries = values.length / 14, rows = Math.ceil((4 * entries) / width), padded = new Int8Array(rows * width * 4);
  for (let i = 0; i < entries; i++) padded.set(values.subarray(14 * i, 14 * i + 14), 16 * i);
  const made = empty(gl, gl.RGBA8_SNORM, width, rows);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, rows, gl.RGBA, gl.BYTE, padded);
  return made;
}

function framebuffer(gl, textures, made = gl.createFramebuffer()) {
  gl.bindFramebuffer(gl.FRAMEBUFFER, made);
  textures.forEach((value, i) => gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, value, 0));
  gl.drawBuffers(textures.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
  return made;
}
