"""A tracked clip -> Motion: landmarks, eyelids, gaze and brows in head space, free of head motion.

Lips and brows come from the tracker's denoised points. Eyelids and irises come from the detected points,
brought into head space one by one: a blink lasts three to six frames and must not pass through a filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gtalk.dataset.format import Segment
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.prepare.tracking.gaps import fill_gaps, whole
from gtalk.prepare.tracking.track import Track
from gtalk.shapes import Float
from gtalk.topology import BROW_POINTS, EYE_CORNERS, EYELID_PAIRS, IRIS_CENTRES, LANDMARKS68
from gtalk.types import Motion

EYEBALL_RADIUS_M = 0.0115
"""In head space, where the outer eye corners are 0.09 m apart."""
CLOSED_SHARE = 0.3  # of the usual gap: what the detector still sees between the lids of a closed eye
GAZE_NEEDS_OPENNESS = 0.45  # below it the iris is hidden and the detector guesses


def motion_from_track(
    track: Track,
    landmarks: Landmarks,
    fps: float,
    placed: Mapping[str, Float[np.ndarray, "T ..."]] | None = None,
    segments: Sequence[Segment] | None = None,
) -> Motion:
    """The tracked Motion, one frame per image; frames without a face are interpolated and marked.

    Args:
        track: the bundle adjustment's result.
        landmarks: what it was made from.
        fps: images a second.
        placed: channels of how torso and framing lie, if known.
        segments: parts without a cut; nothing is interpolated across their ends.
    """
    segments = segments or whole(len(track.valid))
    valid = track.valid
    points = track.landmarks478()
    seen = _detected_in_head_space(track, points, landmarks.points_px.astype(np.float64))
    eyes = eye_openness(seen, valid)
    gaze = _gaze(seen)
    clear = valid & (eyes.min(1) > GAZE_NEEDS_OPENNESS)
    gaze = fill_gaps(gaze, clear, segments) if clear.any() else np.zeros_like(gaze)
    gaze[:, 1] -= np.median(gaze[valid, 1])
    raise_m = points[:, BROW_POINTS, 1].mean(-1)
    brows = raise_m - np.median(raise_m[valid], axis=0)
    points = fill_gaps(_with_gazing_irises(points, gaze), valid, segments)
    channels: dict[str, np.ndarray] = {"landmarks478": points.astype(np.float32)}
    if landmarks.arkit52 is not None:
        channels["arkit52"] = fill_gaps(landmarks.arkit52, valid, segments).astype(np.float32)
    channels.update(placed or {})
    return Motion(
        fps,
        points[:, LANDMARKS68],
        fill_gaps(eyes, valid, segments),
        gaze,
        fill_gaps(brows, valid, segments),
        track.T_world_head,
        valid,
        channels,
    )


def _detected_in_head_space(track: Track, points: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Detected pixels [T,478,2] brought to head space at the tracked points' distance from the camera."""
    camera = track.camera
    rotation, translation = track.T_world_head[:, :3, :3], track.T_world_head[:, :3, 3]
    depth = -(points @ rotation[:, 2, :, None] + translation[:, None, 2:])[..., 0]
    ray = (points_px - [camera.cx_px, camera.cy_px]) / camera.focal_px * [1.0, -1.0]
    world = np.concatenate([ray * depth[..., None], -depth[..., None]], axis=-1)
    return (world - translation[:, None]) @ rotation


def eye_openness(points: Float[np.ndarray, "T 478 3"], valid: np.ndarray) -> Float[np.ndarray, "T 2"]:
    """0 closed, 1 the person's usual open eye, from the gap between the lids over the eye's width."""
    upper, lower = points[:, EYELID_PAIRS[..., 0]], points[:, EYELID_PAIRS[..., 1]]
    corners = points[:, EYE_CORNERS]
    width = np.linalg.norm(corners[:, :, 0] - corners[:, :, 1], axis=-1)
    gap = (upper - lower)[..., 1].mean(-1) / np.median(width[valid], axis=0)
    usual = np.median(gap[valid], axis=0)
    lowest = np.percentile(gap[valid], 0.3, axis=0)
    # A clip without a blink does not show how a closed eye looks.
    closed = np.where(lowest < 0.5 * usual, lowest, np.minimum(lowest, CLOSED_SHARE * usual))
    return np.clip((gap - closed) / np.maximum(usual - closed, 1e-6), 0.0, 2.0)


def _gaze(points: np.ndarray) -> np.ndarray:
    """[T,2] yaw, pitch from the irises' offsets from the middles of their eyes, both eyes together."""
    middle = points[:, EYE_CORNERS].mean(2)
    offset = (points[:, IRIS_CENTRES] - middle)[..., :2].mean(1)
    return np.arcsin(np.clip(offset / EYEBALL_RADIUS_M, -0.9, 0.9))


def _with_gazing_irises(points: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Points whose irises stand where the gaze points: the expression basis knows nothing of gaze."""
    points = points.copy()
    for iris, corners in zip((np.arange(468, 473), np.arange(473, 478)), EYE_CORNERS, strict=True):
        ring = points[:, iris] - points[:, iris[:1]]
        ring = np.broadcast_to(ring.mean(0), ring.shape)
        centre = points[:, corners].mean(1)
        centre[:, :2] += EYEBALL_RADIUS_M * np.sin(gaze)
        points[:, iris] = ring + centre[:, None]
    return points
