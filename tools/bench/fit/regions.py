"""Where the error of an avatar lies: held-out PSNR of head, face, around the face, below the chin, beside pictures.

    python tools/bench/fit/regions.py AVATAR DATASET [--frames 34] [--predicted] [--pictures FILE] [--orbit FILE]

The head is the box of `gtalk eval`; the face is the hull of the tracked mesh; around the face is the head's box without
it; below the chin is everything lower than that box, and what of it is the person. In brackets stands a region's share
of the whole picture's squared error. Motion is as tracked; with `--predicted`, torso, hair and clothes follow from the
head, as when speech drives. Pictures: truth, render, four times their difference, the render on green. Orbit: from -40
to 40 degrees aside, on green; printed with it is which share of the head's silhouette shows what stands behind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.eval.frames import Truth
from gtalk.eval.image import psnr
from gtalk.geometry.rotation import exp_so3
from gtalk.motion.edits.direct import without_torso
from gtalk.shapes import Bool, Float, UInt8

GREEN = (0, 177, 64)
SHOWN = 6  # frames in the pictures
YAWS_DEG = range(-40, 41, 10)
CLOSED, RIM = 0.05, 0.012  # of the head's height


def regions(truth: Truth, index: int) -> dict[str, Bool[np.ndarray, "H W"]]:
    """Where each region is in a frame."""
    size = (truth.camera.width, truth.camera.height)
    left, top, right, bottom = truth.boxes(index)["head"]
    head, below = np.zeros(size[::-1], bool), np.zeros(size[::-1], bool)
    head[top:bottom, left:right] = True
    below[bottom:] = True
    motion = truth.dataset.motion[index]
    points = motion.channels.get("landmarks478", motion.landmarks)[0]
    world = points @ motion.head_pose[0, :3, :3].T + motion.head_pose[0, :3, 3]
    face = np.zeros(size[::-1], np.uint8)
    hull = cv2.convexHull(truth.camera.project(world).astype(np.float32))
    cv2.fillConvexPoly(face, np.round(hull).astype(np.int32), (1,))
    person = cv2.resize(truth.dataset.matte(index), size, interpolation=cv2.INTER_AREA) > 8
    around = head & (face == 0)
    return {"head": head, "face": face > 0, "around": around, "below": below, "below, person": below & person}


def measure(
    avatar: GaussianAvatar, dataset: Dataset, count: int, predicted: bool, pictures: Path | None
) -> dict[str, tuple[float, float]]:
    """Mean PSNR and share of the squared error of each region and of the whole."""
    truth = Truth(dataset, dataset.camera.resized(avatar.camera.width, avatar.camera.height))
    held = train_test_split(dataset)[1]
    held = held[np.unique(np.linspace(0, len(held) - 1, count).round().astype(int))]
    shown = set(held[np.linspace(0, len(held) - 1, SHOWN).round().astype(int)].tolist())
    found: dict[str, list[tuple[float, float]]] = {}
    rows = []
    for index in held.tolist():
        motion, true = dataset.motion[index], truth.image(index)
        motion = without_torso(motion) if predicted else motion
        rgb = avatar.render_bytes(motion)[0][0].cpu().numpy()
        squared = np.square(rgb.astype(np.float32) - true).mean(2)
        for name, where in {"full": np.ones(squared.shape, bool), **regions(truth, index)}.items():
            if where.any():
                share = float(squared[where].sum() / max(squared.sum(), 1e-9))
                found.setdefault(name, []).append((psnr(rgb[where][None], true[where][None]), share))
        if index in shown:
            keyed = avatar.render_bytes(motion, background=_green(avatar))[0][0].cpu().numpy()
            apart = np.clip(4.0 * np.abs(rgb.astype(np.float32) - true), 0, 255).astype(np.uint8)
            rows.append(np.hstack([true, rgb, apart, keyed]))
    if pictures is not None:
        _write(pictures, np.vstack(rows))
    return {name: tuple(np.mean(values, axis=0).tolist()) for name, values in found.items()}


def holes(alpha: Float[np.ndarray, "H W"]) -> float:
    """Share of a silhouette that shows what stands behind.

    The silhouette is what a head covers, with slits and bays narrower than a twentieth of its height closed and rings
    filled; its rim, which is soft, does not count.
    """
    seen = (alpha > 0.5).astype(np.uint8)
    rows = np.flatnonzero(seen.any(1))
    if not len(rows):
        return 0.0
    across, rim = (2 * max(1, round(share * len(rows))) + 1 for share in (CLOSED / 2, RIM))
    border = [across] * 4
    closed = cv2.morphologyEx(
        cv2.copyMakeBorder(seen, *border, cv2.BORDER_CONSTANT), cv2.MORPH_CLOSE, np.ones((across, across), np.uint8)
    )
    cv2.drawContours(closed, cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], -1, (1,), -1)
    inner = cv2.erode(closed, np.ones((rim, rim), np.uint8))[across:-across, across:-across] > 0
    return float((1.0 - alpha[inner]).sum() / max(inner.sum(), 1))


def orbit(avatar: GaussianAvatar, dataset: Dataset) -> tuple[UInt8[np.ndarray, "H W 3"], dict[int, float]]:
    """(the head as it mostly is, turned; holes above the chin by degrees)."""
    motion = dataset.motion[train_test_split(dataset)[0]]
    looks = motion.head_pose[:, :3, 2]
    motion = without_torso(motion[int(np.abs(looks - looks.mean(0)).sum(1).argmin())])
    row, found = [], {}
    for degrees in YAWS_DEG:
        pose = motion.head_pose.copy()
        pose[0, :3, :3] = exp_so3(np.array([0.0, np.radians(degrees), 0.0])) @ pose[0, :3, :3]
        rgb, alpha = avatar.render_bytes(motion.replace(head_pose=pose), background=_green(avatar))
        row.append(rgb[0].cpu().numpy())
        points = motion.landmarks[0] @ pose[0, :3, :3].T + pose[0, :3, 3]
        chin = round(float(avatar.camera.project(points)[:, 1].max()))
        found[degrees] = holes(alpha[0, : max(1, chin)].cpu().numpy() / 255.0)
    return np.hstack(row), found


def _green(avatar: GaussianAvatar) -> UInt8[np.ndarray, "H W 3"]:
    return np.full((avatar.camera.height, avatar.camera.width, 3), GREEN, np.uint8)


def _write(path: Path, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--frames", type=int, default=34)
    parser.add_argument("--predicted", action="store_true")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--orbit", type=Path)
    args = parser.parse_args()
    avatar, dataset = load_avatar(args.avatar), Dataset(args.dataset)
    assert isinstance(avatar, GaussianAvatar), "regions are measured of Gaussian avatars"
    table = measure(avatar, dataset, args.frames, args.predicted, args.pictures)
    print(" | ".join(f"{name} {decibels:.2f} dB ({share:.0%})" for name, (decibels, share) in table.items()))
    if args.orbit is not None:
        strip, found = orbit(avatar, dataset)
        _write(args.orbit, strip)
        print("holes " + " ".join(f"{degrees:+d}: {share:.2%}" for degrees, share in found.items()))


if __name__ == "__main__":
    main()
