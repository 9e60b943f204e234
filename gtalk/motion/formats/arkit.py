"""Motion <-> the 52 blendshapes of ARKit and the CSV of Live Link Face, for game engines and mocap tools.

ARKit's shapes are defined in words and images, not in numbers. Here each of those that 68 landmarks can tell
is a displacement of the person's own lips, chin and jaw, in mouth widths; weights are the bounded least
squares of a frame's displacement from the closed mouth. The same table brings weights back to landmarks.
Left and right are the person's: the image's right and left. Shapes that landmarks cannot tell (tongue,
cheeks, nose) stay 0. Names and columns: Apple, ARFaceAnchor.BlendShapeLocation; Epic, Live Link Face.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from gtalk.basis import JAW, LIPS, MOUTH_GROUP, UPPER_GROUP
from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.geometry.pose import mean_pose, pose_matrices, pose_vectors
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
_PAIRS = ("Smile", "Frown", "Dimple", "Stretch")
NAMES = (
    *(f"Eye{name}{side}" for side in ("Left", "Right") for name in _EYE),
    *("JawForward", "JawRight", "JawLeft", "JawOpen"),
    *("MouthClose", "MouthFunnel", "MouthPucker", "MouthRight", "MouthLeft"),
    *(f"Mouth{name}{side}" for name in _PAIRS for side in ("Left", "Right")),
    *("MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper"),
    *(f"Mouth{name}{side}" for name in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    *("BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight", "CheekPuff"),
    *("CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight", "TongueOut"),
)
"""In the order of Live Link Face."""
_ANGLES = (
    *("HeadYaw", "HeadPitch", "HeadRoll"),
    *("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
)
GAZE_UNIT_RAD = 0.6
"""Turn of an eye at which its EyeLook shape is 1."""
BROW_UNIT_M = 0.01
"""Raise of a brow at which its shape is 1."""
_RIDGE = 3e-4  # of the least squares, in squared mouth widths: shapes that say the same share the work
_ROUNDS = 200
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
    table = _mouth_table(rest)
    design = np.stack(list(table.values())).reshape(len(table), -1)
    moved = ((motion.landmarks - rest)[:, MOUTH_GROUP] / _mouth_width(rest)).reshape(len(motion), -1)
    found = dict(zip(table, _bounded_least_squares(design, moved).T, strict=True))
    found |= _eyes_and_brows(motion)
    return np.stack([found.get(name, np.zeros(len(motion))) for name in NAMES], axis=1)


def motion_of_arkit(
    weights: Float[np.ndarray, "T 52"], head_rad: Float[np.ndarray, "T 3"], fps: float, model: PersonMotionModel
) -> Motion:
    """Weights, and turns of the head (yaw, pitch, roll), as a motion of the model's person."""
    w = dict(zip(NAMES, weights.T, strict=True))
    rest = rest_landmarks(model)
    landmarks = np.repeat(rest[None], len(weights), axis=0)
    for name, shape in _mouth_table(rest).items():
        landmarks[:, MOUTH_GROUP] += w[name][:, None, None] * shape * _mouth_width(rest)
    eyes = np.stack([1.0 + w[f"EyeWide{side}"] - w[f"EyeBlink{side}"] for side in ("Right", "Left")], axis=1)
    yaw = 0.5 * (w["EyeLookOutLeft"] - w["EyeLookInLeft"] + w["EyeLookInRight"] - w["EyeLookOutRight"])
    pitch = 0.5 * sum(w[f"EyeLookUp{side}"] - w[f"EyeLookDown{side}"] for side in ("Left", "Right"))
    raised = [
        np.maximum(w[f"BrowOuterUp{side}"], w["BrowInnerUp"]) - w[f"BrowDown{side}"] for side in ("Right", "Left")
    ]
    brows = np.stack(raised, axis=1) * BROW_UNIT_M
    landmarks[:, UPPER_GROUP] = model.face.upper_landmarks(eyes, brows)
    turned = np.concatenate([head_rad[:, [1, 0, 2]], np.zeros((len(weights), 3))], axis=1)
    channels = {"torso": model.face.torso_of(turned)} if model.face.has_torso else {}
    gaze = np.stack([yaw, pitch], axis=1) * GAZE_UNIT_RAD
    poses = pose_matrices(turned, model.mean_pose)
    return Motion(fps, landmarks, eyes, gaze, brows, poses, np.ones(len(weights), bool), dict(channels))


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


def _eyes_and_brows(motion: Motion) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    yaw, pitch = (motion.gaze / GAZE_UNIT_RAD).T
    raised = motion.brows / BROW_UNIT_M
    for column, side, outwards in ((1, "Left", 1.0), (0, "Right", -1.0)):
        openness = motion.eyes[:, column]
        out[f"EyeBlink{side}"], out[f"EyeWide{side}"] = 1.0 - openness, openness - 1.0
        out[f"EyeLookOut{side}"], out[f"EyeLookIn{side}"] = outwards * yaw, -outwards * yaw
        out[f"EyeLookUp{side}"], out[f"EyeLookDown{side}"] = pitch, -pitch
        out[f"BrowOuterUp{side}"], out[f"BrowDown{side}"] = raised[:, column], -raised[:, column]
    out["BrowInnerUp"] = raised.min(1)
    return {name: np.clip(value, 0.0, 1.0) for name, value in out.items()}


def _mouth_table(rest: np.ndarray) -> dict[str, np.ndarray]:
    """Displacement [37,3] of MOUTH_GROUP at weight 1, in mouth widths."""
    points = rest[MOUTH_GROUP]
    lips = points[len(JAW) :]
    u = (points[:, 0] - lips[:, 0].mean()) / (0.5 * _mouth_width(rest))  # -1 and 1 at the corners
    index = np.arange(68)[MOUTH_GROUP]
    is_lip = np.isin(index, LIPS).astype(float)
    upper = np.isin(index, [49, 50, 51, 52, 53, 61, 62, 63]).astype(float)
    lower = np.isin(index, [55, 56, 57, 58, 59, 65, 66, 67]).astype(float)
    inner, corner = np.isin(index, np.arange(60, 68)).astype(float), is_lip - upper - lower
    chin = (1.0 - is_lip) * np.exp(-(((index - 8) / 3.5) ** 2))  # JAW runs from ear to ear with the chin in the middle
    bow = np.maximum(1.0 - 0.4 * u**2, 0.0)
    left, right = is_lip * np.clip(0.5 + u, 0.0, 1.0), is_lip * np.clip(0.5 - u, 0.0, 1.0)

    def shape(x: np.ndarray | float = 0.0, y: np.ndarray | float = 0.0, z: np.ndarray | float = 0.0) -> np.ndarray:
        return np.stack([np.broadcast_to(np.asarray(v, float), u.shape) for v in (x, y, z)], axis=1)

    inwards = -u * is_lip
    table = {
        "JawForward": shape(z=0.15 * chin + 0.08 * lower),
        "JawRight": shape(x=-0.15 * chin - 0.08 * lower),
        "JawLeft": shape(x=0.15 * chin + 0.08 * lower),
        "JawOpen": shape(0.04 * inwards, -0.55 * (lower * bow + chin) - 0.22 * corner),
        "MouthClose": shape(y=0.55 * lower * bow + 0.22 * corner),
        "MouthFunnel": shape(0.12 * inwards, 0.08 * upper - 0.08 * lower, 0.1 * is_lip),
        "MouthPucker": shape(0.2 * inwards, 0.0, 0.12 * is_lip),
        "MouthRight": shape(x=-0.12 * is_lip),
        "MouthLeft": shape(x=0.12 * is_lip),
        "MouthRollLower": shape(y=0.05 * lower * (1 - inner), z=-0.06 * lower),
        "MouthRollUpper": shape(y=-0.05 * upper * (1 - inner), z=-0.06 * upper),
        "MouthShrugLower": shape(y=0.07 * lower + 0.05 * chin),
        "MouthShrugUpper": shape(y=0.07 * upper),
    }
    for name, side, sign in (("Left", left, 1.0), ("Right", right, -1.0)):
        edge = side * u**2
        table |= {
            f"MouthSmile{name}": shape(0.12 * sign * edge, 0.12 * edge),
            f"MouthFrown{name}": shape(y=-0.1 * edge),
            f"MouthStretch{name}": shape(0.14 * sign * edge, -0.03 * edge),
            f"MouthLowerDown{name}": shape(y=-0.1 * lower * side),
            f"MouthUpperUp{name}": shape(y=0.1 * upper * side),
        }
    return table


def _bounded_least_squares(design: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """[T,S] weights 0 to 1 of rows of `design` [S,P] that make up `moved` [T,P]: accelerated projected gradient."""
    gram = design @ design.T + _RIDGE * np.eye(len(design))
    target = moved @ design.T
    rate = 1.0 / np.linalg.eigvalsh(gram)[-1]
    weights = ahead = np.zeros_like(target)
    momentum = 1.0
    for _ in range(_ROUNDS):
        new = np.clip(ahead - rate * (ahead @ gram - target), 0.0, 1.0)
        after = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead, weights, momentum = new + (momentum - 1.0) / after * (new - weights), new, after
    return weights


def _mouth_width(rest: np.ndarray) -> float:
    return float(np.linalg.norm(rest[54] - rest[48]))


def _most_closed(motion: Motion) -> np.ndarray:
    opening = np.abs(motion.landmarks[:, [61, 62, 63], 1] - motion.landmarks[:, [67, 66, 65], 1]).mean(1)
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
