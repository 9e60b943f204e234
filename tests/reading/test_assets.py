import hashlib

import pytest

from gtalk.errors import UserError
from gtalk.reading import assets


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    content = b"weights"
    source = tmp_path / "tiny.bin"
    source.write_bytes(content)
    asset = assets.Asset("tiny.bin", source.as_uri(), len(content), hashlib.sha256(content).hexdigest(), "CC0", "test")
    monkeypatch.setattr(assets, "ASSETS", {"tiny.bin": asset})
    monkeypatch.setenv("GTALK_ASSETS", str(tmp_path / "kept"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return source


def test_an_asset_is_found_after_it_was_added(tiny, tmp_path) -> None:
    assert assets.find_asset("tiny.bin") is None
    assert assets.add_asset(tiny) == tmp_path / "kept" / "tiny.bin"
    assert assets.find_asset("tiny.bin") == tmp_path / "kept" / "tiny.bin"


def test_a_damaged_asset_is_not_used_and_not_kept(tiny, tmp_path) -> None:
    assets.add_asset(tiny).write_bytes(b"weighty")
    assert assets.find_asset("tiny.bin") is None
    tiny.write_bytes(b"changed")
    with pytest.raises(UserError, match="SHA-256"):
        assets.get_asset("tiny.bin")
    with pytest.raises(UserError, match="SHA-256"):
        assets.add_asset(tiny)
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["tiny.bin"]


def test_get_fetches_once_and_reports(tiny) -> None:
    seen = []
    path = assets.get_asset("tiny.bin", seen.append)
    assert path.read_bytes() == b"weights"
    assert seen[-1].done == seen[-1].total == 7
    tiny.unlink()
    assert assets.get_asset("tiny.bin") == path


def test_unknown_names_list_the_known(tiny) -> None:
    with pytest.raises(UserError, match=r"one of tiny\.bin"):
        assets.find_asset("tinny.bin")
