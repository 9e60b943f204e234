// Matrix products in plain JavaScript.

/** Adds x · weight to `sums`; weight's rows are as long as these. Eight rows at a time, so that sums stay in registers. */
export function accumulate(sums, x, weight, start = 0) {
  const width = sums.length, whole = x.length & ~7;
  let at = start;
  for (let i = 0; i < whole; i += 8, at += 8 * width) {
    const a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3], e = x[i + 4], f = x[i + 5], g = x[i + 6], h = x[i + 7];
    let p = at, q = p + width, r = q + width, s = r + width, t = s + width, u = t + width, v = u + width, w = v + width;
    for (let j = 0; j < width; j++)
      sums[j] += a * weight[p++] + b * weight[q++] + c * weight[r++] + d * weight[s++] + (e * weight[t++] + f * weight[u++] + g * weight[v++] + h * weight[w++]);
  }
  for (let i = whole; i < x.length; i++) for (let j = 0; j < width; j++) sums[j] += x[i] * weight[at++];
}

/** bias + x · weight. */
export function dense({ weight, bias }, x) {
  const sums = Float64Array.from(bias);
  accumulate(sums, x, weight);
  return Float32Array.from(sums);
}

/** x · weight, `width` numbers. */
export function product(x, weight, width) {
  const sums = new Float64Array(width);
  accumulate(sums, x, weight);
  return sums;
}

export function concatenated(rows) {
  const width = rows[0].length, out = new Float32Array(rows.length * width);
  rows.forEach((row, i) => out.set(row, i * width));
  return out;
}
