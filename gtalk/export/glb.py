"""A person's head as binary glTF 2.0: the tracked mesh with ARKit's 52 shapes as morph targets, and an animation.

    head                         turns and moves with the animation; metres, y up, z out of the face
      face                       the skin and the mouth's dark, 52 morph targets by ARKit's names; with a motion that
                                 these cannot make up, a few targets `residual1`... behind them
      jaw                        an empty node at the hinge, which turns as far as the chin falls: for teeth and beards
      eyeLeft, eyeRight          eyeballs that turn with the gaze; left and right are the person's

Layout: the glTF 2.0 specification (Khronos), chapters 3 and 4.4; names of targets in `mesh.extras.targetNames`, as
common viewers and editors read them.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.export.recompose import Recomposed
from gtalk.export.skin import Skin
from gtalk.files import atomic_path
from gtalk.geometry.pose import mean_pose
from gtalk.geometry.rotation import log_so3
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import ARKIT, EYEBALL_RADIUS, index
from gtalk.topology import IRIS_CENTRES, IRIS_RINGS, MOUTH_TRIANGLES, N_FACE, SKIN_TRIANGLES
from gtalk.types import OUTER_EYE_DISTANCE_M, Motion

_FLOAT, _UINT16 = 5126, 5123
_VERTICES, _INDICES = 34962, 34963  # targets of buffer views
_SKIN, _DARK = [0.8, 0.62, 0.53, 1.0], [0.10, 0.03, 0.03, 1.0]
_HINGE = np.array([323, 93])  # of the jaw, near the ears
_CHIN = 152
_RINGS, _SEGMENTS = 16, 24  # of an eyeball


@dataclass
class Document:
    """A binary glTF: grows buffer, views and accessors together."""

    json: dict[str, Any]
    binary: bytearray = field(default_factory=bytearray)

    @staticmethod
    def begun(person: str = "") -> Document:
        """One with nothing in it yet but what it is. `person`: whose likeness, written down with that gtalk made it."""
        note = {"generator": "gtalk", "version": "2.0", "extras": {"generated": "made with gtalk"}}
        if person:
            note["extras"]["likeness_of"] = person
        return Document({"asset": note, "bufferViews": [], "accessors": [], "scene": 0, "scenes": [{"nodes": [0]}]})

    def view(self, data: bytes, target: int | None = None) -> int:
        """Bytes of the buffer; returns the view's number."""
        self.binary.extend(b"\0" * (-len(self.binary) % 4))
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.binary.extend(data)
        self.json["bufferViews"].append(view)
        return len(self.json["bufferViews"]) - 1

    def accessor(self, values: np.ndarray, kind: str, target: int | None = None, bounds: bool = False) -> int:
        """Numbers of the buffer, `kind` of which make one; returns the accessor's number."""
        whole = values.dtype.kind in "iu"
        values = np.ascontiguousarray(values, "<u2" if whole else "<f4")
        entry: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": _UINT16 if whole else _FLOAT,
            "count": values.size // {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[kind],
            "type": kind,
        }
        if bounds:
            rows = values.reshape(entry["count"], -1)
            entry |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.json["accessors"].append(entry)
        return len(self.json["accessors"]) - 1

    def bytes(self) -> bytes:
        """Header, JSON chunk, binary chunk."""
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        body = bytes(self.binary) + b"\0" * (-len(self.binary) % 4)
        size = 12 + 8 + len(text) + 8 + len(body)
        head = struct.pack("<4sII", b"glTF", 2, size) + struct.pack("<I4s", len(text), b"JSON")
        return head + text + struct.pack("<I4s", len(body), b"BIN\0") + body


def write_glb(
    path: Path,
    rig: PersonRig,
    motion: Motion | None = None,
    skin: Skin | None = None,
    person: str = "",
) -> None:
    """Write the head.

    Args:
        motion: becomes an animation of weights, head, jaw and eyes.
        skin: a picture of the face at rest; a plain colour without it.
        person: whose likeness it is; written into the file with the note that gtalk made it.
    """
    doc = Document.begun(person)
    doc.json["materials"] = _materials(doc, skin)
    made = Recomposed.of(rig, motion)
    doc.json["meshes"] = [_face(doc, made, skin), *(_eye(doc, rig, side) for side in (1, 0))]
    hinge = rig.neutral[_HINGE].mean(0)
    eyes = [_eye_centre(rig, side) for side in (1, 0)]
    doc.json["nodes"] = [
        {"name": "head", "children": [1, 2, 3, 4]},
        {"name": "face", "mesh": 0},
        {"name": "jaw", "translation": hinge.tolist()},
        {"name": "eyeLeft", "mesh": 1, "translation": eyes[0].tolist()},
        {"name": "eyeRight", "mesh": 2, "translation": eyes[1].tolist()},
    ]
    if motion is not None:
        doc.json["animations"] = [_animation(doc, rig, made, motion)]
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(doc.bytes())


def _materials(doc: Document, skin: Skin | None) -> list[dict[str, Any]]:
    plain: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.75, "baseColorFactor": _SKIN}
    if skin is not None:
        doc.json["images"] = [{"bufferView": doc.view(skin.jpeg), "mimeType": "image/jpeg"}]
        doc.json["samplers"] = [{"magFilter": 9729, "minFilter": 9729, "wrapS": 33071, "wrapT": 33071}]
        doc.json["textures"] = [{"source": 0, "sampler": 0}]
        plain |= {"baseColorFactor": [1.0, 1.0, 1.0, 1.0], "baseColorTexture": {"index": 0}}
    dark = {"metallicFactor": 0.0, "roughnessFactor": 1.0, "baseColorFactor": _DARK}
    eye = {"metallicFactor": 0.0, "roughnessFactor": 0.2}
    return [
        {"name": "skin", "pbrMetallicRoughness": plain, "doubleSided": True},
        {"name": "mouth", "pbrMetallicRoughness": dark, "doubleSided": True},
        {"name": "eye", "pbrMetallicRoughness": eye},
    ]


def _face(doc: Document, made: Recomposed, skin: Skin | None) -> dict[str, Any]:
    rest = made.neutral[:N_FACE]
    normals = _normals(rest)
    attributes = {
        "POSITION": doc.accessor(rest, "VEC3", _VERTICES, bounds=True),
        "NORMAL": doc.accessor(normals, "VEC3", _VERTICES),
    }
    if skin is not None:
        attributes["TEXCOORD_0"] = doc.accessor(skin.uv, "VEC2", _VERTICES)
    names = [*ARKIT, *(f"residual{i + 1}" for i in range(len(made.residuals)))]
    targets = []
    for moved in np.concatenate([made.shapes, made.residuals])[:, :N_FACE]:
        turned = _normals(rest + moved) - normals
        position = doc.accessor(moved, "VEC3", _VERTICES, bounds=True)
        targets.append({"POSITION": position, "NORMAL": doc.accessor(turned, "VEC3", _VERTICES)})
    primitives = []
    for material, triangles in enumerate((SKIN_TRIANGLES, MOUTH_TRIANGLES)):
        indices = doc.accessor(triangles.astype(np.uint16).ravel(), "SCALAR", _INDICES)
        primitives.append({"attributes": attributes, "indices": indices, "material": material, "targets": targets})
    weights = [0.0] * len(names)
    return {"name": "face", "primitives": primitives, "weights": weights, "extras": {"targetNames": names}}


def _eye(doc: Document, rig: PersonRig, side: int) -> dict[str, Any]:
    """A ball with white, iris and pupil as colours of its points; it looks along z."""
    radius = EYEBALL_RADIUS * OUTER_EYE_DISTANCE_M
    ring = rig.neutral[IRIS_RINGS[side]] - rig.neutral[IRIS_CENTRES[side]]
    iris = np.clip(np.linalg.norm(ring[:, :2], axis=1).mean() / radius, 0.2, 0.7)
    # rings are close together where iris and pupil end, so that their edges are sharp
    inner = np.array([0.0, 0.42, 0.45, 0.95, 1.0]) * np.arcsin(iris)
    polar = np.concatenate([inner, np.linspace(np.arcsin(iris) * 1.06, np.pi, _RINGS)])
    around = np.linspace(0, 2 * np.pi, _SEGMENTS + 1)
    theta, phi = np.meshgrid(polar, around, indexing="ij")
    normals = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    colours = np.full((*theta.shape, 3), 0.78)
    colours[theta <= inner[-1] + 1e-9] = [0.10, 0.06, 0.035]
    colours[theta <= inner[1] + 1e-9] = [0.004, 0.004, 0.004]
    rows, columns = np.meshgrid(np.arange(len(polar) - 1), np.arange(_SEGMENTS), indexing="ij")
    first = (rows * (_SEGMENTS + 1) + columns).ravel()
    below = first + _SEGMENTS + 1
    triangles = np.stack([first, below, below + 1, first, below + 1, first + 1], axis=1)
    attributes = {
        "POSITION": doc.accessor((0.985 * radius * normals).reshape(-1, 3), "VEC3", _VERTICES, bounds=True),
        "NORMAL": doc.accessor(normals.reshape(-1, 3), "VEC3", _VERTICES),
        "COLOR_0": doc.accessor(colours.reshape(-1, 3), "VEC3", _VERTICES),
    }
    indices = doc.accessor(triangles.astype(np.uint16).ravel(), "SCALAR", _INDICES)
    name = "eyeLeft" if side else "eyeRight"
    return {"name": name, "primitives": [{"attributes": attributes, "indices": indices, "material": 2}]}


def _animation(doc: Document, rig: PersonRig, made: Recomposed, motion: Motion) -> dict[str, Any]:
    times = doc.accessor(np.arange(len(motion)) / motion.fps, "SCALAR", bounds=True)
    weights = np.concatenate([made.weights, made.residual_weights], axis=1)
    mean = mean_pose(motion.head_pose[motion.valid] if motion.valid.any() else motion.head_pose)
    turn = mean[:3, :3].T @ motion.head_pose[:, :3, :3]
    shift = (motion.head_pose[:, :3, 3] - mean[:3, 3]) @ mean[:3, :3]
    fall = weights[:, ARKIT.index("jawOpen")] * _jaw_angle(rig)
    still = np.zeros(len(motion))
    gaze = np.stack([-motion.gaze[:, 1], motion.gaze[:, 0], still], axis=1)
    tracks: list[tuple[int, str, np.ndarray, str]] = [
        (1, "weights", weights.ravel(), "SCALAR"),
        (0, "rotation", _quaternions(log_so3(turn)), "VEC4"),
        (0, "translation", shift, "VEC3"),
        (2, "rotation", _quaternions(np.stack([fall, still, still], axis=1)), "VEC4"),
        (3, "rotation", _quaternions(gaze), "VEC4"),
        (4, "rotation", _quaternions(gaze), "VEC4"),
    ]
    samplers = [
        {"input": times, "output": doc.accessor(values, kind), "interpolation": "LINEAR"}
        for _, _, values, kind in tracks
    ]
    channels = [{"sampler": i, "target": {"node": n, "path": p}} for i, (n, p, _, _) in enumerate(tracks)]
    return {"name": "motion", "samplers": samplers, "channels": channels}


def _jaw_angle(rig: PersonRig) -> float:
    """Turn about x, radians, that lowers the chin as `jawOpen` at 1 does."""
    hinge = rig.neutral[_HINGE].mean(0)
    arm = rig.neutral[_CHIN] - hinge
    after = arm + rig.shapes[index("jawOpen"), _CHIN]
    return float(np.arctan2(-after[1], after[2]) - np.arctan2(-arm[1], arm[2]))


def _eye_centre(rig: PersonRig, side: int) -> np.ndarray:
    return rig.neutral[IRIS_CENTRES[side]] - [0.0, 0.0, EYEBALL_RADIUS * OUTER_EYE_DISTANCE_M]


def _normals(points: np.ndarray) -> np.ndarray:
    """[468,3] of the skin, weighted by area."""
    corner = points[SKIN_TRIANGLES]
    flat = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    out = np.zeros_like(points)
    np.add.at(out, SKIN_TRIANGLES, flat[:, None])
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def _quaternions(vectors: np.ndarray) -> np.ndarray:
    """[T,4] xyzw of rotation vectors."""
    angle = np.linalg.norm(vectors, axis=1, keepdims=True)
    scale = 0.5 * np.sinc(angle / (2 * np.pi))
    return np.concatenate([vectors * scale, np.cos(angle / 2)], axis=1)
