"""From a performance to files: frames in several processes, clip.mp4, truth, a sheet of stills."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from demo_person.drawing.background import room_picture
from demo_person.drawing.scene import Person
from demo_person.drawing.shading import Picture, Renderer
from demo_person.speaking.animation import Performance
from demo_person.speaking.speech import Speech
from demo_person.truth import MASK_STRIDE, assemble, save_truth
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.types import AUDIO_RATE, VIDEO_FPS, Camera

SIZE = 512
FOCAL_PX = 1100.0
CRF = 18


def make_renderer() -> Renderer:
    """The person, painted and lit, before the camera of the clip. Takes some ten seconds."""
    camera = Camera(FOCAL_PX, SIZE / 2, SIZE / 2, SIZE, SIZE)
    return Renderer(Person(), camera, room_picture(SIZE, SIZE))


def render_frame(renderer: Renderer, performance: Performance, index: int) -> tuple[Picture, np.ndarray]:
    """Picture and landmarks [478,3] (head space, metres) of a frame."""
    head, torso = performance.T_world_head[index], performance.T_world_torso[index]
    picture, posed = renderer.render(performance.expression(index), head, torso)
    return picture, posed.landmarks


_inherited: list[tuple[Renderer, Performance]] = []  # forked workers find their material here, unpickled


def _work(index: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    picture, landmarks = render_frame(*_inherited[-1], index)
    return picture.rgb, picture.label if index % MASK_STRIDE == 0 else None, landmarks


def frames(
    renderer: Renderer, performance: Performance, jobs: int
) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """(rgb, mask or None, landmarks) of every frame, in order."""
    cv2.setNumThreads(1)
    _inherited.append((renderer, performance))
    try:
        if jobs <= 1:
            yield from map(_work, range(len(performance)))
            return
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            yield from pool.imap(_work, range(len(performance)), chunksize=4)
    finally:
        _inherited.pop()


def write_clip(folder: Path, renderer: Renderer, performance: Performance, speech: Speech, jobs: int) -> None:
    """clip.mp4, truth.npz and camera.json. Prints how far it is."""
    samples = speech.samples[: round(len(performance) / VIDEO_FPS * AUDIO_RATE)]
    landmarks, masks, began = [], [], time.monotonic()
    unfinished = folder / "clip.unfinished.mp4"
    unfinished.unlink(missing_ok=True)
    config = WriteConfig(codec="h264", crf=CRF, audio_bit_rate=64_000)
    with VideoWriter(unfinished, (SIZE, SIZE), VIDEO_FPS, AUDIO_RATE, config) as writer:
        for index, (rgb, mask, points) in enumerate(frames(renderer, performance, jobs)):
            writer.write(rgb)
            begin, end = (round(i / VIDEO_FPS * AUDIO_RATE) for i in (index, index + 1))
            writer.write_audio(samples[begin:end])
            landmarks.append(points)
            if mask is not None:
                masks.append(mask)
            left = (time.monotonic() - began) / (index + 1) * (len(performance) - index - 1)
            print(f"\rframe {index + 1}/{len(performance)}, {left:.0f} s left   ", end="", flush=True)
    print()
    unfinished.replace(folder / "clip.mp4")
    save_truth(folder, assemble(renderer.camera, performance, speech, np.stack(landmarks), masks))


def write_preview(path: Path, renderer: Renderer, performance: Performance, columns: int = 4) -> None:
    """A sheet of frames spread over the clip."""
    picked = np.linspace(0, len(performance) - 1, columns * 3).astype(int)
    cells = [render_frame(renderer, performance, int(i))[0].rgb for i in picked]
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
