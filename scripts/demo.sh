#!/usr/bin/env bash
# Fetch, run the demo and say where the time went: demo.sh BIN STAMP. BIN is the environment's folder of commands.
set -euo pipefail
bin=$1 stamp=$2

installed="$(cat "$stamp") s, earlier"
if [ -n "$(find "$stamp" -mmin -5)" ]; then
  installed="$(cat "$stamp") s"
fi
SECONDS=0
"$bin/maieutic" fetch
fetched=$SECONDS
"$bin/maieutic" demo
echo
echo "time: installation $installed; fetching $fetched s; demo $((SECONDS - fetched)) s"
