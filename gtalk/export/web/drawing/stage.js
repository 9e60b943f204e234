// A canvas made ready to draw on while files are still on their way: its context, and programs that have run once.

import { empty, framebuffer, program, texture } from "./gl.js";
import { PROJECT, QUAD, RESOLVE, SPLAT, SPLAT_VERTEX } from "./shaders.js";

export class Stage {
  /** Throws an Error where there is no WebGL2. */
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", { alpha: true, premultipliedAlpha: true, antialias: false });
    if (!gl) throw new Error("this browser has no WebGL2");
    if (!gl.getExtension("EXT_color_buffer_float")) throw new Error("this browser cannot draw into float textures");
    Object.assign(this, { canvas, gl });
    const [project, splat, resolve] = [[QUAD, PROJECT], [SPLAT_VERTEX, SPLAT], [QUAD, RESOLVE]].map((sources) => program(gl, ...sources));
    this.programs = { project, splat, resolve };
    this.#rehearse();
  }

  /** Vertices of the splats: one number each, of a buffer that holds their order. */
  ordered(count) {
    const gl = this.gl, vertices = gl.createVertexArray(), numbers = gl.createBuffer();
    gl.bindVertexArray(vertices);
    gl.bindBuffer(gl.ARRAY_BUFFER, numbers);
    gl.bufferData(gl.ARRAY_BUFFER, 4 * count, gl.DYNAMIC_DRAW);
    const at = gl.getAttribLocation(this.programs.splat.handle, "number");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribIPointer(at, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(at, 1);
    gl.bindVertexArray(null);
    return { vertices, numbers };
  }

  /** Drivers translate a program when it first draws, which takes longest of all: they do it here, into one texel. */
  #rehearse() {
    const gl = this.gl, { project, splat, resolve } = this.programs;
    const texel = empty(gl, gl.RGBA32F, 1, 1), small = empty(gl, gl.RGBA8_SNORM, 1, 1), person = empty(gl, gl.RGBA16F, 1, 1);
    const splats = [0, 1, 2].map(() => empty(gl, gl.RGBA32F, 1, 1)), { vertices, numbers } = this.ordered(1);
    const plate = texture(gl, gl.LINEAR);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(4));
    const mark = texture(gl, gl.LINEAR, gl.REPEAT);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8_SNORM, 1, 1, 0, gl.RED, gl.BYTE, new Int8Array(4));
    const drawn = [framebuffer(gl, splats), framebuffer(gl, [person])];
    gl.viewport(0, 0, 1, 1);
    gl.bindFramebuffer(gl.FRAMEBUFFER, drawn[0]);
    project.use({ base: texel, face: small, rest: small, codes: texel, bound: texel, ranges: small, mesh: texel }, { count: ["1i", 1] });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.bindFramebuffer(gl.FRAMEBUFFER, drawn[1]);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const [places, shapes, colours] = splats;
    splat.use({ places, shapes, colours }, { size: ["2f", 1, 1] });
    gl.bindVertexArray(vertices);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, 1);
    gl.bindVertexArray(null);
    gl.disable(gl.BLEND);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    resolve.use({ person, plate, mark }, { size: ["2f", 1, 1] });
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    gl.flush();
    for (const made of [texel, small, person, plate, mark, ...splats]) gl.deleteTexture(made);
    for (const made of drawn) gl.deleteFramebuffer(made);
    gl.deleteVertexArray(vertices);
    gl.deleteBuffer(numbers);
  }
}
