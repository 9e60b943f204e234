#!/usr/bin/env python3
"""Contact sheets of what an avatar expresses: to be looked at.

    tools/make/expression_sheet.py AVATAR -o sheet.png                    emotions at 0, .5, 1; silent and amid speech
    tools/make/expression_sheet.py AVATAR -o shapes.png --what shapes     every single shape at weight 1
    tools/make/expression_sheet.py AVATAR -o mixed.png --what mixtures --count 200 --every 8
    tools/make/expression_sheet.py AVATAR -o mouths.png --what mouths     the mouth alone, for lips that tear

Frames come from the avatar's dataset (AVATAR/dataset): one with closed lips, one amid speech, head nearly frontal.
With `mixtures` the share of holes in the mouth's box over all of `--count` random mixtures is printed too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from gtalk.avatar.base import Avatar
from gtalk.avatar.bundle import load_avatar
from gtalk.rig.expression import Expression, named, recipes
from gtalk.rig.limits import Gaps, soft_limit
from gtalk.rig.shapes import INDEPENDENT, SHAPES, displacements, neutral
from gtalk.types import Motion

SHOWN = (0.0, 0.5, 1.0)


def typical_frames(motion: Motion) -> tuple[int, int]:
    """(lips closed, amid speech): frames with open eyes and a head that is turned like most."""
    opening = motion.landmarks[:, [61, 62, 63], 1].mean(1) - motion.landmarks[:, [65, 66, 67], 1].mean(1)
    turn = np.abs(motion.head_pose[:, :3, :3] - motion.head_pose[:, :3, :3].mean(0)).sum((1, 2))
    usual = np.flatnonzero(motion.valid & (turn < np.percentile(turn, 40)) & (motion.eyes.mean(1) > 0.9))
    order = usual[np.argsort(opening[usual])]
    return int(order[len(order) // 20]), int(order[-max(1, len(order) // 20)])


def drawn(avatar: Avatar, frame: Motion, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(BGR image, coverage) of a frame with an expression."""
    if weights.any():
        frame = frame.replace(channels={**frame.channels, "expression": weights[None].astype(np.float32)})
    out = avatar.render(frame)
    return (out.rgb[0].clamp(0, 1) * 255 + 0.5).byte().cpu().numpy()[..., ::-1].copy(), out.alpha[0].cpu().numpy()


def box(avatar: Avatar, frame: Motion, points: slice, grow: float) -> tuple[slice, slice]:
    """Rows and columns around some landmarks."""
    world = frame.landmarks[0, points] @ frame.head_pose[0, :3, :3].T + frame.head_pose[0, :3, 3]
    pixels = avatar.camera.project(world)
    centre, half = (pixels.min(0) + pixels.max(0)) / 2, float((pixels.max(0) - pixels.min(0)).max()) * grow
    low, high = np.maximum(centre - half, 0).astype(int), (centre + half).astype(int) + 1
    return slice(low[1], min(high[1], avatar.camera.height)), slice(low[0], min(high[0], avatar.camera.width))


def tile(image: np.ndarray, label: str, side: int) -> np.ndarray:
    """A labelled picture of one width."""
    size = (side, round(side * image.shape[0] / image.shape[1]))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if side < image.shape[1] else cv2.INTER_CUBIC)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, label, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, width, cv2.LINE_AA)
    return image


def sheet(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """Tiles in rows."""
    height = min(t.shape[0] for t in tiles)
    rows = [t[:height] for t in tiles]
    rows += [np.zeros_like(rows[0])] * (-len(rows) % columns)
    return np.vstack([np.hstack(rows[i : i + columns]) for i in range(0, len(rows), columns)])


def cases(what: str, count: int, seed: int) -> list[tuple[str, np.ndarray]]:
    """(label, weights) of everything on a sheet."""
    gaps = Gaps.of(neutral(), displacements(neutral()))  # as an edit does: what closes lips that are closed gives way
    if what == "shapes":
        return [(name, gaps.uncrossed(Expression({name: 1.0}).vector()[None])[0]) for name in INDEPENDENT]
    emotions = [name for name, recipe in recipes().items() if recipe.emotion and name != "neutral"]
    if what != "mixtures":
        most = np.ones(len(SHAPES))
        bent = {(n, v): soft_limit(named(n, v).vector()[None], most) for n in emotions for v in SHOWN}
        return [(f"{name} {level:g}", gaps.uncrossed(weights)[0]) for (name, level), weights in bent.items()]
    rng = np.random.default_rng(seed)
    weights = np.zeros((count, len(SHAPES)))
    for row in weights:
        chosen = rng.choice([SHAPES.index(name) for name in INDEPENDENT], 6, replace=False)
        row[chosen] = rng.random(6)
    weights = gaps.uncrossed(soft_limit(weights, np.ones(len(SHAPES))))
    return [(f"mixture {i}", row) for i, row in enumerate(weights)]


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--what", choices=("emotions", "shapes", "mixtures", "mouths"), default="emotions")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--every", type=int, default=8, help="of the mixtures, show every so-many-th")
    parser.add_argument("--side", type=int, default=220, help="width of a tile, pixels")
    parser.add_argument("--columns", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    avatar = load_avatar(options.avatar)
    motion = Motion.load(options.avatar / "dataset" / "motion.npz")
    frames = [motion[index] for index in typical_frames(motion)]
    some = cases(options.what, options.count, options.seed)
    if options.what in {"shapes", "mixtures"}:
        frames = frames[:1]
    tiles, holes = [], []
    for number, (label, weights) in enumerate(some):
        for frame in frames:
            image, alpha = drawn(avatar, frame, weights)
            mouth = box(avatar, frame, slice(48, 68), 0.75)
            holes.append(float((alpha[mouth] < 0.9).mean()))
            if options.what != "mixtures" or number % options.every == 0:
                shown = mouth if options.what == "mouths" else box(avatar, frame, slice(0, 68), 0.72)
                tiles.append(tile(image[shown], label, options.side))
    columns = options.columns or {"emotions": 6, "mouths": 6}.get(options.what, 8)
    cv2.imwrite(str(options.output), sheet(tiles, columns))
    worst = f"mean {np.mean(holes):.4f}, worst {max(holes):.4f}"
    print(f"{options.output}: {len(tiles)} tiles; holes in the mouth's box: {worst}")


if __name__ == "__main__":
    main()
