#!/bin/sh
# Takes from an environment what only builds and only tests, and compiles the rest to bytecode: slim.sh VENV
set -eu
venv=$1
packages=$(echo "$venv"/lib/python3.*/site-packages)
rm -rf "$packages"/torch/include "$packages"/gsplat/cuda/csrc
rm -rf "$packages"/pip "$packages"/pip-* "$venv"/bin/pip*
for package in numpy scipy sklearn matplotlib numba llvmlite networkx sympy; do
    if [ -d "$packages/$package" ]; then
        find "$packages/$package" -type d -name tests -prune -exec rm -rf {} +
    fi
done
python3 -m compileall -q "$packages" >/dev/null || true  # some packages carry templates that are no Python
