"""First Gaussians: on the tracked mesh, behind the lips, and where pixels of the person show no mesh.

Everything is placed in head space of the mean pose. Depths off the mesh are guesses (a skull, a plane for
the torso) that the fit corrects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gtalk.avatar.pose_code import PoseCode
from gtalk.avatar.sway import ANCHOR, PLACE, POINT, SKIN, WEIGHT
from gtalk.basis import EYES, LIPS
from gtalk.dataset.format import MaskClass
from gtalk.fit.gaussian.views import SKIN_LOGIT, ClipView, Height, MovingMesh, rest_view
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.occupancy import spread_frames
from gtalk.shapes import Float

REFERENCE_FRAMES = 10
SKULL_CENTRE, SKULL_RADII = np.array([0.0, 0.03, 0.0]), np.array([0.003, 0.14, 0.085])  # beyond the mesh's half width
BEFORE_EDGE_M = 0.006  # how far hair stands in front of the mesh's edge
QUIFF, FALLS_BACK = 0.5, 1.5  # how much more, the farther above the mesh, and how much less, the farther beside it
EARS_BEHIND_M = 0.012  # what stands out beside the skull, behind the mesh's hindmost points
NECK_Z, TORSO_Z = -0.01, 0.015  # head space, metres
TEETH_BEHIND_LIPS_M = 0.012
CHIN_REACH_M = 0.05  # below the nose, what is nearer to the mesh than this follows the whole code
LOOSE_TORSO = 0.5  # a torso whose own texture was followed in a larger share of the frames is better known by that
INFLUENCE_M = 0.025  # how far the mesh's motion reaches beyond it


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


def make_seeds(
    context: FitContext,
    pose_code: PoseCode,
    mesh: MovingMesh,
    count: int,
    face_share: float,
) -> Seeds:
    """`count` seeds at most; face seeds first."""
    rng = np.random.default_rng(context.seed)
    rest = rest_view(context, pose_code)
    views = [ClipView(context, pose_code, int(i), rest) for i in spread_frames(context, REFERENCE_FRAMES)]
    n_face = round(count * face_share)
    mouth = _mouth_seeds(context, pose_code, mesh, max(8, n_face // 16))
    around = _pixel_seeds(context, views, mesh, count - round(0.75 * n_face))
    on_mesh = _mesh_seeds(context, views, mesh, max(8, count - len(mouth.face) - len(around.face)), rng)
    seeds = Seeds.concatenate([on_mesh, mouth, around])
    _follow_mesh(seeds, mesh)
    order = np.argsort(~seeds.face, kind="stable")
    return seeds.select(order)


def _mesh_seeds(
    context: FitContext, views: list[ClipView], mesh: MovingMesh, count: int, rng: np.random.Generator
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
    """Behind the lips, from the frames where the mouth is widest."""
    landmarks = context.dataset.motion.landmarks[context.indices]
    opening = np.linalg.norm(landmarks[:, 62] - landmarks[:, 66], axis=-1)
    widest = context.indices[np.argsort(-opening)[: max(1, len(opening) // 50)]]
    view = ClipView(context, pose_code, int(widest[len(widest) // 2]))
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


def _pixel_seeds(context: FitContext, views: list[ClipView], mesh: MovingMesh, count: int) -> Seeds:
    """On a grid of the mean pose's image, wherever some frame shows the person and no mesh."""
    camera = context.camera
    area = sum(len(p) for p, *_ in _uncovered(camera, views, mesh, 4.0)) * 16.0
    spacing = max(1.0, float(np.sqrt(area / max(count, 1))))
    facts = context.dataset.manifest.get("stages", {}).get("background", {}).get("facts", {})
    loose = facts.get("torso_tracked_share", 0.0) < LOOSE_TORSO
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


def _uncovered(camera, views: list[ClipView], mesh: MovingMesh, spacing: float, loose: bool = True):
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
            sways = label != MaskClass.EYES and (loose or label != MaskClass.TORSO)
            if view.rest is not None and sways:  # what does not sway lies where its own motion has it, to the edge
                places = view.at_rest(pixels)
                followed = view.rest.shows_person(places)
                points[followed] = view.rest.lift(places[followed], height, share)
                anchor[:, POINT], anchor[:, PLACE] = points, places / [camera.width, camera.height]
                anchor[:, SKIN], anchor[:, WEIGHT] = share, followed
            cell = ((view.rest_pixels(points) + margin * camera.width) / spacing).astype(int)
            fine = (cell >= 0).all(1) & (cell < [columns, rows]).all(1)
            flat = cell[:, 1] * columns + cell[:, 0]
            _, first = np.unique(np.where(fine, flat, -1), return_index=True)
            first = first[fine[first]]
            first = first[~taken[cell[first, 1], cell[first, 0]]]
            taken[cell[first, 1], cell[first, 0]] = True
            yield points[first], view.colours(pixels[first]), np.full(len(first), logits[label]), anchor[first]


def skull_height(mesh: Float[np.ndarray, "P 3"]) -> Height:
    """Half an ellipsoid as wide as the mesh; what stands out beside it, ears, lies behind the mesh.

    Nothing beside it stands in front of the mesh's edge: seen from aside it would lie before the cheek.
    """
    from scipy.spatial import KDTree

    centre, outline = mesh.mean(0), KDTree(mesh[:, :2])
    skull = SKULL_CENTRE + np.array([centre[0], centre[1], mesh[:, 2].min()])
    radii = SKULL_RADII + np.array([np.abs(mesh[:, 0] - centre[0]).max(), 0.0, 0.0])

    def height(points: np.ndarray) -> np.ndarray:
        inside = 1.0 - (((points[:, :2] - skull[:2]) / radii[:2]) ** 2).sum(1)
        z = skull[2] + np.where(inside > 0.0, radii[2] * np.sqrt(np.maximum(inside, 0.0)), -EARS_BEHIND_M)
        distance, nearest = outline.query(points[:, :2])
        above = np.maximum(points[:, 1] - mesh[:, 1].max(), 0.0)
        beside = np.maximum(distance - above, 0.0)
        front = mesh[nearest, 2] + BEFORE_EDGE_M + QUIFF * above - FALLS_BACK * beside
        return np.minimum(z, np.maximum(front, skull[2] - EARS_BEHIND_M))

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
