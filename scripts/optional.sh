#!/usr/bin/env bash
# Something that some tests need and that apt may bring: optional.sh PACKAGE WHAT-FOR WITHOUT-IT COMMAND...
# Never fails: without it those tests say why they are skipped.
set -uo pipefail
package=$1 for=$2 without=$3
shift 3
for name in "$@"; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing $package, for $for"
  if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } \
    >/dev/null; then
    exit 0
  fi
fi
echo "no $package: $without. On Debian or Ubuntu: sudo apt-get install $package."
