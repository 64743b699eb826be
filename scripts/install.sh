#!/usr/bin/env bash
# Make a virtual environment with the pinned versions: install.sh VENV STAMP EXTRAS. The stamp keeps the seconds it took.
set -euo pipefail
venv=$1 stamp=$2 extras=$3
cd "$(dirname "$0")/.."

recent='import sys; sys.exit(sys.version_info < (3, 11))'
python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3.12 python3.13 python3 python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c "$recent" 2>/dev/null; then
      python=$candidate
      break
    fi
  done
fi
if [ -z "$python" ] || ! "$python" -c "$recent" 2>/dev/null; then
  echo "maieutic needs Python 3.11 or newer (found: ${python:-none}). On Debian or Ubuntu:" \
    "sudo apt-get install python3 python3-venv; elsewhere: https://www.python.org/downloads; then run make again" \
    "(a Python in another place: make PYTHON=/path/to/python3 setup)." >&2
  exit 1
fi
if [ ! -x "$venv/bin/python" ]; then
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "$python cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv;" \
      "then run make again." >&2
    exit 1
  fi
  "$python" -m venv "$venv"
fi

echo "installing maieutic[$extras] and its pinned dependencies into $venv (about a minute)"
SECONDS=0
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable ".[$extras]"
took=$SECONDS
echo "$took" >"$stamp"
echo "installed in $took s"
