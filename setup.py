"""Builds gtalk._C, the compiled operators. Everything else is in pyproject.toml.

GTALK_CUDA=auto|0|1: whether the CUDA backend is built too. auto (the default) builds it where a CUDA toolkit
and a torch with CUDA are installed, whether or not a GPU is present.
GTALK_CXX_FLAGS: more flags for the C++ compiler, after gtalk's own.

The operators are linked to one version of torch, so they are built against the torch that gtalk will run with: the one
installed in the environment that gtalk is installed into. pip's isolated build sees no installed package, and would
fetch another torch if pyproject.toml asked for one; so it does not ask, and this file looks where the environment
keeps its packages. Other front ends build in an environment of their own: tell them `--no-build-isolation`.
"""

import os
import shlex
import sys
import sysconfig
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
CXX_FLAGS = ["-O3", "-fopenmp", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
             "-Wall", "-Wno-unknown-pragmas", "-Wno-psabi"]  # fmt: skip
NVCC_FLAGS = ["-O3", "--expt-relaxed-constexpr"]
ARCHITECTURES = "8.0;9.0+PTX"
BUILDING = {"build", "build_ext", "bdist_wheel", "editable_wheel", "develop", "install"}
"""Commands that compile; the others (sdist, metadata) need no torch."""

if BUILDING & set(sys.argv):
    sys.path += [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]  # last: the build's own come first
    try:
        import torch
        from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension
    except ImportError as error:
        raise SystemExit(
            f"gtalk's operators are built against the torch that they will run with; there is none here ({error}).\n"
            "Install torch first (for the CPU or for your CUDA), then gtalk; with --no-build-isolation where the "
            "installer builds in an environment of its own."
        ) from None


def with_cuda() -> bool:
    """Whether to build the CUDA backend."""
    wanted = os.environ.get("GTALK_CUDA", "auto")
    if wanted not in {"auto", "0", "1"}:
        raise SystemExit(f"GTALK_CUDA: expected auto, 0 or 1; got {wanted}.")
    possible = CUDA_HOME is not None and torch.version.cuda is not None
    if wanted == "1" and not possible:
        raise SystemExit(
            f"GTALK_CUDA=1: expected a CUDA toolkit and a torch with CUDA; got CUDA_HOME={CUDA_HOME}, "
            f"torch.version.cuda={torch.version.cuda}."
        )
    return possible and wanted != "0"


def extension() -> "CppExtension":
    """The extension with the backends that are wanted."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.cpp"))
    headers = sorted(str(p.relative_to(ROOT)) for e in ("*.h", "*.inl") for p in (ROOT / "csrc").rglob(e))
    cxx = CXX_FLAGS + shlex.split(os.environ.get("GTALK_CXX_FLAGS", ""))
    if not with_cuda():
        return CppExtension("gtalk._C", sources, depends=headers, extra_compile_args={"cxx": cxx})
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", ARCHITECTURES)
    sources += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.cu"))
    flags = {"cxx": cxx, "nvcc": NVCC_FLAGS}
    return CUDAExtension("gtalk._C", sources, depends=headers, extra_compile_args=flags)


if BUILDING & set(sys.argv):
    setup(ext_modules=[extension()], cmdclass={"build_ext": BuildExtension})
else:
    setup()
