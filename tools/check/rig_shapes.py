"""Compare the sculpted shapes with shapes measured elsewhere: direction (cosine) and length of each.

    .venv/bin/python tools/check/rig_shapes.py --reference FILE.npz [--detail mouthSmile] [--all]

FILE holds `names` [E], `D` [E,478,3] in outer-eye distances and `P` [478,3], the neutral face they belong to;
names may end in _L and _R. Our shapes are carried to that face first. Only the skin is compared: the irises of a
measured table are often those of the lids. `--detail` says where a shape is off, part of the face by part.
"""

from __future__ import annotations

import argparse

import numpy as np
import yaml

from gtalk.rig.sculpted.table import TABLE_PATH
from gtalk.rig.shapes import SHAPES, UNREADABLE, displacements
from gtalk.topology import INNER_LIPS_RING, MIRROR, N_FACE
from gtalk.types import OUTER_EYE_DISTANCE_M


def same_name(name: str) -> str:
    """Our name of a shape in a table whose names end in _L and _R."""
    for ending, side in (("_L", "Left"), ("_R", "Right")):
        name = name.removesuffix(ending) + side if name.endswith(ending) else name
    return name


def compare(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Cosine and ratio of lengths of two [468,3] fields."""
    a, b = np.linalg.norm(ours), np.linalg.norm(theirs)
    return (float((ours * theirs).sum() / max(a * b, 1e-12)), float(a / max(b, 1e-12)))


RIM = np.setdiff1d(np.arange(N_FACE), INNER_LIPS_RING)
"""The skin without the inner rim of the lips: where lips are shut, a table made by looking at them from outside has
some rim points on the wrong lip (jawOpen says which)."""


def detail(name: str, ours: np.ndarray, theirs: np.ndarray, table: dict, count: int = 14) -> None:
    """What we and they do at the named points, the worst first."""
    names = {v: k for k, v in table["points"].items()}
    names |= {int(MIRROR[v]): k + "_r" for v, k in list(names.items()) if MIRROR[v] != v}
    off = np.linalg.norm(ours - theirs, axis=1)
    off[INNER_LIPS_RING] = 0.0
    print(f"\n{name}: in hundredths of the outer-eye distance (x to the image's right, y up, z out)")
    rows = sorted(names, key=lambda i: -off[i])[:count]
    for i in rows:
        print(f"  {names[i]:>18} {i:4d}  ours {np.round(100 * ours[i], 1)}  theirs {np.round(100 * theirs[i], 1)}")
    others = [i for i in np.argsort(-off)[:count] if i not in names]
    for i in others[:8]:
        print(f"  {'':>18} {i:4d}  ours {np.round(100 * ours[i], 1)}  theirs {np.round(100 * theirs[i], 1)}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--detail", default="", help="comma-separated beginnings of names")
    parser.add_argument("--count", type=int, default=14)
    options = parser.parse_args()
    with np.load(options.reference) as file:
        names, shapes, points = [same_name(n) for n in file["names"]], file["D"], file["P"]
    ours = displacements(points * OUTER_EYE_DISTANCE_M)[:, :N_FACE] / OUTER_EYE_DISTANCE_M
    table = yaml.safe_load(TABLE_PATH.read_text(encoding="utf-8"))
    low = 0
    print("| shape | cosine | length | cosine with the inner rim of the lips | read by Face Landmarker |")
    print("|---|---|---|---|---|")
    for name in sorted(set(names) & set(SHAPES), key=SHAPES.index):
        mine, theirs = ours[SHAPES.index(name)], shapes[names.index(name), :N_FACE]
        everywhere = compare(mine, theirs)[0]
        cosine, ratio = compare(mine[RIM], theirs[RIM])
        read = name not in UNREADABLE
        good = cosine >= (0.9 if read else 0.8) and (0.75 <= ratio <= 1.25 or not read)
        low += not good
        if not name.endswith("Right") or name in ("jawRight", "mouthRight"):
            row = f"| {name} | {cosine:.3f} | {ratio:.2f} | {everywhere:.3f} | {'yes' if read else 'no'} |"
            print(row + ("" if good else " <--"))
        if options.detail and any(name.startswith(p) for p in options.detail.split(",")):
            detail(name, mine, theirs, table, options.count)
    print(f"{low} of {len(set(names) & set(SHAPES))} miss the mark; both sides counted")


if __name__ == "__main__":
    main()
