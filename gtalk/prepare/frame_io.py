"""Folders of images: written and read in order by a few threads, never many in memory at once."""

from __future__ import annotations

import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from threadpoolctl import threadpool_limits  # scikit-learn's, which librosa needs

from gtalk.dataset.steady import evened
from gtalk.errors import UserError
from gtalk.shapes import Float, UInt8

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = max(2, min(4, os.cpu_count() or 2))
AHEAD = 2 * WORKERS
LUMA = (
    cv2.IMREAD_GRAYSCALE,
    cv2.IMREAD_REDUCED_GRAYSCALE_2,
    cv2.IMREAD_REDUCED_GRAYSCALE_4,
    cv2.IMREAD_REDUCED_GRAYSCALE_8,
)
COLOUR = (
    cv2.IMREAD_COLOR,
    cv2.IMREAD_REDUCED_COLOR_2,
    cv2.IMREAD_REDUCED_COLOR_4,
    cv2.IMREAD_REDUCED_COLOR_8,
)


def in_order(work: Callable[[Item], Result], items: Iterable[Item], ahead: int = AHEAD) -> Iterator[Result]:
    """`map(work, items)` on threads, in order, with at most `ahead` items under way."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def in_turns(work: Callable[[int], Result], indices: Sequence[int], turn: int = 16) -> Iterator[Result]:
    """`map(work, indices)` on threads, in order, `turn` indices at once: for work of a millisecond or less."""
    turns = (indices[start : start + turn] for start in range(0, len(indices), turn))
    for results in in_order(lambda few: [work(index) for index in few], turns):
        yield from results


@contextmanager
def one_thread_each() -> Iterator[None]:
    """OpenCV and BLAS compute on the calling thread while the block runs: the threads of `in_order` share the cores.

    LAPACK wakes a thread for each small system and waits for it: on two cores that others use as well, a
    hundred systems of 40 unknowns take 0.1 s instead of 1 ms.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        cv2.setNumThreads(before)


Gains = Float[np.ndarray, "T 3"] | None
"""What each frame's channels are multiplied by; None where that is one."""


def read_frames(
    folder: Path, indices: Iterable[int] | np.ndarray, gains: Gains = None
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """RGB images `folder`/NNNNNN.jpg, decoded ahead on threads."""
    return in_order(lambda index: read_frame(folder, int(index), gains), indices)


def read_frame(folder: Path, index: int | np.integer, gains: Gains = None) -> UInt8[np.ndarray, "H W 3"]:
    """One RGB image."""
    image = cv2.cvtColor(_read(folder / f"{index:06d}.jpg", cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return evened(image, None if gains is None else gains[index])


def read_small(folder: Path, index: int | np.integer, least: int, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """One RGB image of `size`, halved while its longer side keeps `least` pixels: the details are not decoded."""
    halvings = next((n for n in (3, 2, 1) if max(size) >> n >= least), 0)
    return cv2.cvtColor(_read(folder / f"{index:06d}.jpg", COLOUR[halvings]), cv2.COLOR_BGR2RGB)


def read_luma(
    folder: Path, index: int | np.integer, least_height: int, height: int, gains: Gains = None
) -> UInt8[np.ndarray, "h w"]:
    """How bright an image of `height` is, halved while it stays `least_height` high: its colours are not decoded."""
    halvings = next((n for n in (3, 2, 1) if height >> n >= least_height and height % (1 << n) == 0), 0)
    luma = _read(folder / f"{index:06d}.jpg", LUMA[halvings])
    return luma if gains is None else cv2.convertScaleAbs(luma, alpha=float(gains[index].mean()))


def read_grey(folder: Path, index: int | np.integer) -> UInt8[np.ndarray, "H W"]:
    """One single-channel image `folder`/NNNNNN.png."""
    return _read(folder / f"{index:06d}.png", cv2.IMREAD_GRAYSCALE)


def write_frame(folder: Path, index: int | np.integer, rgb: UInt8[np.ndarray, "H W 3"], quality: int) -> None:
    """Write an RGB image as JPEG without chroma subsampling."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    _write(folder / f"{index:06d}.jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)


def write_grey(folder: Path, index: int | np.integer, image: UInt8[np.ndarray, "H W"]) -> None:
    """Write a single-channel image as PNG."""
    # OpenCV's own choice of filter and strategy is three times faster than level 1 asked for by name, and smaller.
    _write(folder / f"{index:06d}.png", image, [])


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces `folder` when the block ends well and vanishes otherwise."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(path: Path, flags: int) -> np.ndarray:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise UserError(
            f"image {path}",
            expected="a readable image",
            got="none",
            remedy="Run `gtalk prepare` again with --stage media.",
        )
    return image


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    if not cv2.imwrite(str(path), image, options):
        raise UserError(f"image {path}", expected="to write it", got="an error of the disk", remedy="Is the disk full?")
