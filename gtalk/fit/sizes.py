"""How large a fit's pictures are, and how many Gaussians a face of that size needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gtalk.dataset.format import Dataset

FACE_PX, MOST_TIMES = 300.0, 4.0  # up to this height of a face a preset's Gaussians do; at most so many times as many
COUNT_POWER = 1.5  # of the face's height: between its area, which they cover, and the time that a picture may take


def sized_for(config: Any, dataset: Dataset | Path, size: int | None = None) -> tuple[Any, str]:
    """(a preset's config for a clip, why in words): images of `size` pixels, and Gaussians for a face as large as its.

    A face of FACE_PX and less gets the preset's Gaussians, a larger one in proportion to its height ** 1.5.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    trainer = config.trainer if size is None else replace(config.trainer, size=size)
    height = min(trainer.size, dataset.size[1])
    config, told = replace(config, trainer=trainer), f"{height} pixels high{smaller_than(size, dataset)}"
    facts = dataset.manifest.get("stages", {}).get("report", {}).get("facts", {})
    face_px = facts.get("image", {}).get("face_height_px", 0.0) * height / dataset.size[1]
    count = getattr(config.avatar, "count", None)
    if count is None or not face_px:
        return config, told
    times = min(max(face_px / FACE_PX, 1.0) ** COUNT_POWER, MOST_TIMES)
    count = 100 * round(count * times / 100) if times > 1.0 else count
    told = f"{told}, a face of {face_px:.0f}: {count} Gaussians"
    return replace(config, avatar=replace(config.avatar, count=count)), told


def smaller_than(size: int | None, dataset: Dataset | Path) -> str:
    """What to say where a dataset's images are smaller than the size that was asked for; empty where they are not."""
    height = (dataset if isinstance(dataset, Dataset) else Dataset(dataset)).size[1]
    if size is None or size <= height:
        return ""
    return f", not {size}: the dataset has no larger ones (`gtalk prepare CLIP --size {size}` makes them)"
