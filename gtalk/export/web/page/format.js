// Files of `gtalk export --format web`: magic, header in JSON, arrays. The twin of gtalk/export/web/sections.py.

const ARRAYS = { "|i1": Int8Array, "|u1": Uint8Array, "<u2": Uint16Array, "<f4": Float32Array };

/** @returns {{header: object, arrays: Object<string, TypedArray>}} Throws an Error in words when it is another file. */
export function readSections(buffer, magic, version) {
  const view = new DataView(buffer);
  const word = buffer.byteLength < 8 ? "" : String.fromCharCode(...new Uint8Array(buffer, 0, 4));
  if (word !== magic) throw new Error(`this is no ${magic} file of gtalk`);
  const length = view.getUint32(4, true);
  if (8 + length > buffer.byteLength) throw new Error("the file is damaged: it ends within its header");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  if (header.version !== version)
    throw new Error(`the file has version ${header.version}, this page reads ${version}: export it again`);
  const arrays = {};
  for (const [name, { dtype, shape, offset }] of Object.entries(header.sections)) {
    const count = shape.reduce((a, b) => a * b, 1), Type = ARRAYS[dtype];
    if (!Type || 8 + length + offset + count * Type.BYTES_PER_ELEMENT > buffer.byteLength)
      throw new Error(`the file is damaged: ${name} is not whole`);
    arrays[name] = new Type(buffer, 8 + length + offset, count);
  }
  return { header, arrays };
}

/** Rows of a message: numbers of each frame as floats, and its sound. */
export function readMessage(buffer) {
  const { header, arrays } = readSections(buffer, "GTMO", 1);
  const width = arrays.low.length, frames = arrays.numbers.length / width;
  const sound = arrays.sound ? new Blob([arrays.sound], { type: header.sound_type }) : null;
  const row = (index) => {
    const out = new Float32Array(width), at = Math.max(0, Math.min(frames - 1, index)) * width;
    for (let i = 0; i < width; i++) out[i] = arrays.numbers[at + i] * arrays.step[i] + arrays.low[i];
    return out;
  };
  return { header, frames, fps: header.fps, sound, row, captions: header.captions || "" };
}
