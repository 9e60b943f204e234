"""What is to be looked at of scenes: pictures of a film in rows of time; under them who speaks, where, how high."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from gtalk.basis import mouth_aperture
from gtalk.direct.gaze import gaze_in_room
from gtalk.dub.heard import heard_sources
from gtalk.hearing.direction import directions
from gtalk.hearing.notes import heard_song
from gtalk.media.audio import read_audio, stream_channels
from gtalk.media.source import probe
from gtalk.media.video import read_video
from gtalk.motion.model.model import load_motion_model
from gtalk.prepare.landmarks.detectors import FaceMeshFinder
from gtalk.scene.script import read_scene
from gtalk.scene.voices import voices_of
from gtalk.speech.base import RATE_HZ
from gtalk.speech.frontend import FrontEnd
from gtalk.types import AUDIO_RATE, Motion

_FPS, _WIDTH_IN = 25.0, 20.0
_COLOURS = ("#c0392b", "#2471a3", "#1e8449", "#7d3c98", "#b9770e", "#566573")
_SURE = 0.3
_VOICED = 0.75
Plot = Callable[[Axes], None]
"""Draws under pictures; the axis of time is that of its row."""


def strip(film: Path, out: Path, plot: Plot, row_s: float, every_s: float, width_px: int, crop: str = "") -> None:
    """Write pictures of a film, one every so many seconds, in rows, with a plot under each.

    Args:
        width_px: of a picture.
        crop: "face" takes what is about the face of the first picture that has one.
    """
    images = list(_pictures(film, every_s, width_px, crop == "face"))
    per_row = round(row_s / every_s)
    rows = -(-len(images) // per_row)
    shape = images[0].shape[0] / images[0].shape[1]
    tall = shape * _WIDTH_IN / per_row
    figure = pyplot.figure(figsize=(_WIDTH_IN, rows * (tall + 1.5)), layout="constrained")
    grid = figure.add_gridspec(2 * rows, 1, height_ratios=[tall, 1.4] * rows, hspace=0.0)
    for row in range(rows):
        begin_s, here = row * row_s, images[row * per_row : (row + 1) * per_row]
        above = figure.add_subplot(grid[2 * row])
        blank = np.full_like(images[0], 255)
        picture = np.concatenate([*here, *[blank] * (per_row - len(here))], axis=1)
        above.imshow(picture, extent=(begin_s, begin_s + row_s, 0, 1), aspect="auto")
        above.set_axis_off()
        below = figure.add_subplot(grid[2 * row + 1])
        plot(below)
        below.set_xlim(begin_s, begin_s + row_s)
        below.grid(axis="x", alpha=0.3)
        if row == 0:
            below.legend(loc="upper right", fontsize=8, framealpha=0.8)
    figure.savefig(out, dpi=80)
    pyplot.close(figure)
    print(out)


def talk(scene_file: Path, film: Path, out: Path) -> None:
    """A conversation with who speaks marked under it, and how loud the film is."""
    scene = read_scene(scene_file)
    turns = voices_of(scene).turns
    sound = read_audio(film).samples
    names = list(dict.fromkeys([m.name for m in scene.cast] + [turn.speaker for turn in turns]))
    level = np.sqrt([np.mean(part**2) for part in np.array_split(sound, max(1, len(sound) * 50 // AUDIO_RATE))])

    def plot(axes: Axes) -> None:
        for i, name in enumerate(names):
            spans = [(turn.start_s, turn.length_s) for turn in turns if turn.speaker == name]
            axes.broken_barh(spans, (-i - 0.9, 0.8), color=_COLOURS[i % len(_COLOURS)], label=name)
        axes.plot(np.arange(len(level)) / 50, level / max(level.max(), 1e-6), color="0.3", linewidth=0.8)
        axes.set_ylim(-len(names), 1)
        axes.set_yticks([-i - 0.5 for i in range(len(names))], names)

    strip(film, out, plot, 5.0, 0.625, 320)


def heard(film: Path, sound: Path, out: Path, motion_file: Path, avatar: Path, truth: Path | None = None) -> None:
    """What a face hears from where, and where it looks. `truth`: JSON with segments of start_s, end_s, azimuth_deg."""
    found = [one for one in directions(stream_channels(sound), probe(sound).audio_rate) if one.sure >= _SURE]
    motion = Motion.load(motion_file)
    looks = np.rad2deg(gaze_in_room(motion, load_motion_model(avatar)))[:, 0]
    followed, length_s, _ = heard_sources(sound)
    segments = json.loads(truth.read_text())["segments"] if truth is not None else []

    def plot(axes: Axes) -> None:
        for i, one in enumerate(segments):
            where = [one["azimuth_deg"]] * 2
            axes.plot([one["start_s"], one["end_s"]], where, color="#f1c40f", linewidth=7, alpha=0.6,
                      label="" if i else "truth")  # fmt: skip
        axes.plot([o.time_s for o in found], [o.azimuth_deg for o in found], ".", color="0.3", label="heard")
        ends = [*(source.start_s for source in followed[1:]), length_s]
        for one, end_s in zip(followed, ends, strict=False):
            if one.azimuth_deg is not None:
                axes.plot([one.start_s, end_s], [one.azimuth_deg] * 2, color=_COLOURS[0], linewidth=1.5)
        axes.plot(np.arange(len(looks)) / motion.fps, looks, color=_COLOURS[1], linewidth=1.8, label="looks at")
        axes.set_ylim(-95, 95)
        axes.set_yticks([-90, -45, 0, 45, 90])
        axes.set_ylabel("degrees, right is +")

    strip(film, out, plot, 4.0, 0.4, 240)


def song(film: Path, sound: Path, out: Path, motion_file: Path) -> None:
    """A sung phrase over its pitch and the opening of the lips."""
    samples = read_audio(sound).samples
    notes = heard_song([samples]).notes
    front = FrontEnd()
    parts = [front.push(samples), front.finish()]
    f0, periodicity = (np.concatenate([getattr(part, name) for part in parts]) for name in ("f0_hz", "periodicity"))
    pitch = np.where(periodicity > _VOICED, 12 * np.log2(np.maximum(f0, 1.0) / 440.0) + 69, np.nan)
    motion = Motion.load(motion_file)
    opening_mm = 1000 * mouth_aperture(motion.landmarks)
    held = [note.pitch - 12 * np.log2(440.0) + 69 for note in notes]
    low, high = (np.nanquantile(pitch, q) for q in (0.02, 0.98)) if np.isfinite(pitch).any() else (40.0, 80.0)

    def plot(axes: Axes) -> None:
        axes.plot(np.arange(len(pitch)) / RATE_HZ, pitch, color="0.4", linewidth=1.0, label="pitch, MIDI")
        for i, (note, at) in enumerate(zip(notes, held, strict=True)):
            axes.plot([note.start_s, note.end_s], [at, at], color=_COLOURS[0], linewidth=5, alpha=0.5,
                      label="" if i else "notes")  # fmt: skip
        axes.set_ylim(low - 3, high + 3)
        lips = axes.twinx()
        lips.plot(np.arange(len(opening_mm)) / motion.fps, opening_mm, color=_COLOURS[1], linewidth=1.6)
        lips.set_ylabel("lips open, mm", color=_COLOURS[1])
        lips.set_ylim(-0.5, max(6.0, float(opening_mm.max()) + 1))

    strip(film, out, plot, 3.0, 0.2, 180, "face")


def _pictures(film: Path, every_s: float, width_px: int, face: bool) -> Iterator[np.ndarray]:
    """One in the middle of each stretch of so many seconds."""
    where, taken = None, 0
    for number, image in enumerate(read_video(film, _FPS, retime=False)):
        if number < round((taken + 0.5) * every_s * _FPS):
            continue
        taken += 1
        if face and where is None:
            where = _about_face(image)
        part = image if where is None else image[where]
        height_px = round(width_px * part.shape[0] / part.shape[1])
        yield cv2.resize(part, (width_px, height_px), interpolation=cv2.INTER_AREA)


def _about_face(image: np.ndarray) -> tuple[slice, slice]:
    """A square of one and a half times the face's height."""
    finder = FaceMeshFinder()
    faces = finder.find(np.ascontiguousarray(image))
    finder.close()
    if not faces:
        return np.s_[:, :]
    points = faces[0].points[:, :2]
    middle, half = (points.min(0) + points.max(0)) / 2, 0.75 * float(np.ptp(points[:, 1]))
    left, top = (max(0, round(float(v - half))) for v in middle)
    return np.s_[top : round(float(middle[1] + half)), left : round(float(middle[0] + half))]
