"""What an avatar is worth on the side that its fit never saw: the third of a clip that looks farthest aside.

    python tools/bench/fit/side_third.py DATASET [--config FILE] [--frames 24] [--folder out/side]

A copy of the dataset (files are linked, motion is not) says of that third that no face was found; Gaussians are fitted
to it, and the head's box is scored on the third, as tracked. Printed: angles of both parts, PSNR of head and whole.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.eval.frames import Truth
from gtalk.eval.image import in_box, psnr
from gtalk.fit.run import fit, load_config
from gtalk.shapes import Bool, Float
from gtalk.types import Motion

CONSENT = Consent("held out", "For measuring; the avatar is not used.")


def yaw_deg(motion: Motion) -> Float[np.ndarray, " T"]:
    """How far every head looks to its left (positive), from where the clip mostly looks."""
    looks = motion.head_pose[:, :3, 2]
    yaw = np.degrees(np.arctan2(looks[:, 0], looks[:, 2]))
    return yaw - np.median(yaw[motion.valid])


def side_third(motion: Motion) -> Bool[np.ndarray, " T"]:
    """The third of the frames with a face that look farthest to the side to which more is seen."""
    yaw = yaw_deg(motion)
    low, high = np.percentile(yaw[motion.valid], [100 / 3, 200 / 3])
    ends = np.percentile(yaw[motion.valid], [2, 98])
    return motion.valid & (yaw > high if ends[1] >= -ends[0] else yaw < low)


def without(dataset: Dataset, hidden: Bool[np.ndarray, " T"], folder: Path) -> Path:
    """A copy of a dataset in which frames have no face."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(dataset.root, folder, copy_function=os.link)
    (folder / "motion.npz").unlink()
    dataset.motion.replace(valid=dataset.motion.valid & ~hidden).save(folder / "motion.npz")
    return folder


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--config", default="cpu", help="a preset, or a YAML file")
    parser.add_argument("--frames", type=int, default=24, help="that are scored")
    parser.add_argument("--folder", type=Path, default=Path("out/side"))
    options = parser.parse_args()
    dataset = Dataset(options.dataset)
    hidden = side_third(dataset.motion)
    options.folder.mkdir(parents=True, exist_ok=True)
    root = without(dataset, hidden, options.folder / "dataset")
    config = load_config("gaussian", options.config)
    config = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, preview_every=0))
    for _ in fit(root, options.folder / "avatar", "gaussian", config, CONSENT, resume=False):
        pass
    avatar = load_avatar(options.folder / "avatar")
    assert isinstance(avatar, GaussianAvatar)
    truth = Truth(dataset, dataset.camera.resized(avatar.camera.width, avatar.camera.height))
    seen, yaw, scores = train_test_split(Dataset(root))[0], yaw_deg(dataset.motion), []
    aside = np.flatnonzero(hidden)
    for index in aside[np.unique(np.linspace(0, len(aside) - 1, options.frames).round().astype(int))].tolist():
        pair = avatar.render_bytes(dataset.motion[index])[0][0].cpu().numpy(), truth.image(index)
        box = truth.boxes(index)["head"]
        scores.append((psnr(*(in_box(image, box) for image in pair)), psnr(*pair)))
    head, full = np.mean(scores, axis=0)
    ends = [f"{values.min():+.0f} to {values.max():+.0f} degrees" for values in (yaw[seen], yaw[aside])]
    print(f"seen {ends[0]}, held out {ends[1]}: head {head:.2f} dB, full {full:.2f} dB")


if __name__ == "__main__":
    main()
