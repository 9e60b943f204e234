"""How well faces are tracked: against texture of the skin, and against the truth where there is one.

    .venv/bin/python tools/check/tracking.py CLIP_OR_DATASET ... [--frames N] [--truth data/demo]

Compares, on the same landmarks: perspective-n-point per frame, the tracker without images, and the
tracker with texture tracks. The texture points are split in two: one half refines poses, the other half
judges everybody. Judged are points over bone whose skin the first half found firm. Pixels are those of
a 512-pixel image; of the times only ratios travel between machines.

    rms           distance of the judging points from where the poses put them
    acceleration  second difference, from frame to frame, of where a pose puts the judging points of a frame;
                  in the row of the texture itself, that of the points as seen: a head that moves has it too,
                  so that it is no error, and no tracker that follows the head can have less
    jitter        second difference of what lies between: what an eye sees as swimming on the skin

The row "best rigid motion" has poses fitted frame by frame to the judging points themselves: what is left
there is skin that is not rigid and the error of the judges, and no pose can do better. Six numbers a frame are
fitted to them, so that with few points it is a loose bound. What was measured stands in gtalk/prepare/README.md.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from gtalk.dataset.format import Dataset, Segment
from gtalk.media.video import read_video
from gtalk.prepare.ingest.cuts import CutFinder
from gtalk.prepare.landmarks.detect import Landmarks, detect_landmarks
from gtalk.prepare.tracking.expression import rigid_vertices
from gtalk.prepare.tracking.flow import TextureTracks, track_texture
from gtalk.prepare.tracking.model import Model, States, residuals_px
from gtalk.prepare.tracking.pose import Observations, solve_states
from gtalk.prepare.tracking.refine import RefineConfig, fit_points, refine_poses, texture_residuals
from gtalk.prepare.tracking.track import Track, solver_state, track_face
from gtalk.topology import SKIN_TRIANGLES
from gtalk.types import VIDEO_FPS

FEWEST_SHARING = 6  # points

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
    for image in frames():
        cuts.see(image)
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


def part_of(tracks: TextureTracks, kept: np.ndarray) -> TextureTracks:
    """The points of which `kept` [N] is True, and their observations."""
    number, seen = np.cumsum(kept) - 1, kept[tracks.point]
    return TextureTracks(
        tracks.point_m[kept],
        tracks.keyframe[kept],
        tracks.triangle[kept],
        tracks.frame[seen],
        number[tracks.point[seen]],
        tracks.seen_px[seen],
    )


def refined_by(tracks: TextureTracks, alone: Track, material: Material) -> tuple[Model, States, np.ndarray]:
    """Poses of landmarks and texture as the tracker refines them, and [478] which vertices these find firm."""
    model, states = solver_state(alone)
    points_px, valid = material.landmarks.points_px.astype(np.float64), material.landmarks.valid
    spread = 1.48 * np.median(np.abs(residuals_px(model, states, points_px))[valid], axis=(0, 2))
    trusted = np.where(rigid_vertices(model.shape) > 0.5, np.maximum(spread, 0.2), np.inf)
    still = States(states.rotation, states.translation, states.coefficients[:, :0])
    skull = replace(model, basis=model.basis[:0])
    _, information = solve_states(skull, still, Observations(points_px, trusted, valid), iterations=1)
    refined, points = refine_poses(skull, still, information, valid, [s.start for s in material.segments], tracks)
    error = np.linalg.norm(texture_residuals(skull, refined, points, tracks), axis=1)
    firm = rigid_vertices(model.shape, tracks, error) > 0.5
    return model, States(refined.rotation, refined.translation, states.coefficients), firm


@dataclass(frozen=True)
class Steadiness:
    """How poses agree with texture points; pixels of the clip."""

    median_px: float
    rms_px: float
    """Of the inliers (< 2.5 px)."""
    inliers: float
    acceleration_px: float
    """What the predicted places of a frame's points share."""
    wobble_px: float
    """What the differences between seen and predicted places share."""
    own_px: float
    """What the seen places share: the head's true motion."""


def steadiness(model: Model, states: States, judges: TextureTracks) -> Steadiness:
    """Poses against texture that did not make them. The points' places on the skull are fitted to the poses."""
    residual = texture_residuals(model, states, fit_points(model, states, judges), judges)
    distance = np.linalg.norm(residual, axis=1)
    inside = distance < 2.5
    shared = (
        shared_acceleration(values[inside], judges, inside)
        for values in (judges.seen_px - residual, residual, judges.seen_px)
    )
    rms = float(np.sqrt(np.mean(distance[inside] ** 2)))
    return Steadiness(float(np.median(distance)), rms, float(inside.mean()), *shared)


def best_rigid_motion(model: Model, states: States, judges: TextureTracks, material: Material) -> States:
    """Poses from the judging points alone, each frame by itself."""
    loose = RefineConfig(
        shake_rad=0.1,
        shake_across_m=0.01,
        shake_along_m=0.1,
        jerk_rad=1.0,
        jerk_across_m=1.0,
        jerk_along_m=1.0,
        outer=8,
    )
    sure = np.broadcast_to(np.eye(6) * 1e8, (len(states), 6, 6))
    borders = [s.start for s in material.segments]
    return refine_poses(model, states, sure, material.landmarks.valid, borders, judges, loose)[0]


def shared_acceleration(values: np.ndarray, tracks: TextureTracks, kept: np.ndarray) -> float:
    """Root mean square over frames of the median second difference of points seen in three frames in a row.

    `values` belong to the observations `kept`. In the median of a frame's points, what single ones err cancels.
    """
    frame, point = tracks.frame[kept], tracks.point[kept].astype(np.int64)
    order = np.argsort(point * (int(tracks.frame.max()) + 3) + frame, kind="stable")
    key, ordered = (point * (int(tracks.frame.max()) + 3) + frame)[order], values[order]
    start = np.flatnonzero((key[1:-1] == key[:-2] + 1) & (key[2:] == key[:-2] + 2))
    bend = ordered[start] - 2.0 * ordered[start + 1] + ordered[start + 2]
    middle = frame[order][start + 1]
    by_frame = np.argsort(middle, kind="stable")
    pieces = np.split(bend[by_frame], np.flatnonzero(np.diff(middle[by_frame])) + 1)
    medians = np.array([np.median(piece, axis=0) for piece in pieces if len(piece) >= FEWEST_SHARING])
    return float(np.sqrt(np.mean(medians**2)))


def timed(name: str, material: Material, frames: Frames | None) -> Track:
    """Track, and print what it took."""
    begin, spent = time.perf_counter(), time.process_time()
    found = track_face(material.landmarks, material.size, material.segments, frames=frames)
    wall, cpu = time.perf_counter() - begin, time.process_time() - spent
    share = wall / (len(found.valid) / VIDEO_FPS)
    print(f"  track, {name}: {wall:.1f} s, {cpu:.1f} s of processor, {share:.3f} s per clip second")
    return found


def wobble_table(material: Material, alone: Track, full: Track) -> None:
    """Print how each way of finding poses agrees with the texture of the skin."""
    model, states = solver_state(full)
    tracks = track_texture(material.frames(), model, states, material.landmarks.valid, material.segments)
    first_half = np.arange(len(tracks.point_m)) % 2 == 0
    lens, refined, firm = refined_by(part_of(tracks, first_half), alone, material)
    on_firm_skin = firm[SKIN_TRIANGLES[tracks.triangle]].all(1)
    judges = part_of(tracks, ~first_half & on_firm_skin)
    scale, first = 512 / max(material.size), None
    print(f"  {len(judges.point_m)} judging points, seen {len(judges.frame) / len(full.valid):.0f} times a frame")
    print(f"  {'at 512 px':22s} {'median':>6s} {'rms':>6s} {'inliers':>8s} {'acceleration':>20s} {'jitter':>20s}")
    for name, lens_of_row, candidate in (
        ("PnP per frame", model, per_frame_pnp(full, material.landmarks)),
        ("landmarks only", *solver_state(alone)),
        ("with half the texture", lens, refined),
        ("as delivered", model, states),
        ("best rigid motion", model, best_rigid_motion(model, states, judges, material)),
    ):
        row = steadiness(lens_of_row, candidate, judges)
        first = first or row
        print(
            f"  {name:22s} {row.median_px * scale:6.3f} {row.rms_px * scale:6.3f} {row.inliers:8.3f} "
            f"{row.acceleration_px * scale:8.3f} ({first.acceleration_px / row.acceleration_px:.2f}x less) "
            f"{row.wobble_px * scale:8.3f} ({first.wobble_px / row.wobble_px:.2f}x less)"
        )
    print(f"  {'the texture itself':22s} {'':22s} {first.own_px * scale:8.3f} "
          f"({first.acceleration_px / first.own_px:.2f}x less)")  # fmt: skip


def report(path: Path, count: int | None, truth: Path | None) -> None:
    """Everything about one clip."""
    material = open_material(path, count)
    count = len(material.landmarks.valid)
    print(f"{path.name}: {count} frames of {material.size[0]}x{material.size[1]}, {len(material.segments)} shots")
    if material.landmark_seconds is not None:
        print(f"  landmarks {material.landmark_seconds / count * 1e3:.1f} ms a frame")
    alone, full = timed("landmarks only", material, None), timed("with texture", material, material.frames)
    wobble_table(material, alone, full)
    for note in full.notes:
        print(f"  {note}")
    if truth:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
        from demo_person.truth import load_truth
        from tools.check.demo_clip import print_errors

        print_errors(full, material.landmarks, load_truth(truth))
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--truth", type=Path, help="folder of the demo person's truth, if that is the clip")
    options = parser.parse_args()
    for path in options.paths:
        report(path, options.frames, options.truth)


if __name__ == "__main__":
    main()
