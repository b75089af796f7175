#!/usr/bin/env bash
# Measures the MQTT listener beside mosquitto, mochi and NATS with one load tool, and prints Markdown.
#   bench/mqtt/run.sh [ROUNDS, default 5 [SECONDS of a run, default 3]] [more flags: -h lists them]
# Short: bench/mqtt/run.sh 1 1. To tune: bench/mqtt/run.sh 1 5 -brokers sluice -only qos0 -profile DIR
# BENCH_DIR names a directory on the disk to measure.
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")"
counts=()
for flag in -rounds -seconds; do
	case "${1:-}" in
	[0-9]*) counts+=("$flag" "$1") && shift ;;
	esac
done
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$binary" .
(cd "$here" && "$binary" -root "$OLDPWD/../.." -dir "${BENCH_DIR:-}" "${counts[@]}" "$@")
