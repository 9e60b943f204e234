"""The stages of `prepare` that look at light and camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.dataset.steady import LIGHT_FILE, PATH_FILE
from gtalk.files import atomic_path
from gtalk.prepare.frame_io import in_turns, read_luma, read_small
from gtalk.prepare.records import load_landmarks, load_track, save_arrays
from gtalk.prepare.segmentation.matte import coarse_mattes
from gtalk.prepare.stages import Job
from gtalk.prepare.surroundings.camera_path import WORK_HEIGHT, CameraPath, Read, find_path
from gtalk.prepare.surroundings.light import THUMBNAIL, find_light, thumbnail
from gtalk.prepare.surroundings.mosaic import Mosaic
from gtalk.prepare.tracking.track import model_points
from gtalk.progress import track
from gtalk.shapes import Float, UInt8
from gtalk.topology import FACE_OVAL

UNSURE = 0.1
"""A network's coverage by the person above which a pixel may be theirs."""
HAIR, ABOVE, SLOPE, SHOULDERS = 0.45, 0.6, 1.5, 2.0
"""Where a person may be around a face: beside it in its widths, above it in its heights, how fast shoulders widen below
the chin and how wide they get, in widths to each side."""


def run_light(job: Job) -> dict[str, Any]:
    """Write light.npz: the gain of every frame."""
    landmarks = load_landmarks(job.root / "landmarks.npz")
    size, total = (job.facts["media"]["width"], job.facts["media"]["height"]), len(landmarks.valid)
    small = in_turns(lambda i: thumbnail(read_small(job.root / "frames", i, THUMBNAIL, size)), range(total))
    light = find_light(track(small, "light", total, job.on_progress), landmarks.points_px, landmarks.valid, size)
    save_arrays(job.root / LIGHT_FILE, gain=light.gain.astype(np.float32))
    return {
        "exposure_range": round(light.exposure_range, 4),
        "tint_range": round(light.tint_range, 4),
        "seen_on": light.seen_on,
        "note": light.note,
    }


def run_camera(job: Job) -> dict[str, Any]:
    """Write camera_path.npz: where every frame sees the room."""
    segments = [Segment(**segment) for segment in job.facts["media"]["segments"]]
    size = (job.facts["media"]["width"], job.facts["media"]["height"])
    points = model_points(load_track(job.root))
    small = (max(1, round(size[0] * WORK_HEIGHT / size[1])), WORK_HEIGHT)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        luma = read_luma(job.root / "frames", index, WORK_HEIGHT, size[1])
        grey = cv2.resize(luma, small, interpolation=cv2.INTER_AREA)
        return grey, room_around(points[index] * (WORK_HEIGHT / size[1]), small)

    def closer() -> Read:
        rooms = _rooms(job, len(points), [segment.start for segment in segments], small)
        return lambda index: (read(index)[0], np.unpackbits(rooms[index]).reshape(small[::-1]) * np.uint8(255))

    path = find_path(read, size, segments, job.on_progress, closer)
    arrays = {"H_frame_plate": path.H_frame_plate, "known": path.known, "reference": np.array(path.reference)}
    save_arrays(job.root / PATH_FILE, **arrays)
    return {
        "moves": path.moves,
        "reach": round(path.reach(size), 4) if path.moves else 0.0,
        "lost_frames": int((~path.known).sum()),
    }


def _rooms(job: Job, total: int, starts: list[int], small: tuple[int, int]) -> list[np.ndarray]:
    """Where every frame shows the room, by the network of the mattes; bits of images of size `small`."""
    size, rooms = (job.facts["media"]["width"], job.facts["media"]["height"]), list[np.ndarray]()
    frames = in_turns(lambda i: read_small(job.root / "frames", i, WORK_HEIGHT, size), range(total))
    near = np.ones((2 * round(0.02 * small[1]) + 1,) * 2, np.uint8)
    for _, cover in track(coarse_mattes(frames, starts), "camera", total, job.on_progress):
        person = (cv2.resize(cover, small, interpolation=cv2.INTER_LINEAR) > UNSURE).astype(np.uint8)
        rooms.append(np.packbits(cv2.dilate(person, near) == 0))
    return rooms


def load_path(root: Path) -> CameraPath:
    """What `run_camera` wrote."""
    with np.load(root / PATH_FILE, allow_pickle=False) as file:
        return CameraPath(file["H_frame_plate"], file["known"], int(file["reference"]))


def save_mosaic(root: Path, mosaic: Mosaic | None) -> None:
    """Write mosaic.png and moving.png; without a mosaic, remove those of an earlier run."""
    for name in ("mosaic.png", "moving.png"):
        (root / name).unlink(missing_ok=True)
    if mosaic is None:
        return
    pictures = {"mosaic.png": cv2.cvtColor(mosaic.image, cv2.COLOR_RGB2BGR), "moving.png": _bytes(mosaic.moving)}
    for name, picture in pictures.items():
        with atomic_path(root / name) as temporary:
            cv2.imwrite(str(temporary), picture)


def room_around(points_px: Float[np.ndarray, "478 2"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    """255 where, as far as a face tells, nobody is: neither its head nor the shoulders below."""
    low, high = points_px[FACE_OVAL].min(0), points_px[FACE_OVAL].max(0)
    (width, height), (x, y) = high - low, (low + high) / 2
    room = np.full(size[::-1], 255, np.uint8)
    top, bottom = low[1] - ABOVE * height, high[1] + 0.2 * height
    axes = ((0.5 + HAIR) * width, (bottom - top) / 2)
    cv2.ellipse(room, ((x, (top + bottom) / 2), (2 * axes[0], 2 * axes[1]), 0.0), (0.0,), -1)
    shoulder = y + 0.5 * height + (SHOULDERS - 0.5) * width / SLOPE
    side = [[width / 2, y + height / 3], [SHOULDERS * width, shoulder], [SHOULDERS * width, max(shoulder, size[1] + 1)]]
    outline = [[x + across, down] for across, down in side] + [[x - across, down] for across, down in side[::-1]]
    cv2.fillPoly(room, [np.rint(outline).astype(np.int32)], (0,))
    return room


def _bytes(share: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(255 * share), 0, 255).astype(np.uint8)
