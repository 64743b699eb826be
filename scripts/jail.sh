#!/usr/bin/env bash
# bubblewrap, for the jail that programs of agents run in. Optional: without it the tests of that jail are skipped.
set -uo pipefail
if command -v bwrap >/dev/null; then exit 0; fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing bubblewrap, for the jail that programs of agents run in"
  if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap; } \
    >/dev/null; then
    exit 0
  fi
fi
echo "no bubblewrap: tests of that jail are skipped, and agents need  --jail landlock." \
  "On Debian or Ubuntu: sudo apt-get install bubblewrap."
