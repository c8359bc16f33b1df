#!/usr/bin/env bash
# Makes the operator cases of make-operators.py, in a Python environment of its own (REFERENCE_VENV, else in the user's cache).
set -euo pipefail
venv=${REFERENCE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/referee/reference-venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import torch, safetensors, numpy' 2>/dev/null ||
  "$venv/bin/pip" install -q torch==2.15.0 safetensors==0.8.0 numpy==2.4.6
exec "$venv/bin/python" "$(dirname "$0")/make-operators.py"
