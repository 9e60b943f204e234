"""Values for frames without a face: between neighbours of the same shot, held at its ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.rotation import exp_so3, log_so3
from gtalk.shapes import Bool, Float


def whole(frames: int) -> list[Segment]:
    """One segment for a clip without cuts."""
    return [Segment(0, frames, "")]


def neighbours(valid: Bool[np.ndarray, " T"], segments: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every frame the valid frames (before, after) to mix and the share of the second one.

    Valid frames are their own neighbours. A segment without any valid frame borrows the nearest one.
    """
    frames = len(valid)
    anywhere = np.flatnonzero(valid)
    before, after, share = np.arange(frames), np.arange(frames), np.zeros(frames)
    for segment in segments:
        inside = np.arange(segment.start, segment.stop)
        known = inside[valid[inside]]
        if not len(known):
            middle = (segment.start + segment.stop) / 2
            known = anywhere[[np.abs(anywhere - middle).argmin()]]
        position = np.interp(inside, known, np.arange(len(known)))
        low = np.floor(position).astype(int)
        before[inside], after[inside] = known[low], known[np.minimum(low + 1, len(known) - 1)]
        share[inside] = position - low
    return before, after, share


def fill_gaps(
    values: Float[np.ndarray, " T *rest"], valid: Bool[np.ndarray, " T"], segments: Sequence[Segment]
) -> Float[np.ndarray, " T *rest"]:
    """Linear interpolation over the frames that are not valid."""
    before, after, share = neighbours(valid, segments)
    share = share.reshape(-1, *([1] * (values.ndim - 1)))
    return values[before] * (1.0 - share) + values[after] * share


def fill_rotations(
    rotation: Float[np.ndarray, "T 3 3"], valid: Bool[np.ndarray, " T"], segments: Sequence[Segment]
) -> Float[np.ndarray, "T 3 3"]:
    """Interpolation along the shortest turn over the frames that are not valid."""
    before, after, share = neighbours(valid, segments)
    turn = log_so3(rotation[after] @ rotation[before].transpose(0, 2, 1))
    return exp_so3(share[:, None] * turn) @ rotation[before]
