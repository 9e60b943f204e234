"""First Gaussians: on the tracked mesh, behind the lips, and where pixels of the person show no mesh.

Everything is placed in head space of the mean pose. Depths off the mesh are guesses (a skull, a plane for
the torso) that the fit corrects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gtalk.avatar.gaussian import torso_motion
from gtalk.avatar.pose_code import PoseCode
from gtalk.avatar.sway import ANCHOR, PLACE, POINT, SKIN, WEIGHT, bilinear
from gtalk.basis import EYES, LIPS
from gtalk.dataset.format import MaskClass
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.occupancy import spread_frames
from gtalk.shapes import Float
from gtalk.topology import MOUTH_TRIANGLES

REFERENCE_FRAMES = 10
SKIN_LOGIT = {MaskClass.HEAD: -4.0, MaskClass.NECK: 0.0, MaskClass.TORSO: 4.0}
SKULL_CENTRE, SKULL_RADII = np.array([0.0, 0.03, 0.0]), np.array([0.003, 0.14, 0.085])  # beyond the mesh's half width
EARS_BEHIND_M = 0.012  # what stands out beside the skull, behind the mesh's hindmost points
NECK_Z, TORSO_Z = -0.01, 0.015  # head space, metres
TEETH_BEHIND_LIPS_M = 0.012
CHIN_REACH_M = 0.05  # below the nose, what is nearer to the mesh than this follows the whole code
LOOSE_TORSO = 0.5  # a torso whose own texture was followed in a larger share of the frames is better known by that
FOLLOWED_BESIDE = 0.015  # image heights from the person in the rest frame within which motion counts as known
INFLUENCE_M = 0.025  # how far the mesh's motion reaches beyond it
RIDGE = 1e-2
THIN = 0.35  # thickness of a Gaussian across the surface, as a share of its size along it


Height = Callable[[np.ndarray], np.ndarray]


@dataclass
class Seeds:
    """First Gaussians, one row each."""

    position: Float[np.ndarray, "N 3"]
    colour: Float[np.ndarray, "N 3"]
    size_m: Float[np.ndarray, " N"]
    normal: Float[np.ndarray, "N 3"]
    skin: Float[np.ndarray, " N"]
    motion: Float[np.ndarray, "N K 3"]
    """Displacement for one unit of each code."""
    face: NDArray[np.bool_]
    """Whether it follows the whole code."""
    mouth: NDArray[np.bool_]
    """Whether it lies behind the lips."""
    anchor: Float[np.ndarray, "N 21"]
    """Where the clip shows what sways, see `gtalk.avatar.sway`; zeros for what does not."""

    def select(self, rows: np.ndarray) -> Seeds:
        """Some rows."""
        return Seeds(**{name: value[rows] for name, value in vars(self).items()})

    @staticmethod
    def concatenate(parts: list[Seeds]) -> Seeds:
        """All rows."""
        return Seeds(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in vars(parts[0])})


@dataclass(frozen=True)
class MovingMesh:
    """The tracked mesh as a linear function of the code."""

    mean: Float[np.ndarray, "P 3"]
    motion: Float[np.ndarray, "K P 3"]
    triangles: NDArray[np.integer]


def moving_mesh(context: FitContext, codes: Float[np.ndarray, "N K"], n_face_codes: int) -> MovingMesh:
    """Ridge regression of the mesh's points on the training frames' codes.

    Rotation, the last codes, moves nothing in head space. Where only 68 landmarks were tracked, the
    mesh's points follow the landmarks near them.
    """
    person, motion = context.dataset.person, context.dataset.motion[context.indices]
    dense = motion.channels.get("landmarks478")
    if dense is not None:
        points, mean = dense.astype(np.float64), dense.mean(0, dtype=np.float64)
    else:
        mean = person.shape.astype(np.float64)
        rest = motion.landmarks.mean(0)
        distance = np.linalg.norm(mean[:, None] - rest[None], axis=-1)
        weight = np.exp(-((distance / 0.015) ** 2))
        weight /= np.maximum(weight.sum(1, keepdims=True), 0.3)
        points = mean + np.einsum("pl,tlc->tpc", weight, motion.landmarks - rest)
    x = codes[:, :n_face_codes]
    offsets = (points - mean).reshape(len(points), -1)
    slope = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ offsets)
    moved = np.zeros((codes.shape[1], *mean.shape))
    moved[:n_face_codes] = slope.reshape(n_face_codes, *mean.shape)
    closing = {tuple(sorted(row)) for row in MOUTH_TRIANGLES.tolist()}  # a skin over the open mouth would hide teeth
    kept = [tuple(sorted(row)) not in closing for row in person.triangles.tolist()]
    return MovingMesh(mean, moved, person.triangles[kept] if dense is not None else person.triangles)


def make_seeds(
    context: FitContext,
    pose_code: PoseCode,
    codes: Float[np.ndarray, "N K"],
    n_face_codes: int,
    count: int,
    face_share: float,
) -> Seeds:
    """`count` seeds at most; face seeds first."""
    rng = np.random.default_rng(context.seed)
    mesh = moving_mesh(context, codes, n_face_codes)
    rest = _rest_view(context, pose_code)
    views = [_View(context, pose_code, int(i), rest) for i in spread_frames(context, REFERENCE_FRAMES)]
    n_face = round(count * face_share)
    mouth = _mouth_seeds(context, pose_code, mesh, max(8, n_face // 16))
    around = _pixel_seeds(context, views, mesh, count - round(0.75 * n_face))
    on_mesh = _mesh_seeds(context, views, mesh, max(8, count - len(mouth.face) - len(around.face)), rng)
    seeds = Seeds.concatenate([on_mesh, mouth, around])
    _follow_mesh(seeds, mesh)
    order = np.argsort(~seeds.face, kind="stable")
    return seeds.select(order)


class _View:
    """One training frame, and how canonical points are seen in it."""

    def __init__(self, context: FitContext, pose_code: PoseCode, index: int, rest: _View | None = None) -> None:
        """`rest`: the rest frame of what sways."""
        camera, self.rest = context.camera, rest
        self.frame = context.frames[index]
        self.camera, self.index = camera, index
        placed = pose_code.torso_and_framing(self.frame.motion)[0]
        self.T_head = camera.T_camera_world @ self.frame.motion.head_pose[0]
        self.T_rest = camera.T_camera_world @ pose_code.T_world_mean
        self.T_torso = torso_motion(camera, placed[:4]) @ self.T_rest

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points of the head in pixels [N,2]."""
        return self._seen(self.T_head, points)

    def rest_pixels(self, points: np.ndarray) -> np.ndarray:
        """Canonical points as the mean pose shows them."""
        return self._seen(self.T_rest, points)

    def _seen(self, T: np.ndarray, points: np.ndarray) -> np.ndarray:
        seen = points @ T[:3, :3].T + T[:3, 3]
        return seen[:, :2] / seen[:, 2:] * self.camera.focal_px + [self.camera.cx_px, self.camera.cy_px]

    def at_rest(self, pixels: np.ndarray) -> np.ndarray:
        """Where the rest frame shows what is at pixels [N,2] here, by a few fixed-point steps."""
        sides = np.array([self.camera.width, self.camera.height])
        sway = torch.from_numpy(self.frame.motion.channels["sway"][0].astype(np.float64))
        found = pixels
        for _ in range(5):
            place = torch.from_numpy(np.clip(found / sides, 0.0, 1.0))
            found = pixels - bilinear(sway, place).numpy() * self.camera.height
        return found

    def shows_person(self, pixels: np.ndarray) -> np.ndarray:
        """Whether pixels [N,2] are of the person, or nearly so: beyond, nothing was followed."""
        kernel = np.ones((2 * round(FOLLOWED_BESIDE * self.camera.height) + 1,) * 2, np.uint8)
        near = cv2.dilate(self.frame.matte, kernel) > 127
        x = np.clip(pixels[:, 0].astype(int), 0, self.camera.width - 1)
        y = np.clip(pixels[:, 1].astype(int), 0, self.camera.height - 1)
        return near[y, x] & (np.abs(pixels - pixels.clip(0, near.shape[::-1])).max(1) < 1.0)

    def lift(self, pixels: np.ndarray, height: Height, share: float) -> np.ndarray:
        """Pixels [N,2] to canonical points with z = height(points), by a few fixed-point steps."""
        inverse = np.linalg.inv(self.T_head + share * (self.T_torso - self.T_head))
        centre = np.array([self.camera.cx_px, self.camera.cy_px])
        ray = np.concatenate([(pixels - centre) / self.camera.focal_px, np.ones((len(pixels), 1))], 1)
        direction, origin = ray @ inverse[:3, :3].T, inverse[:3, 3]
        points = origin + (height(np.zeros((len(pixels), 3))) - origin[2])[:, None] / direction[:, 2:] * direction
        for _ in range(4):
            step = (height(points) - origin[2]) / direction[:, 2]
            points = origin + step[:, None] * direction
        return points

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """Colour [N,3] of pixels, averaged over 3x3."""
        smooth = cv2.blur(self.frame.rgb, (3, 3))
        x = np.clip(pixels[:, 0].astype(int), 0, self.camera.width - 1)
        y = np.clip(pixels[:, 1].astype(int), 0, self.camera.height - 1)
        return smooth[y, x] / 255.0

    def mesh_mask(self, mesh: MovingMesh) -> np.ndarray:
        """Where the mesh covers the image."""
        dense = self.frame.motion.channels.get("landmarks478")
        points = mesh.mean if dense is None else dense[0]
        corners = self.pixels(points)[mesh.triangles]
        mask = np.zeros((self.camera.height, self.camera.width), np.uint8)
        for triangle in np.round(corners * 16).astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, (1.0,), shift=4)
        return mask > 0


def _rest_view(context: FitContext, pose_code: PoseCode) -> _View | None:
    """The rest frame of what sways, the one that is displaced least; None where that was not tracked."""
    sway = context.dataset.motion.channels.get("sway")
    if sway is None:
        return None
    return _View(context, pose_code, int(context.indices[np.abs(sway[context.indices]).sum(1).argmin()]))


def _mesh_seeds(
    context: FitContext, views: list[_View], mesh: MovingMesh, count: int, rng: np.random.Generator
) -> Seeds:
    corners = mesh.mean[mesh.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2.0
    landmarks = context.dataset.motion.landmarks[context.indices].mean(0)
    detail = np.concatenate([landmarks[LIPS], landmarks[EYES]])
    near = np.linalg.norm(corners.mean(1)[:, None] - detail[None], axis=-1).min(1)
    density = area * (1.0 + 2.0 * np.exp(-((near / 0.012) ** 2)))
    ticks = (np.arange(count) + 0.5) / count
    chosen = np.minimum(np.searchsorted(np.cumsum(density) / density.sum(), ticks), len(area) - 1)
    u = np.sqrt(rng.random(count))
    v = rng.random(count)
    weights = np.stack([1.0 - u, u * (1.0 - v), u * v], 1)
    rows = mesh.triangles[chosen]
    position = np.einsum("nv,nvc->nc", weights, mesh.mean[rows])
    motion = np.einsum("nv,knvc->nkc", weights, mesh.motion[:, rows])
    per_triangle = np.bincount(chosen, minlength=len(area))
    size = np.sqrt(area[chosen] / per_triangle[chosen])
    normal = cross[chosen] / np.maximum(np.linalg.norm(cross[chosen], axis=1, keepdims=True), 1e-12)
    colour = np.median([view.colours(view.pixels(position)) for view in views], axis=0)
    yes, no, still = np.ones(count, bool), np.zeros(count, bool), np.zeros((count, ANCHOR))
    return Seeds(position, colour, size, normal, np.full(count, SKIN_LOGIT[MaskClass.HEAD]), motion, yes, no, still)


def _mouth_seeds(context: FitContext, pose_code: PoseCode, mesh: MovingMesh, count: int) -> Seeds:
    """AsyncSink the lips, from the frames where the mouth is widest."""
    landmarks = context.dataset.motion.landmarks[context.indices]
    opening = np.linalg.norm(landmarks[:, 62] - landmarks[:, 66], axis=-1)
    widest = context.indices[np.argsort(-opening)[: max(1, len(opening) // 50)]]
    view = _View(context, pose_code, int(widest[len(widest) // 2]))
    lips = view.frame.motion.landmarks[0, LIPS]
    low, high = lips[:, :2].min(0), lips[:, :2].max(0)
    aspect = (high[0] - low[0]) / max(high[1] - low[1], 1e-4)
    rows = max(2, int(np.sqrt(count / aspect)))
    columns = max(2, count // rows)
    x, y = np.meshgrid(np.linspace(low[0], high[0], columns), np.linspace(low[1], high[1], rows))
    z = lips[:, 2].mean() - TEETH_BEHIND_LIPS_M - 4.0 * (x - lips[:, 0].mean()) ** 2 / 0.05  # an arch of teeth
    position = np.stack([x, y, z], -1).reshape(-1, 3)
    n = len(position)
    inside = view.frame.rgb[view.frame.labels == MaskClass.MOUTH]
    dark = np.median(inside, 0) / 255.0 if len(inside) else np.array([0.25, 0.1, 0.1])
    pixels = view.pixels(position)
    cell = np.clip(pixels.astype(int), 0, [view.camera.width - 1, view.camera.height - 1])
    shows = view.frame.labels[cell[:, 1], cell[:, 0]] == MaskClass.MOUTH
    colour = np.where(shows[:, None], view.colours(pixels), dark)
    size = np.full(n, (high[0] - low[0]) / columns)
    normal = np.tile([0.0, 0.0, 1.0], (n, 1))
    codes = np.zeros((n, len(mesh.motion), 3))
    yes, skin = np.ones(n, bool), np.full(n, SKIN_LOGIT[MaskClass.HEAD] - 2.0)
    return Seeds(position, colour, size, normal, skin, codes, yes, yes.copy(), np.zeros((n, ANCHOR)))


def _pixel_seeds(context: FitContext, views: list[_View], mesh: MovingMesh, count: int) -> Seeds:
    """On a grid of the mean pose's image, wherever some frame shows the person and no mesh."""
    camera = context.camera
    area = sum(len(p) for p, *_ in _uncovered(camera, views, mesh, 4.0)) * 16.0
    spacing = max(1.0, float(np.sqrt(area / max(count, 1))))
    facts = context.dataset.manifest.get("stages", {}).get("background", {}).get("facts", {})
    loose = float(facts.get("torso_tracked_share", 0.0) < LOOSE_TORSO)
    parts = list(_uncovered(camera, views, mesh, spacing, loose))
    position, colour, skin, anchor = (np.concatenate([part[i] for part in parts]) for i in range(4))
    if len(position) > count:
        kept = np.linspace(0, len(position) - 1, count).astype(int)
        position, colour, skin, anchor = position[kept], colour[kept], skin[kept], anchor[kept]
    n = len(position)
    depth = -(camera.T_camera_world @ context.dataset.motion.head_pose[context.indices].mean(0))[2, 3]
    size = np.full(n, spacing * abs(depth) / camera.focal_px)
    lips = context.dataset.motion.landmarks[context.indices].mean(0)[LIPS]
    near = np.linalg.norm(position[:, None, :2] - mesh.mean[None, ::4, :2], axis=-1).min(1)
    face = (near < CHIN_REACH_M) & (position[:, 1] < lips[:, 1].max()) & (skin < 3.0)
    face |= skin == SKIN_LOGIT[MaskClass.HEAD] - 1.0  # eyes
    distance = np.linalg.norm(position[:, None] - mesh.mean[None, ::4], axis=-1).min(1)
    anchor[:, WEIGHT] *= np.where(face, 1.0 - np.exp(-((distance / INFLUENCE_M) ** 2)), 1.0)
    normal = np.tile([0.0, 0.0, 1.0], (n, 1))
    none = np.zeros((n, len(mesh.motion), 3))
    return Seeds(position, colour, size, normal, skin, none, face, np.zeros(n, bool), anchor)


def _uncovered(camera, views: list[_View], mesh: MovingMesh, spacing: float, loose: float = 1.0):
    """Positions, colours, skinning logits and anchors, view by view, each cell of the mean image once."""
    margin = 0.25
    columns, rows = (
        int(camera.width * (1 + 2 * margin) / spacing) + 2,
        int(camera.height * (1 + 2 * margin) / spacing) + 2,
    )
    taken = np.zeros((rows, columns), bool)

    def mesh_height(points: np.ndarray) -> np.ndarray:
        distance = ((points[:, None, :2] - mesh.mean[None, :, :2]) ** 2).sum(-1)
        weight = 1.0 / (distance + 1e-6) ** 2
        return (weight * mesh.mean[:, 2]).sum(1) / weight.sum(1) - 0.002

    base_z = mesh.mean[:, 2].min()
    heights = {
        MaskClass.HEAD: skull_height(mesh.mean),
        MaskClass.NECK: lambda points: np.full(len(points), base_z + NECK_Z),
        MaskClass.TORSO: lambda points: np.full(len(points), base_z + TORSO_Z),
        MaskClass.EYES: mesh_height,
    }
    logits = {**SKIN_LOGIT, MaskClass.EYES: SKIN_LOGIT[MaskClass.HEAD] - 1.0}
    for view in views:
        free = (view.frame.matte > 127) & (~view.mesh_mask(mesh) | (view.frame.labels == MaskClass.EYES))
        for label, height in heights.items():
            shown = free & (view.frame.labels == label)
            if label == MaskClass.TORSO:
                shown |= free & (view.frame.labels == MaskClass.BACKGROUND)
            y, x = np.nonzero(shown)
            if not len(x):
                continue
            pixels = np.stack([x, y], 1) + 0.5
            share = 1.0 / (1.0 + np.exp(-logits[label]))
            points, anchor = view.lift(pixels, height, share), np.zeros((len(pixels), ANCHOR))
            if view.rest is not None and label != MaskClass.EYES:
                places = view.at_rest(pixels)
                followed = view.rest.shows_person(places)
                points[followed] = view.rest.lift(places[followed], height, share)
                anchor[:, POINT], anchor[:, PLACE] = points, places / [camera.width, camera.height]
                anchor[:, SKIN], anchor[:, WEIGHT] = share, followed * (loose if label == MaskClass.TORSO else 1.0)
            cell = ((view.rest_pixels(points) + margin * camera.width) / spacing).astype(int)
            fine = (cell >= 0).all(1) & (cell < [columns, rows]).all(1)
            flat = cell[:, 1] * columns + cell[:, 0]
            _, first = np.unique(np.where(fine, flat, -1), return_index=True)
            first = first[fine[first]]
            first = first[~taken[cell[first, 1], cell[first, 0]]]
            taken[cell[first, 1], cell[first, 0]] = True
            yield points[first], view.colours(pixels[first]), np.full(len(first), logits[label]), anchor[first]


def skull_height(mesh: Float[np.ndarray, "P 3"]) -> Height:
    """Half an ellipsoid as wide as the mesh; what stands out beside it, ears, lies behind the mesh."""
    centre = mesh.mean(0)
    skull = SKULL_CENTRE + np.array([centre[0], centre[1], mesh[:, 2].min()])
    radii = SKULL_RADII + np.array([np.abs(mesh[:, 0] - centre[0]).max(), 0.0, 0.0])

    def height(points: np.ndarray) -> np.ndarray:
        inside = 1.0 - (((points[:, :2] - skull[:2]) / radii[:2]) ** 2).sum(1)
        return skull[2] + np.where(inside > 0.0, radii[2] * np.sqrt(np.maximum(inside, 0.0)), -EARS_BEHIND_M)

    return height


def _follow_mesh(seeds: Seeds, mesh: MovingMesh) -> None:
    """Face seeds beside the mesh move like it, less the farther they are."""
    rows = np.flatnonzero(seeds.face & ~seeds.mouth & (np.abs(seeds.motion).sum((1, 2)) == 0))
    for start in range(0, len(rows), 2048):
        part = rows[start : start + 2048]
        distance = np.linalg.norm(seeds.position[part][:, None] - mesh.mean[None], axis=-1)
        nearest = np.argsort(distance, axis=1)[:, :4]
        d = np.take_along_axis(distance, nearest, 1)
        weight = 1.0 / (d + 1e-3)
        weight = weight / weight.sum(1, keepdims=True) * np.exp(-((d.min(1, keepdims=True) / INFLUENCE_M) ** 2))
        seeds.motion[part] = np.einsum("nv,knvc->nkc", weight, mesh.motion[:, nearest])
