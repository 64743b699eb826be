#!/bin/sh
# A folder with timm and torchvision for the tests of timm's families: the registry's torchvision is built for CUDA and does
# not load beside a CPU build of torch, so neither may stand in the environment. The tests declare what is missing.
set -eu
folder="${1:-.venv/timm}"
python="${PYTHON:-.venv/bin/python}"
if [ -f "$folder/.complete" ]; then exit 0; fi
rm -rf "$folder"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" timm==1.0.31 torchvision==0.28.0
touch "$folder/.complete"
