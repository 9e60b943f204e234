"""Proves a dataset folder whole, or says exactly what is wrong with it."""

from __future__ import annotations

import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from gtalk.dataset.format import Dataset, MaskClass, words
from gtalk.dataset.steady import LIGHT_FILE, PATH_FILE
from gtalk.errors import UserError
from gtalk.reading.untrusted import read_arrays, read_image
from gtalk.types import AUDIO_RATE, SWAY, TORSO_BEND, Motion

STAGES = ("media", "landmarks", "track", "masks", "background", "motion", "report")
PICTURES = (("frames", ".jpg"), ("masks", ".png"), ("mattes", ".png"))
LATER = {"torso_bend", "sway"}
"""Arrays that datasets of the same version may lack, since they were made before: readers do without."""
SHOWN = 5  # of many alike problems, so many are named


def validate(folder: Path, deep: bool = True) -> Dataset:
    """Check every part of a dataset against its manifest.

    Args:
        folder: the dataset.
        deep: decode every image too (some milliseconds each); without it, that they are there and not empty.

    Returns:
        The dataset, whole.

    Raises:
        UserError: names everything that is missing, damaged or of the wrong shape.
    """
    problems = find_problems(folder, deep)
    if problems:
        raise UserError(
            f"dataset {folder}",
            expected="a whole dataset",
            got="; ".join(problems[:SHOWN]) + (f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""),
            remedy="Run `gtalk prepare` again with the same clips: what is whole is kept.",
        )
    return Dataset(folder)


def find_problems(folder: Path, deep: bool = True) -> list[str]:
    """Everything wrong with a dataset folder, in words; empty when it is whole.

    Raises UserError when there is no readable manifest at all.
    """
    dataset = Dataset(folder)
    frames, (width, height) = dataset.n_frames, dataset.size
    done = dataset.manifest.get("stages", {})
    if problems := [f"stage {stage} is not done" for stage in STAGES if stage not in done]:
        return problems
    checks: list[Callable[[], Iterator[str]]] = [
        lambda: _image_problems(dataset, deep),
        lambda: _sound_problems(dataset),
        lambda: _array_problems(dataset.root, "landmarks.npz", {"points_px": (frames, 478, 2), "valid": (frames,)}),
        lambda: _camera_problems(dataset),
        lambda: _person_problems(dataset),
        lambda: _array_problems(
            dataset.root,
            "poses.npz",
            {
                "T_world_head": (frames, 4, 4),
                "torso": (frames, 4),
                "torso_bend": (frames, TORSO_BEND),
                "framing": (frames, 3),
                "sway": (frames, SWAY),
            },
        ),
        lambda: _plate_problems(dataset.root, width, height),
        lambda: _motion_problems(dataset),
    ]
    if (dataset.root / LIGHT_FILE).exists():
        checks.append(lambda: _array_problems(dataset.root, LIGHT_FILE, {"gain": (frames, 3)}))
    if (dataset.root / PATH_FILE).exists():
        shapes: dict[str, tuple[int, ...]] = {"H_frame_plate": (frames, 3, 3), "known": (frames,), "reference": ()}
        checks.append(lambda: _array_problems(dataset.root, PATH_FILE, shapes))
    for check in checks:
        problems.extend(check())
    if not (dataset.root / "report.html").is_file():
        problems.append("report.html is missing")
    return problems


def _image_problems(dataset: Dataset, deep: bool) -> Iterator[str]:
    width, height = dataset.size
    for folder, suffix in PICTURES:
        present = _filled(dataset.root / folder)
        missing = [i for i in range(dataset.n_frames) if not present.get(f"{i:06d}{suffix}")]
        if missing:
            yield f"{folder}/ lacks {_some(missing)} of {dataset.n_frames} images"
            continue
        surplus = len(present) - dataset.n_frames
        if surplus:
            yield f"{folder}/ holds {surplus} files too many"
        for index in range(dataset.n_frames) if deep else (0, dataset.n_frames - 1):
            name = f"{folder}/{index:06d}{suffix}"
            try:
                image = read_image(dataset.root / name, cv2.IMREAD_UNCHANGED)
            except (OSError, ValueError) as error:
                yield f"{name} cannot be decoded: {words(error)}"
                continue
            if image.shape[:2] != (height, width):
                yield f"{name} is {image.shape[1]}x{image.shape[0]}, not {width}x{height}"
            elif folder == "masks" and image.max() > max(MaskClass):
                yield f"{name} holds a class that does not exist"


def _sound_problems(dataset: Dataset) -> Iterator[str]:
    try:
        with wave.open(str(dataset.audio_path), "rb") as file:
            if (file.getframerate(), file.getnchannels()) != (AUDIO_RATE, 1):
                yield f"audio.wav is not {AUDIO_RATE} Hz mono"
            wanted = round(dataset.n_frames * AUDIO_RATE / dataset.fps)
            if file.getnframes() != wanted:
                yield f"audio.wav has {file.getnframes()} samples, {wanted} belong to {dataset.n_frames} frames"
    except (OSError, EOFError, ValueError, RuntimeError, struct.error, wave.Error) as error:
        yield f"audio.wav: {words(error)}"


def _array_problems(root: Path, name: str, shapes: dict[str, tuple[int, ...]]) -> Iterator[str]:
    try:
        arrays = read_arrays(root / name)
    except (OSError, ValueError) as error:
        yield f"{name}: {words(error)}"
        return
    for key, shape in shapes.items():
        if key not in arrays:
            if key not in LATER:
                yield f"{name} lacks {key}"
        elif arrays[key].shape != shape:
            yield f"{name}: {key} has shape {arrays[key].shape}, not {shape}"
        elif arrays[key].dtype.kind == "f" and not np.isfinite(arrays[key]).all():
            yield f"{name}: {key} is not finite"


def _camera_problems(dataset: Dataset) -> Iterator[str]:
    try:
        camera = dataset.camera
    except UserError as error:
        yield f"camera.json: {error.got}"
        return
    if (camera.width, camera.height) != dataset.size:
        yield f"camera.json is of {camera.width}x{camera.height} images, not {dataset.size}"


def _person_problems(dataset: Dataset) -> Iterator[str]:
    try:
        _ = dataset.person
    except UserError as error:
        yield f"person.npz: {error.got}"


def _plate_problems(root: Path, width: int, height: int) -> Iterator[str]:
    try:
        image = read_image(root / "background.png")
    except (OSError, ValueError) as error:
        yield f"background.png: {words(error)}"
        return
    if image.shape[:2] != (height, width):
        yield f"background.png is {image.shape[1]}x{image.shape[0]}, not {width}x{height}"


def _motion_problems(dataset: Dataset) -> Iterator[str]:
    try:
        motion = Motion.load(dataset.root / "motion.npz")
    except UserError as error:
        yield f"motion.npz: {error.got}"
        return
    if len(motion) != dataset.n_frames or motion.fps != dataset.fps:
        yield f"motion.npz has {len(motion)} frames at {motion.fps:g} fps, not {dataset.n_frames} at {dataset.fps:g}"
    rotation = motion.head_pose[:, :3, :3]
    if np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(initial=0.0) > 1e-3:
        yield "motion.npz: a head pose is not a rigid motion"


def _filled(folder: Path) -> dict[str, bool]:
    """Whether each entry of a folder is a file with something in it."""
    if not folder.is_dir():
        return {}
    return {path.name: path.is_file() and path.stat().st_size > 0 for path in folder.iterdir()}


def _some(indices: list[int]) -> str:
    names = ", ".join(str(i) for i in indices[:3])
    return f"{len(indices)} ({names}{', ...' if len(indices) > 3 else ''})"
