#!/usr/bin/env bash
# The environment of the extra `control` (control-arena, Inspect Sentinel), apart from the main one, and its tests:
# control_env.sh [VENV]. Made once (about 170 packages, 2.4 GB with torch; five minutes); VENV is .venv-control when not given.
# Arguments after VENV go to pytest. Nothing of it touches .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv-control}
stamp="$venv/.installed"
if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
  bash scripts/install.sh "$venv" "$stamp" control
  # what tests/conftest.py needs besides
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint constraints.txt \
    pytest beartype jaxtyping
fi
tests=(tests/control/test_control_arena.py tests/control/test_labelling_arena.py tests/control/test_live_sentinel.py)
# a skipped test here would mean that a package is missing after all
found=$("$venv/bin/python" -m pytest -q -rs "${tests[@]}" "${@:2}" | tee /dev/stderr) || exit 1
if grep -q " skipped" <<<"$found"; then
  echo "tests of the extra were skipped in $venv: remove that folder and run this again" >&2
  exit 1
fi
