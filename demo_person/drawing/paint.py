"""The texture atlas: colour, gloss and fine relief of every surface but the skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo_person.body.atlas import ATLAS, COLLAR, EYE, HAIR, KNIT, TEETH, TONGUE, pixels
from demo_person.body.head import EYEBALL_RADIUS, IRIS_RADIUS
from demo_person.body.parts import EYE_EXTENT
from gtalk.geometry.easing import smoothstep


@dataclass
class Atlas:
    """Pictures of ATLAS x ATLAS; float32, later packed to bytes."""

    colour: np.ndarray
    """[A,A,3] sRGB, 0 to 1."""
    gloss: np.ndarray
    """[A,A] strength of the mirror-like part, 0 to 1."""
    rough: np.ndarray
    """[A,A] roughness, 0 to 1."""
    relief: np.ndarray
    """[A,A,3] what is added to the unit normal, in the frame of the body part."""

    @staticmethod
    def blank() -> Atlas:
        """Grey and matte."""
        return Atlas(
            np.full((ATLAS, ATLAS, 3), 0.5, np.float32),
            np.zeros((ATLAS, ATLAS), np.float32),
            np.full((ATLAS, ATLAS), 0.5, np.float32),
            np.zeros((ATLAS, ATLAS, 3), np.float32),
        )

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """Two uint8 [A,A,4] pictures: colour and gloss; relief and roughness."""
        first = np.concatenate([self.colour, self.gloss[..., None]], axis=2)
        second = np.concatenate([self.relief * 0.5 + 0.5, self.rough[..., None]], axis=2)
        return tuple((np.clip(part, 0, 1) * 255 + 0.5).astype(np.uint8) for part in (first, second))  # type: ignore[return-value]


def noise(random: np.random.Generator, height: int, width: int, cell: float, aspect: float = 1.0) -> np.ndarray:
    """[H,W] smooth noise, about standard normal, with features `cell` pixels wide, `cell * aspect` high."""
    rows, columns = height / (cell * aspect), width / cell
    small = random.standard_normal((max(2, round(rows) + 3), max(2, round(columns) + 3))).astype(np.float32)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return large / max(1e-6, float(large.std()))


def mix(base: np.ndarray, colour: tuple[float, float, float] | np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Base towards colour by amount [H,W]."""
    return base + (np.asarray(colour, np.float32) - base) * np.clip(amount, 0, 1)[..., None]


def paint_things(atlas: Atlas, seed: int = 3) -> None:
    """Eyes, teeth, tongue, hair and clothes."""
    random = np.random.default_rng(seed)
    _eye(atlas, random)
    _teeth(atlas, random)
    _tongue(atlas, random)
    _hair(atlas, random)
    _knit(atlas, random)
    _collar(atlas, random)


def _set(atlas: Atlas, box: tuple, colour: np.ndarray, gloss: np.ndarray | float, rough: np.ndarray | float) -> None:
    rows, columns = pixels(box)
    atlas.colour[rows, columns] = colour
    atlas.gloss[rows, columns] = gloss
    atlas.rough[rows, columns] = rough


def _shape(box: tuple) -> tuple[int, int]:
    rows, columns = pixels(box)
    return rows.stop - rows.start, columns.stop - columns.start


def _eye(atlas: Atlas, random: np.random.Generator) -> None:
    height, width = _shape(EYE)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1
    radius, around = np.hypot(x, y), np.arctan2(y, x)
    angle = radius * EYE_EXTENT
    iris = np.arcsin(IRIS_RADIUS / EYEBALL_RADIUS)
    r = angle / iris
    white = np.array([0.80, 0.77, 0.74], np.float32)
    colour = np.broadcast_to(white, (height, width, 3)).copy()
    colour = mix(colour, (0.80, 0.60, 0.55), smoothstep(1.3, 3.0, r) * 0.55)
    vein = np.abs(noise(random, height, width, 22) + 0.5 * noise(random, height, width, 9))
    colour = mix(colour, (0.72, 0.36, 0.32), np.exp(-((vein / 0.09) ** 2)) * smoothstep(1.2, 2.4, r) * 0.35)
    fibres = np.zeros_like(r)
    for count, strength in ((23, 0.5), (41, 0.6), (67, 0.5), (113, 0.4)):
        phase = random.uniform(0, 2 * np.pi)
        wobble = 0.25 * np.sin(3 * around + 5 * r + phase)
        fibres += strength * np.sin(count * around + phase + wobble * 4 + 1.5 * np.sin(6 * r + phase))
    tone = np.clip(0.5 + 0.22 * fibres, 0, 1)
    outer, inner = np.array([0.22, 0.27, 0.22]), np.array([0.45, 0.31, 0.15])
    towards = smoothstep(0.75, 0.40, r)[..., None]
    colours = (outer + (inner - outer) * towards) * (0.55 + 0.9 * tone[..., None])
    colours *= 1 - 0.75 * smoothstep(0.78, 1.0, r)[..., None]
    colour = mix(colour, colours, smoothstep(1.06, 0.95, r))
    colour = mix(colour, (0.012, 0.010, 0.010), smoothstep(0.41, 0.35, r))
    gloss = 0.55 + 0.45 * smoothstep(1.25, 1.0, r)
    _set(atlas, EYE, colour, gloss, 0.16)


def _teeth(atlas: Atlas, random: np.random.Generator) -> None:
    height, width = _shape(TEETH)
    t, s = np.mgrid[:height, :width].astype(np.float32)
    t, s = (t + 0.5) / height * 1.5 - 0.5, (s + 0.5) / width
    enamel = np.array([0.93, 0.885, 0.80], np.float32)
    colour = np.broadcast_to(enamel, (height, width, 3)).copy()
    colour = mix(colour, (0.80, 0.70, 0.54), smoothstep(0.45, 0.0, t) * 0.7)
    colour = mix(colour, (0.78, 0.79, 0.78), smoothstep(0.78, 1.0, t) * 0.6)
    colour *= (1 - 0.55 * smoothstep(0.86, 1.0, s) ** 2)[..., None]
    colour = mix(colour, (0.72, 0.36, 0.34), smoothstep(0.06, -0.04, t - 0.10 * s**2))
    colour *= 1 + 0.02 * noise(random, height, width, 20)[..., None]
    _set(atlas, TEETH, colour, 0.5, 0.30)


def _tongue(atlas: Atlas, random: np.random.Generator) -> None:
    height, width = _shape(TONGUE)
    s = np.linspace(-1, 1, width)[None]
    rough = noise(random, height, width, 3)
    colour = np.broadcast_to(np.array([0.72, 0.36, 0.35], np.float32), (height, width, 3)).copy()
    colour = mix(colour, (0.55, 0.22, 0.22), np.exp(-((s / 0.06) ** 2)) * 0.5 + np.zeros((height, 1)))
    colour *= 1 + 0.06 * rough[..., None]
    _set(atlas, TONGUE, colour, 0.45, 0.35)


def _hair(atlas: Atlas, random: np.random.Generator) -> None:
    height, width = _shape(HAIR)
    streak = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 0.8, sigmaY=22)
    coarse = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 4, sigmaY=40)
    tone = 0.8 * streak / streak.std() + 0.6 * coarse / coarse.std()
    colour = np.array([0.185, 0.130, 0.095], np.float32) * np.exp(0.30 * tone)[..., None]
    _set(atlas, HAIR, colour, 0.25, 0.55)
    rows, columns = pixels(HAIR)
    atlas.relief[rows, columns, 0] = np.gradient(tone, axis=1) * 0.22


def _knit(atlas: Atlas, random: np.random.Generator) -> None:
    height, width = _shape(KNIT)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    # Columns of V-shaped stitches; the neckline's first rows are ribbed.
    period_x, period_y = width / 260, height / 105
    column = (x / period_x) % 1
    slope = np.abs(column - 0.5) * 1.3
    stitch = (y / period_y + slope) % 1
    height_map = np.sin(np.pi * stitch) ** 0.7 * (0.35 + 0.65 * np.sin(np.pi * column) ** 0.6)
    rib = smoothstep(0.058, 0.052, y / height)
    ribs = 0.5 + 0.5 * np.cos(2 * np.pi * x / (period_x * 2))
    height_map = height_map * (1 - rib) + ribs * rib
    fuzz = noise(random, height, width, 2.5)
    yarn = 1 + 0.05 * noise(random, height, width, 16) + 0.05 * fuzz
    base = np.array([0.155, 0.275, 0.330], np.float32)
    colour = base * ((0.66 + 0.46 * height_map) * yarn)[..., None]
    colour = mix(colour, (0.40, 0.45, 0.45), (noise(random, height, width, 2.2) > 2.3) * 0.35)
    _set(atlas, KNIT, colour, 0.06, 0.8)
    rows, columns = pixels(KNIT)
    atlas.relief[rows, columns, 0] = -np.gradient(height_map, axis=1) * 0.55
    atlas.relief[rows, columns, 1] = np.gradient(height_map, axis=0) * 0.55


def _collar(atlas: Atlas, random: np.random.Generator) -> None:
    height, width = _shape(COLLAR)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    weave = np.sin(x * np.pi / 1.6) * np.sin(y * np.pi / 1.6)
    base = np.array([0.79, 0.82, 0.86], np.float32)
    colour = base * (1 + 0.035 * weave + 0.02 * noise(random, height, width, 3))[..., None]
    stripe = smoothstep(0.80, 0.95, np.cos(2 * np.pi * x / (width / 46)))
    colour = mix(colour, (0.50, 0.58, 0.72), stripe * 0.55)
    seam = np.exp(-(((y / height - 0.955) / 0.006) ** 2)) * (0.5 + 0.5 * np.sign(np.sin(x * 0.7)))
    colour = mix(colour, (0.55, 0.57, 0.62), seam * 0.7)
    _set(atlas, COLLAR, colour, 0.08, 0.7)
    rows, columns = pixels(COLLAR)
    atlas.relief[rows, columns, 0] = 0.05 * weave
