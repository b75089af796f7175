#!/usr/bin/env bash
# Measures how fast devices are polled, beside bare loops, the wire itself and Telegraf, and prints Markdown.
#   bench/collectors/run.sh [ROUNDS, default 5] [more flags: -h lists them]
# Short: bench/collectors/run.sh 1 -seconds 2 -only loop,wire
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")"
counts=()
case "${1:-}" in
[0-9]*) counts+=(-rounds "$1") && shift ;;
esac
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
CGO_ENABLED=0 go build -trimpath -o "$binary" .
(cd "$here" && "$binary" -root "$OLDPWD/../.." -dir "${BENCH_DIR:-}" "${counts[@]}" "$@")
