#!/usr/bin/env python3
"""Expressions that a clip never showed, against the person's own: PSNR of the face in another recording.

    tools/bench/expression/unseen.py DATASET --held HELD -o WORK [--take TAKE] [--steps 1200]

DATASET, HELD and TAKE are what `gtalk prepare` makes of the clip, of a recording to compare with and of an expression
take (the last two with --one-person). An avatar is fitted to the clip, with the take as `gtalk train --expressions`
does, and drawn at the tracked motion of HELD, which is divided into what is slow (the channel `expression`: the middle
of the least squares of shapes over each of its parts) and the speech that is left: without the channel, as an avatar
draws it that knows no expressions, and with it. Beside that, all of the motion by codes alone.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.dataset.format import Dataset
from gtalk.fit import run
from gtalk.fit.gaussian.model import FitConfig
from gtalk.fit.take import TakeFrames
from gtalk.rig.shapes import INDEPENDENT, SHAPES, displacements, index
from gtalk.rig.weights import bounded_least_squares
from gtalk.topology import LANDMARKS68, N_FACE
from gtalk.types import OUTER_EYE_DISTANCE_M, Motion

RIDGE = 3e-3  # squared outer-eye distances: a shape is worth so much error of the whole mesh


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


def psnr(avatar: GaussianAvatar, held: TakeFrames, frames: np.ndarray, motion: Motion) -> float:
    """Of the face, over all frames together. `motion`: of these frames."""
    errors = []
    for place, frame in enumerate(frames):
        drawn = avatar.render(motion[place], size=held.size).rgb[0].clamp(0.0, 1.0).numpy()
        true = held.read(int(frame), 0)
        assert true.face is not None
        errors.append(np.square(drawn - true.rgb / 255.0)[true.face > 0].mean())
    return float(-10.0 * np.log10(np.mean(errors)))


def main() -> None:
    """Fit and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--take", type=Path)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--every", type=int, default=3, help="compare every so-many-th frame")
    given = parser.parse_args()
    dataset = Dataset(given.dataset)
    config = run.load_config("gaussian", "cpu")
    assert isinstance(config, FitConfig)
    config = replace(config, trainer=replace(config.trainer, size=max(dataset.size), steps=given.steps))
    consent = Consent("a recorded actor", "I agree: footage for measuring only.")
    if not run.is_fitted(dataset.root, given.output, "gaussian", config, consent, given.take):
        for _ in run.fit(dataset.root, given.output, "gaussian", config, consent, take=given.take):
            pass
    avatar = load_avatar(given.output)
    assert isinstance(avatar, GaussianAvatar)
    held = TakeFrames(Dataset(given.held), dataset, dataset.size)
    rows = {}
    for segment in held.dataset.segments:
        chosen = held.indices[(held.indices >= segment.start) & (held.indices < segment.stop)][:: given.every]
        if not len(chosen):
            continue
        motion = held.motion[chosen]
        name = f"{segment.source} {segment.start / held.dataset.fps:.1f} s"
        rows[name] = [psnr(avatar, held, chosen, m) for m in (*divided(avatar, motion), motion)]
        without, drawn, codes = rows[name]
        print(f"{name:28s} {len(chosen):3d} frames  without {without:5.2f} dB  with expression {drawn:5.2f} dB "
              f"({drawn - without:+.2f})  codes alone {codes:5.2f} dB", flush=True)  # fmt: skip
    mean = np.mean(list(rows.values()), 0)
    print(f"mean: without {mean[0]:.2f} dB, with expression {mean[1]:.2f} dB ({mean[1] - mean[0]:+.2f}), "
          f"codes alone {mean[2]:.2f} dB")  # fmt: skip
    (given.output / "unseen.json").write_text(json.dumps({"rows": rows, "mean": mean.tolist()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
