"""The avatar folder: save and load, whichever renderer. Nothing in it can run code.

    avatar.json           schema version, kind, config, fps, camera, provenance, consent
    avatar.safetensors    everything learned, and the motion basis
    background.png        the plate
    preview.jpg           what the person looks like

File names are fixed here and never read from the folder, so a downloaded avatar cannot reach outside it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import cv2
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gtalk.avatar.base import Avatar, Consent
from gtalk.avatar.expressing.rig import MeshRig
from gtalk.avatar.parts import AvatarParts
from gtalk.basis import MotionBasis
from gtalk.config import to_mapping
from gtalk.errors import UserError
from gtalk.files import atomic_path, sha256_of_file, write_json
from gtalk.reading.untrusted import check_numbers, member, read_image, read_json
from gtalk.shapes import UInt8
from gtalk.types import Camera, Motion

AVATAR_VERSION = 2  # 2: the torso bends
LARGEST_OPTION = 1e5  # no number in a config is larger
JSON_NAME, TENSORS_NAME = "avatar.json", "avatar.safetensors"
CONSENT_KEY = "consent_sha256"
"""In the metadata of the weights: which consent they were made with."""
PLATE_NAME, PREVIEW_NAME = "background.png", "preview.jpg"
KINDS = {
    "radiance": ("gtalk.avatar.radiance", "RadianceAvatar"),
    "gaussian": ("gtalk.avatar.gaussian", "GaussianAvatar"),
}
REQUIRED = {
    "schema_version": int,
    "kind": str,
    "config": dict,
    "fps": (int, float),
    "camera": dict,
    "provenance": dict,
    "consent": dict,
    "tensors_sha256": str,
}


class StoredAvatar(Avatar, Protocol):
    """What an avatar class offers so that it can be saved and loaded."""

    config: Any
    """A frozen dataclass: how it was built."""
    plate: UInt8[np.ndarray, "H W 3"]
    """The background plate, RGB."""

    @classmethod
    def from_parts(
        cls,
        config: Mapping[str, Any],
        parts: AvatarParts,
        learned: dict[str, torch.Tensor],
    ) -> Avatar:
        """Build from what was saved. Raises KeyError or ValueError when tensors are missing or misshapen."""
        ...


def save_avatar(
    folder: Path,
    avatar: Avatar,
    *,
    provenance: Mapping[str, Any],
    consent: Consent,
    preview_motion: Motion | None = None,
) -> None:
    """Write an avatar folder. Each file is whole or absent; avatar.json is written last.

    Args:
        provenance: where it comes from, as plain JSON values.
        preview_motion: one frame to draw preview.jpg from; no preview without it.
    """
    folder, stored = Path(folder), cast(StoredAvatar, avatar)
    tensors = {name: value.detach().cpu().contiguous() for name, value in avatar.tensors().items()}
    for name, array in avatar.basis.to_arrays().items():
        tensors[f"basis.{name}"] = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
    with atomic_path(folder / TENSORS_NAME) as temporary:
        save_file(tensors, str(temporary), {CONSENT_KEY: consent.sha256})
    _write_image(folder / PLATE_NAME, stored.plate)
    if preview_motion is not None:
        rgb = avatar.render(preview_motion[0]).rgb[0].clamp(0.0, 1.0)
        _write_image(folder / PREVIEW_NAME, (rgb * 255.0 + 0.5).to(torch.uint8).cpu().numpy())
    content = {
        "schema_version": AVATAR_VERSION,
        "kind": avatar.kind,
        "config": to_mapping(stored.config),
        "fps": float(avatar.fps),
        "camera": avatar.camera.to_json(),
        "provenance": dict(provenance),
        "consent": asdict(consent),
        "tensors_sha256": sha256_of_file(folder / TENSORS_NAME),
    }
    write_json(folder / JSON_NAME, content)


def load_avatar(folder: Path) -> Avatar:
    """Open an avatar folder. Raises UserError when it is missing, damaged, or of a newer version."""
    folder = Path(folder)
    content = read_avatar_json(folder)
    try:
        if sha256_of_file(member(folder, TENSORS_NAME)) != content["tensors_sha256"]:
            raise ValueError(f"{TENSORS_NAME} is not the file that avatar.json was written for")
        with safe_open(str(folder / TENSORS_NAME), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        arrays = {n.removeprefix("basis."): tensors.pop(n).numpy() for n in list(tensors) if n.startswith("basis.")}
        plate = read_image(member(folder, PLATE_NAME))
        module, name = KINDS[content["kind"]]
        kind: type[StoredAvatar] = getattr(importlib.import_module(module), name)
        basis = _checked_basis(arrays)
        learned, parts = AvatarParts.split(
            tensors,
            basis,
            Camera.from_json(content["camera"]),
            float(content["fps"]),
            cv2.cvtColor(plate, cv2.COLOR_BGR2RGB),
            partial(MeshRig.of_folder, folder, basis),  # where it was fitted before rigs were stored
        )
        return kind.from_parts(content["config"], parts, learned)
    except Exception as error:  # whatever a stranger's file does to us, it is the file that is at fault
        raise _damaged(folder, f"{type(error).__name__}: {error}") from error


def consent_problem(folder: Path, consent: Consent) -> str:
    """Why a consent may not be this avatar's, in words; nothing where the weights name it."""
    if not consent.statement.strip():
        return "nobody's consent is kept with it. Whose likeness is it?"
    with safe_open(str(member(Path(folder), TENSORS_NAME)), framework="pt") as file:
        named = (file.metadata() or {}).get(CONSENT_KEY)
    if named is None:
        return "its weights do not say with whose consent they were made (an older gtalk made them): fit it again"
    if named != consent.sha256:
        return "the consent in avatar.json is not that of its weights: it was changed, or is another's"
    return ""


def read_avatar_json(folder: Path) -> dict[str, Any]:
    """The checked content of avatar.json. Raises UserError."""
    if Path(folder).is_file():
        raise UserError(f"avatar {folder}", expected="the folder that `gtalk train` made", got="a file",
                        remedy="Name the folder of the avatar here; what it is to say comes after it.")  # fmt: skip
    try:
        content = read_json(member(folder, JSON_NAME))
    except FileNotFoundError:
        raise UserError(
            f"avatar {folder}",
            expected=f"a folder with {JSON_NAME}",
            got="none",
            remedy="Make an avatar with `gtalk train CLIP -o AVATAR`.",
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{JSON_NAME}: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version != AVATAR_VERSION:
        raise UserError(
            f"avatar {folder}",
            expected=f"schema_version {AVATAR_VERSION}",
            got=str(version),
            remedy="Update gtalk: this avatar was made by a newer version."
            if version > AVATAR_VERSION
            else "This avatar was made by an older gtalk: fit it again (`gtalk train` with the same arguments).",
        )
    for name, kind in REQUIRED.items():
        if not isinstance(content, dict) or not isinstance(content.get(name), kind):
            raise _damaged(folder, f"{JSON_NAME} has no valid `{name}`")
    if content["kind"] not in KINDS:
        raise _damaged(folder, f"kind {content['kind']!r}, known: {', '.join(KINDS)}")
    if not 0.5 <= content["fps"] <= 1000.0:
        raise _damaged(folder, f"fps {content['fps']}")
    if not all(isinstance(content["consent"].get(name, ""), str) for name in ("person", "statement")):
        raise _damaged(folder, "a consent that is no text")
    if not re.fullmatch("[0-9a-f]{64}", content["tensors_sha256"]):
        raise _damaged(folder, f"tensors_sha256 {content['tensors_sha256'][:80]!r}")
    try:
        check_numbers(content["config"], LARGEST_OPTION)
    except ValueError as error:
        raise _damaged(folder, str(error)) from error
    return content


def _checked_basis(arrays: dict[str, np.ndarray]) -> MotionBasis:
    basis = MotionBasis.from_arrays(arrays)
    size = len(basis.mouth) + len(basis.upper) + 4
    shapes = {"mean": (68, 3), "mouth": (len(basis.mouth), 37, 3), "upper": (len(basis.upper), 22, 3)}
    shapes |= {"low": (size,), "high": (size,)}
    for name, shape in shapes.items():
        value = getattr(basis, name)
        if value.shape != shape or not np.isfinite(value).all():
            raise ValueError(f"basis.{name} has shape {value.shape}, expected {shape} of finite numbers")
    return basis


def _write_image(path: Path, rgb: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise OSError(f"cannot write {path}")


def _damaged(folder: Path, got: str) -> UserError:
    return UserError(
        f"avatar {folder}",
        expected="a whole avatar folder",
        got=got,
        remedy="Fit the avatar again, or get a whole copy of it.",
    )
