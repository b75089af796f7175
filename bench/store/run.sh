#!/usr/bin/env bash
# Measures the durable log beside a plain segment file, bbolt and pebble, and prints a Markdown table.
#   bench/store/run.sh [ROUNDS, default 5] [SECONDS of a short run, default 2] [more flags: -h lists them]
# Short: bench/store/run.sh 5 1 -messages 1000000 -trickle 20 -churn 10
# BENCH_DIR names a directory on the disk to measure.
set -euo pipefail
cd "$(dirname "$0")"
rounds=${1:-5} seconds=${2:-2}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] && shift
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$binary" .
"$binary" -rounds "$rounds" -seconds "$seconds" -dir "${BENCH_DIR:-}" "$@"
