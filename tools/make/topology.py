"""Write gtalk/topology.safetensors: the face mesh's triangles and mirror pairs, from MediaPipe's edge list.

    .venv/bin/python tools/make/topology.py

The edges come in threes, one triangle each, in consistent winding; all triangles are turned so that
normals point out of the face. The mirror image of every vertex follows from the mesh alone: a
reflection maps the midline edge 10-151 to itself, and from there triangle by triangle.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

# The irises (468.. on the image's left, 473.. on its right): centre, right, top, left, bottom.
IRIS_MIRROR = {468: 473, 469: 476, 470: 475, 471: 474, 472: 477}


def tessellation() -> list[tuple[int, int]]:
    """MediaPipe's tessellation edges in the order of its source, which its frozenset loses."""
    from mediapipe.python.solutions import face_mesh_connections

    for node in ast.parse(inspect.getsource(face_mesh_connections)).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FACEMESH_TESSELATION":
            return ast.literal_eval(node.value.args[0])  # type: ignore[attr-defined]
    raise LookupError("FACEMESH_TESSELATION")


def triangles_of(edges: list[tuple[int, int]]) -> np.ndarray:
    """[F,3] from edges that come three by three, wound so that normals point out of the face."""
    triples = np.array(edges).reshape(-1, 3, 2)
    assert (triples[:, :, 1] == np.roll(triples[:, :, 0], -1, axis=1)).all()
    return triples[:, :, 0]


def mirror_of(triangles: np.ndarray, count: int = 478) -> np.ndarray:
    """[478] index of every vertex's mirror image."""
    third = {(t[i], t[(i + 1) % 3]): t[(i + 2) % 3] for t in triangles.tolist() for i in range(3)}
    mirror, seen, open_edges = {10: 10, 151: 151}, set(), [(10, 151), (151, 10)]
    while open_edges:
        a, b = edge = open_edges.pop()
        image = (mirror[b], mirror[a])
        if edge in seen or edge not in third or image not in third:
            continue
        seen.add(edge)
        c, c_image = third[edge], third[image]
        if mirror.setdefault(c, c_image) != c_image:
            continue  # a quad whose diagonal is not mirrored: reached from its other sides
        open_edges += [(b, a), (c, b), (a, c)]
    mirror |= IRIS_MIRROR | {b: a for a, b in IRIS_MIRROR.items()}
    table = np.array([mirror[i] for i in range(count)])
    assert (table[table] == np.arange(count)).all()
    return table


def main() -> None:
    """Write the file beside gtalk/topology.py."""
    triangles = triangles_of(tessellation())
    arrays = {"triangles": triangles.astype(np.int16), "mirror": mirror_of(triangles).astype(np.int16)}
    path = Path(__file__).parents[2] / "gtalk" / "topology.safetensors"
    save_file(arrays, path, metadata={"source": "MediaPipe face mesh tessellation, Apache-2.0"})
    print(path, {name: array.shape for name, array in arrays.items()})


if __name__ == "__main__":
    main()
