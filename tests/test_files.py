import json

import pytest

from gtalk.errors import UserError
from gtalk.files import atomic_path, exclusive, require_writable_folder, sha256_of_json, write_json


def test_atomic_path_appears_whole(tmp_path) -> None:
    with atomic_path(tmp_path / "a" / "clip.mp4") as temporary:
        assert temporary.suffix == ".mp4"
        temporary.write_text("done")
        assert not (tmp_path / "a" / "clip.mp4").exists()
    assert (tmp_path / "a" / "clip.mp4").read_text() == "done"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_json_refuses_nan_and_leaves_nothing(tmp_path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"psnr": float("nan")})
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_folder_must_be_is_the_users_fault(tmp_path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(UserError, match="can be written"):
        require_writable_folder(tmp_path / "f" / "out")


def test_hash_ignores_key_order() -> None:
    assert sha256_of_json({"a": 1, "b": [2]}) == sha256_of_json({"b": [2], "a": 1})


def test_files_are_readable_as_the_user_wants_them(tmp_path) -> None:
    with atomic_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"x")
        temporary.chmod(0o600)
    plain = tmp_path / "plain"
    plain.write_bytes(b"x")
    assert (tmp_path / "a.bin").stat().st_mode == plain.stat().st_mode


def test_a_run_that_comes_to_nothing_leaves_no_folder(tmp_path) -> None:
    with exclusive(tmp_path / "new" / "dataset"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    with exclusive(tmp_path / "kept" / "dataset"):
        (tmp_path / "kept" / "dataset").mkdir()
    assert (tmp_path / "kept" / "dataset").is_dir()
    (tmp_path / "old").mkdir()
    with exclusive(tmp_path / "old" / "dataset"):
        pass
    assert (tmp_path / "old").is_dir()
