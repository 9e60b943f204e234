import json
import subprocess
import sys

import pytest

from gtalk.errors import UserError
from gtalk.files import atomic_path, exclusive, require_writable_folder, sha256_of_json, try_lock, write_json


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


def test_one_at_a_time_has_a_lock_and_the_file_goes_with_it(tmp_path) -> None:
    path = tmp_path / "x.lock"
    release = try_lock(path)
    assert release is not None and try_lock(path) is None
    with (
        pytest.raises(UserError, match="one that is running"),
        exclusive(tmp_path / "out"),
        exclusive(tmp_path / "out"),
    ):
        raise AssertionError
    release()
    assert list(tmp_path.iterdir()) == []
    again = try_lock(path)
    assert again is not None
    again()


def test_another_process_is_kept_out_until_it_is_killed(tmp_path) -> None:
    path = tmp_path / "x.lock"
    code = f"from gtalk.files import try_lock; from pathlib import Path; import time; r = try_lock(Path({str(path)!r}))"
    owner = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(r is not None, flush=True); time.sleep(60)"], stdout=subprocess.PIPE
    )
    assert owner.stdout is not None and owner.stdout.readline() == b"True\n"
    assert try_lock(path) is None
    owner.kill()
    owner.wait()
    release = try_lock(path)
    assert release is not None
    release()


def test_a_lock_whose_file_was_removed_meanwhile_is_not_one(tmp_path, monkeypatch) -> None:
    """Between opening and locking it, its owner let go and removed it: who came after must not share it."""
    import filelock

    path, acquire, calls = tmp_path / "x.lock", filelock.FileLock.acquire, []

    def slow(self, *arguments, **options):
        proxy = acquire(self, *arguments, **options)
        calls.append(path.stat().st_ino)
        if len(calls) == 1:
            path.unlink()  # as the last owner does
        return proxy

    monkeypatch.setattr(filelock.FileLock, "acquire", slow)
    release = try_lock(path)
    assert release is not None and len(calls) == 2 and path.exists()
    release()
