// What the face and head do as a row of a message: the twin of frame_numbers in gtalk/export/web/message.py.

import { clamp } from "./features.js";

const GAZE_UNIT_RAD = 0.25;

/** @param face {mouth: codes, eyes: [2], gaze: [2], brows_m: [2]}; @param pose six numbers about the mean pose. */
export function rowOf({ mouth, eyes, gaze, brows_m }, pose, header, arrays) {
  const a = arrays, lids = eyes.map((open) => 2 * (open - 1)), looks = gaze.map((rad) => rad / GAZE_UNIT_RAD);
  const face = [...affine(mouth, a.to_mouth), ...affine(eyes.concat(brows_m), a.to_upper), ...lids, ...looks];
  face.forEach((value, i) => { face[i] = clamp(value, a.code_low[i], a.code_high[i]); });
  const turn = times(matrix(a.mean_pose), rotation(pose)), place = [0, 1, 2].map((i) => a.mean_pose[4 * i + 3] + pose[3 + i]);
  const { translation_unit_m: metre, rotation_unit_rad: radian } = header.row, clip = matrix(a.pose_mean);
  const code = [...place.map((m, i) => (m - a.pose_mean[4 * i + 3]) / metre), ...vector(times(transposed(clip), turn)).map((r) => r / radian)];
  code.forEach((value, i) => { code[i] = clamp(value, a.pose_low[i], a.pose_high[i]); });
  const predicted = affine(code, a.regression).map((value, i) => clamp(value, a.predicted_low[i], a.predicted_high[i]));
  const torso = predicted.slice(0, 4).map((value, i) => value / a.place_units[i]);
  const codes = [...face, ...code.slice(3), ...code.slice(0, 3), ...torso, ...predicted.slice(7)];
  const seen = [0, 1, 2].map((r) => a.camera[4 * r] * place[0] + a.camera[4 * r + 1] * place[1] + a.camera[4 * r + 2] * place[2] + a.camera[4 * r + 3]);
  const normed = codes.map((value, i) => (value - a.code_mean[i]) / a.code_spread[i]);
  return Float32Array.of(...normed, ...vector(turn), ...seen, ...predicted.slice(0, 7));
}

/** [1, x] · table. */
function affine(x, table) {
  const width = table.length / (x.length + 1), out = Array.from(table.subarray(0, width));
  x.forEach((value, i) => { for (let k = 0; k < width; k++) out[k] += value * table[(i + 1) * width + k]; });
  return out;
}

function matrix(T) { return [0, 1, 2].map((r) => [T[4 * r], T[4 * r + 1], T[4 * r + 2]]); }
function transposed(m) { return [0, 1, 2].map((r) => [m[0][r], m[1][r], m[2][r]]); }
function times(a, b) { return a.map((row) => [0, 1, 2].map((c) => row[0] * b[0][c] + row[1] * b[1][c] + row[2] * b[2][c])); }

function rotation([x, y, z]) {
  const angle = Math.hypot(x, y, z), s = angle < 1e-4 ? 1 - angle ** 2 / 6 : Math.sin(angle) / angle;
  const c = angle < 1e-4 ? 0.5 - angle ** 2 / 24 : (1 - Math.cos(angle)) / angle ** 2;
  return [
    [1 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y],
    [c * x * y + s * z, 1 - c * (x * x + z * z), c * y * z - s * x],
    [c * x * z - s * y, c * y * z + s * x, 1 - c * (x * x + y * y)],
  ];
}

function vector(m) {
  const axis = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]], sine = Math.hypot(...axis) / 2;
  const angle = Math.atan2(sine, (m[0][0] + m[1][1] + m[2][2] - 1) / 2);
  return axis.map((value) => value * (sine < 1e-6 ? 0.5 : angle / Math.max(2 * sine, 1e-12)));
}
