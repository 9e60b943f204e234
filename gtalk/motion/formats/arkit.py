"""Motion <-> the 52 blendshapes of ARKit and the CSV of Live Link Face, for game engines and mocap tools.

The shapes are the rig's (`gtalk.rig`), carried to the person's face. What landmarks can tell (lips, jaw, brows) is
the bounded least squares of a frame's displacement from rest; lids and gaze are channels of their own. What they
cannot tell (cheeks, nose, squinted lids, tongue) travels as the channel `expression`, which the avatar draws with its
rig. Left and right are the person's: the image's right and left.
Names and columns: Apple, ARFaceAnchor.BlendShapeLocation; Epic, Live Link Face.
"""

from __future__ import annotations

import csv
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from gtalk.basis import BROWS, EYES, UPPER_GROUP, mouth_aperture
from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.geometry.pose import mean_pose, pose_matrices, pose_vectors
from gtalk.motion.model.model import PersonMotionModel
from gtalk.rig.person import mesh_of_landmarks
from gtalk.rig.shapes import ARKIT, SHAPES, displacements, index
from gtalk.rig.weights import BROW_SHAPES, GAZE_UNIT_RAD, MOUTH_SHAPES, weights_of_motion
from gtalk.shapes import Float
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion

NAMES = tuple(name[0].upper() + name[1:] for name in ARKIT)
"""In the order of Live Link Face."""
CARRIED = ("eyeSquintLeft", "eyeSquintRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight")
CARRIED = (*CARRIED, "noseSneerLeft", "noseSneerRight", "tongueOut")
"""What 68 landmarks cannot tell: read into the channel `expression` and written from it."""
_LANDMARK_SHAPES = (*MOUTH_SHAPES, *BROW_SHAPES)
_ANGLES = (
    *("HeadYaw", "HeadPitch", "HeadRoll"),
    *("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
)
_USUAL_FPS = 60.0  # of Live Link Face, where a file is too short to tell
_FASTEST_FPS = 240.0


def arkit_weights(motion: Motion, rest: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "T 52"]:
    """Weights 0 to 1 in the order of NAMES.

    Args:
        motion: with measured scores in its channel `arkit52` (the Face Landmarker's order) these are taken.
        rest: the person's landmarks with closed lips, metres.
    """
    if "arkit52" in motion.channels:
        measured = sorted(set(NAMES) - {"TongueOut"})
        out = np.zeros((len(motion), len(NAMES)))
        out[:, [NAMES.index(name) for name in measured]] = motion.channels["arkit52"][:, 1:]
        return np.clip(out, 0.0, 1.0)
    return weights_of_motion(motion, rest, shapes_at_landmarks(rest))


def motion_of_arkit(
    weights: Float[np.ndarray, "T 52"], head_rad: Float[np.ndarray, "T 3"], fps: float, model: PersonMotionModel
) -> Motion:
    """Weights, and turns of the head (yaw, pitch, roll), as a motion of the model's person."""
    w = dict(zip(ARKIT, weights.T, strict=True))
    rest = rest_landmarks(model)
    shapes = shapes_at_landmarks(rest)
    told = np.stack([w[name] for name in _LANDMARK_SHAPES], axis=1)
    landmarks = rest + np.tensordot(told, shapes[[index(name) for name in _LANDMARK_SHAPES]], 1)
    eyes = np.stack([1.0 + w[f"eyeWide{side}"] - w[f"eyeBlink{side}"] for side in ("Right", "Left")], axis=1)
    yaw = 0.5 * (w["eyeLookOutLeft"] - w["eyeLookInLeft"] + w["eyeLookInRight"] - w["eyeLookOutRight"])
    pitch = 0.5 * sum(w[f"eyeLookUp{side}"] - w[f"eyeLookDown{side}"] for side in ("Left", "Right"))
    brows = np.stack([(landmarks - rest)[:, part, 1].mean(1) for part in (BROWS[:5], BROWS[5:])], axis=1)
    upper = model.face.upper_landmarks(eyes, np.zeros_like(brows))
    landmarks[:, EYES] = upper[:, np.isin(UPPER_GROUP, EYES)]
    turned = np.concatenate([head_rad[:, [1, 0, 2]], np.zeros((len(weights), 3))], axis=1)
    carried = np.zeros((len(weights), len(SHAPES)))
    carried[:, [index(name) for name in CARRIED]] = np.stack([w[name] for name in CARRIED], axis=1)
    channels = {"expression": carried} if carried.any() else {}
    gaze = np.stack([yaw, pitch], axis=1) * GAZE_UNIT_RAD
    poses = pose_matrices(turned, model.mean_pose)
    return Motion(fps, landmarks, eyes, gaze, brows, poses, np.ones(len(weights), bool), channels)


def write_arkit_csv(motion: Motion, path: Path, rest: Float[np.ndarray, "68 3"] | None = None) -> None:
    """Write a CSV as Live Link Face does, angles in radians. `rest`: closed lips; else the motion's most closed."""
    weights = arkit_weights(motion, _most_closed(motion) if rest is None else rest)
    pitch, yaw, roll = pose_vectors(motion.head_pose, mean_pose(motion.head_pose))[:, :3].T
    eye = np.stack([motion.gaze[:, 0], motion.gaze[:, 1], np.zeros(len(motion))], axis=1)
    rows = np.concatenate([weights, np.stack([yaw, pitch, roll], axis=1), eye, eye], axis=1)
    per_second = round(motion.fps)
    with atomic_path(Path(path)) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Timecode", "BlendShapeCount", *NAMES, *_ANGLES])
        for i, row in enumerate(rows):
            whole, part = divmod(i, per_second)
            clock = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{part:02d}.000"
            writer.writerow([clock, len(row), *(f"{value:.6f}" for value in row)])


def read_arkit_csv(path: Path) -> tuple[Float[np.ndarray, "T 52"], Float[np.ndarray, "T 3"], float]:
    """(weights, yaw, pitch and roll of the head in radians, frames a second). Raises UserError for other files."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = {name.lower(): name for name in reader.fieldnames or ()}
            missing = [n for n in ("Timecode", *NAMES, *_ANGLES[:3]) if n.lower() not in columns]
            if missing:
                listed = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
                raise ValueError(f"a file without the columns {listed}")
            wanted = [columns[name.lower()] for name in (*NAMES, *_ANGLES[:3])]
            rows, clocks = [], []
            for row in reader:
                if row[wanted[0]]:  # Live Link Face leaves rows without a face empty
                    rows.append([float(row[name]) for name in wanted])
                    clocks.append(_clock(row[columns["timecode"]]))
        values = np.array(rows).reshape(-1, len(wanted))
        if not len(values) or not np.isfinite(values).all():
            raise ValueError("no rows, or numbers that are not finite")
        return np.clip(values[:, : len(NAMES)], 0.0, 1.0), values[:, len(NAMES) :], _rate(clocks)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(
            f"blendshapes {path}",
            expected="a CSV of Live Link Face: Timecode, the 52 ARKit shapes, HeadYaw, HeadPitch, HeadRoll",
            got=f"{type(error).__name__}: {error}",
            remedy="Export it again, or write one with `gtalk motion edit X.motion.npz -o X.csv`.",
        ) from error


def rest_landmarks(model: PersonMotionModel) -> Float[np.ndarray, "68 3"]:
    """The person with closed, relaxed lips."""
    code = np.zeros((1, model.basis.size))
    code[:, model.basis.groups["mouth"]] = model.face.rest
    return model.basis.decode(code)[0]


def shapes_at_landmarks(rest: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "E 68 3"]:
    """The rig's shapes at the 68 landmarks of a person at rest, metres."""
    return _shapes_of(np.ascontiguousarray(rest, np.float64).tobytes())


@lru_cache(maxsize=4)  # the same person on the way out and back
def _shapes_of(rest: bytes) -> np.ndarray:
    return displacements(mesh_of_landmarks(np.frombuffer(rest).reshape(68, 3)))[:, LANDMARKS68]


def _most_closed(motion: Motion) -> np.ndarray:
    opening = np.abs(mouth_aperture(motion.landmarks))
    return np.median(motion.landmarks[np.argsort(opening)[: max(1, len(motion) // 20)]], axis=0)


def _clock(text: str) -> float:
    """Whole seconds of a time code HH:MM:SS:FF.fff."""
    found = re.fullmatch(r"\s*(\d+):(\d+):(\d+)[:;.](.*)", text)
    if found is None:
        raise ValueError(f"time code {text!r}")
    hours, minutes, seconds = (int(part) for part in found.groups()[:3])
    return float(hours * 3600 + minutes * 60 + seconds)


def _rate(clocks: list[float]) -> float:
    """Rows in a usual whole second."""
    counts = np.unique(clocks, return_counts=True)[1][1:-1]  # the first and the last second are not whole
    return float(np.clip(np.median(counts), 1.0, _FASTEST_FPS)) if len(counts) else _USUAL_FPS
