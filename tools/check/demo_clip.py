"""Face tracking of the demo clip against its exact truth.

    .venv/bin/python tools/check/demo_clip.py [data/demo] [--dataset DATASET] [--frames N] [--detector-only]

First what the detector says of mouth and eyes, then the table of errors of detector and tracker. With
--dataset, the landmarks and images that `gtalk prepare data/demo/clip.mp4` left are used.

A detector's point has no true place: what "the corner of the jaw" is, the detector's training decided and the
demo person's mesh decided otherwise, several millimetres along the skin. So three errors are printed, root mean
square over points and frames in pixels of the clip:

    raw      distance from the truth's point of the same number
    image  the same without each point's constant offset in the image
    head     the same without each point's constant offset on the head (three numbers a point, turned and
             projected with the true pose): two names for two places on the skin

Constants are learned on other frames than those they are taken from: the clip is cut in blocks of five
seconds, and even ones are corrected by what odd ones say, and the reverse. What is left under "head" is error
of the tracker or the detector. Below stands how much of the constant offset lies along the skin, where labels
may differ, and across it, where only depth can be wrong. What was measured stands in gtalk/prepare/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gtalk.dataset.format import Dataset, Segment
from gtalk.geometry.rotation import FLIP, log_so3, mean_rotation, projection_jacobian
from gtalk.media.video import read_video
from gtalk.prepare.landmarks.detect import Landmarks, detect_landmarks
from gtalk.prepare.tracking.expression import rigid_vertices
from gtalk.prepare.tracking.track import Track, model_points, track_face
from gtalk.topology import (
    EYELID_PAIRS,
    FACE_OVAL,
    LANDMARKS68,
    LEFT_EYE_RING,
    LIPS,
    N_FACE,
    N_POINTS,
    RIGHT_EYE_RING,
    SKIN_TRIANGLES,
)

if TYPE_CHECKING:
    from demo_person.truth import Truth

BLOCK_FRAMES = 125
EYES = np.concatenate([LEFT_EYE_RING, RIGHT_EYE_RING])


def head_jacobian(truth: Truth) -> np.ndarray:
    """[T,468,2,3] how pixels move with a point of head space, under the true poses."""
    rotation = FLIP @ truth.T_world_head[:, :3, :3]
    place = truth.T_world_head[:, None, :3, 3] @ FLIP
    camera = truth.landmarks478[:, :N_FACE] @ rotation.transpose(0, 2, 1) + place
    return projection_jacobian(camera, truth.camera.focal_px) @ rotation[:, None]


def constant_offset(error_px: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """[P,3] head-space offsets that explain errors [T,P,2] best."""
    normal = np.einsum("tpai,tpaj->pij", jacobian, jacobian)
    return np.linalg.solve(normal, np.einsum("tpai,tpa->pi", jacobian, error_px)[..., None])[..., 0]


def without_constants(error_px: np.ndarray, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors [T,P,2] without constants of the image, and without constants of the head, learned on other blocks."""
    odd = (np.arange(len(error_px)) // BLOCK_FRAMES) % 2 == 1
    image, head = error_px.copy(), error_px.copy()
    for part in (odd, ~odd):
        if part.any() and (~part).any():
            image[part] -= error_px[~part].mean(0)
            offset = constant_offset(error_px[~part], jacobian[~part])
            head[part] -= np.einsum("tpai,pi->tpa", jacobian[part], offset)
    return image, head


def rms_px(error_px: np.ndarray) -> float:
    """Root mean square length of [...,2]."""
    return float(np.sqrt((error_px**2).sum(-1).mean()))


def along_and_across_m(offset: np.ndarray, shape: np.ndarray) -> tuple[float, float]:
    """Root mean square parts of offsets [468,3] along the skin of a shape [478,3] and across it."""
    corners = shape[SKIN_TRIANGLES]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = np.zeros((N_POINTS, 3))
    for corner in SKIN_TRIANGLES.T:
        np.add.at(normal, corner, across)
    normal = normal[:N_FACE] / np.linalg.norm(normal[:N_FACE], axis=1, keepdims=True)
    out = (offset * normal).sum(1)
    along = offset - out[:, None] * normal
    return float(np.sqrt((along**2).sum(1).mean())), float(np.sqrt((out**2).mean()))


def print_errors(track: Track, landmarks: Landmarks, truth: Truth) -> None:
    """The table of errors of a track of the demo clip's first frames."""
    frames = len(track.valid)
    true_px, true_pose = truth.points_px[:frames], truth.T_world_head[:frames]
    jacobian = head_jacobian(truth)[:frames]
    offset = true_pose[:, :3, :3].transpose(0, 2, 1) @ track.T_world_head[:, :3, :3]
    turn = np.degrees(log_so3(mean_rotation(offset).T @ offset))
    pitch, yaw, roll = np.sqrt((turn**2).mean(0))
    print(f"  truth: rotation {np.sqrt((turn**2).sum(1).mean()):.3f} deg rms (pitch {pitch:.3f}, yaw {yaw:.3f}, "
          f"roll {roll:.3f}), focal {track.camera.focal_px:.0f} px (true {truth.camera.focal_px:.0f})")  # fmt: skip
    rigid = np.flatnonzero(rigid_vertices(track.person.shape)[:N_FACE])
    tracked_px = model_points(track)
    parts = (("all", np.arange(N_FACE)), ("over bone", rigid), ("eyes", EYES), ("lips", LIPS), ("outline", FACE_OVAL))
    print(f"  {'reprojection, px rms':24s} {'raw':>7s} {'image':>8s} {'head':>7s}")
    for name, points_px in (("detected", landmarks.points_px.astype(np.float64)), ("tracked", tracked_px)):
        error = points_px[:frames, :N_FACE] - true_px[:, :N_FACE]
        image, head = without_constants(error, jacobian)
        for label, rows in parts:
            values = (rms_px(part[:, rows]) for part in (error, image, head))
            print(f"  {name + ', ' + label:24s} {'{:7.3f}  {:7.3f} {:7.3f}'.format(*values)}")
        along, across = along_and_across_m(constant_offset(error, jacobian), truth.landmarks478.mean(0))
        print(f"    constant on the head: {1e3 * along:.1f} mm along the skin, {1e3 * across:.1f} mm across it")
    bends = [np.sqrt(np.mean(np.diff(x[:, rigid], 2, axis=0) ** 2)) for x in (tracked_px, true_px)]
    print(f"  truth: acceleration of points over bone {bends[0] / bends[1]:.3f} x the truth's own")


def print_detector(landmarks: Landmarks, truth: Truth) -> None:
    """Faces found, distances of landmarks, and how the detected mouth and eyes follow the true ones."""
    frames = len(landmarks.valid)
    seen, valid = landmarks.points_px, landmarks.valid
    error = np.linalg.norm(seen - truth.points_px[:frames], axis=2)[valid]
    print(f"frames {frames}, with a face {valid.mean():.4f}")
    for name, index in (("478", slice(None)), ("68", LANDMARKS68)):
        part = error[:, index]
        print(f"landmarks {name}: median {np.median(part):.2f} px, 95 % below {np.quantile(part, 0.95):.2f} px")
    mouth = np.linalg.norm(seen[:, 13] - seen[:, 14], axis=1)[valid]
    print(f"aperture: correlation {np.corrcoef(mouth, truth.aperture[:frames][valid])[0, 1]:.3f}")
    lids = np.linalg.norm(seen[:, EYELID_PAIRS[..., 0]] - seen[:, EYELID_PAIRS[..., 1]], axis=-1).mean((1, 2))[valid]
    eyes = truth.eyes[:frames].mean(1)[valid]
    print(f"eyelids: correlation {np.corrcoef(lids, eyes)[0, 1]:.3f}, ", end="")
    print(f"gap shut {lids[eyes < 0.3].mean():.1f} px, open {lids[eyes > 0.85].mean():.1f} px")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data/demo"))
    parser.add_argument("--dataset", type=Path, help="the prepared clip")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--detector-only", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from demo_person.truth import load_truth

    truth = load_truth(options.folder)
    count = min(options.frames or len(truth.aperture), len(truth.aperture))
    size = (truth.camera.width, truth.camera.height)
    if options.dataset:
        dataset = Dataset(options.dataset)
        with np.load(options.dataset / "landmarks.npz", allow_pickle=False) as file:
            fields = {name: file[name][:count] for name in ("points_px", "depth", "valid", "face_count")}
        landmarks = Landmarks(source="", **fields)

        def frames():
            return (dataset.frame(i) for i in range(count))
    else:
        reader = read_video(options.folder / "clip.mp4")

        def frames():
            return (image for _, image in zip(range(count), reader, strict=False))

        landmarks = detect_landmarks(frames(), size, model="facemesh")
    print_detector(landmarks, truth)
    if not options.detector_only:
        print_errors(track_face(landmarks, size, [Segment(0, count, "")], frames=frames), landmarks, truth)


if __name__ == "__main__":
    main()
