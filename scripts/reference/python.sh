#!/usr/bin/env bash
# Python with what the references need, in an environment of its own (REFERENCE_VENV, else in the user's cache).
set -euo pipefail
venv=${REFERENCE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/referee/reference-venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import torch, safetensors, numpy, onnx' 2>/dev/null ||
  "$venv/bin/pip" install -q torch==2.15.0 safetensors==0.8.0 numpy==2.4.6 onnx==1.23.2
exec "$venv/bin/python" "$@"
