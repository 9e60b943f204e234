"""Draw every shape, or every named expression, as a shaded mesh: one picture to look at.

    .venv/bin/python tools/make/rig_sheet.py -o shapes.png [--names mouthSmile,jaw] [--expressions 0.5,1] [--rig FILE]
        [--turn 25] [--size 220] [--wire]

FILE is a dataset's or a tracked `motion.npz` with the mesh of a person; without it the face that the shapes are
sculpted on is drawn. Shapes are drawn within the rig's limits, so lips and lids are seen as they will be.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from gtalk.rig.expression import named, names
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import SHAPES, neutral
from gtalk.topology import EYE_TRIANGLES, IRIS_CENTRES, IRIS_RINGS, LIPS, MOUTH_TRIANGLES, SKIN_TRIANGLES
from gtalk.types import Motion

SKIN, LIP, WHITE, DARK, IRIS = (150, 175, 215), (110, 115, 195), (235, 238, 240), (50, 35, 60), (70, 60, 50)
LIGHT = np.array([-0.3, 0.45, 0.85]) / np.linalg.norm([-0.3, 0.45, 0.85])
SCALE = 4  # subpixels
BETWEEN_LIPS = (
    *(76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 408, 304, 303, 302, 11, 72, 73, 74, 184),
    *(62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 407, 272, 271, 268, 12, 38, 41, 42, 183),
)  # the two rings between the outer and the inner edge
BROWS = np.array([[70, 63, 105, 66, 107, 55, 65, 52, 53, 46], [300, 293, 334, 296, 336, 285, 295, 282, 283, 276]])


def draw(points: np.ndarray, size: int, turn_deg: float = 0.0, wire: bool = False) -> np.ndarray:
    """[size,size,3] uint8 BGR of a face mesh, painted from back to front, seen by a far camera."""
    angle = np.deg2rad(turn_deg)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    X = (points - [0.0, -0.035, 0.03]) @ turn.T
    big = size * SCALE
    uv = np.stack([big / 2 + X[:, 0] * big / 0.22, big / 2 - X[:, 1] * big / 0.22], axis=1)
    image = np.full((big, big, 3), 90, np.uint8)
    lips = {*LIPS.tolist(), *BETWEEN_LIPS}
    faces = [(t, DARK) for t in MOUTH_TRIANGLES] + [(t, WHITE) for t in EYE_TRIANGLES]
    skin = [(t, LIP if sum(int(v) in lips for v in t) == 3 else SKIN) for t in SKIN_TRIANGLES]
    normals = np.zeros_like(X)
    corner = X[SKIN_TRIANGLES]
    flat = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    np.add.at(normals, SKIN_TRIANGLES, flat[:, None])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    for triangle, colour in faces:
        cv2.fillConvexPoly(image, np.round(uv[triangle]).astype(np.int32), colour, cv2.LINE_AA)
    for centre, ring in zip(IRIS_CENTRES, IRIS_RINGS, strict=True):
        radius = np.linalg.norm(uv[ring] - uv[centre], axis=1).mean()
        cv2.circle(image, tuple(int(v) for v in uv[centre]), int(radius), IRIS, -1, cv2.LINE_AA)
    order = np.argsort([X[t, 2].mean() for t, _ in skin])
    for k in order:
        triangle, colour = skin[k]
        if np.cross(uv[triangle[1]] - uv[triangle[0]], uv[triangle[2]] - uv[triangle[0]]) > 0:
            continue  # turned away
        shade = 0.3 + 0.75 * np.clip(normals[triangle] @ LIGHT, 0, 1).mean()
        paint = tuple(int(min(255, c * shade)) for c in colour)
        cv2.fillConvexPoly(image, np.round(uv[triangle]).astype(np.int32), paint, cv2.LINE_AA)
        if wire:
            cv2.polylines(image, [np.round(uv[triangle]).astype(np.int32)], True, (60, 60, 60), 2, cv2.LINE_AA)
    for brow in BROWS:
        cv2.fillPoly(image, [np.round(uv[brow]).astype(np.int32)], (60, 75, 95), cv2.LINE_AA)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--names", default="", help="comma-separated beginnings; all without it")
    parser.add_argument("--expressions", default="", help="intensities: draw named expressions instead of shapes")
    parser.add_argument("--rig", type=Path)
    parser.add_argument("--turn", type=float, default=0.0, help="degrees")
    parser.add_argument("--size", type=int, default=220)
    parser.add_argument("--columns", type=int, default=9)
    parser.add_argument("--wire", action="store_true")
    options = parser.parse_args()
    rig = PersonRig.of_mesh(neutral()) if options.rig is None else PersonRig.of_motion(Motion.load(options.rig))
    wanted = tuple(options.names.split(",")) if options.names else ("",)
    rows: list[tuple[str, np.ndarray]] = [("rest", np.zeros(len(SHAPES)))]
    if options.expressions:
        levels = [float(x) for x in options.expressions.split(",")]
        chosen = [n for n in names() if n.startswith(wanted)]
        rows += [(f"{n} {i:g}", named(n, i).vector()) for n in chosen for i in levels]
    else:
        rows += [(n, np.eye(len(SHAPES))[k]) for k, n in enumerate(SHAPES) if n.startswith(wanted)]
    tiles = []
    for label, weights in rows:
        tile = draw(rig.neutral + rig.displace(weights[None])[0], options.size, options.turn, options.wire)
        cv2.putText(tile, label, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % options.columns)
    lines = [np.hstack(tiles[i : i + options.columns]) for i in range(0, len(tiles), options.columns)]
    cv2.imwrite(str(options.output), np.vstack(lines))
    print(options.output, f"{len(rows)} faces")


if __name__ == "__main__":
    main()
