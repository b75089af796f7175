#!/usr/bin/env bash
# Measures the page and its API on a gateway of its own, and prints Markdown.
#   bench/web/run.sh [CASES, default all: load overview trends points api] [flags: -h lists them]
# Short: bench/web/run.sh -rounds 1 -seconds 10 -each 1s -readings 3600 -others 20
# Long: bench/web/run.sh overview -rounds 1 -seconds 600
# BENCH_DIR names a directory on the disk for the log. The browser is SLUICE_CHROMIUM, or /usr/bin/chromium.
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")"
cases=()
while [ $# -gt 0 ] && [[ $1 != -* ]]; do cases+=("$1") && shift; done
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$binary" .
(cd "$here" && "$binary" -root "$OLDPWD/../.." -dir "${BENCH_DIR:-}" "$@" "${cases[@]}")
