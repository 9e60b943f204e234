"""Builds gtalk._C, the compiled operators. Everything else is in pyproject.toml.

GTALK_CUDA=auto|0|1: whether the CUDA backend is built too. auto (the default) builds it where a CUDA toolkit
and a torch with CUDA are installed, whether or not a GPU is present.
"""

import os
from pathlib import Path

import torch
from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

ROOT = Path(__file__).parent
CXX_FLAGS = ["-O3", "-fopenmp", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
             "-Wall", "-Wno-unknown-pragmas", "-Wno-psabi"]  # fmt: skip
NVCC_FLAGS = ["-O3", "--expt-relaxed-constexpr"]
ARCHITECTURES = "8.0;9.0+PTX"


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


def extension() -> CppExtension:
    """The extension with the backends that are wanted."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.cpp"))
    headers = sorted(str(p.relative_to(ROOT)) for e in ("*.h", "*.inl") for p in (ROOT / "csrc").rglob(e))
    if not with_cuda():
        return CppExtension("gtalk._C", sources, depends=headers, extra_compile_args={"cxx": CXX_FLAGS})
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", ARCHITECTURES)
    sources += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "csrc").rglob("*.cu"))
    flags = {"cxx": CXX_FLAGS, "nvcc": NVCC_FLAGS}
    return CUDAExtension("gtalk._C", sources, depends=headers, extra_compile_args=flags)


setup(ext_modules=[extension()], cmdclass={"build_ext": BuildExtension})
