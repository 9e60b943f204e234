// Where head and torso are: the twin of GaussianAvatar.instants and gtalk/talk/orbit.py. Matrices are 3x4, row by row.

export const MAX_YAW = Math.PI / 6, MAX_PITCH = Math.PI / 9, NEAREST = 0.6, FARTHEST = 2;

/** a after b, both 3x4. */
export function compose(a, b) {
  const out = new Float64Array(12);
  for (let r = 0; r < 3; r++)
    for (let c = 0; c < 4; c++)
      out[4 * r + c] = a[4 * r] * b[c] + a[4 * r + 1] * b[4 + c] + a[4 * r + 2] * b[8 + c] + (c === 3 ? a[4 * r + 3] : 0);
  return out;
}

/** Inverse of a rotation with a translation. */
export function inverse(T) {
  const out = new Float64Array(12);
  for (let r = 0; r < 3; r++) {
    for (let c = 0; c < 3; c++) out[4 * r + c] = T[4 * c + r];
    out[4 * r + 3] = -(T[r] * T[3] + T[4 + r] * T[7] + T[8 + r] * T[11]);
  }
  return out;
}

/** Rotation vector and translation to 3x4 (Rodrigues). */
export function rigid(x, y, z, tx, ty, tz) {
  const angle = Math.hypot(x, y, z), a = angle < 1e-4 ? 1 - angle ** 2 / 6 : Math.sin(angle) / angle;
  const b = angle < 1e-4 ? 0.5 - angle ** 2 / 24 : (1 - Math.cos(angle)) / angle ** 2;
  return Float64Array.of(
    1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y, tx,
    b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x, ty,
    b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y), tz,
  );
}

/** The affine map of camera space whose image is a similarity [dx, dy, rotation, log scale] of the image plane. */
export function torsoMotion([dx, dy, turn, logScale], { width, height, intrinsics: [focal, , cx, cy] }) {
  const scale = Math.exp(logScale), cos = scale * Math.cos(turn), sin = scale * Math.sin(turn);
  const x = cx - width / 2, y = cy - height / 2;
  const shiftX = cos * x - sin * y + width / 2 + dx * height - cx;
  const shiftY = sin * x + cos * y + height / 2 + dy * height - cy;
  return Float64Array.of(cos, -sin, shiftX / focal, 0, sin, cos, shiftY / focal, 0, 0, 0, 1, 0);
}

/** T_new_own: the clip's camera as one sees it that is turned about the head. `up` and `pivot` are in its frame. */
export function orbit(yaw, pitch, distance, pivot, up) {
  yaw = Math.max(-MAX_YAW, Math.min(MAX_YAW, yaw));
  pitch = Math.max(-MAX_PITCH, Math.min(MAX_PITCH, pitch));
  distance = Math.max(NEAREST, Math.min(FARTHEST, distance));
  const home = pivot.map((v) => -v);
  let side = [up[1] * home[2] - up[2] * home[1], up[2] * home[0] - up[0] * home[2], up[0] * home[1] - up[1] * home[0]];
  const length = Math.hypot(...side);
  side = side.map((v) => v / length);
  const about = (axis, angle) => rigid(axis[0] * angle, axis[1] * angle, axis[2] * angle, 0, 0, 0);
  const turn = compose(about(up, yaw), about(side, -pitch));
  for (let r = 0; r < 3; r++) {
    const turned = (v) => turn[4 * r] * v[0] + turn[4 * r + 1] * v[1] + turn[4 * r + 2] * v[2];
    turn[4 * r + 3] = pivot[r] - turned(pivot) + turned(home) * (distance - 1);
  }
  return inverse(turn);
}

/** What the Gaussians need to know of a frame: code, both transforms (24 numbers), framing, weights of shapes. */
export function place(header, row, T_new_own) {
  const k = header.codes, [rx, ry, rz, tx, ty, tz] = row.subarray(k, k + 6);
  const [a, b, c, d, e, f, g, h, i] = header.turn;  // from the world's axes to the camera's
  const head = compose(T_new_own, compose([a, b, c, tx, d, e, f, ty, g, h, i, tz], rigid(rx, ry, rz, 0, 0, 0)));
  const torso = compose(T_new_own, compose(torsoMotion(row.subarray(k + 6, k + 10), header.camera), header.torso_rest));
  return { code: row.subarray(0, k), head, torso, framing: row.subarray(k + 10, k + 13), weights: row.subarray(k + 13) };
}
