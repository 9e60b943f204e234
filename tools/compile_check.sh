#!/usr/bin/env bash
# Compiles the CUDA side for sm_80 and sm_90 on a machine without a GPU: torch's CPU wheel has the headers, all but
# one that its CUDA build generates. PYTHON is the interpreter with torch; ARCHS overrides the architectures.
set -euo pipefail
cd "$(dirname "$0")/.."

nvcc=${NVCC:-$(command -v nvcc || true)}
if [[ -z $nvcc && -n ${CUDA_HOME:-} && -x $CUDA_HOME/bin/nvcc ]]; then nvcc=$CUDA_HOME/bin/nvcc; fi
if [[ -z $nvcc ]]; then
  echo "compile_check: no nvcc here, the CUDA side was not compiled"
  exit 0
fi
python=${PYTHON:-.venv/bin/python}
read -r -a archs <<<"${ARCHS:-80 90}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/c10/cuda/impl"
echo "#define C10_CUDA_BUILD_SHARED_LIBS" >"$scratch/c10/cuda/impl/cuda_cmake_macros.h"

mapfile -t includes < <("$python" -c "
import sysconfig
from torch.utils.cpp_extension import include_paths
print('\n'.join([*include_paths(), sysconfig.get_path('include')]))")
flags=(-std=c++20 -O3 --expt-relaxed-constexpr -Xcompiler -fPIC -D__CUDA_NO_HALF_OPERATORS__
  -D__CUDA_NO_HALF_CONVERSIONS__ -D__CUDA_NO_BFLOAT16_CONVERSIONS__ -D__CUDA_NO_HALF2_OPERATORS__
  --threads 0 -diag-suppress 20012)
for path in "${includes[@]}"; do flags+=(-isystem "$path"); done
for arch in "${archs[@]}"; do flags+=(-gencode "arch=compute_$arch,code=sm_$arch"); done

started=$SECONDS
while IFS= read -r -d '' source; do
  "$nvcc" "${flags[@]}" -I "$scratch" -c "$source" -o "$scratch/$(basename "$source").o"
  echo "compile_check: $source for sm_${archs[*]} ($((SECONDS - started)) s)"
done < <(find csrc -name '*.cu' -print0)
