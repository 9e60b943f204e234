"""Landmarks and tracks as files of the dataset folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gtalk.dataset.format import Person
from gtalk.files import atomic_path, write_json
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.prepare.tracking.track import Track
from gtalk.types import Camera


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an npz file, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def save_landmarks(path: Path, landmarks: Landmarks) -> None:
    """Write landmarks.npz."""
    arrays = {name: getattr(landmarks, name) for name in ("points_px", "depth", "valid", "face_count")}
    if landmarks.arkit52 is not None:
        arrays["arkit52"] = landmarks.arkit52
    save_arrays(path, source=np.array(landmarks.source), **arrays)


def load_landmarks(path: Path) -> Landmarks:
    """Inverse of `save_landmarks`."""
    with np.load(path, allow_pickle=False) as file:
        stored = dict(file)
    return Landmarks(**{**stored, "source": str(stored["source"])})


def save_track(root: Path, track: Track) -> None:
    """Write track.npz, then person.npz and camera.json."""
    save_arrays(
        root / "track.npz",
        T_world_head=track.T_world_head,
        coefficients=track.coefficients,
        valid=track.valid,
        residual_px=track.residual_px,
        notes=np.array(track.notes, dtype=np.str_),
    )
    person = track.person
    save_arrays(root / "person.npz", shape=person.shape, expressions=person.expressions, triangles=person.triangles)
    write_json(root / "camera.json", track.camera.to_json())


def load_track(root: Path) -> Track:
    """Inverse of `save_track`."""
    camera = Camera.from_json(json.loads((root / "camera.json").read_text(encoding="utf-8")))
    with np.load(root / "person.npz", allow_pickle=False) as file:
        person = Person(file["shape"], file["expressions"], file["triangles"])
    with np.load(root / "track.npz", allow_pickle=False) as file:
        stored = dict(file)
    notes = [str(note) for note in stored.pop("notes")]
    return Track(camera=camera, person=person, notes=notes, **stored)
