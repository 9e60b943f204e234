"""How well a face is tracked: against texture of the skin, and against the truth where there is one.

    .venv/bin/python tools/bench_track.py CLIP_OR_DATASET [--frames N] [--truth data/demo]

Compares, on the same landmarks: perspective-n-point per frame, the tracker without pictures, and the
tracker with texture tracks. Pixels are those of a 512-pixel picture; only ratios travel between machines.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gtalk.clip.cuts import CutFinder
from gtalk.clip.flow import TextureTracks, track_texture
from gtalk.clip.landmarks import Landmarks, detect_landmarks
from gtalk.clip.track import Track, model_points, solver_state, track_face
from gtalk.clip.track_expression import rigid_vertices
from gtalk.clip.track_geometry import log_so3, mean_rotation
from gtalk.clip.track_model import Model, States, place, project
from gtalk.clip.track_refine import fit_points, texture_residuals
from gtalk.dataset.format import Dataset, Segment
from gtalk.media.video import read_video
from gtalk.topology import LIPS, N_FACE
from gtalk.types import VIDEO_FPS

Frames = Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Material:
    """What is tracked."""

    frames: Frames
    size: tuple[int, int]
    landmarks: Landmarks
    segments: list[Segment]
    landmark_seconds: float | None


def open_material(path: Path, count: int | None) -> Material:
    """A clip, decoded and searched for faces here, or the first frames of a dataset."""
    if path.is_dir():
        dataset = Dataset(path)
        total = min(count or dataset.n_frames, dataset.n_frames)
        with np.load(path / "landmarks.npz", allow_pickle=False) as file:
            fields = {name: file[name][:total] for name in ("points_px", "depth", "valid", "face_count")}
        segments = [Segment(s.start, min(s.stop, total), s.source) for s in dataset.segments if s.start < total]
        return Material(
            lambda: (dataset.frame(i) for i in range(total)),
            dataset.size,
            Landmarks(source="", **fields),
            segments,
            None,
        )
    reader = read_video(path, VIDEO_FPS)

    def frames() -> Iterator[np.ndarray]:
        return itertools.islice(iter(reader), count)

    cuts = CutFinder()
    for picture in frames():
        cuts.see(picture)
    starts = [0, *cuts.cuts().tolist()]
    begin = time.perf_counter()
    landmarks = detect_landmarks(frames(), reader.size, segment_starts=starts)
    seconds = time.perf_counter() - begin
    edges = [*starts, len(landmarks.valid)]
    segments = [Segment(a, b, path.name) for a, b in itertools.pairwise(edges)]
    return Material(frames, reader.size, landmarks, segments, seconds)


def per_frame_pnp(track: Track, landmarks: Landmarks) -> States:
    """Poses of each frame by itself, from the rigid landmarks and the tracked shape (OpenCV's iterative solver)."""
    model, states = solver_state(track)
    kept = np.flatnonzero(rigid_vertices(model.shape))
    camera = np.array([[model.focal_px, 0, model.centre_px[0]], [0, model.focal_px, model.centre_px[1]], [0, 0, 1.0]])
    rotation, translation = states.rotation.copy(), states.translation.copy()
    for t in np.flatnonzero(landmarks.valid):
        start = cv2.Rodrigues(rotation[t])[0], translation[t][:, None].copy()
        points = landmarks.points_px[t, kept].astype(np.float64)
        _, turn, shift = cv2.solvePnP(model.shape[kept], points, camera, np.zeros(4), *start, useExtrinsicGuess=True)
        rotation[t], translation[t] = cv2.Rodrigues(turn)[0], shift[:, 0]
    return States(rotation, translation, np.zeros((len(rotation), 0)))


def acceleration(values: np.ndarray, material: Material) -> float:
    """Root mean square second difference within shots, over valid frames."""
    parts = []
    for segment in material.segments:
        piece, valid = values[segment.start : segment.stop], material.landmarks.valid[segment.start : segment.stop]
        if len(piece) > 2:
            parts.append(np.diff(piece, 2, axis=0)[valid[2:] & valid[1:-1] & valid[:-2]])
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


def rigid_pixels(model: Model, states: States, kept: np.ndarray) -> np.ndarray:
    """Where the skull's points lie, without expression."""
    still = Model(model.focal_px, model.centre_px, model.shape[kept], np.zeros((0, len(kept), 3)))
    return project(place(still, States(states.rotation, states.translation, states.coefficients[:, :0])), *_lens(model))


def _lens(model: Model) -> tuple[float, np.ndarray]:
    return model.focal_px, model.centre_px


def texture_error(model: Model, states: States, tracks: TextureTracks) -> tuple[float, float, float]:
    """Reprojection of texture points: median, root mean square of the inliers (< 2.5 px), share of inliers."""
    left = np.linalg.norm(texture_residuals(model, states, fit_points(model, states, tracks), tracks), axis=1)
    inside = left < 2.5
    return float(np.median(left)), float(np.sqrt(np.mean(left[inside] ** 2))), float(inside.mean())


def against_truth(track: Track, folder: Path) -> None:
    """Errors after one rotation for the whole clip, and the wobble relative to the truth's own motion."""
    from tools.demo_person.truth import load_truth

    truth = load_truth(folder)
    frames = len(track.valid)
    true_pose, true_px = truth.T_world_head[:frames], truth.points_px[:frames, :N_FACE]
    offset = true_pose[:, :3, :3].transpose(0, 2, 1) @ track.T_world_head[:, :3, :3]
    error = np.degrees(np.linalg.norm(log_so3(mean_rotation(offset).T @ offset), axis=1))
    left = model_points(track)[:, :N_FACE] - true_px
    print(
        f"  truth: rotation {np.sqrt(np.mean(error**2)):.3f} deg rms, focal {track.camera.focal_px:.0f} px "
        f"(true {truth.camera.focal_px:.0f})"
    )
    for name, points in (("all", np.arange(N_FACE)), ("lips", LIPS)):
        part = left[:, points]
        print(
            f"  truth: reprojection of {name} {np.sqrt((part**2).sum(-1).mean()):.3f} px rms, "
            f"{np.sqrt(((part - part.mean(0)) ** 2).sum(-1).mean()):.3f} without each point's constant offset"
        )
    kept = np.flatnonzero(rigid_vertices(track.person.shape))
    bends = [np.sqrt(np.mean(np.diff(x[:, kept], 2, axis=0) ** 2)) for x in (model_points(track), true_px)]
    print(f"  truth: acceleration of rigid points {bends[0] / bends[1]:.3f} x the truth's own")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--truth", type=Path)
    options = parser.parse_args()
    material = open_material(options.path, options.frames)
    count = len(material.landmarks.valid)
    print(
        f"{options.path.name}: {count} frames of {material.size[0]}x{material.size[1]}, {len(material.segments)} shots"
    )
    if material.landmark_seconds is not None:
        print(f"  landmarks {material.landmark_seconds / count * 1e3:.1f} ms a frame")
    arguments = (material.landmarks, material.size, material.segments)
    begin, spent = time.perf_counter(), time.process_time()
    alone = track_face(*arguments)
    middle, spent_alone = time.perf_counter(), time.process_time()
    full = track_face(*arguments, frames=material.frames)
    end, spent_full = time.perf_counter(), time.process_time()
    for name, wall, cpu in (
        ("landmarks only", middle - begin, spent_alone - spent),
        ("with texture", end - middle, spent_full - spent_alone),
    ):
        share = wall / (count / VIDEO_FPS)
        print(f"  track, {name}: {wall:.1f} s, {cpu:.1f} s of processor, {share:.3f} s per clip second")
    model, states = solver_state(full)
    tracks = track_texture(material.frames(), model, states, material.landmarks.valid, material.segments)
    kept = np.flatnonzero(rigid_vertices(model.shape))
    scale = 512 / max(material.size)
    print(
        f"  {'at 512 px':18s} {'texture median':>15s} {'rms':>7s} {'inliers':>8s} {'acceleration of rigid points':>30s}"
    )
    baseline = None
    for name, candidate in (
        ("PnP per frame", per_frame_pnp(full, material.landmarks)),
        ("landmarks only", solver_state(alone)[1]),
        ("with texture", states),
    ):
        lens = solver_state(alone)[0] if name == "landmarks only" else model
        median, rms, inliers = texture_error(lens, candidate, tracks)
        bend = acceleration(rigid_pixels(lens, candidate, kept), material) * scale
        baseline = baseline or bend
        row = f"{median * scale:15.3f} {rms * scale:7.3f} {inliers:8.3f} {bend:20.3f} ({baseline / bend:.2f}x less)"
        print(f"  {name:18s} {row}")
    for note in full.notes:
        print(f"  {note}")
    if options.truth:
        against_truth(full, options.truth)
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
