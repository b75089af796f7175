#!/usr/bin/env bash
# Measures the RocketMQ listener beside Apache RocketMQ with Apache's own benchmark tools, and prints Markdown.
#   bench/rocketmq/run.sh [ROUNDS, default 5 [SECONDS of a run, default 15, at least 10]] [more flags: -h lists them]
# Short: bench/rocketmq/run.sh 1 10 -only send-64-128,both. To tune: … -servers sluice -only both -profile DIR
# All of it takes about an hour, and wants a machine that does nothing else.
# BENCH_DIR names a directory on the disk to measure. What is run beside the gateway: .ci/peers gathers it.
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
# Not trimmed: by the path of its source testpeers/rocketmq finds the jars beside it.
CGO_ENABLED=0 go build -o "$binary" .
(cd "$here" && "$binary" -root "$OLDPWD/../.." -dir "${BENCH_DIR:-}" "${counts[@]}" "$@")
