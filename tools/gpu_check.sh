#!/usr/bin/env bash
# Everything that must be seen on a GPU, in one command and without a network:
#   tools/gpu_check.sh DATASET [OUT.json]
# Builds the extension with CUDA, runs every op test with CUDA skips as failures, times the ops against
# their torch reference, fits both renderers briefly to a prepared dataset, and times single frames.
# Needs torch, numpy, OpenCV, safetensors and pytest; uses gsplat where it is installed.
set -euo pipefail

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
tools/gpu_check.sh DATASET [OUT.json]     what has to be seen on a GPU, into one JSON; in this order:

  1. the extension with CUDA is built (GTALK_CUDA=1)
  2. tests/ops, where a test that a GPU would have to run and does not is a failure (GTALK_REQUIRE_CUDA=1)
  3. tools/bench/ops.py: milliseconds of every operator against its torch reference
  4. tools/check/gpu_check.py: a short fit of both renderers to DATASET, with PSNR, and times of single frames

Not covered yet: live, dub, batch and eval on a GPU.
HELP
  exit 0
fi
dataset=${1:?usage: tools/gpu_check.sh DATASET [OUT.json]}
out=${2:-gpu_check.json}
dataset=$(realpath "$dataset")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}

GTALK_CUDA=1 "$python" setup.py build_ext --inplace 2>&1 | tail -3
GTALK_REQUIRE_CUDA=1 "$python" -m pytest -o addopts="" -q tests/ops --junitxml="$work/ops.xml" || echo "op tests failed; going on"
"$python" tools/bench/ops.py --json "$work/bench_ops.json" || echo "bench_ops failed; going on"
"$python" tools/check/gpu_check.py "$dataset" "$work" --out "$out"
cat "$out"
