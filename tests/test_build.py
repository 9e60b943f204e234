"""What setup.py builds, and with what, before a compiler is asked for anything."""

import runpy
import sys
import tomllib
from pathlib import Path

import pytest
import setuptools
import torch
from torch.utils import cpp_extension

SETUP = Path(__file__).parents[1] / "setup.py"


def asked(monkeypatch: pytest.MonkeyPatch, wanted: str, toolkit: str | None, torch_cuda: str | None) -> str:
    """The class of the extension that setup.py asks for."""
    found = []
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: found.extend(arguments["ext_modules"]))
    monkeypatch.setattr(sys, "argv", ["setup.py", "build_ext"])
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", toolkit)
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    monkeypatch.setattr(cpp_extension, "CUDAExtension", lambda *given, **more: "both")
    monkeypatch.setattr(cpp_extension, "CppExtension", lambda *given, **more: "processor")
    monkeypatch.setenv("GTALK_CUDA", wanted)
    runpy.run_path(str(SETUP))
    return found[0]


@pytest.mark.parametrize(
    ("wanted", "toolkit", "torch_cuda", "built"),
    [
        ("auto", "/usr/local/cuda", None, "processor"),  # a compiler for GPUs beside a torch that has none
        ("auto", None, "13.0", "processor"),
        ("auto", "/usr/local/cuda", "13.0", "both"),
        ("0", "/usr/local/cuda", "13.0", "processor"),
        ("1", "/usr/local/cuda", "13.0", "both"),
    ],
)
def test_cuda_is_built_where_both_compiler_and_torch_have_it(monkeypatch, wanted, toolkit, torch_cuda, built) -> None:
    assert asked(monkeypatch, wanted, toolkit, torch_cuda) == built


@pytest.mark.parametrize(("wanted", "toolkit"), [("1", None), ("yes", "/usr/local/cuda")])
def test_what_cannot_be_built_is_told(monkeypatch, wanted, toolkit) -> None:
    with pytest.raises(SystemExit, match="GTALK_CUDA"):
        asked(monkeypatch, wanted, toolkit, None)


def test_without_torch_the_build_says_what_to_do_and_fetches_none(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.cpp_extension", None)  # an import of it fails
    monkeypatch.setattr(sys, "argv", ["setup.py", "build_ext"])
    with pytest.raises(SystemExit, match="Install torch first"):
        runpy.run_path(str(SETUP))
    asked_for = tomllib.loads(SETUP.with_name("pyproject.toml").read_text())["build-system"]["requires"]
    assert not [name for name in asked_for if "torch" in name]
