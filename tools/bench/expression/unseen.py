#!/usr/bin/env python3
"""Expressions that a clip never showed, against the person's own: PSNR of held-out emotional clips.

    tools/bench/expression/unseen.py DATASET -o WORK --train neutral,happy,angry,surprised [--take] [--steps 1200]

DATASET is what `gtalk prepare` makes of one clip an expression, the expression's name in the file's name. An avatar is
fitted to the clips in --train and drawn at the tracked motion of the others, which is divided into what is slow (the
channel `expression`: the middle of the least squares of shapes over each clip) and the speech that is left: without the
channel, as an avatar draws it that knows no expressions, and with it. Beside that, all of the motion by codes alone, as
far as the clip's range goes. With --take the first half of every other clip is fitted too, as frames of a take might be
(`gtalk train --expressions` learns names from a take, not yet looks), and the second halves are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.dataset.format import HEAD_CLASSES, Dataset
from gtalk.fit import run
from gtalk.fit.gaussian.model import FitConfig
from gtalk.rig.shapes import INDEPENDENT, SHAPES, displacements, index
from gtalk.rig.weights import bounded_least_squares
from gtalk.shapes import Bool
from gtalk.topology import LANDMARKS68, N_FACE
from gtalk.types import OUTER_EYE_DISTANCE_M, Motion

RIDGE = 3e-3  # squared outer-eye distances: a shape is worth so much error of the whole mesh


def frames_of(dataset: Dataset, train: list[str], take: bool) -> tuple[Bool[np.ndarray, " T"], dict[str, np.ndarray]]:
    """(which frames are fitted, frames to compare by expression)."""
    fitted, held = np.zeros(dataset.n_frames, bool), {}
    for segment in dataset.segments:
        if any(name in segment.source for name in train):
            fitted[segment.start : segment.stop] = True
            continue
        middle = (segment.start + segment.stop) // 2
        fitted[segment.start : middle] |= take
        held[segment.source] = np.arange(middle if take else segment.start, segment.stop)
    return fitted, held


def part_of(dataset: Dataset, fitted: Bool[np.ndarray, " T"], folder: Path) -> Path:
    """A dataset of the same frames of which only some show a face: what the fit learns from."""
    if not folder.exists():
        shutil.copytree(dataset.root, folder, copy_function=os.link)  # only what a frame shows is another file
    (folder / "motion.npz").unlink(missing_ok=True)
    motion = dataset.motion
    motion.replace(valid=motion.valid & fitted).save(folder / "motion.npz")
    return folder


def divided(avatar: GaussianAvatar, motion: Motion) -> tuple[Motion, Motion]:
    """(speech alone, speech and expression) of a tracked clip."""
    rig = avatar.division.rig
    names = [name for name in INDEPENDENT if not name.startswith(("eyeLook", "eyeBlink"))]
    columns, shapes = [index(name) for name in names], displacements(rig.neutral)
    moved = motion.channels["landmarks478"].astype(np.float64)[:, :N_FACE] - rig.neutral[:N_FACE]
    design = shapes[columns, :N_FACE] / OUTER_EYE_DISTANCE_M
    found = bounded_least_squares(
        design.reshape(len(names), -1), moved.reshape(len(motion), -1) / OUTER_EYE_DISTANCE_M, RIDGE
    )
    weights = np.zeros(len(SHAPES))
    weights[columns] = np.median(found, axis=0)
    landmarks = motion.landmarks - np.tensordot(weights, shapes[:, LANDMARKS68], 1)
    channels = {name: value for name, value in motion.channels.items() if name != "landmarks478"}
    speech = motion.replace(landmarks=landmarks, channels=channels)
    every = np.tile(weights.astype(np.float32), (len(motion), 1))
    return speech, speech.replace(channels={**channels, "expression": every})


def psnr(avatar: GaussianAvatar, dataset: Dataset, frames: np.ndarray, motion: Motion) -> float:
    """Of the head, over all frames together. `motion`: of these frames."""
    errors = []
    for place, frame in enumerate(frames):
        drawn = avatar.render(motion[place]).rgb[0].clamp(0.0, 1.0).numpy()
        head = np.isin(dataset.labels(int(frame)), HEAD_CLASSES)
        errors.append(np.square(drawn - dataset.frame(int(frame)) / 255.0)[head].mean())
    return float(-10.0 * np.log10(np.mean(errors)))


def main() -> None:
    """Fit and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--train", default="neutral,happy,angry,surprised")
    parser.add_argument("--take", action="store_true", help="fit the first half of every other clip too")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--every", type=int, default=3, help="compare every so-many-th frame")
    given = parser.parse_args()
    dataset = Dataset(given.dataset)
    fitted, held = frames_of(dataset, given.train.split(","), given.take)
    part = part_of(dataset, fitted, given.output / "dataset")
    config = run.load_config("gaussian", "cpu")
    assert isinstance(config, FitConfig)
    config = replace(config, trainer=replace(config.trainer, size=max(dataset.size), steps=given.steps))
    consent = Consent("a recorded actor", "Footage for measuring only.")
    if not run.is_fitted(part, given.output, "gaussian", config, consent):
        for _ in run.fit(part, given.output, "gaussian", config, consent):
            pass
    avatar = load_avatar(given.output)
    assert isinstance(avatar, GaussianAvatar)
    rows = {}
    for source, frames in held.items():
        chosen = frames[dataset.motion.valid[frames]][:: given.every]
        if not len(chosen):
            print(f"{source}: no frame was tracked")
            continue
        motion = dataset.motion[chosen]
        motion = motion.replace(channels={n: v for n, v in motion.channels.items() if n != "expression"})
        rows[source] = [psnr(avatar, dataset, chosen, m) for m in (*divided(avatar, motion), motion)]
        without, drawn, codes = rows[source]
        print(f"{source:44s} {len(chosen):3d} frames  without {without:5.2f} dB  with expression {drawn:5.2f} dB "
              f"({drawn - without:+.2f})  codes alone {codes:5.2f} dB", flush=True)  # fmt: skip
    mean = np.mean(list(rows.values()), 0)
    print(f"mean: without {mean[0]:.2f} dB, with expression {mean[1]:.2f} dB ({mean[1] - mean[0]:+.2f}), "
          f"codes alone {mean[2]:.2f} dB")  # fmt: skip
    (given.output / "unseen.json").write_text(json.dumps({"rows": rows, "mean": mean.tolist()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
