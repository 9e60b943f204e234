"""A tiny dataset folder with known truth: a shaded, textured ellipsoid head that nods, talks and blinks.

    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=40, size=64)

The head is an ellipsoid in head space with painted eyes, brows and a mouth that opens; below it a neck
and shoulders that follow the head a little; behind it a striped plate. Poses, landmarks, masks, mattes
and motion are exact.
"""

from __future__ import annotations

import itertools
import json
import wave
from pathlib import Path

import cv2
import numpy as np

from gtalk.dataset.format import DATASET_VERSION, Dataset, MaskClass
from gtalk.types import AUDIO_RATE, TORSO_BEND, Camera, Motion

FPS = 25.0
CENTRE = np.array([0.0, 0.0, -0.06])  # of the head's ellipsoid, head space, metres
RADII = np.array([0.075, 0.105, 0.095])
MOUTH_Y, MOUTH_HALF_WIDTH, EYE_Y, EYE_X, EYE_HALF_WIDTH = -0.045, 0.026, 0.028, 0.031, 0.014
TORSO_CENTRE, TORSO_RADII = np.array([0.0, -0.30, -0.72]), np.array([0.22, 0.17, 0.1])
NECK_RADIUS_M = 0.042
HEAD_REST_M = np.array([0.0, 0.02, -0.70])


def make_synthetic_dataset(folder: Path, n_frames: int = 40, size: int = 64, cut_at: int | None = None) -> Dataset:
    """Write the dataset and open it. `cut_at` puts a jump cut (a sudden pose change) before that frame."""
    folder = Path(folder)
    for name in ("frames", "masks", "mattes"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    camera = Camera(2.2 * size, size / 2, size / 2, size, size)
    acting = _acting(n_frames, cut_at)
    plate = _plate(size)
    motion = _motion(acting)
    for index in range(n_frames):
        rgb, matte, labels = _image(camera, motion, acting, index, plate)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"frames/{index:06d}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 98])
        cv2.imwrite(str(folder / f"mattes/{index:06d}.png"), matte)
        cv2.imwrite(str(folder / f"masks/{index:06d}.png"), labels)
    cv2.imwrite(str(folder / "background.png"), cv2.cvtColor(plate, cv2.COLOR_RGB2BGR))
    motion.save(folder / "motion.npz")
    (folder / "camera.json").write_text(json.dumps(camera.to_json()))
    _write_person_and_poses(folder, camera, motion, acting)
    _write_audio(folder / "audio.wav", acting["open"])
    cuts = [0, *([cut_at] if cut_at else []), n_frames]
    manifest = {
        "schema_version": DATASET_VERSION,
        "fps": FPS,
        "n_frames": n_frames,
        "width": size,
        "height": size,
        "sources": [{"name": "synthetic", "sha256": "0" * 64}],
        "segments": [{"start": a, "stop": b, "source": "synthetic"} for a, b in itertools.pairwise(cuts)],
        "stages": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Dataset(folder)


def _acting(n_frames: int, cut_at: int | None) -> dict[str, np.ndarray]:
    """What the head does, frame by frame."""
    t = np.arange(n_frames) / FPS
    late = (np.arange(n_frames) >= cut_at).astype(float) if cut_at else np.zeros(n_frames)
    opening = 0.5 + 0.5 * np.sin(2 * np.pi * 1.9 * t) * np.cos(2 * np.pi * 0.6 * t)
    blink = np.clip(1.0 - np.abs(((t + 0.3) % 1.1) - 0.2) / 0.09, 0.0, 1.0)
    return {
        "open": opening,
        "wide": 0.5 * np.sin(2 * np.pi * 1.1 * t + 0.7),
        "eyes": 1.0 - blink,
        "brows": 0.004 * np.sin(2 * np.pi * 0.45 * t),
        "gaze": 0.2 * np.sin(2 * np.pi * 0.35 * t),
        "yaw": 0.22 * np.sin(2 * np.pi * 0.37 * t) + 0.1 * late,
        "pitch": 0.09 * np.sin(2 * np.pi * 0.53 * t + 1.0),
        "roll": 0.05 * np.sin(2 * np.pi * 0.29 * t),
        "dx": 0.012 * np.sin(2 * np.pi * 0.31 * t) + 0.02 * late,
    }


def _landmarks68(acting: dict[str, np.ndarray]) -> np.ndarray:
    """[T,68,3] metres, head space: points on the ellipsoid, mouth and lids moved by what it does."""
    angle = np.linspace(-1.25, 1.25, 17)
    jaw = np.stack([0.066 * np.sin(angle), 0.01 - 0.085 * np.cos(angle)], 1)
    side = np.linspace(0.018, 0.046, 5)
    brows = np.concatenate([np.stack([s * side[::s], np.full(5, 0.05)], 1) for s in (-1, 1)])
    nose = np.concatenate(
        [
            np.stack([np.zeros(4), np.linspace(0.03, -0.005, 4)], 1),
            np.stack([np.linspace(-0.012, 0.012, 5), np.full(5, -0.015)], 1),
        ]
    )
    flat = np.concatenate([jaw, brows, nose])
    frames = len(acting["open"])
    points = np.zeros((frames, 68, 2))
    points[:, :36] = flat
    points[:, 17:27, 1] += acting["brows"][:, None]
    points[:, 4:13, 1] -= 0.012 * acting["open"][:, None]
    turn = np.arange(6) / 6 * 2 * np.pi
    for first, sign in ((36, -1), (42, 1)):
        points[:, first : first + 6, 0] = sign * EYE_X - EYE_HALF_WIDTH * np.cos(turn)
        points[:, first : first + 6, 1] = EYE_Y + 0.008 * np.sin(turn) * acting["eyes"][:, None]
    for first, count, shrink in ((48, 12, 1.3), (60, 8, 1.0)):
        turn = np.arange(count) / count * 2 * np.pi
        width = MOUTH_HALF_WIDTH * (1.0 + 0.2 * acting["wide"])[:, None] * shrink
        height = (0.001 + 0.014 * acting["open"])[:, None] + (0.007 if count == 12 else 0.0)
        points[:, first : first + count, 0] = -width * np.cos(turn)
        points[:, first : first + count, 1] = MOUTH_Y + height * np.sin(turn)
    return _onto_ellipsoid(points)


def _onto_ellipsoid(points: np.ndarray) -> np.ndarray:
    """[..., 2] x, y in head space -> [..., 3] on the ellipsoid's front."""
    inside = 1.0 - ((points - CENTRE[:2]) ** 2 / RADII[:2] ** 2).sum(-1)
    z = CENTRE[2] + RADII[2] * np.sqrt(np.maximum(inside, 0.0))
    return np.concatenate([points, z[..., None]], -1)


def _motion(acting: dict[str, np.ndarray]) -> Motion:
    frames = len(acting["open"])
    pose = np.tile(np.eye(4), (frames, 1, 1))
    for i in range(frames):
        angles = np.array([-acting["pitch"][i], acting["yaw"][i], acting["roll"][i]])
        pose[i, :3, :3] = cv2.Rodrigues(angles)[0]
        pose[i, :3, 3] = HEAD_REST_M + np.array([acting["dx"][i], 0.0, 0.0])
    torso = np.zeros((frames, 4))
    torso[:, 0] = 0.4 * acting["dx"] * 2.2 / -HEAD_REST_M[2]
    return Motion(
        FPS,
        _landmarks68(acting),
        np.repeat(acting["eyes"][:, None], 2, 1),
        np.stack([acting["gaze"], np.zeros(frames)], 1),
        np.repeat(acting["brows"][:, None], 2, 1),
        pose,
        np.ones(frames, bool),
        {"torso": torso, "torso_bend": np.zeros((frames, TORSO_BEND)), "framing": np.zeros((frames, 3))},
    )


def _plate(size: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    stripes = 0.5 + 0.5 * np.sin(25 * x + 6 * y)
    return np.stack([40 + 60 * y + 25 * stripes, 80 + 30 * stripes, 110 + 60 * x], -1).astype(np.uint8)


def _image(
    camera: Camera, motion: Motion, acting: dict[str, np.ndarray], index: int, plate: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB, matte and labels, with 3x3 samples a pixel."""
    n = camera.width * 3
    x, y = np.meshgrid((np.arange(n) + 0.5) / 3, (np.arange(n) + 0.5) / 3)
    rays = np.stack([(x - camera.cx_px) / camera.focal_px, -(y - camera.cy_px) / camera.focal_px, -np.ones_like(x)], -1)
    shift = np.array([0.4 * acting["dx"][index], 0.0, 0.0])
    colour = cv2.resize(plate, (n, n), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    label = np.zeros((n, n), np.uint8)
    hit, point = _hit(np.zeros(3) - TORSO_CENTRE - shift, rays, TORSO_RADII)
    light = 0.6 + 0.4 * np.clip(point[..., 2] / TORSO_RADII[2], 0, 1)
    cloth = np.array([70.0, 40.0, 90.0]) + 30.0 * (np.sin(point[..., :1] * 120.0) > 0)
    colour[hit], label[hit] = (cloth * light[..., None])[hit], MaskClass.TORSO
    neck_x = (rays * -HEAD_REST_M[2])[..., 0] - 0.7 * acting["dx"][index]
    neck_y = (rays * -HEAD_REST_M[2])[..., 1]
    hit = (np.abs(neck_x) < NECK_RADIUS_M) & (neck_y < 0.0) & (neck_y > -0.18)
    colour[hit], label[hit] = (170, 120, 100), MaskClass.NECK
    T_head_world = np.linalg.inv(motion.head_pose[index])
    origin = T_head_world[:3, 3] - CENTRE
    hit, point = _hit(origin, rays @ T_head_world[:3, :3].T, RADII)
    skin, skin_label = _skin(point + CENTRE, acting, index)
    colour[hit], label[hit] = skin[hit], skin_label[hit]
    rgb = cv2.resize(np.clip(colour, 0, 255), (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    matte = cv2.resize((label > 0).astype(np.float32), (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return (rgb + 0.5).astype(np.uint8), (matte * 255 + 0.5).astype(np.uint8), np.ascontiguousarray(label[1::3, 1::3])


def _hit(origin: np.ndarray, rays: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First intersection of rays with an ellipsoid at the origin: hit [H,W], point [H,W,3]."""
    o, d = origin / radii, rays / radii
    a, b, c = (d * d).sum(-1), (d * o).sum(-1), (o * o).sum() - 1.0
    discriminant = b * b - a * c
    hit = discriminant > 0
    distance = (-b - np.sqrt(np.maximum(discriminant, 0.0))) / a
    return hit, origin + rays * distance[..., None]


def _skin(p: np.ndarray, acting: dict[str, np.ndarray], index: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour and label of points of the head, head space."""
    x, y, z = p[..., 0], p[..., 1], p[..., 2]
    front = z > CENTRE[2]
    normal = (p - CENTRE) / RADII**2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    light = 0.55 + 0.45 * np.clip(normal @ np.array([0.3, 0.4, 0.87]), 0, 1)
    colour = np.array([225.0, 170.0, 140.0]) * (1 + 0.05 * np.sin(260 * x) * np.sin(230 * y))[..., None]
    label = np.full(x.shape, MaskClass.HEAD, np.uint8)
    hair = (y > 0.06) | ~front
    colour[hair] = np.array([60.0, 40.0, 30.0]) + 20 * (np.sin(300 * x[hair]) > 0)[:, None]
    for sign in (-1, 1):
        dx = x - sign * EYE_X
        brow = front & (np.abs(dx) < 0.016) & (np.abs(y - 0.05 - acting["brows"][index]) < 0.003)
        colour[brow] = (70, 45, 35)
        lid = 0.008 * max(acting["eyes"][index], 0.05)
        eye = front & ((dx / EYE_HALF_WIDTH) ** 2 + ((y - EYE_Y) / lid) ** 2 < 1)
        colour[eye], label[eye] = (240, 240, 240), MaskClass.EYES
        iris = eye & ((dx - 0.02 * acting["gaze"][index]) ** 2 + (y - EYE_Y) ** 2 < 0.006**2)
        colour[iris] = (50, 70, 40)
    width = MOUTH_HALF_WIDTH * (1.0 + 0.2 * acting["wide"][index])
    height = 0.001 + 0.014 * acting["open"][index]
    lips = front & ((x / (1.3 * width)) ** 2 + ((y - MOUTH_Y) / (height + 0.007)) ** 2 < 1)
    colour[lips], label[lips] = (190, 90, 90), MaskClass.LIPS
    gap = front & ((x / width) ** 2 + ((y - MOUTH_Y) / height) ** 2 < 1)
    colour[gap], label[gap] = (60, 15, 20), MaskClass.MOUTH
    teeth = gap & (y > MOUTH_Y + 0.35 * height)
    colour[teeth] = (235, 230, 215)
    return colour * light[..., None], label


def _write_person_and_poses(folder: Path, camera: Camera, motion: Motion, acting: dict[str, np.ndarray]) -> None:
    rows, columns = 21, 22
    v, u = np.meshgrid(np.linspace(-0.98, 0.98, rows), np.linspace(-0.98, 0.98, columns), indexing="ij")
    disc = np.stack([u * np.sqrt(1 - v**2 / 2), v * np.sqrt(1 - u**2 / 2)], -1).reshape(-1, 2) * RADII[:2]
    iris = np.repeat([[-EYE_X, EYE_Y], [EYE_X, EYE_Y]], 8, 0)
    shape = _onto_ellipsoid(np.concatenate([disc, iris]))
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    triangles = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + columns], 1),
            np.stack([corner + 1, corner + columns + 1, corner + columns], 1),
        ]
    )
    near = np.exp(-((shape[:, :2] - [0, MOUTH_Y]) ** 2).sum(1) / 0.03**2)
    expressions = np.zeros((2, 478, 3))
    expressions[0, :, 1] = -0.014 * near * (shape[:, 1] < MOUTH_Y)
    expressions[1, :, 0] = 0.2 * shape[:, 0] * near
    np.savez(folder / "person.npz", shape=shape, expressions=expressions, triangles=triangles)
    code = np.stack([acting["open"], acting["wide"]], 1)
    moved = shape + np.einsum("tk,kpc->tpc", code, expressions)
    world = np.einsum("tij,tpj->tpi", motion.head_pose[:, :3, :3], moved) + motion.head_pose[:, None, :3, 3]
    np.savez(folder / "landmarks.npz", points_px=camera.project(world).astype(np.float32), valid=motion.valid)
    np.savez(
        folder / "poses.npz",
        T_world_head=motion.head_pose,
        torso=motion.channels["torso"],
        torso_bend=motion.channels["torso_bend"],
        framing=motion.channels["framing"],
    )


def _write_audio(path: Path, opening: np.ndarray) -> None:
    """A voice-like buzz whose loudness follows the mouth."""
    samples = round(len(opening) * AUDIO_RATE / FPS)
    t = np.arange(samples) / AUDIO_RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 12))
    loudness = np.interp(t, np.arange(len(opening)) / FPS, opening)
    noise = np.random.default_rng(0).normal(size=samples) * 0.01
    data = (np.clip(0.25 * buzz * loudness + noise, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_RATE)
        file.writeframes(data.tobytes())
