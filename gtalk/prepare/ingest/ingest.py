"""Clips -> frames/ and sound.wav: resampled by time, framed on the person, cut into segments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.media.audio import read_audio, write_wav
from gtalk.media.colour import describe as describe_colour
from gtalk.media.interlace import NOTE as INTERLACED
from gtalk.media.video import VideoReader, read_video
from gtalk.prepare.frame_io import fresh_folder, in_order, write_frame
from gtalk.prepare.ingest.cuts import CutFinder
from gtalk.prepare.landmarks.detect import detect_landmarks
from gtalk.prepare.landmarks.detectors import FaceMeshFinder, SmallFaceFinder
from gtalk.prepare.landmarks.identities import Sound, find_cast
from gtalk.prepare.stages import Job
from gtalk.progress import track
from gtalk.types import AUDIO_RATE, VIDEO_FPS, AudioTrack

GLIMPSES = 12
GLANCE_SIZE = 1280  # pixels of the longest side of an image in which a face is looked for
SEVERAL_SHARE = 0.2  # of the glimpses show more than one face: it matters who speaks
LISTEN_S = 12.0
AROUND_FACE = 2.3  # side of the square crop in heights of the face
SHORTEST_CLIP = 3  # frames
SILENT = 1e-3  # of full scale


@dataclass(frozen=True)
class Window:
    """What the dataset shows of a clip: its image is scaled, then cut out at x, y (pixels of the scaled one)."""

    scale: float
    x: int
    y: int

    def source_crop(self, reader: VideoReader, size: tuple[int, int]) -> dict[str, float]:
        """The same in pixels of the source, for the manifest."""
        width, height = reader.info.width / reader.size[0], reader.info.height / reader.size[1]
        crop = {"x": self.x * width, "y": self.y * height, "width": size[0] * width, "height": size[1] * height}
        return {name: round(value, 4) for name, value in crop.items()}


def run_media(job: Job) -> dict[str, Any]:
    """Write frames/ and sound.wav of all clips, one after the other. Raises UserError when they are too short."""
    readers = [read_video(clip, VIDEO_FPS) for clip in job.clips]
    if sum(len(reader) for reader in readers) < SHORTEST_CLIP:
        raise UserError(
            f"clip {job.clips[0]}",
            expected=f"at least {SHORTEST_CLIP} frames",
            got=f"{sum(len(reader) for reader in readers)} at {VIDEO_FPS:g} fps",
            remedy="Record at least ten seconds, better two minutes.",
        )
    chosen = [
        choose_region(reader, job.config.size, job.config.framing, _sound_of(clip, reader))
        for clip, reader in zip(job.clips, readers, strict=True)
    ]
    regions = [region for region, _ in chosen]
    size = even_size(regions[0], job.config.size)
    windows = [window_of(region, reader.size, size) for region, reader in zip(regions, readers, strict=True)]
    readers = [reader.scaled(window.scale) for reader, window in zip(readers, windows, strict=True)]
    segments: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    sound: list[np.ndarray] = []
    total, start = sum(len(reader) for reader in readers), 0
    with fresh_folder(job.root / "frames") as folder:
        for clip, reader, window, (_, notes) in zip(job.clips, readers, windows, chosen, strict=True):
            finder = CutFinder()
            images = track(reader, f"media {clip.name}", total, job.on_progress)
            cropped = (_cut_out(image, window, size) for image in images)
            for _ in in_order(
                lambda item: write_frame(folder, item[0], item[1], job.config.jpeg_quality),
                ((start + i, _seen(finder, image)) for i, image in enumerate(cropped)),
            ):
                pass
            samples, facts = clip_sound(clip, reader, total_frames=len(reader))
            sound.append(samples)
            bounds = [0, *finder.cuts().tolist(), len(reader)]
            segments += [{"start": start + a, "stop": start + b, "source": clip.name} for a, b in pairwise(bounds)]
            crop = window.source_crop(reader, size)
            sources.append(_source_facts(clip, reader, crop, start, facts["audio"], notes))
            start += len(reader)
        samples = _audio_of_frames(np.concatenate(sound), start)
        write_wav(job.root / "sound.wav", AudioTrack(samples))
    return {"n_frames": start, "width": size[0], "height": size[1], "segments": segments, "sources": sources}


def choose_region(
    reader: VideoReader, size: int, framing: str, sound: Sound | None = None
) -> tuple[tuple[float, float, float, float], tuple[str, ...]]:
    """What to keep of a clip's image: x, y, width, height in its pixels; and what there is to say about the choice.

    Images that fit into `size` are kept whole. Of larger ones, "auto" keeps a square around the
    person (AROUND_FACE face heights, so that head, hair and shoulders are inside), and never less than
    `size` source pixels, so nothing is scaled up; "full" keeps the whole image. Of several people, it
    is the one whose lips move with `sound`.
    """
    width, height = reader.size
    whole = (0.0, 0.0, float(width), float(height))
    if framing == "full" or max(width, height) <= size:
        return whole, ()
    glance = reader.scaled(min(1.0, GLANCE_SIZE / max(width, height)))
    found = _boxes_in(glance.glimpses(GLIMPSES), glance.size)
    several = np.mean([len(boxes) > 1 for boxes in found]) > SEVERAL_SHARE
    speaker, notes = _speaker_box(glance, sound) if several else (None, ())
    boxes = np.array([_nearest(boxes, speaker) for boxes in found if len(boxes)]) * (width / glance.size[0])
    if not len(boxes):
        return whole, ()
    usual = np.median(boxes, axis=0)
    face_height = float(np.median(boxes[:, 3] - boxes[:, 1]))
    drift = float(np.abs(boxes - usual).max())
    side = float(min(max(AROUND_FACE * face_height + drift, size), width, height))
    centre = (usual[:2] + usual[2:]) / 2 + [0.0, 0.12 * face_height]
    x, y = np.clip(centre - side / 2, 0, [width - side, height - side])
    return (float(x), float(y), side, side), notes


def even_size(region: tuple[float, float, float, float], size: int) -> tuple[int, int]:
    """(width, height) of the dataset's images: at most `size` a side, even as video encoders want."""
    scale = min(1.0, size / max(region[2:]))
    return max(2, round(region[2] * scale) // 2 * 2), max(2, round(region[3] * scale) // 2 * 2)


def window_of(region: tuple[float, float, float, float], source: tuple[int, int], size: tuple[int, int]) -> Window:
    """How to scale and cut a clip of `source` size so that images of `size` show the middle of `region`."""
    x, y, width, height = region
    scale = max(size[0] / width, size[1] / height)
    if scale < 1 and scale * max(width, height) > max(width, height) - 2:
        scale = 1.0  # an odd row or column is dropped: scaling would blur
    scaled = (round(source[0] * scale), round(source[1] * scale))
    left = round((x + width / 2) * scale - size[0] / 2)
    top = round((y + height / 2) * scale - size[1] / 2)
    return Window(scale, int(np.clip(left, 0, scaled[0] - size[0])), int(np.clip(top, 0, scaled[1] - size[1])))


def clip_sound(clip: Path, reader: VideoReader, total_frames: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Sound of one clip, exactly as long as its images, and what there is to say about it."""
    wanted = round(total_frames * AUDIO_RATE / VIDEO_FPS)
    if not reader.info.has_audio:
        return np.zeros(wanted, np.float32), {"audio": None}
    samples, track = _heard_track(clip, reader.info.n_audio_tracks)
    facts = {
        "audio": {
            "rate": reader.info.audio_rate,
            "channels": reader.info.audio_channels,
            "codec": reader.info.audio_codec,
            "tracks": reader.info.n_audio_tracks,
            "used_instead": track,
            "longer_than_video_s": round((len(samples) - wanted) / AUDIO_RATE, 3),
        }
    }
    return np.pad(samples[:wanted], (0, max(0, wanted - len(samples)))), facts


def _heard_track(clip: Path, n_tracks: int) -> tuple[np.ndarray, int | None]:
    """(sound of the clip, which track it is where the one that players choose is silent)."""
    samples = read_audio(clip).samples
    if n_tracks < 2 or np.abs(samples).max(initial=0.0) > SILENT:
        return samples, None
    others = [read_audio(clip, track=i).samples for i in range(n_tracks)]
    loudest = int(np.argmax([np.abs(other).max(initial=0.0) for other in others]))
    return (others[loudest], loudest) if np.abs(others[loudest]).max(initial=0.0) > SILENT else (samples, None)


def _audio_of_frames(samples: np.ndarray, n_frames: int) -> np.ndarray:
    wanted = round(n_frames * AUDIO_RATE / VIDEO_FPS)
    return np.pad(samples[:wanted], (0, max(0, wanted - len(samples)))).astype(np.float32)


def _seen(finder: CutFinder, image: np.ndarray) -> np.ndarray:
    finder.see(image)
    return image


def _cut_out(image: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    return image[window.y : window.y + size[1], window.x : window.x + size[0]]


def _sound_of(clip: Path, reader: VideoReader) -> Sound | None:
    return (lambda: read_audio(clip).samples) if reader.info.has_audio else None


def _boxes_in(images: list[np.ndarray], size: tuple[int, int]) -> list[list[np.ndarray]]:
    """x0, y0, x1, y1 of every face of each image, the most prominent first."""
    finder, small = FaceMeshFinder(static=True), SmallFaceFinder()
    boxes = []
    try:
        for image in images:
            faces = finder.find(image) or small.find(image)
            points = [faces[person.which[0]].points[:, :2] for person in find_cast([faces], size).people]
            boxes.append([np.concatenate([seen.min(0), seen.max(0)]) for seen in points])
    finally:
        finder.close()
        small.close()
    return boxes


def _speaker_box(glance: VideoReader, sound: Sound | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Where the face usually is whose lips move with the sound of the clip's first LISTEN_S, and who else is there."""
    stop = min(len(glance), round(LISTEN_S * VIDEO_FPS))
    images = glance.read(0, stop)
    found = detect_landmarks(images, glance.size, stop, model="facemesh", twice=False, sound=sound)
    if not found.valid.any():
        return None, ()
    points = found.points_px[found.valid]
    return np.median(np.concatenate([points.min(1), points.max(1)], axis=1), axis=0), found.notes


def _nearest(boxes: list[np.ndarray], wanted: np.ndarray | None) -> np.ndarray:
    """The box nearest to where it should be; the first where that is not known."""
    return boxes[0] if wanted is None else min(boxes, key=lambda box: float(np.abs(box - wanted).sum()))


def _source_facts(
    clip: Path,
    reader: VideoReader,
    crop: dict[str, float],
    start: int,
    audio: dict[str, Any] | None,
    framing_notes: tuple[str, ...],
) -> dict[str, Any]:
    info, timeline = reader.info, reader.timeline
    notes = [
        *timeline.notes,
        *filter(None, [describe_colour(info.transfer)]),
        *([INTERLACED] if info.interlaced else []),
        *framing_notes,
    ]
    if audio is not None and audio["used_instead"] is not None:
        notes.append(f"the sound track that players choose is silent: track {audio['used_instead'] + 1} is used")
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
        "mirrored": info.mirrored,
        "transfer": info.transfer,
        "codec": info.video_codec,
        "crop": crop,
        "notes": notes,
        "audio": audio,
    }
