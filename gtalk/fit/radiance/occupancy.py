"""Where in head space the head can be: visual hull of the masks, within a shell around the tracked mesh.

Voxels are a cube of side `extent_m` whose corner is `origin_m`; voxel (i, j, k) of a [R,R,R] grid spans
origin + extent / R * [i..i+1, j..j+1, k..k+1] along (x, y, z) of head space.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from gtalk.basis import BROWS
from gtalk.dataset.format import HEAD_CLASSES, MaskClass
from gtalk.fit.protocol import FitContext
from gtalk.shapes import Bool, Float, Int, UInt8

SEARCH_BOX = np.array([[-0.16, -0.17, -0.22], [0.16, 0.19, 0.10]])  # head space, around the mesh centre
HULL_FRAMES = 48
SURFACE_FRAMES = 12
HULL_SHARE = 0.94  # a voxel is inside when this share of the frames that see it agrees: masks err
SEEN_SHARE = 0.3  # what is out of the image in most frames is not learned
HEIGHT_RESOLUTION = 128
UNKNOWN = 2


@dataclass(frozen=True)
class ShellConfig:
    """How far from the tracked mesh the head may be, along the face's axis, in metres."""

    in_front_m: float = 0.008
    behind_m: float = 0.014
    slope: float = 1.2
    """How fast the surface recedes beyond the mesh's edge, metres a metre."""
    widen: float = 0.8
    """How fast the shell thickens there, metres a metre, on either side."""
    ears_m: float = 0.03
    """How much further back the head may be beside the mesh, below the brows: ears and the corners of the jaw."""
    mask_margin: float = 0.012
    """Masks are widened by this share of the image's height: hair is finer than masks."""


@dataclass(frozen=True)
class HeadVolume:
    """The cube that the head field fills, and which voxels of it may be occupied."""

    origin_m: Float[np.ndarray, " 3"]
    extent_m: float
    occupied: Bool[np.ndarray, "R R R"]
    """Indexed [x, y, z]."""


@dataclass(frozen=True)
class Surface:
    """The tracked mesh as a height map over (y, x) of head space, with what its motion sweeps."""

    low: Float[np.ndarray, " 2"]
    cells_per_m: float
    front: Float[np.ndarray, "N N"]
    back: Float[np.ndarray, "N N"]
    beyond: Float[np.ndarray, "N N"]
    """Distance outside the mesh's outline, in cells."""
    brows_m: float
    """Height of the brows."""


def spread_frames(context: FitContext, count: int) -> Int[np.ndarray, " N"]:
    """`count` training frames whose head poses differ as much as possible (farthest-point sampling)."""
    poses = context.dataset.motion.head_pose[context.indices]
    features = np.concatenate([poses[:, :3, 2], poses[:, :3, 0], poses[:, :3, 3] / 0.15], axis=1)
    chosen = [int(np.argmin(((features - features.mean(0)) ** 2).sum(1)))]
    distance = ((features - features[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(count, len(features)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((features - features[chosen[-1]]) ** 2).sum(1))
    return np.sort(context.indices[chosen])


def head_volume(context: FitContext, resolution: int, config: ShellConfig) -> HeadVolume:
    """The smallest cube around hull and shell, and its occupancy at `resolution`."""
    surface = _surface(context)
    centre = context.dataset.person.shape.mean(0)
    box = np.stack([SEARCH_BOX[0] + centre, SEARCH_BOX[1] + centre])
    views = [_view(context, int(i), config) for i in spread_frames(context, HULL_FRAMES)]
    coarse = 48
    points = _voxel_centres(box[0], (box[1] - box[0]) / coarse, coarse)
    inside = _inside(points, views, surface, config)
    cell = ((box[1] - box[0]) / coarse).max()
    low, high = points[inside].min(0) - cell, points[inside].max(0) + cell
    extent = float((high - low).max())
    origin = (low + high) / 2 - extent / 2
    points = _voxel_centres(origin, np.full(3, extent / resolution), resolution)
    inside = _inside(points, views, surface, config)
    occupied = inside.reshape(resolution, resolution, resolution)
    return HeadVolume(origin, extent, occupied)


def prune(
    occupied: Bool[torch.Tensor, "R R R"], strongest: Float[torch.Tensor, "R R R"], threshold: float
) -> Bool[torch.Tensor, "R R R"]:
    """Keep voxels whose strongest compositing weight, or a neighbour's, reached `threshold`.

    `strongest` is negative where no sample fell: nothing is known there, and it stays.
    """
    near = torch.nn.functional.max_pool3d(strongest[None, None], 3, 1, 1)[0, 0]
    return occupied & ((near >= threshold) | (strongest < 0))


def _inside(
    points: np.ndarray, views: list[tuple[np.ndarray, np.ndarray]], surface: Surface, config: ShellConfig
) -> np.ndarray:
    """In shell and hull; in the shell alone where the masks leave nothing."""
    shell = _in_shell(points, surface, config)
    hull = _in_hull(points[shell], views)
    inside = shell.copy()
    inside[shell] = hull if hull.any() else True
    return inside


def _voxel_centres(origin: np.ndarray, cell: np.ndarray, resolution: int) -> np.ndarray:
    steps = np.arange(resolution) + 0.5
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    return origin + grid * cell


def _view(context: FitContext, index: int, config: ShellConfig) -> tuple[np.ndarray, UInt8[np.ndarray, "H W"]]:
    """Projection [3,4] head space -> pixels, and the widened mask of what may be head, or neck that moves with it.

    1 where it may, 0 where not, UNKNOWN on the torso beside it: how far neck and jaw reach over a collar is learned.
    """
    frame, camera = context.frames[index], context.camera
    T_camera_head = camera.T_camera_world @ frame.motion.head_pose[0]
    intrinsics = np.array([[camera.focal_px, 0, camera.cx_px], [0, camera.focal_px, camera.cy_px], [0, 0, 1.0]])
    skin = np.isin(frame.labels, (*HEAD_CLASSES, MaskClass.NECK))
    head = skin | ((frame.labels == MaskClass.BACKGROUND) & (frame.matte > 24))
    margin = max(1, round(config.mask_margin * camera.height))
    mask = cv2.dilate(head.astype(np.uint8), _disc(margin))
    near = cv2.dilate(skin.astype(np.uint8), _disc(3 * margin)) > 0
    mask[(mask == 0) & near & (frame.labels == MaskClass.TORSO)] = UNKNOWN
    return intrinsics @ T_camera_head[:3], mask


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _in_hull(points: np.ndarray, views: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    seen, agreed = np.zeros(len(points)), np.zeros(len(points))
    for projection, mask in views:
        projected = points @ projection[:, :3].T + projection[:, 3]
        x, y = np.floor(projected[:, :2] / projected[:, 2:]).astype(int).T
        visible = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0]) & (projected[:, 2] > 0)
        value = mask[y[visible], x[visible]]
        seen[visible] += value != UNKNOWN
        agreed[visible] += value == 1
    return (seen >= SEEN_SHARE * len(views)) & (agreed >= HULL_SHARE * seen)


def _in_shell(points: np.ndarray, surface: Surface, config: ShellConfig) -> np.ndarray:
    """Near the mesh's surface along z; beyond its outline, near the surface continued backwards."""
    place = (points[:, :2] - surface.low) * surface.cells_per_m
    column, row = np.clip(place.round().astype(int), 0, HEIGHT_RESOLUTION - 1).T
    distance = surface.beyond[row, column] / surface.cells_per_m
    recede, widen = config.slope * distance, config.widen * distance
    front = surface.front[row, column] - recede + widen + config.in_front_m
    back = surface.back[row, column] - recede - widen - config.behind_m
    back = back - config.ears_m * ((distance > 0.0) & (points[:, 1] < surface.brows_m))
    return (points[:, 2] < front) & (points[:, 2] > back)


def _surface(context: FitContext) -> Surface:
    """Highest and lowest z of the mesh over the frames looked at."""
    person = context.dataset.person
    meshes = person.shape[None]
    moved = context.dataset.motion.channels.get("landmarks478")
    if moved is not None:
        meshes = np.concatenate([meshes, moved[spread_frames(context, SURFACE_FRAMES)]])
    low, high = person.shape[:, :2].min(0) - 0.15, person.shape[:, :2].max(0) + 0.15
    scale = (HEIGHT_RESOLUTION - 1) / float((high - low).max())
    maps = [_height_map(mesh, person.triangles, low, scale) for mesh in meshes]
    heights = np.stack([height for height, _ in maps])
    beyond = np.stack([distance for _, distance in maps]).min(0)
    brows_m = float(context.basis.mean[BROWS, 1].max())
    return Surface(low, scale, heights.max(0), heights.min(0), beyond, brows_m)


def _height_map(
    mesh: np.ndarray, triangles: np.ndarray, low: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Height z of the mesh over (y, x), continued outward from its outline; distance beyond it in cells."""
    cells = ((mesh[:, :2] - low) * scale).round().astype(np.int32)
    depth = mesh[triangles, 2].mean(1)
    height = np.full((HEIGHT_RESOLUTION, HEIGHT_RESOLUTION), np.nan, np.float32)
    for face in np.argsort(depth):  # far to near, so that the front wins
        cv2.fillConvexPoly(height, cells[triangles[face]], (float(depth[face]),))
    empty = np.isnan(height)
    distance, nearest = cv2.distanceTransformWithLabels(
        empty.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    value_of = np.zeros(int(nearest.max()) + 1, np.float32)
    value_of[nearest[~empty]] = height[~empty]
    filled = value_of[np.asarray(nearest, dtype=np.int64)]
    return cv2.GaussianBlur(filled, (0, 0), 1.5), distance
