// The few things that drawing asks of WebGL2.

export function program(gl, vertexSource, fragmentSource) {
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

export function texture(gl, filter, wrap = gl.CLAMP_TO_EDGE) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, filter);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, wrap);
  return made;
}

export function empty(gl, format, width, height) {
  const made = texture(gl, gl.NEAREST);
  gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
  return made;
}

/** Numbers as texels of four, in rows of `width`. */
export function floats(gl, values, width = 1024) {
  const rows = Math.max(1, Math.ceil(values.length / 4 / width)), padded = new Float32Array(rows * width * 4);
  padded.set(values);
  const made = empty(gl, gl.RGBA32F, width, rows);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, rows, gl.RGBA, gl.FLOAT, padded);
  return made;
}

/** Rows of `each` signed bytes as texels of four, whole ones for each row; -127 to 127 is -1 to 1. */
export function bytes(gl, values, each, width = 2048) {
  const entries = values.length / each, step = 4 * Math.ceil(each / 4);
  const rows = Math.max(1, Math.ceil((step * entries) / 4 / width)), padded = new Int8Array(rows * width * 4);
  for (let i = 0, from = 0; i < entries; i++) for (let c = 0, to = step * i; c < each; c++) padded[to++] = values[from++];
  const made = empty(gl, gl.RGBA8_SNORM, width, rows);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, rows, gl.RGBA, gl.BYTE, padded);
  return made;
}

/** New values of some rows of a texture of floats. */
export function refill(gl, made, values, width, first, rows) {
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, first, width, rows, gl.RGBA, gl.FLOAT, values, 4 * width * first);
}

export function framebuffer(gl, textures, made = gl.createFramebuffer()) {
  gl.bindFramebuffer(gl.FRAMEBUFFER, made);
  textures.forEach((value, i) => gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, value, 0));
  gl.drawBuffers(textures.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
  return made;
}
