// Files of `gtalk export --format web`: magic, header in JSON, arrays. The twin of gtalk/export/web/sections.py.

const ARRAYS = { "|i1": Int8Array, "|u1": Uint8Array, "<i2": Int16Array, "<u2": Uint16Array, "<f2": Uint16Array, "<f4": Float32Array };
export const AFTER_CODES = 13;  // numbers of a frame behind its code: head 6, torso 4, framing 3
export const SHAPES = 58;  // and behind those the weights of gtalk/rig/shapes.py

/** @returns {Promise<{header: object, arrays: Object<string, TypedArray>}>} Throws an Error in words when it is another file. */
export async function readSections(buffer, magic, version) {
  const view = new DataView(buffer);
  const word = buffer.byteLength < 8 ? "" : String.fromCharCode(...new Uint8Array(buffer, 0, 4));
  if (word !== magic) throw new Error(`this is no ${magic} file of gtalk`);
  const length = view.getUint32(4, true);
  if (8 + length > buffer.byteLength) throw new Error("the file is damaged: it ends within its header");
  const header = json(new Uint8Array(buffer, 8, length));
  if (header.version !== version)
    throw new Error(`the file has version ${header.version}, this page reads ${version}: export it again`);
  const body = await inflated(new Uint8Array(buffer, 8 + length)), arrays = {};
  if (body.byteLength !== header.size) throw new Error("the file is damaged: it is not whole");
  for (const [name, { dtype, shape, offset }] of Object.entries(header.sections)) {
    const count = shape.reduce((a, b) => a * b, 1), Type = ARRAYS[dtype];
    if (!Type || offset + count * Type.BYTES_PER_ELEMENT > body.byteLength) throw new Error(`the file is damaged: ${name} is not whole`);
    const values = new Type(body, offset, count);
    arrays[name] = dtype === "<f2" ? halves(values) : values;
  }
  return { header, arrays };
}

/** Half floats (IEEE 754 binary16) as floats. */
function halves(bits) {
  const all = new Float32Array(1 << 16), out = new Float32Array(bits.length);  // there are not many
  for (let h = 0; h < 1 << 16; h++) {
    const exponent = (h >> 10) & 31, fraction = h & 1023, value = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    all[h] = h & 0x8000 ? -value : value;
  }
  for (let i = 0; i < bits.length; i++) out[i] = all[bits[i]];
  return out;
}

function json(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error("the file is damaged: its header is no JSON");
  }
}

async function inflated(bytes) {
  if (!globalThis.DecompressionStream) throw new Error("this browser is too old: it cannot unpack the file");
  try {
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  } catch {
    throw new Error("the file is damaged: it cannot be unpacked");
  }
}

/** Steps as floats; step i is worth scale[floor(i / length * scale.length)]: the first axis has a scale of its own. */
export function scaled(arrays, name) {
  const values = arrays[name], scale = arrays[`${name}_scale`], each = values.length / scale.length, out = new Float32Array(values.length);
  for (let s = 0, i = 0; s < scale.length; s++) for (const end = (s + 1) * each, unit = scale[s]; i < end; i++) out[i] = values[i] * unit;
  return out;
}

/** Rows of a message: the numbers of each frame as floats, weights of shapes behind them, and its sound. */
export async function readMessage(buffer) {
  const { header, arrays } = await readSections(buffer, "GTMO", 2);
  const width = arrays.low.length, frames = arrays.numbers.length / width;
  const sound = arrays.sound ? new Blob([arrays.sound], { type: header.sound_type }) : null;
  const shapes = arrays.shapes ?? [], weights = arrays.weights, [unit] = arrays.weights_scale ?? [0];
  const row = (index) => {
    const out = new Float32Array(width + SHAPES), frame = Math.max(0, Math.min(frames - 1, index)), at = frame * width;
    for (let i = 0; i < width; i++) out[i] = arrays.numbers[at + i] * arrays.step[i] + arrays.low[i];
    for (let i = 0; i < shapes.length; i++) out[width + shapes[i]] = weights[frame * shapes.length + i] * unit;
    return out;
  };
  return { header, frames, fps: header.fps, sound, row, captions: header.captions || "" };
}
