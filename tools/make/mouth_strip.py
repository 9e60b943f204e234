"""Frames of a dub over its sound: are the lips shut on p, b, m, open on a, round on o and u?

    python tools/make/mouth_strip.py AVATAR SOUND ... -o FOLDER [--every 3] [--video]

One image for each sound: mouths at their time, under them the waveform, the opening of the lips (black), their
width (blue), what is heard as p, b or m (red), and the phones that the sound is most like. `--video` writes the
dub itself too.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from gtalk.basis import LIPS
from gtalk.eval.motion import aperture
from gtalk.media.audio import read_audio
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.motion.model.articulation import Articulation
from gtalk.motion.model.model import PersonMotionModel
from gtalk.speech.base import encode
from gtalk.speech.student import VISEMES
from gtalk.talk.load import load_character
from gtalk.talk.talker import Talker
from gtalk.types import AUDIO_RATE, Frame, Motion

ROW_S = 4.0  # of sound in a row of the image
CROP_PX = 96
_CHUNK = 1 << 14
_PHONE_ROWS = 8  # over which phones are averaged before the likeliest is named


@dataclass(frozen=True)
class Dub:
    """What was said and what was drawn."""

    samples: np.ndarray
    mouths: list[np.ndarray]
    """CROP_PX images of every nth frame."""
    every: int
    opening_mm: np.ndarray
    width_mm: np.ndarray
    fps: float


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--video", action="store_true")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    character = load_character(options.avatar)
    model = character.motion_model
    assert isinstance(model, PersonMotionModel)
    for path in options.sounds:
        samples = read_audio(path).samples
        video = options.output / f"{path.stem}.mp4" if options.video else None
        made = dub(character.talker(), samples, options.every, video)
        draw(made, model, path.stem, options.output / f"{path.stem}.png")
        print(options.output / f"{path.stem}.png", flush=True)


def dub(talker: Talker, samples: np.ndarray, every: int, video: Path | None) -> Dub:
    """Say a sound; only the frames that are shown are drawn, unless a video is wanted."""
    chunks = (samples[i : i + _CHUNK] for i in range(0, len(samples), _CHUNK))
    motions, mouths = [], []
    writer = None
    for number, moment in enumerate(talker.moments(chunks)):
        motions.append(moment.motion)
        if video is None and number % every:
            continue
        frame = talker.draw([moment])[0]
        if number % every == 0:
            mouths.append(mouth_crop(talker, frame))
        if video is not None:
            size = frame.rgb.shape[1], frame.rgb.shape[0]
            writer = writer or VideoWriter(video, size, talker.fps, AUDIO_RATE, WriteConfig())
            writer.write(frame.rgb)
            writer.write_audio(frame.samples)
    if writer is not None:
        writer.close()
    motion = Motion.concatenate(motions)
    width = motion.landmarks[:, 54, 0] - motion.landmarks[:, 48, 0]
    return Dub(samples, mouths, every, 1e3 * aperture(motion), 1e3 * width, talker.fps)


def mouth_crop(talker: Talker, frame: Frame) -> np.ndarray:
    """The mouth and what is around it, [CROP_PX,CROP_PX,3]."""
    motion, height = frame.motion, frame.rgb.shape[0]
    lips = motion.landmarks[0, LIPS] @ motion.head_pose[0, :3, :3].T + motion.head_pose[0, :3, 3]
    camera = talker.view.camera or talker.avatar.camera
    points = camera.resized(frame.rgb.shape[1], height).project(lips)
    centre, half = points.mean(0), 0.75 * np.ptp(points[:, 0])
    scale = CROP_PX / (2 * half)
    to_crop = np.array([[scale, 0, -(centre[0] - half) * scale], [0, scale, -(centre[1] - half) * scale]])
    return cv2.warpAffine(frame.rgb, to_crop, (CROP_PX, CROP_PX), flags=cv2.INTER_AREA)


def draw(made: Dub, model: PersonMotionModel, title: str, path: Path) -> None:
    """Rows of ROW_S seconds."""
    rows = encode(model.features, made.samples)
    heard = _labials(model, rows, len(made.opening_mm))
    n_rows = max(1, int(np.ceil(len(made.samples) / AUDIO_RATE / ROW_S)))
    figure, axes = pyplot.subplots(2 * n_rows, 1, figsize=(24, 3.4 * n_rows), height_ratios=[1, 1.7] * n_rows)
    for i in range(n_rows):
        _mouths(axes[2 * i], made, i * ROW_S)
        _curves(axes[2 * i + 1], made, heard, i * ROW_S)
        _phones(axes[2 * i + 1], model, rows, i * ROW_S)
    axes[0].set_title(title, loc="left")
    figure.tight_layout(h_pad=0.1)
    figure.savefig(path, dpi=75)
    pyplot.close(figure)


def _mouths(axis, made: Dub, start_s: float) -> None:
    for index, image in enumerate(made.mouths):
        at, half = index * made.every / made.fps, 0.5 * made.every / made.fps
        if start_s <= at < start_s + ROW_S:
            axis.imshow(image, extent=(at - half, at + half, 0, 1), aspect="auto")
    axis.set_xlim(start_s, start_s + ROW_S)
    axis.set_ylim(0, 1)
    axis.axis("off")


def _curves(axis, made: Dub, heard: np.ndarray, start_s: float) -> None:
    times_s, sound_s = np.arange(len(made.opening_mm)) / made.fps, np.arange(len(made.samples)) / AUDIO_RATE
    top = max(12.0, float(made.opening_mm.max()))
    loudest = max(float(np.abs(made.samples).max()), 1e-6)
    axis.plot(sound_s[::8], top * (0.5 + 0.5 * made.samples[::8] / loudest), color="0.85", linewidth=0.4)
    axis.fill_between(times_s, 0, top * heard, color="red", alpha=0.25, linewidth=0)
    axis.plot(times_s, made.opening_mm, "k.-", markersize=3)
    axis.plot(times_s, 0.5 * top + made.width_mm - np.median(made.width_mm), "b", linewidth=0.8)
    axis.axhline(0.0, color="0.7", linewidth=0.5)
    axis.set_xlim(start_s, start_s + ROW_S)
    axis.set_ylim(-0.15 * top, top)
    axis.set_ylabel("mm")


def _labials(model: PersonMotionModel, rows: np.ndarray, count: int) -> np.ndarray:
    """[count] how surely p, b or m is heard."""
    found = np.zeros(count)
    for one in dataclasses.replace(model, closure=1.0).articulations:
        if isinstance(one, Articulation):
            found = np.maximum(found, one.evidence(rows, 0, count)[one.pulls[-1].column])
        else:
            found = np.maximum(found, one.evidence(rows, 0, count))
    return found


def _phones(axis, model: PersonMotionModel, rows: np.ndarray, start_s: float) -> None:
    features = model.features
    names: Sequence[str] = VISEMES if features.ears else features.phone_names
    if not names:
        return
    start = features.groups["ears" if features.ears else "phones"].start
    lag = features.ears_lag_rows if features.ears else 0
    scores = rows[lag:, start : start + len(names)]
    low = axis.get_ylim()[0]
    for first in range(0, len(scores) - _PHONE_ROWS, _PHONE_ROWS):
        at = (first + _PHONE_ROWS / 2) / 100
        if start_s <= at < start_s + ROW_S:
            best = names[int(scores[first : first + _PHONE_ROWS].mean(0).argmax())]
            axis.text(at, 0.9 * low, best if best not in ("SIL", "rest") else "·", fontsize=8, ha="center")


if __name__ == "__main__":
    main()
