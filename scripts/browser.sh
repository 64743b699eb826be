#!/usr/bin/env bash
# Chromium, for the tests that open the report's pages. Optional: without it those tests are skipped.
set -uo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "installing chromium, for the tests that open the report's pages"
  if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
    >/dev/null; then
    exit 0
  fi
fi
echo "no chromium: the tests that open the report's pages are skipped." \
  "On Debian or Ubuntu: sudo apt-get install chromium; elsewhere install Chromium or Chrome."
