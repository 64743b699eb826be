#!/usr/bin/env bash
# Print constraints.txt for what is installed: pin.sh BIN.
set -euo pipefail
echo "# Exact versions of everything that \`make setup\` installs; regenerate with  make constraints"
echo "# torch has no build suffix: a machine with a CPU wheel at hand takes that one, any other takes the registry's."
"$1/python" -m pip freeze --exclude-editable | grep -v -i '^maieutic' | sed -E 's/^(torch==[0-9.]+)\+.*/\1/'
