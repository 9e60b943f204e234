// Sixteen floats per Gaussian to sixteen per splat, and back. Included by simd/all.inl.
//
// Gaussian  0-2 position   3-5 log scale   6-9 quaternion wxyz   10 opacity (logit)   11-13 colour
//           14 skin (logit): share w of the torso's motion       15 unused
// Splat     0,1 centre, pixels   2 -log2(e)/2 * conic_xx   3 -log2(e) * conic_xy   4 -log2(e)/2 * conic_yy
//           5 log2(opacity)   6-8 colour   9 depth   10,11 half size of the box where alpha >= 1/255, pixels
//           (0 when not seen)   12 opacity   13 bits: where its gradient goes   14,15 unused
// Gradient of a splat: 0,1 centre   2-4 conic xx, xy, yy   5 opacity   6-8 colour
//
// p_camera = M [p; 1], M = (1 - w) T_camera_head + w T_camera_torso (linear blend skinning; T_camera_torso may be
// any affine map). Covariance M3 R S S R^T M3^T, through the perspective's Jacobian, plus a blur of 0.3 px^2 (Zwicker et al.
// 2001, "EWA volume splatting"; Kerbl et al. 2023). The Jacobian's x/z and y/z are held within 0.3 of the view's
// half angles beyond the picture, as in gsplat.


struct Projection {  // everything both directions need, for 16 Gaussians
  F p[3], s[3], q[4], R[9], w, M[12], t[3], RS[9], A[9];
  F inverse_norm, rz, jx, jy, jxz, jyz, ux, uy, B0[3], B1[3], a, b, c, det, opacity;
  Mask free_x, free_y;
};

GTALK_INLINE F dot3(const F* a, const F* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

GTALK_INLINE void rotation_of(const F* q, F* R) {
  F w = q[0], x = q[1], y = q[2], z = q[3];
  F x2 = x + x, y2 = y + y, z2 = z + z, one = row_of(1.0f);
  R[0] = one - y * y2 - z * z2, R[1] = x * y2 - w * z2, R[2] = x * z2 + w * y2;
  R[3] = x * y2 + w * z2, R[4] = one - x * x2 - z * z2, R[5] = y * z2 - w * x2;
  R[6] = x * z2 - w * y2, R[7] = y * z2 + w * x2, R[8] = one - x * x2 - y * y2;
}

GTALK_INLINE void project_16(const F* g, const View& view, Projection& o) {
  for (int i = 0; i < 3; i++) o.p[i] = g[i], o.s[i] = exp2_of(g[3 + i] * LOG2_E);
  o.inverse_norm = 1.0f / root(g[6] * g[6] + g[7] * g[7] + g[8] * g[8] + g[9] * g[9] + row_of(1e-24f));
  for (int i = 0; i < 4; i++) o.q[i] = g[6 + i] * o.inverse_norm;
  rotation_of(o.q, o.R);
  o.w = sigmoid(g[14]);
  for (int i = 0; i < 12; i++) o.M[i] = row_of(view.transforms[i]) + o.w * (view.transforms[12 + i] - view.transforms[i]);
  for (int i = 0; i < 3; i++) o.t[i] = dot3(o.M + 4 * i, o.p) + o.M[4 * i + 3];
  for (int i = 0; i < 9; i++) o.RS[i] = o.R[i] * o.s[i % 3];
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      o.A[3 * i + j] = o.M[4 * i] * o.RS[j] + o.M[4 * i + 1] * o.RS[3 + j] + o.M[4 * i + 2] * o.RS[6 + j];
  F z = maximum(o.t[2], row_of(view.near));
  o.rz = 1.0f / z;
  const float slack_x = 0.15f * view.width / view.fx, slack_y = 0.15f * view.height / view.fy;
  const F low_x = row_of(-view.cx / view.fx - slack_x), high_x = row_of((view.width - view.cx) / view.fx + slack_x);
  const F low_y = row_of(-view.cy / view.fy - slack_y), high_y = row_of((view.height - view.cy) / view.fy + slack_y);
  F slope_x = o.t[0] * o.rz, slope_y = o.t[1] * o.rz;
  o.free_x = (slope_x >= low_x) & (high_x >= slope_x);
  o.free_y = (slope_y >= low_y) & (high_y >= slope_y);
  o.ux = maximum(low_x, minimum(high_x, slope_x)), o.uy = maximum(low_y, minimum(high_y, slope_y));
  o.jx = o.rz * view.fx, o.jy = o.rz * view.fy;
  o.jxz = -(o.jx * o.ux), o.jyz = -(o.jy * o.uy);
  for (int j = 0; j < 3; j++) {
    o.B0[j] = o.jx * o.A[j] + o.jxz * o.A[6 + j];
    o.B1[j] = o.jy * o.A[3 + j] + o.jyz * o.A[6 + j];
  }
  o.a = dot3(o.B0, o.B0) + row_of(view.blur), o.b = dot3(o.B0, o.B1), o.c = dot3(o.B1, o.B1) + row_of(view.blur);
  o.det = o.a * o.c - o.b * o.b;
  o.opacity = sigmoid(g[10]);
}

GTALK_INLINE void gather_16(const float* from, long n, long count, F* to, int channels) {
  alignas(64) float lane[16][16];
  const long live = count - n < 16 ? count - n : 16;
  for (long i = 0; i < 16; i++) {
    const float* row = from + (n + (i < live ? i : 0)) * 16;
    for (int j = 0; j < channels; j++) lane[j][i] = row[j];
  }
  for (int j = 0; j < channels; j++) to[j] = load_row(lane[j]);
}
GTALK_INLINE void scatter_16(const F* from, float* to, long n, long count) {
  alignas(64) float lane[16][16];
  for (int j = 0; j < 16; j++) store(lane[j], from[j]);
  const long live = count - n < 16 ? count - n : 16;
  for (long i = 0; i < live; i++)
    for (int j = 0; j < 16; j++) to[(n + i) * 16 + j] = lane[j][i];
}

static void project(const float* gaussians, const View& view, float* splats, long begin, long end) {
  for (long n = begin; n < end; n += 16) {
    F g[16], out[16];
    gather_16(gaussians, n, end, g, 15);
    Projection o;
    project_16(g, view, o);
    F inverse = 1.0f / o.det;
    if (view.fit_blur < view.blur) {
      const float less = view.blur - view.fit_blur;
      F fitted = maximum((o.a - row_of(less)) * (o.c - row_of(less)) - o.b * o.b, row_of(0.0f));
      o.opacity = o.opacity * root(fitted * inverse);
    }
    F cut = log2_of(maximum(o.opacity, row_of(1e-12f)));
    F reach = (cut + row_of(7.99435344f)) * (2.0f / LOG2_E);  // 2 ln(255 opacity)
    F x = o.t[0] * o.jx + row_of(view.cx), y = o.t[1] * o.jy + row_of(view.cy);
    F half_x = root(maximum(reach * o.a, row_of(0.0f))), half_y = root(maximum(reach * o.c, row_of(0.0f)));
    Mask seen = (o.t[2] >= row_of(view.near)) & (reach >= row_of(1e-6f)) & (o.det >= row_of(1e-12f));
    seen = seen & (x + half_x >= row_of(0.0f)) & (row_of(view.width) >= x - half_x);
    seen = seen & (y + half_y >= row_of(0.0f)) & (row_of(view.height) >= y - half_y);
    out[0] = x, out[1] = y;
    out[2] = o.c * inverse * (-0.5f * LOG2_E), out[3] = o.b * inverse * LOG2_E, out[4] = o.a * inverse * (-0.5f * LOG2_E);
    out[5] = cut, out[6] = g[11], out[7] = g[12], out[8] = g[13], out[9] = o.t[2];
    out[10] = keep(seen, half_x), out[11] = keep(seen, half_y), out[12] = o.opacity;
    out[13] = out[14] = out[15] = row_of(0.0f);
    scatter_16(out, splats, n, end);
  }
}

// Adds nothing up over calls except `d_transforms` [24], which accumulates; d_gaussians is written.
static void project_backward(const float* gaussians, const View& view, const float* d_splats, float* d_gaussians,
                             float* d_transforms, long begin, long end) {
  F total[24];
  for (int i = 0; i < 24; i++) total[i] = row_of(0.0f);
  for (long n = begin; n < end; n += 16) {
    F g[16], d[16], out[16];
    gather_16(gaussians, n, end, g, 15);
    gather_16(d_splats, n, end, d, 9);
    if (end - n < 16) {
      alignas(64) float live[16];
      for (long i = 0; i < 16; i++) live[i] = i < end - n ? 1.0f : 0.0f;
      for (int j = 0; j < 9; j++) d[j] = d[j] * load_row(live);
    }
    Projection o;
    project_16(g, view, o);
    Mask before = row_of(view.near) >= o.t[2];
    for (int j = 0; j < 9; j++) d[j] = select(before, row_of(0.0f), d[j]);
    F inverse = 1.0f / o.det;
    F kxx = o.c * inverse, kxy = -(o.b * inverse), kyy = o.a * inverse;
    // covariance = inverse of the conic: d_cov = -K G K, G = [[d2, d3/2], [d3/2, d4]]
    F half = d[3] * 0.5f;
    F l0 = kxx * d[2] + kxy * half, l1 = kxx * half + kxy * d[4];
    F l2 = kxy * d[2] + kyy * half, l3 = kxy * half + kyy * d[4];
    F da = -(l0 * kxx + l1 * kxy), db = -2.0f * (l0 * kxy + l1 * kyy), dc = -(l2 * kxy + l3 * kyy);
    F dA[9], djx = row_of(0.0f), djy = row_of(0.0f), djxz = row_of(0.0f), djyz = row_of(0.0f);
    for (int j = 0; j < 3; j++) {
      F dB0 = 2.0f * da * o.B0[j] + db * o.B1[j], dB1 = 2.0f * dc * o.B1[j] + db * o.B0[j];
      dA[j] = o.jx * dB0, dA[3 + j] = o.jy * dB1, dA[6 + j] = o.jxz * dB0 + o.jyz * dB1;
      djx += dB0 * o.A[j], djy += dB1 * o.A[3 + j], djxz += dB0 * o.A[6 + j], djyz += dB1 * o.A[6 + j];
    }
    // jx = fx / z, jxz = -jx u, u = clamp(x / z); centre = x jx + cx
    djx += d[0] * o.t[0] - djxz * o.ux, djy += d[1] * o.t[1] - djyz * o.uy;
    F dux = keep(o.free_x, -(djxz * o.jx)), duy = keep(o.free_y, -(djyz * o.jy));
    F dt[3];
    dt[0] = d[0] * o.jx + dux * o.rz, dt[1] = d[1] * o.jy + duy * o.rz;
    dt[2] = -(djx * o.jx + djy * o.jy + dux * o.t[0] * o.rz + duy * o.t[1] * o.rz) * o.rz;
    F dM[12], dRS[9];
    for (int i = 0; i < 3; i++) {
      for (int j = 0; j < 3; j++) dM[4 * i + j] = dt[i] * o.p[j] + dot3(dA + 3 * i, o.RS + 3 * j);
      dM[4 * i + 3] = dt[i];
    }
    for (int i = 0; i < 3; i++) {
      out[i] = o.M[i] * dt[0] + o.M[4 + i] * dt[1] + o.M[8 + i] * dt[2];
      for (int j = 0; j < 3; j++) dRS[3 * i + j] = o.M[i] * dA[j] + o.M[4 + i] * dA[3 + j] + o.M[8 + i] * dA[6 + j];
    }
    F dw = row_of(0.0f);
    for (int i = 0; i < 12; i++) {
      F moved = o.w * dM[i];
      dw += dM[i] * (view.transforms[12 + i] - view.transforms[i]);
      total[i] += dM[i] - moved, total[12 + i] += moved;
    }
    F dR[9];
    for (int j = 0; j < 3; j++) {
      F ds = row_of(0.0f);
      for (int i = 0; i < 3; i++) ds += dRS[3 * i + j] * o.R[3 * i + j], dR[3 * i + j] = dRS[3 * i + j] * o.s[j];
      out[3 + j] = ds * o.s[j];
    }
    F w = o.q[0], x = o.q[1], y = o.q[2], z = o.q[3], dq[4];
    dq[0] = 2.0f * (x * (dR[7] - dR[5]) + y * (dR[2] - dR[6]) + z * (dR[3] - dR[1]));
    dq[1] = 2.0f * (y * (dR[1] + dR[3]) + z * (dR[2] + dR[6]) + w * (dR[7] - dR[5])) - 4.0f * x * (dR[4] + dR[8]);
    dq[2] = 2.0f * (x * (dR[1] + dR[3]) + z * (dR[5] + dR[7]) + w * (dR[2] - dR[6])) - 4.0f * y * (dR[0] + dR[8]);
    dq[3] = 2.0f * (x * (dR[2] + dR[6]) + y * (dR[5] + dR[7]) + w * (dR[3] - dR[1])) - 4.0f * z * (dR[0] + dR[4]);
    F along = o.q[0] * dq[0] + o.q[1] * dq[1] + o.q[2] * dq[2] + o.q[3] * dq[3];
    for (int i = 0; i < 4; i++) out[6 + i] = (dq[i] - o.q[i] * along) * o.inverse_norm;
    out[10] = d[5] * o.opacity * (1.0f - o.opacity);
    out[11] = d[6], out[12] = d[7], out[13] = d[8];
    out[14] = dw * o.w * (1.0f - o.w), out[15] = row_of(0.0f);
    scatter_16(out, d_gaussians, n, end);
  }
  for (int i = 0; i < 24; i++) d_transforms[i] += sum(total[i]);
}
