// GLSL of the three passes. Conventions are those of gtalk/ops/reference/splat.py.

const HEAD = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;
vec4 texel(sampler2D from, int index) { int w = textureSize(from, 0).x; return texelFetch(from, ivec2(index % w, index / w), 0); }
`;

export const QUAD = `#version 300 es
void main() { gl_Position = vec4(vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3))[gl_VertexID], 0, 1); }`;

// One fragment a Gaussian: base + clamp(code basis), with an expression what the mesh does there, skinned, projected.
export const PROJECT = HEAD + `
uniform sampler2D base, face, rest, codes, bound, ranges, mesh;
uniform int count, faceCount, faceCodes, restCodes, behind;
uniform ivec4 ends;  // of right, left and far skin, and of what lies in the mouth as speech shows it
uniform vec4 limits[4];
uniform float share;  // of an expression
uniform vec4 steps[2], most;  // what ranges are worth; how far scale and shade may go
uniform vec3 chin, light, tint, line;  // the line between lips that part takes on this colour
uniform int lines;  // the first of the folds that are such lines
uniform vec4 folds[12];  // how deep each is
uniform mat4x3 head, torso;
uniform vec4 camera;  // focal, cx, cy; the blur of the fit, in px^2 of this image
uniform vec2 size;
layout(location = 0) out vec4 place;  // centre, px; half size of the box where alpha >= 1/255, px
layout(location = 1) out vec4 shape;  // conic xx, xy, yy; opacity
layout(location = 2) out vec4 colour;

mat3 turned(vec4 q) {
  q /= sqrt(dot(q, q) + 1e-24);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(1. - 2. * (y * y + z * z), 2. * (x * y + w * z), 2. * (x * z - w * y),
              2. * (x * y - w * z), 1. - 2. * (x * x + z * z), 2. * (y * z + w * x),
              2. * (x * z + w * y), 2. * (y * z - w * x), 1. - 2. * (x * x + y * y));
}

// What an expression adds to skin: see gtalk/export/web/face.py.
void express(inout vec4 g[4], vec4 first[4], int n) {
  vec4 corners = texel(bound, 3 * n), skin = texel(bound, 3 * n + 1), fold = texel(bound, 3 * n + 2);
  vec3 weight = vec3(skin.xy, 1. - skin.x - skin.y);
  vec4 sum[6] = vec4[6](vec4(0), vec4(0), vec4(0), vec4(0), vec4(0), vec4(0));
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 6; j++)
      sum[j] += weight[i] * texel(mesh, j < 4 ? int(corners[i]) * 4 + j : 478 * 4 + int(corners[i]) * 2 + j - 4);
  vec3 normal = vec3(sum[0].w, sum[1].xy), away = sum[4].xyz + corners.w * vec3(sum[4].w, sum[5].xy);
  g[0].xyz += skin.z * (sum[0].xyz + corners.w * normal + skin.w * away);
  mat3 slope = skin.z * transpose(mat3(sum[1].zw, sum[2].x, sum[2].yzw, sum[3].xyz));
  vec4 q = vec4(first[1].zw, first[2].xy);
  mat3 axes = turned(q);
  vec3 stretch;
  for (int i = 0; i < 3; i++) stretch[i] = log(length(axes[i] + slope * axes[i]));
  stretch = clamp(stretch, -most.x, most.x);
  g[0].w += stretch.x;
  g[1].xy += stretch.yz;
  vec3 skew = .25 * vec3(slope[1].z - slope[2].y, slope[2].x - slope[0].z, slope[0].y - slope[1].x);
  vec4 turn = vec4(-dot(skew, q.yzw), skew * q.x + cross(skew, q.yzw));
  g[1].zw += turn.xy;
  g[2].xy += turn.zw;
  float shade = clamp(dot(normal, light) * skin.z, -most.y, most.y);
  ivec2 which = ivec2(fold.xz);
  vec2 deep = vec2(fold.y * folds[which.x >> 2][which.x & 3], fold.w * folds[which.y >> 2][which.y & 3]);
  bvec2 isLine = greaterThanEqual(which, ivec2(lines));
  float paler = (isLine.x ? deep.x : 0.) + (isLine.y ? deep.y : 0.);
  vec3 own = vec3(first[2].w, first[3].xy);
  own = own * (shade + tint * (deep.x + deep.y - paler)) + paler * (line - own);
  g[2].w += own.x;
  g[3].xy += own.yz;
}

void main() {
  int n = int(gl_FragCoord.y) * 256 + int(gl_FragCoord.x);
  place = shape = colour = vec4(0);
  if (n >= count) return;
  bool isFace = n < faceCount, expressed = share > 0.;
  if (n >= ends.z && n < faceCount + behind && (n < ends.w) == expressed) return;
  int group = expressed ? (n < ends.x ? 0 : n < ends.y ? 1 : n < ends.z ? 2 : 3) : 0;
  vec4 g[4], first[4], moved[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
  int many = isFace ? faceCodes : n < faceCount + behind ? 0 : restCodes;
  int row = (isFace ? n : n - faceCount - behind) * many * 4, at = isFace ? group : 4;
  float smoothness = expressed && group < 2 ? texel(bound, 3 * n + 1).w : 0.;
  for (int k = 0; k < many; k++)
    for (int j = 0; j < 4; j++) {
      vec4 amount = texelFetch(codes, ivec2(4 * k + j, at), 0);
      if (j == 0 && smoothness > 0.) amount.xyz -= smoothness * texelFetch(codes, ivec2(4 * k, 5), 0).xyz;
      moved[j] += amount * (isFace ? texel(face, row + 4 * k + j) : texel(rest, row + 4 * k + j));
    }
  for (int j = 0; j < 4; j++) {
    first[j] = texel(base, 4 * n + j);
    g[j] = first[j] + clamp(moved[j], -limits[j], limits[j]);
  }
  if (expressed && isFace) {
    vec4 low[2], high[2];
    for (int j = 0; j < 2; j++) {
      low[j] = texel(ranges, 4 * n + j) * steps[j];
      high[j] = texel(ranges, 4 * n + 2 + j) * steps[j];
    }
    vec4 looks = vec4(g[0].w, g[1].xy, g[2].z), were = vec4(first[0].w, first[1].xy, first[2].z);
    vec3 hue = vec3(g[2].w, g[3].xy), was = vec3(first[2].w, first[3].xy);
    looks = mix(looks, clamp(looks, were + low[0], were + high[0]), share);
    hue = mix(hue, clamp(hue, was + low[1].xyz, was + high[1].xyz), share);
    g[0].w = looks.x; g[1].xy = looks.yz; g[2].z = looks.w - first[3].w;
    g[2].w = hue.x; g[3].xy = hue.yz;
    if (n < ends.z) express(g, first, n);
    else g[0].xyz += texel(bound, 3 * n).x * chin;
  }
  vec3 p = g[0].xyz, s = exp(vec3(g[0].w, g[1].xy));
  mat3 R = turned(vec4(g[1].zw, g[2].xy));
  float follows = 1. / (1. + exp(-g[3].z)), opacity = 1. / (1. + exp(-g[2].z));
  mat4x3 M = head * (1. - follows) + torso * follows;
  vec3 t = M * vec4(p, 1);
  if (t.z < .01) return;
  mat3 A = mat3(M[0], M[1], M[2]) * R * mat3(s.x, 0, 0, 0, s.y, 0, 0, 0, s.z);
  float f = camera.x;
  vec2 c = camera.yz, slope = t.xy / t.z, slack = .15 * size / f;
  vec2 u = clamp(slope, -c / f - slack, (size - c) / f + slack);
  vec3 jx = f / t.z * vec3(1, 0, -u.x), jy = f / t.z * vec3(0, 1, -u.y);
  vec3 bx = jx * A, by = jy * A;
  float blur = max(.3, camera.w), less = blur - camera.w;
  float a = dot(bx, bx) + blur, b = dot(bx, by), d = dot(by, by) + blur, det = a * d - b * b;
  if (less > 0.) opacity *= sqrt(max((a - less) * (d - less) - b * b, 0.) / det);
  float reach = 2. * log(max(opacity, 1e-12) * 255.);
  if (reach < 1e-6 || det < 1e-12) return;
  place = vec4(slope * f + c, sqrt(reach * vec2(a, d)));
  shape = vec4(d, -b, a, 0) / det;
  shape.w = opacity;
  colour = vec4(vec3(g[2].w, g[3].xy), 1);
}`;

// A quad a Gaussian, in the order of their depths.
export const SPLAT_VERTEX = HEAD + `
uniform sampler2D places, shapes, colours;
uniform vec2 size;
in uint number;
flat out vec4 shape;
flat out vec3 colour;
out vec2 offset;

void main() {
  int n = int(number);
  vec4 place = texel(places, n);
  shape = texel(shapes, n);
  colour = texel(colours, n).rgb;
  offset = place.zw * vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2. - place.zw;
  vec2 at = (place.xy + offset) / size * 2. - 1.;
  gl_Position = place.z > 0. ? vec4(at.x, -at.y, 0, 1) : vec4(2, 2, 2, 1);
}`;

export const SPLAT = HEAD + `
flat in vec4 shape;
flat in vec3 colour;
in vec2 offset;
out vec4 value;

void main() {
  float sigma = .5 * (shape.x * offset.x * offset.x + shape.z * offset.y * offset.y) + shape.y * offset.x * offset.y;
  float alpha = min(.999, shape.w * exp(-sigma));
  if (alpha < 1. / 255.) discard;
  value = vec4(colour * alpha, alpha);
}`;

// The person over the plate as the camera frames it, or over nothing.
export const RESOLVE = HEAD + `
uniform sampler2D person, plate, mark;
uniform float markUnit;  // pixels of the mark's tile
uniform vec3 markRgb;
uniform vec2 size;
uniform vec3 framing;  // dx, dy in image heights, log scale
uniform float margin;  // of the plate, in image heights
uniform vec4 behind;   // a colour and how much of it; what is left is the plate, or nothing
uniform bool hasPlate;
out vec4 value;

void main() {
  vec4 seen = texelFetch(person, ivec2(gl_FragCoord.xy), 0);
  vec2 at = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y);
  vec2 from = (at - .5 * size - framing.xy * size.y) * exp(-framing.z);
  vec3 room = texture(plate, .5 + from / (size + 2. * margin * size.y)).rgb;
  vec4 back = hasPlate ? vec4(room, 1) : behind;
  value = seen + (1. - clamp(seen.a, 0., 1.)) * back;
  // The invisible mark, as gtalk/marks/watermark.py puts it: less in the dark, where it would be seen.
  vec3 most = max(floor(clamp(value.rgb, 0., 1.) * 255. / 14.), 1.), levels = round(255. * markRgb * texture(mark, at / markUnit).r);
  value.rgb += clamp(levels, -most, most) / 255. * clamp(value.a, 0., 1.);
}`;
