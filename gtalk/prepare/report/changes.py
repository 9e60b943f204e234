"""What becomes another within one clip: hair or headwear, once and for good, and cameras that alternate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass, Segment
from gtalk.shapes import Bool, Float, UInt8
from gtalk.topology import FACE_OVAL
from gtalk.types import VIDEO_FPS

COLOUR_STEP = 30.0  # of 255, of the usual colour above the forehead
AREA_STEP = 0.35  # of its area, in faces
OVER_SPREAD = 3.0  # a step is so many times what varies on either side
BESIDE = 4  # looks on either side of a step
LEAST_SIDE = 0.12  # of the looks must lie on either side
PLACE_STEP, SIZE_STEP, YAW_STEP_DEG = 0.45, 0.22, 22.0  # between cameras: in widths of a face, logarithm, degrees
FEWEST_SHOTS = 3

Complaint = tuple[str, str]
"""(what is wrong, what to do)."""


def above_the_face(
    rgb: UInt8[np.ndarray, "H W 3"], labels: UInt8[np.ndarray, "H W"], points_px: Float[np.ndarray, "478 2"]
) -> Float[np.ndarray, "4"]:
    """Median colour of the head above and beside the forehead, and its area over the face's.

    NaN are the colour of no hair, and the area of hair that the image's upper edge cuts off.
    """
    face = np.zeros(labels.shape, np.uint8)
    ring = points_px[FACE_OVAL]
    cv2.fillPoly(face, [np.rint(ring).astype(np.int32)], (1,))
    y = np.arange(labels.shape[0])[:, None]
    level = float(points_px[[33, 263], 1].mean())
    hair = (labels == MaskClass.HEAD) & (face == 0) & (y < level)
    if hair.sum() < 0.02 * max(face.sum(), 1):
        return np.array([np.nan, np.nan, np.nan, 0.0])
    area = np.nan if hair[0].any() else hair.sum() / max(int(face.sum()), 1)
    return np.array([*np.median(rgb[hair], axis=0), area])


def changed_hair(looks: Iterable[Float[np.ndarray, "4"]], times_s: Sequence[float]) -> list[Complaint]:
    """Whether hair or what is worn on it is another from some look on."""
    values = np.stack(list(looks)) if len(times_s) else np.zeros((0, 4))
    count = len(values)
    side = max(4, round(LEAST_SIDE * count))
    found = []
    for kind, step in ((slice(0, 3), COLOUR_STEP), (slice(3, 4), None)):
        splits = range(side, count - side + 1)
        at = max(splits, key=lambda split: _parted(values[:, kind], split), default=0)
        if at and _step(values[:at, kind], values[at:, kind], step) > 1.0 and _sudden(values[:, kind], at):
            found.append(at)
    if not found:
        return []
    where = min(found)
    return [
        (
            f"hair, or what is worn on it, is another from {times_s[where]:.0f} s on: looks will be a mixture",
            "Keep the part before or after, and record with hair and headwear as they shall be.",
        )
    ]


def _parted(values: np.ndarray, split: int) -> float:
    """How much of the variance lies between what comes before and after."""
    before, after = (part[np.isfinite(part).all(1)] for part in (values[:split], values[split:]))
    if not len(before) or not len(after):
        return 0.0
    apart = np.square(before.mean(0) - after.mean(0)).sum()
    return float(apart * len(before) * len(after) / (len(before) + len(after)))


def _sudden(values: np.ndarray, split: int) -> bool:
    """Whether most of the step is made at once, and no drift adds up to it."""
    near = _median(values[split : split + BESIDE]) - _median(values[max(0, split - BESIDE) : split])
    whole = _median(values[split:]) - _median(values[:split])
    return bool(np.linalg.norm(near) > 0.6 * np.linalg.norm(whole))


def _step(before: np.ndarray, after: np.ndarray, step: float | None) -> float:
    """How far the medians lie apart, in what counts as a step; 0 where they vary as much on either side."""
    a, b = (_median(values) for values in (before, after))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    apart = float(np.linalg.norm(b - a))
    spread = max(float(_median(np.linalg.norm(v - m, axis=1)[:, None])[0]) for v, m in ((before, a), (after, b)))
    least = AREA_STEP * float(max(a[0], b[0], 0.1)) if step is None else step
    return apart / max(least, OVER_SPREAD * spread, 1e-6)


def _median(values: np.ndarray) -> np.ndarray:
    kept = values[np.isfinite(values).all(1)]
    return np.median(kept, axis=0) if len(kept) else np.full(values.shape[1], np.nan)


def alternating_cameras(
    points_px: Float[np.ndarray, "T 478 2"],
    yaw_deg: Float[np.ndarray, " T"],
    valid: Bool[np.ndarray, " T"],
    segments: Sequence[Segment],
) -> list[Complaint]:
    """Whether shots come from two cameras in turn: the face jumps in place, size or angle, and back."""
    rows, lengths = [], []
    for segment in segments:
        own = np.arange(segment.start, segment.stop)[valid[segment.start : segment.stop]]
        if not len(own):
            continue
        oval = points_px[own][:, FACE_OVAL]
        width = max(float(np.median(np.ptp(oval[..., 0], axis=1))), 1.0)
        place = np.median(oval.mean(1), axis=0)
        rows.append([*place, np.log(width), float(np.median(yaw_deg[own]))])
        lengths.append(len(own))
    if len(rows) < FEWEST_SHOTS:
        return []
    shots = np.array(rows)
    width = float(np.exp(np.median(shots[:, 2])))
    shots = shots / [PLACE_STEP * width, PLACE_STEP * width, SIZE_STEP, YAW_STEP_DEG]
    near, far = _two(shots)
    apart = np.linalg.norm(shots[near].mean(0) - shots[far].mean(0))
    within = max(float(np.linalg.norm(shots[g] - shots[g].mean(0), axis=1).max()) for g in (near, far))
    turns = int((np.diff(near.astype(int)) != 0).sum())
    if apart < 1.0 or within > 0.5 * apart or turns < 2:
        return []
    seconds = [sum(n for n, one in zip(lengths, g, strict=True) if one) / VIDEO_FPS for g in (near, far)]
    return [
        (
            f"two cameras alternate ({len(rows)} shots; {seconds[0]:.0f} s of one, {seconds[1]:.0f} s of the other): "
            "looks of both are mixed",
            "Cut the clip to the shots of one camera, the frontal one.",
        )
    ]


def _two(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two groups into which points fall, by the direction in which they differ most."""
    centred = points - points.mean(0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    ordered = np.sort(along)
    cut = int(np.argmax(np.diff(ordered)))
    first = along <= ordered[cut]
    return first, ~first
