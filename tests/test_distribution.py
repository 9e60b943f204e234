"""What is shipped: the source distribution is whole, and the wheel made from it works far from the checkout.

The wheel is installed into an environment of its own that borrows the other packages that are installed here; the
checkout is not on its path.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[1]
SHIPPED = ["gtalk", "csrc", "requirements", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE",
           "THIRD_PARTY.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"]  # fmt: skip
CLIP_S = 7.0
FIT = "avatar: {count: 1500}\ntrainer: {size: 96, steps: 50, report_every: 25, preview_every: 0, checkpoint_every: 0}\n"
MOTION = """
from pathlib import Path
from gtalk.motion.training.fit_net import FitConfig
from gtalk.motion.training.train import MotionConfig, train_motion
train_motion(Path("dataset"), Path("avatar"), MotionConfig(fit=FitConfig(steps=30), validation_share=0.0))
"""


def run(command: list[str | Path], folder: Path, **variables: str) -> str:
    """Run a command where no checkout is in reach; returns what it said. Fails with that, where it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}} | variables
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def hook(name: str, folder: Path, output: Path) -> Path:
    """Have setuptools build what a front end asks for, without isolation: torch is the one installed here."""
    code = f"from setuptools import build_meta; print('made:' + build_meta.{name}({str(output)!r}))"
    said = run([sys.executable, "-c", code], folder, GTALK_CUDA="0", GTALK_CXX_FLAGS="-O1")
    return output / said.rpartition("made:")[2].split()[0]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("checkout")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    return hook("build_sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from nothing but the source distribution."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return hook("build_wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commands of an environment with gtalk from the wheel."""
    place = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", place], place)
    python = place / "bin" / "python"
    packages = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], place).strip())
    run([sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel], place)
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def tracked(*patterns: str) -> set[str]:
    """Files of the checkout, relative to it."""
    found = {p for pattern in patterns for p in ROOT.glob(pattern)}
    return {str(p.relative_to(ROOT)) for p in found if p.is_file() and "__pycache__" not in p.parts}


def test_the_source_distribution_has_all_that_a_build_and_a_check_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = tracked(
        "csrc/**/*", "requirements/*", "gtalk/**/*.py", "gtalk/configs/*", "gtalk/**/page/*", "gtalk/**/*.md"
    )
    assert wanted | {"pyproject.toml", "setup.py", "README.md", "LICENSE", "CHANGELOG.md", "gtalk/py.typed"} <= names
    assert not [name for name in names if name.endswith((".so", ".o", ".pyc"))]


def test_the_wheel_has_the_package_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
    assert (
        tracked("gtalk/**/*.py", "gtalk/configs/*", "gtalk/**/page/*", "gtalk/**/*.safetensors", "gtalk/py.typed")
        <= names
    )
    assert any(name.startswith("gtalk/_C.") for name in names) and all(name.startswith("gtalk/") for name in names)
    assert "Requires-Dist: torch" in metadata and "Requires-Python: >=3.11" in metadata


def test_from_a_clip_to_a_dub_far_from_the_checkout(bin_folder: Path, tmp_path: Path) -> None:
    python, gtalk = bin_folder / "python", bin_folder / "gtalk"
    where = run([python, "-c", "import torch, gtalk, gtalk._C; print(gtalk.__file__, gtalk.__version__)"], tmp_path)
    assert where.startswith(str(bin_folder.parent)) and run([gtalk, "--version"], tmp_path).split()[1] in where
    _cut(ROOT / "data" / "demo" / "clip.mp4", tmp_path / "clip.mp4", CLIP_S)
    _cut(ROOT / "data" / "demo" / "speech.wav", tmp_path / "speech.wav", 1.0)
    (tmp_path / "fit.yaml").write_text(FIT)
    run([gtalk, "prepare", "clip.mp4", "-o", "dataset"], tmp_path)
    who = ["--person", "gtalk demo person", "--consent", "Synthetic: nobody's likeness is used."]
    run([gtalk, "fit", "dataset", "-o", "avatar", "--renderer", "gaussian", "--config", "fit.yaml", *who], tmp_path)
    run([python, "-c", MOTION], tmp_path)
    run([gtalk, "dub", "avatar", "speech.wav", "-o", "dub.mp4"], tmp_path)
    with av.open(str(tmp_path / "dub.mp4")) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert abs(len(images) - 25) <= 1
    assert all(image.std() > 20 for image in images), "a picture of somebody, not a plain plate"
    assert np.abs(images[-1].astype(float) - images[0]).max() > 20, "and it moves"


def _cut(source: Path, target: Path, seconds: float) -> None:
    """The first seconds of a file, as they are coded."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
