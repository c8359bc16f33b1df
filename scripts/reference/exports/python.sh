#!/usr/bin/env bash
# Python with the networks that are exported, in an environment of its own (EXPORTS_VENV, else in the user's cache).
set -euo pipefail
here=$(dirname "$0")
venv=${EXPORTS_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/referee/exports-venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import torchvision, timm, transformers, onnxscript, safetensors' 2>/dev/null ||
  "$venv/bin/pip" install -q -r "$here/requirements.txt"
exec "$venv/bin/python" "$@"
