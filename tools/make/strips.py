#!/usr/bin/env python3
"""Images to look at, of any avatar: what it must be able to do, a sentence from sound, views beside the camera.

    tools/make/strips.py AVATAR DATASET -o FOLDER [--side 256] [--frame N]

telling.png    held-out frames (widest mouth, most closed, blink, largest turn): truth, tracked motion, difference
sentence.png   eight held-out frames in a row, from where most is said: truth above, the mouth from sound below
views.png      one held-out frame (--frame of the clip) from -30 to 30 degrees beside, then above and below
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.eval.frames import Truth
from gtalk.eval.lips import held_out, predict, with_true_head
from gtalk.eval.motion import aperture
from gtalk.eval.preview_video import difference
from gtalk.talk import MotionFrame, Talker, View, load_character
from gtalk.types import Camera, Motion

ANGLES_DEG = (-30, -20, -10, 0, 10, 20, 30)
SENTENCE_FRAMES, SENTENCE_EVERY = 8, 4
NO_SOUND = np.zeros(0, np.float32)


def telling_frames(dataset: Dataset) -> dict[str, int]:
    """Held-out frames that show what an avatar must be able to do."""
    training, testing = train_test_split(dataset)
    turned = dataset.motion.head_pose[:, :3, 2]
    away = np.linalg.norm(turned - turned[training].mean(0), axis=1)[testing]
    opening, lids = aperture(dataset.motion)[testing], dataset.motion.eyes.mean(1)[testing]
    places = {"wide": opening.argmax(), "closed": opening.argmin(), "blink": lids.argmin(), "turned": away.argmax()}
    return {name: int(testing[place]) for name, place in places.items()}


def liveliest(motion: Motion, count: int) -> int:
    """First of the `count` frames in which the mouth opens and closes most."""
    change = np.abs(np.diff(aperture(motion)))
    return int(np.convolve(change, np.ones(min(count, len(change))), "valid").argmax())


def orbited(camera: Camera, pivot_m: np.ndarray, yaw_deg: float, pitch_deg: float) -> Camera:
    """The camera moved about a point of the world: to the side by `yaw_deg`, up by `pitch_deg`."""
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.radians([pitch_deg, yaw_deg, 0.0]))[0]
    turn[:3, 3] = pivot_m - turn[:3, :3] @ pivot_m
    return dataclasses.replace(camera, T_camera_world=camera.T_camera_world @ turn)


def draw(talker: Talker, motion: Motion, view: View | None = None) -> np.ndarray:
    """One frame, 8-bit RGB."""
    return talker.draw([MotionFrame(0.0, motion, NO_SOUND)], view)[0].rgb


def grid(rows: list[list[np.ndarray]], side: int) -> np.ndarray:
    """Images side by side, each `side` pixels high."""
    small = [[cv2.resize(p, (round(side * p.shape[1] / p.shape[0]), side), interpolation=cv2.INTER_AREA) for p in row]
             for row in rows]  # fmt: skip
    return np.vstack([np.hstack(row) for row in small])


def main() -> None:
    """Write the images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--frame", type=int)
    args = parser.parse_args()
    dataset, character = Dataset(args.dataset), load_character(args.avatar)
    camera, talker = character.avatar.camera, character.talker(fps=dataset.fps, seed=0)
    truth = Truth(dataset, dataset.camera.resized(camera.width, camera.height))
    args.output.mkdir(parents=True, exist_ok=True)
    images = {}
    columns = []
    for name, index in telling_frames(dataset).items():
        true, drawn = truth.image(index), draw(talker, dataset.motion[index])
        columns.append([true, drawn, difference(true, drawn)])
        print(f"{name}: frame {index}")
    images["telling"] = [list(row) for row in zip(*columns, strict=True)]
    part = held_out(dataset)
    if character.motion_model is not None:
        said = with_true_head(predict(talker, part)[0], part.truth)
        first = liveliest(part.truth, SENTENCE_FRAMES * SENTENCE_EVERY)
        moments = range(first, min(first + SENTENCE_FRAMES * SENTENCE_EVERY, len(said)), SENTENCE_EVERY)
        print(f"sentence: frames {[part.first + i for i in moments]}")
        images["sentence"] = [
            [truth.image(part.first + i) for i in moments],
            [draw(talker, said[i]) for i in moments],
        ]
    index = part.first + len(part.truth) // 2 if args.frame is None else args.frame
    pivot_m, rows = dataset.motion.head_pose[index, :3, 3], []
    for yaw, pitch in ((1, 0), (0, 1)):
        rows.append([])
        for angle in ANGLES_DEG:
            view = View(camera=orbited(camera, pivot_m, yaw * angle, pitch * angle))
            rows[-1].append(draw(talker, dataset.motion[index], view))
    images["views"] = rows
    for name, rows in images.items():
        cv2.imwrite(str(args.output / f"{name}.png"), np.ascontiguousarray(grid(rows, args.side)[..., ::-1]))


if __name__ == "__main__":
    main()
