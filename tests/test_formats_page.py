"""docs/formats.md names every array that is written, with its shape where it is plain."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from gtalk.avatar.bundle import AVATAR_VERSION
from gtalk.avatar.expressing.rig import MeshRig
from gtalk.dataset.format import DATASET_VERSION
from gtalk.motion.model.model import MOTION_MODEL_VERSION
from gtalk.types import _CHANNELS, MOTION_VERSION
from tests.avatar.small_radiance import small_avatar
from tests.support.synthetic_dataset import make_synthetic_dataset

TEXT = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", TEXT))


def is_named(name: str) -> bool:
    """Whether a name stands on the page, by itself or under a starred prefix."""
    prefixes = [name[: i + 1] + "*" for i, letter in enumerate(name) if letter == "."]
    return name in NAMED or any(prefix in NAMED for prefix in prefixes)


def test_every_tensor_of_an_avatar_and_of_a_motion_model_is_named(small_person: Path):
    for file in ("avatar.safetensors", "motion.safetensors"):
        with safe_open(str(small_person / file), "np") as stored:
            missing = [name for name in stored.keys() if not is_named(name)]  # noqa: SIM118
        assert not missing, file
    assert not [name for name in small_avatar()[0].tensors() if not is_named(name)]
    assert not [name for name in MeshRig.__dataclass_fields__ if not is_named(f"rig.{name}")]
    for file in ("avatar.json", "motion.json"):
        assert not [key for key in json.loads((small_person / file).read_text()) if not is_named(key)], file


@pytest.mark.parametrize("file", ["landmarks.npz", "poses.npz", "person.npz", "track.npz"])
def test_every_array_of_a_dataset_is_named(tmp_path: Path, file: str):
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=4, size=32)
    assert file in NAMED
    if (dataset.root / file).is_file():
        assert not [name for name in np.load(dataset.root / file).files if name not in NAMED]
    assert not [p.name for p in dataset.root.iterdir() if p.is_file() and p.name not in NAMED]


def test_every_array_and_channel_of_a_motion_is_named_and_versions_are_today_s(small_person: Path, tmp_path: Path):
    small_avatar()[1].save(tmp_path / "a.motion.npz")
    assert not [name for name in np.load(tmp_path / "a.motion.npz").files if not is_named(name)]
    for name, shape in _CHANNELS.items():
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `channel.{name}` |")]
        assert f"[T,{','.join(map(str, shape))}]" in row
    assert f"Version {MOTION_VERSION}. Written by `Motion.save`" in TEXT
    assert f"`manifest.json` has `schema_version` {DATASET_VERSION}" in TEXT
    assert f"| `avatar.json` | `schema_version` {AVATAR_VERSION}," in TEXT
    assert f"| `motion.json` | `schema_version` {MOTION_MODEL_VERSION}," in TEXT
