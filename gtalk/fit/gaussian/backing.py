"""What a clip from the front never shows but a turned head needs: sides and back of a head, and a neck.

A head-shaped prior stands behind face and hair: an ellipsoid behind the tracked mesh and half a cylinder below it,
drawn in until no frame of the clip shows background where they are (the visual hull; Laurentini 1994). The fit does
not learn it, and sees it only towards its end, when what the clip shows is opaque. Its colours are the person's own:
what looks to the camera has the colour of what stands before it; sides and back have that of the hair (of skin, where
there is no hair) that is seen nearest, on the other side of the head where that one was turned more to the camera.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass
from gtalk.fit.gaussian.views import HEAD_PARTS, SKIN_LOGIT, THIN, ClipView, MovingMesh
from gtalk.geometry.quaternion import facing
from gtalk.ops import splat
from gtalk.shapes import Bool, Float, UInt8

SKULL_RADII_M = (0.125, 0.12, 0.07)  # up, forwards and back; sideways as wide as the mesh
SKULL_BACK_M = 0.027  # its widest place behind the mesh's hindmost points, so that none looks past it before an ear
HIGHEST_M = 0.17  # of hair, above the skull's middle
SKULL_UP_M = 0.025  # its middle above the mesh's
INSIDE = 0.98  # of the outline, so that nothing stands out in front
INSIDE_JAW = 0.85  # of the face's width at each height
BEHIND_FACE_M, BEHIND_JAW_M = 0.035, 0.02
NECK_LOW_M, NECK_RADIUS_M, NECK_BEHIND_M = 0.19, 0.05, 0.012
NECK_SHARE = 0.25  # of the Gaussians
WIDE, OPAQUE = 0.5, 3.5  # standard deviation of a Gaussian in distances to the next; logit of its opacity
REACH = 1.5  # standard deviations of a Gaussian that must lie within the outline
SHRINKS = np.linspace(1.0, 0.5, 11)  # of a point's distance from the axis
SEEN_SHARE = 0.97  # of the frames, which must show the person there
EDGE = 0.012  # image heights from the outline, where colours are mixed with the background's
MIRRORED_M = 0.015  # how much nearer a colour must be on the other side of the head
FACING = 0.5  # cosine to the face's own direction, above which a point has the colour of what stands before it
LIKE_SKIN = 12.0  # of 255: hair that differs less from skin is not told from it


def make_backing(views: list[ClipView], mesh: MovingMesh, count: int) -> Float[np.ndarray, "N 16"]:
    """About `count` Gaussians behind a mesh, fewer where the clip shows background, in head space.

    Args:
        views: frames that look at the head from all the sides that the clip has.
        mesh: of the face.
        count: of points.
    """
    skull, neck = backing_surface(mesh.mean, count, _hair_top(views[len(views) // 2], mesh))
    surface = Surface(*(np.concatenate(parts) for parts in zip(skull, neck, strict=True)))
    is_neck = np.arange(len(surface.points)) >= len(skull.points)
    axis = np.stack([np.full(len(is_neck), mesh.mean[:, 0].mean()), surface.points[:, 1], surface.points[:, 2]], 1)
    axis[~is_neck, 1] = mesh.mean[:, 1].mean() + SKULL_UP_M
    axis[:, 2] = mesh.mean[:, 2].min()
    points, within = inside_hull(views, surface.points, axis, REACH * WIDE * float(surface.size_m.max()))
    palettes = [Palette(view, mesh) for view in views]
    low = is_neck | (points[:, 1] < mesh.mean[:, 1].mean())
    colour = _colours(palettes, points, low, mesh)
    before, collar = _before(views, points)
    front = ((surface.normal[:, 2] > FACING) | (~is_neck & behind_jaw(mesh.mean, points))) & np.isfinite(before).all(1)
    colour[front] = before[front]
    kept = within & np.isfinite(colour).all(1) & ~(is_neck & collar)
    rows = np.zeros((int(kept.sum()), splat.CHANNELS), np.float32)
    rows[:, splat.POSITION], rows[:, splat.COLOUR] = points[kept], colour[kept]
    rows[:, splat.LOG_SCALE] = np.log(WIDE * surface.size_m[kept])[:, None]
    rows[:, splat.LOG_SCALE.stop - 1] += np.log(THIN)
    rows[:, splat.QUATERNION], rows[:, splat.OPACITY] = facing(surface.normal[kept]), OPAQUE
    rows[:, splat.SKIN] = np.where(is_neck[kept], SKIN_LOGIT[MaskClass.NECK], SKIN_LOGIT[MaskClass.HEAD])[:, None]
    return rows


class Surface(NamedTuple):
    """Points of a surface in head space."""

    points: Float[np.ndarray, "N 3"]
    normal: Float[np.ndarray, "N 3"]
    size_m: Float[np.ndarray, " N"]
    """How far they are apart."""


def backing_surface(
    mesh: Float[np.ndarray, "P 3"], count: int, up_m: float = SKULL_RADII_M[0]
) -> tuple[Surface, Surface]:
    """(skull, neck) behind a mesh, `count` points in all; the skull reaches `up_m` above its middle."""
    centre, back = mesh.mean(0), float(mesh[:, 2].min())
    half = INSIDE * float(np.abs(mesh[:, 0] - centre[0]).max())
    n_neck = max(4, round(NECK_SHARE * count))
    ticks, turn = np.arange(max(4, count - n_neck)) + 0.5, np.pi * (3.0 - np.sqrt(5.0))
    depth = 1.0 - 2.0 * ticks / len(ticks)  # evenly over a sphere (Fibonacci's spiral)
    ring = np.sqrt(1.0 - depth**2)
    unit = np.stack([ring * np.cos(turn * ticks), ring * np.sin(turn * ticks), -depth], 1)
    up, forwards, backwards = SKULL_RADII_M
    radii = np.array([half, INSIDE * up, (forwards + backwards) / 2])
    radius = np.stack(
        [
            np.full(len(unit), half),
            INSIDE * np.where(unit[:, 1] > 0.0, max(up_m, up), up),
            np.where(unit[:, 2] > 0.0, forwards, backwards),
        ],
        axis=1,
    )
    skull = unit * radius + [centre[0], centre[1] + SKULL_UP_M, back - SKULL_BACK_M]
    jaw = behind_jaw(mesh, skull)
    wide = INSIDE_JAW * _width(mesh, skull[:, 1])
    skull[:, 0] = np.where(jaw, np.clip(skull[:, 0], centre[0] - wide, centre[0] + wide), skull[:, 0])
    skull[:, 2] = np.minimum(skull[:, 2], face_depth(mesh, skull) - BEHIND_FACE_M)
    area = 4.0 * np.pi * float(np.mean([radii[0] * radii[1], radii[1] * radii[2], radii[0] * radii[2]]))
    angle = np.pi * (1.0 + (ticks[:n_neck] * 0.618034) % 1.0)  # the half that looks back
    height = centre[1] - ticks[:n_neck] / n_neck * NECK_LOW_M
    around = np.stack([np.cos(angle), np.zeros(n_neck), np.sin(angle)], 1)
    neck = around * NECK_RADIUS_M + np.stack([np.full(n_neck, centre[0]), height, np.full(n_neck, back)], 1)
    neck[:, 2] -= NECK_BEHIND_M
    size = np.sqrt(area / len(skull)), np.sqrt(np.pi * NECK_RADIUS_M * NECK_LOW_M / n_neck)
    return (
        Surface(skull, _unit(unit / radius), np.full(len(skull), size[0])),
        Surface(neck, around, np.full(n_neck, size[1])),
    )


def _hair_top(view: ClipView, mesh: MovingMesh) -> float:
    """How far hair reaches above the skull's middle, metres."""
    middle = np.array([[mesh.mean[:, 0].mean(), mesh.mean[:, 1].mean() + SKULL_UP_M, mesh.mean[:, 2].min()]])
    x, y = view.pixels(middle)[0]
    column = view.frame.labels[:, int(np.clip(x, 0, view.frame.labels.shape[1] - 1))] == MaskClass.HEAD
    if not column.any():
        return SKULL_RADII_M[0]
    return float(np.clip((y - column.argmax()) / view.metre_px, 0.0, HIGHEST_M))


def _before(views: list[ClipView], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(colours of what stands before points, infinite where it is nobody; where that mostly is a torso)."""
    colours, labels = [], []
    for view in views:
        pixels = view.pixels(points)
        shown = view.frame.labels
        cell = np.clip(pixels.astype(int), 0, [shown.shape[1] - 1, shown.shape[0] - 1])
        labels.append(shown[cell[:, 1], cell[:, 0]])
        colour = view.colours(pixels)
        colour[view.frame.matte[cell[:, 1], cell[:, 0]] < 250] = np.nan
        colours.append(colour)
    known = ~np.isnan(colours).any(2).all(0)
    before = np.full(points.shape, np.inf)
    before[known] = np.nanmedian(np.stack(colours)[:, known], axis=0)
    return before, (np.stack(labels) == MaskClass.TORSO).mean(0) > 0.5


def behind_jaw(mesh: Float[np.ndarray, "P 3"], points: Float[np.ndarray, "N 3"]) -> Bool[np.ndarray, " N"]:
    """Where the cheeks and the jaw are to hide points when the head turns."""
    return (points[:, 1] < mesh[:, 1].mean()) & (points[:, 2] > mesh[:, 2].min() - BEHIND_JAW_M)


def _width(mesh: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Half of a mesh's width at heights."""
    levels = np.linspace(mesh[:, 1].min(), mesh[:, 1].max(), 16)
    side, step = np.abs(mesh[:, 0] - mesh[:, 0].mean()), levels[1] - levels[0]
    widths = [side[np.abs(mesh[:, 1] - level) <= step].max(initial=0.0) for level in levels]
    return np.interp(height, levels, widths)


def face_depth(mesh: Float[np.ndarray, "P 3"], points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
    """Z of the mesh before points: of its nearest in the image plane, and of its hindmost beside it."""
    distance = np.linalg.norm(points[:, None, :2] - mesh[None, :, :2], axis=-1)
    nearest = distance.argmin(1)
    beside = np.clip(distance.min(1) / 0.02, 0.0, 1.0)
    return (1.0 - beside) * mesh[nearest, 2] + beside * np.maximum(mesh[:, 2].min() + 0.03, mesh[nearest, 2])


def inside_hull(
    views: list[ClipView], points: Float[np.ndarray, "N 3"], axis: Float[np.ndarray, "N 3"], margin_m: float
) -> tuple[Float[np.ndarray, "N 3"], Bool[np.ndarray, " N"]]:
    """Points drawn towards `axis` until views show the person `margin_m` around; and where that came to an end."""
    inner = []
    for view in views:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(1, round(margin_m * view.metre_px)) + 1,) * 2)
        inner.append(cv2.erode(view.frame.matte, kernel) > 127)
    found, placed = np.zeros(len(points), bool), points.copy()
    for shrink in SHRINKS:
        rows = np.flatnonzero(~found)
        if not len(rows):
            break
        moved = axis[rows] + shrink * (points[rows] - axis[rows])
        seen = np.mean([_shown(mask, view.pixels(moved)) for mask, view in zip(inner, views, strict=True)], axis=0)
        good = seen >= SEEN_SHARE
        placed[rows[good]], found[rows[good]] = moved[good], True
    return placed, found


class Palette:
    """Colours of hair, or of skin where there is none, and of the neck in one view."""

    def __init__(self, view: ClipView, mesh: MovingMesh) -> None:
        frame, self.view = view.frame, view
        side = 2 * max(1, round(EDGE * view.camera.height)) + 1
        kernel = np.ones((side, side), np.uint8)
        face = cv2.dilate(view.mesh_mask(mesh).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        whole = cv2.erode(frame.matte, kernel) > 250
        beside = (frame.labels == MaskClass.HEAD) & ~face & whole
        neck = (frame.labels == MaskClass.NECK) & whole
        hair = _hair(frame.rgb, beside, face & np.isin(frame.labels, HEAD_PARTS))
        self.fills = {low: _Nearest(frame.rgb, hair | neck if low else hair) for low in (False, True)}

    def look(
        self, points: Float[np.ndarray, "N 3"], low: Bool[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, " N"]]:
        """(colours, how far they were taken from, pixels)."""
        pixels = self.view.pixels(points)
        colour, far = np.zeros((len(points), 3)), np.full(len(points), np.inf)
        for which, fill in self.fills.items():
            rows = low == which
            colour[rows], far[rows] = fill.at(pixels[rows])
        return colour, far


class _Nearest:
    """Colours of an image's nearest pixels that count."""

    def __init__(self, rgb: UInt8[np.ndarray, "H W 3"], counts: Bool[np.ndarray, "H W"]) -> None:
        self.empty = not counts.any()
        weight = counts.astype(np.float32)
        blurred = cv2.blur(rgb.astype(np.float32) * weight[..., None], (3, 3))
        self.rgb = blurred / np.maximum(cv2.blur(weight, (3, 3)), 1e-6)[..., None] / 255.0
        self.far, labels = cv2.distanceTransformWithLabels(
            (~counts).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        y, x = np.nonzero(counts)
        self.place = np.zeros((int(labels.max()) + 1, 2), int)
        self.place[labels[y, x]] = np.stack([x, y], 1)
        self.labels, self.counts = labels, counts

    def at(self, pixels: Float[np.ndarray, "N 2"]) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, " N"]]:
        """(colours, distances). Beyond the edge the image is continued as in a mirror, so that hair is not streaked."""
        if self.empty:
            return np.zeros((len(pixels), 3)), np.full(len(pixels), np.inf)
        height, width = self.labels.shape
        cell = np.clip(pixels.astype(int), 0, [width - 1, height - 1])
        nearest = self.place[self.labels[cell[:, 1], cell[:, 0]]]
        mirror = np.clip(2 * nearest - cell, 0, [width - 1, height - 1])
        whole = self.counts[mirror[:, 1], mirror[:, 0]]
        chosen = np.where(whole[:, None], mirror, nearest)
        beyond = np.linalg.norm(pixels - np.clip(pixels, 0, [width, height]), axis=1)
        return self.rgb[chosen[:, 1], chosen[:, 0]], self.far[cell[:, 1], cell[:, 0]] + beyond


def _colours(palettes: list[Palette], points: np.ndarray, low: np.ndarray, mesh: MovingMesh) -> np.ndarray:
    """The nearest colours on either side of the head in any view; infinite where there is none at all."""
    best, colour = np.full(len(points), np.inf), np.full((len(points), 3), np.inf)
    other = points * [-1.0, 1.0, 1.0] + [2.0 * mesh.mean[:, 0].mean(), 0.0, 0.0]
    for palette in palettes:
        for places, more in ((points, 0.0), (other, MIRRORED_M)):
            found, far_px = palette.look(places, low)
            cost = far_px / palette.view.metre_px + more
            nearer = cost < best
            best[nearer], colour[nearer] = cost[nearer], found[nearer]
    return colour


def _hair(rgb: np.ndarray, beside: np.ndarray, face: np.ndarray) -> np.ndarray:
    """What of the head beside the face has the colour of its hair, not of ears."""
    if not beside.any() or not face.any():
        return beside
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    top = np.flatnonzero(face.any(1))[0]
    above = beside & (np.arange(len(face))[:, None] < top)
    skin, hair = np.median(lab[face], axis=0), np.median(lab[above if above.any() else beside], axis=0)
    if np.linalg.norm(hair - skin) < LIKE_SKIN:
        return beside
    alike = beside & (np.linalg.norm(lab - hair, axis=-1) < np.linalg.norm(lab - skin, axis=-1))
    return alike if alike.any() else beside


def _shown(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Where an image shows pixels, or has no say, being too small."""
    height, width = mask.shape
    cell = np.floor(pixels).astype(int)
    beyond = (cell < 0).any(1) | (cell >= [width, height]).any(1)
    cell = np.clip(cell, 0, [width - 1, height - 1])
    return mask[cell[:, 1], cell[:, 0]] | beyond


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
