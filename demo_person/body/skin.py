"""The skin's colour and relief, painted by where each texel lies on the face."""

from __future__ import annotations

import cv2
import numpy as np

from demo_person.body.atlas import ATLAS, EAR, SKIN, pixels, skin_uv
from demo_person.body.hair import hair_cover
from demo_person.body.rig import BROW_LOWER
from demo_person.drawing.geometry import Mesh
from demo_person.drawing.paint import Atlas, mix, noise
from demo_person.drawing.raster import rasterise
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep
from gtalk.topology import BROW_POINTS, LEFT_EYE_RING, MIRROR, RIGHT_EYE_RING

TALL = 0.5  # texels of the skin are about twice as high as wide, on the person
TONE = np.array([0.800, 0.625, 0.530], np.float32)
BLOOD = np.array([0.740, 0.395, 0.345], np.float32)
NOSTRILS = (np.array([79, 239, 238, 20, 242]), np.array([309, 459, 458, 250, 462]))


class SkinMap:
    """Texels of the skin's box: their places on the person at rest."""

    def __init__(self, mesh: Mesh) -> None:
        rows, columns = pixels(SKIN)
        self.height, self.width = rows.stop - rows.start, columns.stop - columns.start
        flat = np.column_stack([mesh.uv * ATLAS - [columns.start, rows.start], np.ones(len(mesh.uv))])
        outside = np.isin(mesh.label, (MaskClass.HEAD, MaskClass.NECK, MaskClass.LIPS))
        triangles = mesh.triangles[outside]
        # Texture space has one sheet but for folds such as the nostrils: the outermost is painted.
        flat[:, 2] = 1.0 - mesh.points[:, 2]
        found = rasterise(flat, triangles, self.width, self.height, perspective=False)
        shape = (self.height, self.width)
        self.where = np.zeros((*shape, 3), np.float32)
        self.where.reshape(-1, 3)[found.pixel] = found.interpolate(triangles, mesh.points.astype(np.float32))
        self.covered = np.zeros(shape, bool)
        self.covered.ravel()[found.pixel] = True
        self.lips = np.zeros(shape, np.float32)
        self.lips.ravel()[found.pixel] = mesh.label[outside][found.triangle] == MaskClass.LIPS
        self.points = mesh.points

    def near(self, centre: int | np.ndarray, radius: float | tuple[float, float, float]) -> np.ndarray:
        """[H,W] a Gaussian about a vertex, or about a place, on both sides of the face."""
        place = self.points[centre] if np.ndim(centre) == 0 else np.asarray(centre)
        sides = (1,) if abs(place[0]) < 1e-4 else (1, -1)
        scale = np.broadcast_to(np.asarray(radius, np.float32), 3)
        x, y, z = (self.where[..., k] for k in range(3))
        x = x if len(sides) == 1 else np.abs(x)
        place = np.asarray(place * [np.sign(place[0]) or 1, 1, 1] if len(sides) == 2 else place, np.float32)
        distance = (
            ((x - place[0]) / scale[0]) ** 2 + ((y - place[1]) / scale[1]) ** 2 + ((z - place[2]) / scale[2]) ** 2
        )
        return np.exp(-distance)

    def texels(self, vertices: np.ndarray) -> np.ndarray:
        """[n,2] places of vertices in the box, pixels."""
        return self.texels_at(self.points[vertices])

    def texels_at(self, points: np.ndarray) -> np.ndarray:
        """[n,2] places of points in the box, pixels."""
        rows, columns = pixels(SKIN)
        return skin_uv(points) * ATLAS - [columns.start, rows.start]


def paint_skin(atlas: Atlas, mesh: Mesh, seed: int = 11) -> None:
    """Face, scalp, neck and ears."""
    random = np.random.default_rng(seed)
    skin = SkinMap(mesh)
    lips = cv2.GaussianBlur(skin.lips, (0, 0), 2.2)
    colour = _complexion(skin, random)
    colour, stubble = _stubble(skin, colour, lips, random)
    colour = _lips(skin, colour, lips, random)
    colour = _shadows(skin, colour)
    height_map = _relief(skin, lips, random)
    scalp = hair_cover(skin.where, 0.02) * skin.covered
    ragged = cv2.GaussianBlur(random.standard_normal(scalp.shape).astype(np.float32), (0, 0), 1.1, sigmaY=7)
    thick = smoothstep(0.0, 0.55, scalp + 0.16 * ragged / ragged.std() * (scalp > 0.01))
    colour = mix(colour, (0.20, 0.145, 0.105), thick.astype(np.float32) * 0.93)
    hairs = _brows(skin, random)
    hairs = np.maximum(hairs, _hairline(skin, scalp, random))
    colour = mix(colour, (0.115, 0.075, 0.052), hairs)
    colour = mix(colour, (0.16, 0.10, 0.085), _lash_line(skin))
    rows, columns = pixels(SKIN)
    tee = np.maximum(skin.near(151, (0.035, 0.02, 0.03)), skin.near(4, (0.012, 0.02, 0.03)))
    atlas.colour[rows, columns] = _bleed(colour, skin.covered)
    atlas.gloss[rows, columns] = 0.34 + 0.16 * tee + 0.35 * lips - 0.25 * scalp - 0.2 * hairs - 0.1 * stubble
    atlas.rough[rows, columns] = 0.50 - 0.08 * tee - 0.14 * lips + 0.1 * scalp
    atlas.relief[rows, columns] = _normals(skin, height_map)
    _ears(atlas, random)


def _complexion(skin: SkinMap, random: np.random.Generator) -> np.ndarray:
    size = skin.height, skin.width
    colour = np.broadcast_to(TONE, (*size, 3)).copy()
    mottle = (
        0.5 * noise(random, *size, 90, aspect=TALL)
        + 0.35 * noise(random, *size, 30, aspect=TALL)
        + 0.25 * noise(random, *size, 9, aspect=TALL)
    )
    colour *= (1 + 0.014 * noise(random, *size, 140, aspect=TALL) + 0.010 * noise(random, *size, 5, TALL))[..., None]
    blood = 0.10 + 0.030 * mottle
    blood += 0.20 * skin.near(50, (0.020, 0.016, 0.03)) + 0.16 * skin.near(205, 0.018)
    blood += 0.26 * skin.near(4, (0.012, 0.010, 0.02)) + 0.16 * skin.near(129, 0.008)
    blood += 0.12 * skin.near(152, (0.02, 0.014, 0.03)) + 0.16 * skin.near(28, (0.016, 0.007, 0.02))
    blood += 0.10 * skin.near(np.array([0.0, -0.17, 0.04]), (0.05, 0.04, 0.05))
    colour = mix(colour, BLOOD, blood)
    # Pale forehead, a little violet under the eyes.
    colour = mix(colour, (0.83, 0.675, 0.575), 0.40 * skin.near(151, (0.05, 0.022, 0.05)))
    colour = mix(colour, (0.60, 0.44, 0.42), 0.36 * skin.near(119, (0.013, 0.0065, 0.02)))
    freckles = np.zeros(size, np.float32)
    for vertex, count, spread in ((50, 150, (0.017, 0.010)), (195, 70, (0.012, 0.010)), (151, 40, (0.04, 0.016))):
        for side in (1, -1):
            place = skin.points[vertex] * [side, 1, 1]
            offset = random.standard_normal((count // 2, 2)) * spread
            spot = place + np.column_stack([offset, np.zeros(len(offset))])
            for (u, v), r, a in zip(
                skin.texels_at(spot), random.uniform(0.7, 2.3, count), random.uniform(0.1, 0.5, count), strict=False
            ):
                _spot(freckles, u, v, r * 1.3, float(a))
    freckles = cv2.GaussianBlur(freckles, (0, 0), 0.9)
    colour = mix(colour, (0.56, 0.37, 0.27), freckles * 0.8)
    for place in ((0.034, -0.066, 0.06), (-0.041, -0.020, 0.06), (0.022, 0.044, 0.09), (-0.020, -0.150, 0.04)):
        u, v = skin.texels_at(np.array([place]))[0]
        mole = np.zeros(size, np.float32)
        _spot(mole, u, v, 3.6, 0.8)
        colour = mix(colour, (0.30, 0.17, 0.12), cv2.GaussianBlur(mole, (0, 0), 1.0))
    return colour


def _spot(canvas: np.ndarray, u: float, v: float, radius: float, value: float) -> None:
    """A spot that is round on the person."""
    axes = (round(radius * 16), round(radius * TALL * 16))
    cv2.ellipse(canvas, (round(u * 16), round(v * 16)), axes, 0, 0, 360, (value,), -1, cv2.LINE_8, 4)


def _stubble(
    skin: SkinMap, colour: np.ndarray, lips: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = np.moveaxis(skin.where, -1, 0)
    edge = np.interp(np.abs(x), [0, 0.020, 0.036, 0.052, 0.066, 0.080], [-0.052, -0.055, -0.072, -0.062, -0.030, 0.0])
    area = smoothstep(0.003, -0.010, y - edge) * smoothstep(-0.142, -0.122, y) * smoothstep(-0.02, 0.01, z)
    area *= (1 - np.clip(lips * 2, 0, 1)) * skin.covered
    area *= 1 - 0.6 * skin.near(2, (0.005, 0.012, 0.02))
    dots = cv2.GaussianBlur((random.uniform(size=area.shape) > 0.86).astype(np.float32), (0, 0), 0.75)
    patchy = np.clip(1 + 0.25 * noise(random, skin.height, skin.width, 40, TALL), 0.3, 1.5)
    amount = (area * patchy).astype(np.float32)
    colour = mix(colour, (0.47, 0.385, 0.36), amount * 0.17)
    return mix(colour, (0.20, 0.155, 0.135), amount * np.clip(dots * 1.5, 0, 1) * 0.42), amount


def _lips(skin: SkinMap, colour: np.ndarray, lips: np.ndarray, random: np.random.Generator) -> np.ndarray:
    size = skin.height, skin.width
    streak = cv2.GaussianBlur(random.standard_normal(size).astype(np.float32), (0, 0), 1.3, sigmaY=9)
    streak /= streak.std()
    red = np.array([0.700, 0.385, 0.360], np.float32) * (1 + 0.05 * streak)[..., None]
    colour = mix(colour, red, np.clip(lips, 0, 1) * 0.88)
    inner = skin.near(13, (0.022, 0.0022, 0.02)) * lips
    return mix(colour, (0.48, 0.20, 0.20), inner * 0.55)


def _shadows(skin: SkinMap, colour: np.ndarray) -> np.ndarray:
    for index in NOSTRILS:
        centre = skin.points[index].mean(0)
        # Centre and extent of the dark opening, seen from below.
        hole = np.exp(-((((skin.where - centre) / np.array([0.0042, 0.0030, 0.0060])) ** 2).sum(-1) ** 1.5))
        colour = mix(colour, (0.13, 0.055, 0.045), np.clip(hole * 1.5, 0, 0.96).astype(np.float32))
    for ring in (LEFT_EYE_RING, RIGHT_EYE_RING):
        corner = skin.points[ring[8] if ring is LEFT_EYE_RING else ring[0]]
        colour = mix(colour, (0.70, 0.38, 0.36), 0.6 * skin.near(corner, 0.0030))
    crease = np.zeros((skin.height, skin.width), np.float32)
    for side in (1, -1):
        line = np.array([247, 30, 29, 27, 28, 56, 190])
        line = line if side == 1 else MIRROR[line]
        curve = skin.texels(line)
        cv2.polylines(crease, [np.round(curve * 16).astype(np.int32)], False, (1.0,), 5, cv2.LINE_AA, 4)
    return mix(colour, (0.52, 0.34, 0.29), cv2.GaussianBlur(crease, (0, 0), 2.5) * 0.42)


def _relief(skin: SkinMap, lips: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[H,W] height in millimetres above the smooth surface."""
    size = skin.height, skin.width
    pores = np.minimum(noise(random, *size, 4.5, aspect=TALL), 0.6) * 0.018 + noise(random, *size, 9, TALL) * 0.010
    nose = skin.near(195, (0.015, 0.02, 0.03)) + skin.near(50, 0.022)
    height_map = pores * (0.8 + 0.8 * nose)
    wrinkles = np.zeros(size, np.float32)
    y = skin.where[..., 1] + 0.10 * skin.where[..., 0] ** 2 / 0.05
    for level, depth in ((0.036, 0.05), (0.044, 0.06), (0.0515, 0.05)):
        wave = 0.0012 * np.sin(skin.where[..., 0] * 110 + level * 900)
        wrinkles -= (
            depth * np.exp(-(((y + wave - level) / 0.0009) ** 2)) * smoothstep(0.045, 0.025, np.abs(skin.where[..., 0]))
        )
    height_map += wrinkles
    folds = np.zeros(size, np.float32)
    for line in (np.array([129, 203, 206, 216]), np.array([33, 130, 226])):
        for side in (1, -1):
            curve = skin.texels(line if side == 1 else MIRROR[line])
            cv2.polylines(folds, [np.round(curve * 16).astype(np.int32)], False, (1.0,), 3, cv2.LINE_AA, 4)
    height_map -= cv2.GaussianBlur(folds, (0, 0), 4.0) * 0.30
    streak = cv2.GaussianBlur(random.standard_normal(size).astype(np.float32), (0, 0), 1.2, sigmaY=7)
    return height_map + lips * (streak / streak.std() * 0.035 - pores)


def _normals(skin: SkinMap, height_map: np.ndarray) -> np.ndarray:
    """[H,W,3] change of the unit normal: minus the surface gradient of the height."""
    du, dv = np.gradient(skin.where, axis=1), np.gradient(skin.where, axis=0)
    hu, hv = np.gradient(height_map / 1000, axis=1), np.gradient(height_map / 1000, axis=0)
    guard = 1e-8
    change = -du * (hu / ((du**2).sum(-1) + guard))[..., None] - dv * (hv / ((dv**2).sum(-1) + guard))[..., None]
    return np.clip(change, -0.6, 0.6) * cv2.erode(skin.covered.astype(np.uint8), np.ones((5, 5)))[..., None]


def _brows(skin: SkinMap, random: np.random.Generator) -> np.ndarray:
    canvas = np.zeros((skin.height, skin.width), np.uint8)  # OpenCV smooths lines in 8 bits only
    for side in range(2):
        top, bottom = skin.points[BROW_POINTS[side]], skin.points[BROW_LOWER[side]]
        for layer in range(520):
            t, s = random.uniform(0, 1), random.beta(1.6, 1.8)
            at = t * 4
            k = min(3, int(at))
            upper = top[k] + (top[k + 1] - top[k]) * (at - k)
            lower = bottom[k] + (bottom[k + 1] - bottom[k]) * (at - k)
            # t runs from the outer end inwards; the outer tail is thin and low.
            lower = lower + (upper - lower) * 0.02
            width = 0.62 * smoothstep(-0.1, 0.45, t) + 0.13
            root = lower + (upper - lower) * (0.42 + (s - 0.5) * width)
            outward = np.sign(root[0])
            lean = np.interp(t, [0, 0.55, 0.9, 1.0], [-0.55, 0.15, 1.0, 1.6]) + random.normal(0, 0.22)
            lean += (0.5 - s) * 0.8
            direction = np.array([outward, lean, 0]) / np.hypot(1, lean)
            length = random.uniform(0.0035, 0.0062) * np.interp(t, [0, 0.2, 1], [0.8, 1.1, 0.8])
            tip = root + direction * length
            ends = np.round(skin.texels_at(np.stack([root, (root + tip) / 2 + [0, 0.0003, 0], tip])) * 16).astype(
                np.int32
            )
            stroke = (round(255 * random.uniform(0.30, 0.78)),)
            cv2.polylines(canvas, [ends], False, stroke, 1 + (layer % 3 == 0), cv2.LINE_AA, 4)
    return np.clip(cv2.GaussianBlur(canvas, (0, 0), 0.7) / np.float32(255) * 1.15, 0, 0.88)


def _hairline(skin: SkinMap, scalp: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Single hairs where the scalp's hair begins."""
    canvas = np.zeros((skin.height, skin.width), np.uint8)  # OpenCV smooths lines in 8 bits only
    rows, columns = np.nonzero((scalp > 0.02) & (scalp < 0.9))
    for i in random.choice(len(rows), 3800):
        at = np.array([columns[i], rows[i]], float)
        up = random.normal([0.1, -1.0], 0.35)
        end = at + up * random.uniform(6, 18)
        strength = (round(255 * random.uniform(0.2, 0.6)),)
        cv2.line(
            canvas,
            tuple(np.round(at * 16).astype(int)),
            tuple(np.round(end * 16).astype(int)),
            strength,
            1,
            cv2.LINE_AA,
            4,
        )
    return cv2.GaussianBlur(canvas, (0, 0), 0.5) / np.float32(255)


def _lash_line(skin: SkinMap) -> np.ndarray:
    canvas = np.zeros((skin.height, skin.width), np.uint8)  # OpenCV smooths lines in 8 bits only
    for ring in (LEFT_EYE_RING, RIGHT_EYE_RING):
        lower, upper = ring[:9], np.concatenate([ring[8:], ring[:1]])
        for line, strength, wide in ((lower, 0.35, 3), (upper, 0.95, 5)):
            curve = np.round(skin.texels(line) * 16).astype(np.int32)
            cv2.polylines(canvas, [curve], False, (round(255 * strength),), wide, cv2.LINE_AA, 4)
    return np.clip(cv2.GaussianBlur(canvas, (0, 0), 1.4) / np.float32(255), 0, 0.9)


def _bleed(colour: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Colour beyond the borders of what is covered, so that filtering takes in no grey."""
    weight = covered.astype(np.float32)
    blurred = cv2.GaussianBlur(colour * weight[..., None], (0, 0), 6)
    total = cv2.GaussianBlur(weight, (0, 0), 6)[..., None]
    return np.where(covered[..., None], colour, np.where(total > 1e-3, blurred / np.maximum(total, 1e-3), TONE))


def _ears(atlas: Atlas, random: np.random.Generator) -> None:
    rows, columns = pixels(EAR)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rim = smoothstep(0.6, 1.0, np.hypot(x, y)).astype(np.float32)
    colour = np.broadcast_to(TONE, (height, width, 3)).copy()
    colour = mix(colour, BLOOD, 0.24 + 0.22 * rim + 0.04 * noise(random, height, width, 40))
    colour = mix(
        colour, (0.40, 0.20, 0.17), 0.75 * np.exp(-((((x + 0.22) / 0.22) ** 2 + ((y - 0.08) / 0.26) ** 2) ** 2))
    )
    atlas.colour[rows, columns] = colour
    atlas.gloss[rows, columns] = 0.32
    atlas.rough[rows, columns] = 0.5
