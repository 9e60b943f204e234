"""The whole person: all surfaces in one list, placed for an instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_person.body import hair, mouth, parts, torso
from demo_person.body.atlas import skin_uv
from demo_person.body.head import build_skin
from demo_person.body.rig import Expression, Rig
from demo_person.drawing.geometry import Mesh, incidence, vertex_normals
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep


@dataclass(frozen=True)
class Posed:
    """The person at an instant, in the world."""

    points: np.ndarray
    """[V,3] metres."""
    normals: np.ndarray
    """[V,3] in the frame of the body part (head, or torso)."""
    uv: np.ndarray
    landmarks: np.ndarray
    """[478,3] in head space."""


class Person:
    """Builds the surfaces at rest and moves them. Head and torso share one frame at rest."""

    def __init__(self) -> None:
        self.skin = build_skin()
        self.rig = Rig(self.skin)
        rest = self.rig.surface(self.skin.cage)
        normals = vertex_normals(rest, self.skin.fine_triangles, incidence(self.skin.fine_triangles, len(rest)))
        lip = self.skin.cage[13]
        skin = Mesh(rest, self.skin.fine_triangles, skin_uv(rest), self._skin_labels(rest))
        scalp, _ = hair.shell(self.skin, rest, normals)
        meshes = {
            "skin": skin,
            "left_eye": parts.eyeball(self.skin.eye_centres[0]),
            "right_eye": parts.eyeball(self.skin.eye_centres[1]),
            "left_ear": parts.ear(-1),
            "right_ear": parts.ear(1),
            "upper_teeth": mouth.teeth_row(lip, upper=True),
            "lower_teeth": mouth.teeth_row(lip, upper=False),
            "tongue": mouth.tongue(lip),
            "hair": scalp,
            "sweater": torso.sweater(),
            "collar": torso.collar(),
        }
        self.meshes = meshes
        self.strands = hair.grow(scalp)
        starts = np.concatenate([[0], np.cumsum([len(m.points) for m in meshes.values()])])
        self.vertices = {name: slice(a, b) for name, a, b in zip(meshes, starts[:-1], starts[1:], strict=True)}
        self.triangles = np.concatenate([m.triangles + a for m, a in zip(meshes.values(), starts[:-1], strict=True)])
        self.label = np.concatenate([m.label for m in meshes.values()])
        self.part = np.concatenate([np.full(len(m.triangles), k) for k, m in enumerate(meshes.values())])
        self.rest = np.concatenate([m.points for m in meshes.values()])
        self.rest_uv = np.concatenate([m.uv for m in meshes.values()]).astype(np.float32)
        self._gather = incidence(self.triangles, len(self.rest))
        self.torso_share = self._torso_share()

    def _skin_labels(self, rest: np.ndarray) -> np.ndarray:
        """The skin's classes; what lies below the jaw is neck."""
        label = self.skin.fine_label.copy()
        on_neck = np.zeros(len(self.skin.cage))
        on_neck[self.skin.rings["neck"][2:]] = 1
        share = (self.skin.matrix @ on_neck)[self.skin.fine_triangles].mean(1)
        height = rest[self.skin.fine_triangles, 1].mean(1)
        label[(label == MaskClass.HEAD) & (share > 0.5) & (height < -0.07)] = MaskClass.NECK
        return label

    def _torso_share(self) -> np.ndarray:
        """[V] how far a vertex follows the torso instead of the head."""
        share = np.zeros(len(self.rest))
        for name in ("sweater", "collar"):
            share[self.vertices[name]] = 1
        cage = np.zeros(len(self.skin.cage))
        neck = self.skin.rings["neck"]
        cage[neck] = smoothstep(-0.100, -0.190, self.skin.cage[neck, 1])
        share[self.vertices["skin"]] = self.skin.matrix @ cage
        return share

    def head_points(self, expression: Expression) -> np.ndarray:
        """[V,3] in head space (torso parts in the torso's frame)."""
        points = self.rest.copy()
        points[self.vertices["skin"]] = self.rig.surface(self.rig.control_points(expression))
        teeth, tongue = self.vertices["lower_teeth"], self.vertices["tongue"]
        points[teeth] = mouth.with_jaw(self.rest[teeth], expression.jaw)
        points[tongue] = mouth.moved_tongue(self.rest[tongue], expression.jaw, expression.tongue)
        return points

    def pose(self, expression: Expression, T_world_head: np.ndarray, T_world_torso: np.ndarray) -> Posed:
        """The person at an instant."""
        local = self.head_points(expression)
        normals = vertex_normals(local, self.triangles, self._gather)
        share = self.torso_share[:, None]
        by_head = local @ T_world_head[:3, :3].T + T_world_head[:3, 3]
        by_torso = local @ T_world_torso[:3, :3].T + T_world_torso[:3, 3]
        uv = self.rest_uv.copy()
        for side, name in enumerate(("left_eye", "right_eye")):
            part = self.vertices[name]
            uv[part] = parts.eye_uv(self.rest[part] - self.skin.eye_centres[side], expression.gaze)
        landmarks = self.rig.landmarks(local[self.vertices["skin"]], expression.gaze)
        return Posed(by_head + share * (by_torso - by_head), normals, uv, landmarks)
