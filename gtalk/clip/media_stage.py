"""Clips -> frames/ and audio.wav: resampled by time, framed on the person, cut into segments."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gtalk.clip.cuts import CutFinder
from gtalk.clip.landmarks import detect_landmarks
from gtalk.clip.pictures import fresh_folder, in_order, write_frame
from gtalk.clip.stages import Job
from gtalk.errors import UserError
from gtalk.media.audio import read_audio, write_wav
from gtalk.media.video import VideoReader, read_video
from gtalk.progress import track
from gtalk.types import AUDIO_RATE, VIDEO_FPS, AudioTrack

GLIMPSES = 12
AROUND_FACE = 2.3  # side of the square crop in heights of the face
SHORTEST_CLIP = 3  # frames


@dataclass(frozen=True)
class Crop:
    """The part of the source picture that the dataset shows, in source pixels."""

    x: int
    y: int
    width: int
    height: int


def run_media(job: Job) -> dict[str, Any]:
    """Write frames/ and audio.wav of all clips, one after the other."""
    readers = [read_video(clip, VIDEO_FPS) for clip in job.clips]
    if sum(len(reader) for reader in readers) < SHORTEST_CLIP:
        raise UserError(
            f"clip {job.clips[0]}",
            expected=f"at least {SHORTEST_CLIP} frames",
            got=f"{sum(len(reader) for reader in readers)} at {VIDEO_FPS:g} fps",
            remedy="Record at least ten seconds, better two minutes.",
        )
    crops = [choose_crop(reader, job.config.size, job.config.framing) for reader in readers]
    size = even_size(crops[0], job.config.size)
    crops = [_same_aspect(crop, size) for crop in crops]
    segments: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    sound: list[np.ndarray] = []
    total, start = sum(len(reader) for reader in readers), 0
    with fresh_folder(job.root / "frames") as folder:
        for clip, reader, crop in zip(job.clips, readers, crops, strict=True):
            finder = CutFinder()
            pictures = track(reader, f"media {clip.name}", total, job.on_progress)
            cropped = (_fit(picture, crop, size) for picture in pictures)
            for _ in in_order(
                lambda item: write_frame(folder, item[0], item[1], job.config.jpeg_quality),
                ((start + i, _seen(finder, picture)) for i, picture in enumerate(cropped)),
            ):
                pass
            samples, facts = clip_sound(clip, reader, total_frames=len(reader))
            sound.append(samples)
            bounds = [0, *finder.cuts().tolist(), len(reader)]
            segments += [{"start": start + a, "stop": start + b, "source": clip.name} for a, b in pairwise(bounds)]
            sources.append(_source_facts(clip, reader, crop, start) | facts)
            start += len(reader)
        samples = _audio_of_frames(np.concatenate(sound), start)
        write_wav(job.root / "audio.wav", AudioTrack(samples))
    return {"n_frames": start, "width": size[0], "height": size[1], "segments": segments, "sources": sources}


def choose_crop(reader: VideoReader, size: int, framing: str) -> Crop:
    """What to keep of a clip's picture.

    Pictures that fit into `size` are kept whole. Of larger ones, "auto" keeps a square around the
    person (AROUND_FACE face heights, so that head, hair and shoulders are inside), and never less than
    `size` source pixels, so nothing is scaled up; "full" keeps the whole picture.
    """
    width, height = reader.size
    whole = Crop(0, 0, width, height)
    if framing == "full" or max(width, height) <= size:
        return whole
    pictures = reader.glimpses(GLIMPSES)
    found = [_face_box(picture) for picture in pictures]
    boxes = np.array([box for box in found if box is not None])
    if not len(boxes):
        return whole
    low, high = np.median(boxes[:, :2], axis=0), np.median(boxes[:, 2:], axis=0)
    face_height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    drift = float(np.abs(boxes - np.median(boxes, axis=0)).max())
    side = int(min(max(AROUND_FACE * face_height + drift, size), width, height))
    centre = (low + high) / 2 + [0.0, 0.12 * face_height]
    x, y = np.clip(np.rint(centre - side / 2), 0, [width - side, height - side]).astype(int)
    return Crop(int(x), int(y), side, side)


def even_size(crop: Crop, size: int) -> tuple[int, int]:
    """(width, height) of the dataset's pictures: at most `size` a side, even as video encoders want."""
    scale = min(1.0, size / max(crop.width, crop.height))
    return max(2, round(crop.width * scale) // 2 * 2), max(2, round(crop.height * scale) // 2 * 2)


def clip_sound(clip: Path, reader: VideoReader, total_frames: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Sound of one clip, exactly as long as its pictures, and what there is to say about it."""
    wanted = round(total_frames * AUDIO_RATE / VIDEO_FPS)
    if not reader.info.has_audio:
        return np.zeros(wanted, np.float32), {"audio": None}
    samples = read_audio(clip).samples
    facts = {
        "audio": {
            "rate": reader.info.audio_rate,
            "channels": reader.info.audio_channels,
            "codec": reader.info.audio_codec,
            "tracks": reader.info.n_audio_tracks,
            "longer_than_video_s": round((len(samples) - wanted) / AUDIO_RATE, 3),
        }
    }
    return np.pad(samples[:wanted], (0, max(0, wanted - len(samples)))), facts


def _audio_of_frames(samples: np.ndarray, n_frames: int) -> np.ndarray:
    wanted = round(n_frames * AUDIO_RATE / VIDEO_FPS)
    return np.pad(samples[:wanted], (0, max(0, wanted - len(samples)))).astype(np.float32)


def _seen(finder: CutFinder, picture: np.ndarray) -> np.ndarray:
    finder.see(picture)
    return picture


def _fit(picture: np.ndarray, crop: Crop, size: tuple[int, int]) -> np.ndarray:
    part = picture[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    if (crop.width, crop.height) == size:
        return part
    if (crop.width - size[0], crop.height - size[1]) in ((1, 0), (0, 1), (1, 1)):
        return part[: size[1], : size[0]]  # an odd row or column is dropped: scaling would blur
    shrink = crop.width >= size[0]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)


def _same_aspect(crop: Crop, size: tuple[int, int]) -> Crop:
    """The largest part of a crop with the aspect ratio of `size`, from its middle."""
    if abs(crop.width * size[1] - crop.height * size[0]) <= 2 * max(size):
        return crop
    scale = min(crop.width / size[0], crop.height / size[1])
    width, height = int(size[0] * scale), int(size[1] * scale)
    return Crop(crop.x + (crop.width - width) // 2, crop.y + (crop.height - height) // 2, width, height)


def _face_box(picture: np.ndarray) -> np.ndarray | None:
    found = detect_landmarks([picture], (picture.shape[1], picture.shape[0]), model="facemesh")
    if not found.valid[0]:
        return None
    return np.concatenate([found.points_px[0].min(0), found.points_px[0].max(0)])


def _source_facts(clip: Path, reader: VideoReader, crop: Crop, start: int) -> dict[str, Any]:
    info, timeline = reader.info, reader.timeline
    return {
        "name": clip.name,
        "start": start,
        "n_frames": len(reader),
        "width": info.width,
        "height": info.height,
        "stored_fps": round(timeline.stored_fps, 4),
        "true_fps": round(timeline.true_fps, 4),
        "duration_s": round(timeline.duration_s, 4),
        "rotation_deg": info.rotation_deg,
        "codec": info.video_codec,
        "crop": asdict(crop),
        "notes": list(timeline.notes),
    }
