#!/usr/bin/env bash
# Everything that must be seen on a GPU, in one command and without a network; see --help.
set -euo pipefail

if [[ $# == 0 || ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'HELP'
tools/gpu_check.sh DATASET [OUT.json] [--limit SECONDS]     what has to be seen on a GPU, into one JSON
tools/gpu_check.sh --dry-run [OUT.json]                     the same steps on this processor, with little people

First the extension is built with CUDA (GTALK_CUDA=1; a minute or three, not counted). Then, within 480 s in all:

  step     at most   what is run and what is written
  ops         80 s   tests/ops on the GPU, where a test that does not run is a failure (GTALK_REQUIRE_CUDA=1)
  bench       40 s   tools/bench/ops.py: ms of every operator against its torch reference
  gaussian    90 s   a fit by preset gpu: fit_s, steps a second, PSNR of unseen frames, GPU memory
  radiance    90 s   the same of the field, a thousand steps
  frames      30 s   of both avatars at their size: fps in batches of 32, ms of one frame (p50, p95), waits of the
                     host in them, and parity: the largest and the mean difference from the processor's image, levels
  motion      40 s   a short training of a motion model, for what follows
  live        25 s   a session's ticks of 40 ms: ms p50 and p95, motion and drawing included
  dub         25 s   speech to .mp4: fps, seconds of motion, drawing and encoding; parity with a processor's dub
  batch       30 s   four dubs by `gtalk batch`, several workers on the GPU: speech seconds a second
  eval        30 s   `gtalk eval` with device cuda: its PSNR and its seconds

A step that fails leaves its error and the next one runs; one that would begin after the limit is left out and says so.
`summary` holds fps, frame_ms, fit_s, parity and the waits. The exit status is 1 where a step failed.
Needs the installed package with its extra `prepare`; pytest for `ops`; gsplat (>= 1.5) for the Gaussians.
HELP
  exit 0
fi

dry=0
arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) dry=1 ;;
    --limit) limit=$2; shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$(cd "$(dirname "$0")/.." && pwd)
if [[ $dry == 1 ]]; then
  out=$(realpath -m "${arguments[0]:-gpu_check.json}")
  cd "$root"
  "$python" -m tools.check.gpu_check --dry-run --work "$work" --out "$out" --limit "${limit:-480}"
else
  dataset=$(realpath "${arguments[0]:?usage: tools/gpu_check.sh DATASET [OUT.json]}")
  out=$(realpath -m "${arguments[1]:-gpu_check.json}")
  cd "$root"
  GTALK_CUDA=1 "$python" setup.py build_ext --inplace 2>&1 | tail -3
  "$python" -m tools.check.gpu_check "$dataset" --work "$work" --out "$out" --limit "${limit:-480}"
fi
