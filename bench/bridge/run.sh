#!/usr/bin/env bash
# Measures how backlogs drain beside bare clients, mosquitto's bridge and Telegraf, and prints Markdown.
#   bench/bridge/run.sh [ROUNDS, default 5] [more flags: -h lists them]
# Short: bench/bridge/run.sh 1 -messages 50000 -only drain. To tune: … -contestants sluice -only drain -profile DIR
# BENCH_DIR names a directory on the disk to measure. The case distance wants root, for namespaces of its own.
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")"
counts=()
case "${1:-}" in
[0-9]*) counts+=(-rounds "$1") && shift ;;
esac
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
# Not trimmed: by the path of its source testpeers/rocketmq finds the jars beside it.
CGO_ENABLED=0 go build -o "$binary" .
(cd "$here" && "$binary" -root "$OLDPWD/../.." -dir "${BENCH_DIR:-}" "${counts[@]}" "$@")
