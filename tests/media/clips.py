"""Small videos with known contents and times: a drifting texture, a white flash, a beep at the same instant."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

CLOCK = 90_000
SIZE = (96, 64)


@dataclass(frozen=True)
class Recipe:
    """How a test clip is made. Times are seconds on the clip's own clock."""

    seconds: float = 2.4
    fps: float = 25.0
    codec: str = "libx264"
    audio_codec: str | None = "aac"
    audio_rate: int = 16_000
    layout: str = "mono"
    pixels: str = "yuv420p"
    size: tuple[int, int] = SIZE
    flash_s: float = 1.4
    video_start_s: float = 0.0
    audio_start_s: float = 0.0
    audio_seconds: float | None = None
    times_s: tuple[float, ...] | None = None
    shown_fps: float | None = None
    """Rate at which the image really changes: below fps, images are doubled."""
    rotation_deg: int = 0


def texture(size: tuple[int, int] = SIZE) -> np.ndarray:
    rng = np.random.default_rng(3)
    small = rng.integers(20, 200, (8, 12, 3), dtype=np.uint8)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


def image(time_s: float, recipe: Recipe) -> np.ndarray:
    """The texture drifts 40 pixels a second; white for 40 ms from the flash on."""
    if recipe.flash_s <= time_s + 1e-6 < recipe.flash_s + 0.04:
        return np.full((recipe.size[1], recipe.size[0], 3), 255, np.uint8)
    base = texture(recipe.size)
    matrix = np.array([[1.0, 0.0, 40 * time_s], [0.0, 1.0, 0.0]])
    return cv2.warpAffine(base, matrix, recipe.size, borderMode=cv2.BORDER_WRAP)


def sound(recipe: Recipe) -> np.ndarray:
    """Quiet noise and a beep of 40 ms at the flash; its first sample is at audio_start_s."""
    seconds = recipe.audio_seconds if recipe.audio_seconds is not None else recipe.seconds
    times = recipe.audio_start_s + np.arange(round(seconds * recipe.audio_rate)) / recipe.audio_rate
    samples = 0.002 * np.random.default_rng(1).standard_normal(len(times))
    beep = (times >= recipe.flash_s) & (times < recipe.flash_s + 0.04)
    return np.where(beep, 0.6 * np.sin(2 * np.pi * 1000 * times), samples).astype(np.float32)


def write_clip(path: Path, recipe: Recipe = Recipe()) -> Path:
    with av.open(str(path), "w") as file:
        video = file.add_stream(recipe.codec, rate=Fraction(recipe.fps).limit_denominator(1001))
        video.width, video.height = recipe.size
        video.pix_fmt = recipe.pixels
        video.options = {"crf": "12", "preset": "ultrafast"} if recipe.codec.startswith("libx26") else {}
        video.bit_rate = 4_000_000
        if recipe.rotation_deg:
            video.set_display_rotation(recipe.rotation_deg)
        fixed = recipe.times_s is None and not recipe.video_start_s
        clock = 1 / Fraction(recipe.fps).limit_denominator(1001) if fixed else Fraction(1, CLOCK)
        video.codec_context.time_base = clock
        audio = None
        if recipe.audio_codec is not None:
            audio = file.add_stream(recipe.audio_codec, rate=recipe.audio_rate, layout=recipe.layout)
            _write_sound(file, audio, recipe)
        times = recipe.times_s or tuple(np.arange(round(recipe.seconds * recipe.fps)) / recipe.fps)
        for number, time_s in enumerate(times):
            shown = time_s
            if recipe.shown_fps is not None:
                shown = np.floor(time_s * recipe.shown_fps + 1e-6) / recipe.shown_fps
            frame = av.VideoFrame.from_ndarray(image(shown, recipe), format="rgb24").reformat(format=recipe.pixels)
            frame.pts = number if fixed else round((time_s + recipe.video_start_s) / clock)
            frame.time_base = clock
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio is not None:
            file.mux(audio.encode(None))
    return path


def _write_sound(file, audio, recipe: Recipe) -> None:
    samples = sound(recipe)
    data = np.repeat(samples[None], 2 if recipe.layout == "stereo" else 1, axis=0)
    for start in range(0, data.shape[1], 4096):
        piece = np.ascontiguousarray(data[:, start : start + 4096])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=recipe.layout)
        frame.sample_rate = recipe.audio_rate
        frame.time_base = Fraction(1, recipe.audio_rate)
        frame.pts = start + round(recipe.audio_start_s * recipe.audio_rate)
        file.mux(audio.encode(frame))


def flash_time(images, fps: float) -> float:
    """When the brightest image is shown."""
    return int(np.argmax([frame.mean() for frame in images])) / fps


def beep_time(samples: np.ndarray, rate: int) -> float:
    """When the sound first gets loud."""
    return int(np.argmax(np.abs(samples) > 0.2)) / rate
