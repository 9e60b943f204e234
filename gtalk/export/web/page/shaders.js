// GLSL of the three passes. Conventions are those of gtalk/ops/reference/splat.py.

const HEAD = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;
vec4 texel(sampler2D from, int index) { int w = textureSize(from, 0).x; return texelFetch(from, ivec2(index % w, index / w), 0); }
`;

export const QUAD = `#version 300 es
void main() { gl_Position = vec4(vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3))[gl_VertexID], 0, 1); }`;

// One fragment a Gaussian: base + clamp(code basis), skinned, projected.
export const PROJECT = HEAD + `
uniform sampler2D base, face, rest, codes;
uniform int count, faceCount, faceCodes, restCodes;
uniform vec4 limits[4];
uniform mat4x3 head, torso;
uniform vec4 camera;  // focal, cx, cy; the blur of the fit, in px^2 of this image
uniform vec2 size;
layout(location = 0) out vec4 place;  // centre, px; half size of the box where alpha >= 1/255, px
layout(location = 1) out vec4 shape;  // conic xx, xy, yy; opacity
layout(location = 2) out vec4 colour;

void main() {
  int n = int(gl_FragCoord.y) * 256 + int(gl_FragCoord.x);
  place = shape = colour = vec4(0);
  if (n >= count) return;
  vec4 moved[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
  bool isFace = n < faceCount;
  int many = isFace ? faceCodes : restCodes, first = (isFace ? n : n - faceCount) * many * 4;
  for (int k = 0; k < many; k++)
    for (int j = 0; j < 4; j++)
      moved[j] += texel(codes, (isFace ? k : faceCodes + k) * 4 + j) * (isFace ? texel(face, first + 4 * k + j) : texel(rest, first + 4 * k + j));
  vec4 g[4];
  for (int j = 0; j < 4; j++) g[j] = texel(base, 4 * n + j) + clamp(moved[j], -limits[j], limits[j]);
  vec3 p = g[0].xyz, s = exp(vec3(g[0].w, g[1].xy));
  vec4 q = vec4(g[1].zw, g[2].xy);
  q /= sqrt(dot(q, q) + 1e-24);
  float w = q.x, x = q.y, y = q.z, z = q.w;
  mat3 R = mat3(1. - 2. * (y * y + z * z), 2. * (x * y + w * z), 2. * (x * z - w * y),
                2. * (x * y - w * z), 1. - 2. * (x * x + z * z), 2. * (y * z + w * x),
                2. * (x * z + w * y), 2. * (y * z - w * x), 1. - 2. * (x * x + y * y));
  float share = 1. / (1. + exp(-g[3].z)), opacity = 1. / (1. + exp(-g[2].z));
  mat4x3 M = head * (1. - share) + torso * share;
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
