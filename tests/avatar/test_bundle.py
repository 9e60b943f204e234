"""The avatar folder: a round trip to the bit, and every way a folder can be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gtalk.avatar.base import Avatar, Consent
from gtalk.avatar.bundle import AVATAR_VERSION, load_avatar, read_avatar_json, save_avatar
from gtalk.avatar.radiance import RadianceAvatar
from gtalk.errors import UserError
from gtalk.files import sha256_of_file
from tests.avatar.small_radiance import small_avatar

CONSENT = Consent("A. Person", "I agree that this avatar is made.")


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, RadianceAvatar]:
    folder = tmp_path_factory.mktemp("avatar") / "me"
    avatar, motion = small_avatar()
    save_avatar(folder, avatar, provenance={"dataset": "x"}, consent=CONSENT, preview_motion=motion[0])
    return folder, avatar


@pytest.fixture
def copy(saved: tuple[Path, RadianceAvatar], tmp_path: Path) -> Path:
    shutil.copytree(saved[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_what_is_loaded_renders_the_same_bits(saved: tuple[Path, RadianceAvatar]) -> None:
    folder, avatar = saved
    _, motion = small_avatar()
    loaded = load_avatar(folder)
    assert isinstance(loaded, Avatar) and loaded.kind == "radiance" and loaded.fps == avatar.fps
    expected, got = avatar.render(motion[:2]), loaded.render(motion[:2])
    for name in ("rgb", "alpha", "depth"):
        assert torch.equal(getattr(expected, name), getattr(got, name)), name
    for name, tensor in avatar.tensors().items():
        assert torch.equal(tensor, loaded.tensors()[name]), name
    assert np.array_equal(loaded.basis.encode(motion), avatar.basis.encode(motion))


def test_the_folder_says_what_it_is(saved: tuple[Path, RadianceAvatar]) -> None:
    folder, _ = saved
    content = read_avatar_json(folder)
    assert content["kind"] == "radiance" and content["schema_version"] == AVATAR_VERSION
    statement = "I agree that this avatar is made."
    assert content["consent"] == {"person": "A. Person", "statement": statement, "watermark": True}
    assert content["provenance"] == {"dataset": "x"}
    assert sorted(p.name for p in folder.iterdir()) == [
        "avatar.json",
        "avatar.safetensors",
        "background.png",
        "preview.jpg",
    ]


def test_no_folder() -> None:
    with pytest.raises(UserError, match="gtalk train"):
        load_avatar(Path("/nowhere/at/all"))


def change(folder: Path, **values: object) -> None:
    content = json.loads((folder / "avatar.json").read_text())
    content.update(values)
    (folder / "avatar.json").write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schema_version": 99}, "Update gtalk"),
        ({"schema_version": 1}, "fit it again"),
        ({"schema_version": "1"}, "no valid `schema_version`"),
        ({"kind": "../../evil"}, "known: "),
        ({"kind": ...}, "no valid `kind`"),
        ({"consent": ...}, "no valid `consent`"),
        ({"fps": 0}, "fps 0"),
        ({"fps": "25"}, "no valid `fps`"),
        ({"camera": {"focal_px": 1.0}}, "KeyError: 'cx_px'"),
        ({"config": {"heads": {}}}, "Did you mean `head`"),
        ({"config": {"head": {"hidden": 7}}}, "expected"),
        ({"tensors_sha256": "0" * 64}, "not the file"),
    ],
)
def test_a_wrong_json_is_refused(copy: Path, values: dict, message: str) -> None:
    change(copy, **values)
    with pytest.raises(UserError, match=message):
        load_avatar(copy)


@pytest.mark.parametrize("name", ["avatar.safetensors", "background.png"])
@pytest.mark.parametrize("how", ["missing", "cut", "garbage"])
def test_damaged_files_are_refused(copy: Path, name: str, how: str) -> None:
    path = copy / name
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.write_bytes(b"\x80\x04\x95 this could be a pickle, and is not opened as one")
    with pytest.raises(UserError, match="whole avatar folder"):
        load_avatar(copy)


def test_json_that_is_no_json(copy: Path) -> None:
    (copy / "avatar.json").write_text("{")
    with pytest.raises(UserError, match="whole avatar folder"):
        load_avatar(copy)


@pytest.mark.parametrize("name", ["head.basis", "pose.regression", "basis.mean"])
@pytest.mark.parametrize("how", ["missing", "misshapen"])
def test_tensors_that_do_not_fit_are_refused(copy: Path, name: str, how: str) -> None:
    path = copy / "avatar.safetensors"
    tensors = load_file(path)
    if how == "missing":
        del tensors[name]
    else:
        tensors[name] = tensors[name][..., :-1].contiguous()
    save_file(tensors, path)
    change(copy, tensors_sha256=sha256_of_file(path))
    with pytest.raises(UserError, match=name.rsplit(".", maxsplit=1)[-1]):
        load_avatar(copy)


def test_an_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    avatar, _ = small_avatar()
    with pytest.raises(UserError, match="folder that can be written"):
        save_avatar(tmp_path / "file" / "me", avatar, provenance={}, consent=CONSENT)
