#!/usr/bin/env bash
# What the gateway costs at 1,000 points a second: 10 Modbus TCP devices with 100 points each, polled
# once a second, stored, served and forwarded to mosquitto. Prints CPU and memory of the gateway, and
# beside them what the same machine spends on the simulated devices and on mosquitto.
#   bench/steady/run.sh [SECONDS, default 60] [DEVICES 10] [POINTS 100] [INTERVAL 1s]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60} devices=${2:-10} points=${3:-100} interval=${4:-1s}
command -v mosquitto >/dev/null || { echo "mosquitto is needed as the cloud: apt-get install mosquitto" >&2; exit 1; }

dir=$(mktemp -d)
pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap cleanup EXIT

{
	echo "gateway: {name: bench}"
	echo "store: {dir: $dir/data}"
	echo "web: {listen: 127.0.0.1:18080}"
	echo "mqtt: {listen: [127.0.0.1:18883], anonymous: true}"
	echo "devices:"
	for d in $(seq "$devices"); do
		echo "  - name: device-$d"
		echo "    driver: modbus"
		echo "    address: tcp://127.0.0.1:15020"
		echo "    unit: $d"
		echo "    interval: $interval"
		echo "    points:"
		for p in $(seq 0 $((points - 1))); do
			echo "      - {name: p$p, address: \"holding:$p\", type: uint16}"
		done
	done
	echo "uplinks:"
	echo "  - name: cloud"
	echo "    driver: mqtt"
	echo "    address: tcp://127.0.0.1:18884"
	echo "    forward: [{from: \"readings/#\", to: \"plants/{topic}\"}]"
} >"$dir/sluice.yaml"
printf 'listener 18884 127.0.0.1\nallow_anonymous true\n' >"$dir/mosquitto.conf"

mosquitto -c "$dir/mosquitto.conf" >"$dir/mosquitto.log" 2>&1 & mosquitto=$!; pids+=($mosquitto)
bin/sluice simulate modbus --listen 127.0.0.1:15020 >"$dir/plc.log" 2>&1 & plc=$!; pids+=($plc)
SLUICE_ADMIN_PASSWORD=bench-password bin/sluice run --config "$dir/sluice.yaml" 2>"$dir/gateway.log" & gateway=$!; pids+=($gateway)

ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
memory() { awk -v k="$2:" '$1 == k {printf "%.1f", $2 / 1024}' "/proc/$1/status"; }
metric() { curl -s 127.0.0.1:18080/metrics | awk -v m="$1" '$1 ~ "^" m {sum += $2} END {print sum + 0}'; }
written() { awk '$1 == "write_bytes:" {print $2}' "/proc/$1/io"; }

sleep 10 # connections, first polls
g0=$(ticks $gateway) p0=$(ticks $plc) m0=$(ticks $mosquitto) s0=$(metric sluice_uplink_sent) w0=$(written $gateway) t0=$(date +%s.%N)
sleep "$seconds"
g1=$(ticks $gateway) p1=$(ticks $plc) m1=$(ticks $mosquitto) s1=$(metric sluice_uplink_sent) w1=$(written $gateway) t1=$(date +%s.%N)

awk -v hz="$(getconf CLK_TCK)" -v t="$(awk -v a="$t1" -v b="$t0" "BEGIN{print a-b}")" -v g=$((g1 - g0)) -v p=$((p1 - p0)) -v m=$((m1 - m0)) \
	-v s="$((s1 - s0))" -v w=$((w1 - w0)) -v pts="$points" -v rss="$(memory $gateway VmRSS)" -v anon="$(memory $gateway RssAnon)" \
	-v mrss="$(memory $mosquitto VmRSS)" 'BEGIN {
	printf "measured for %.0f s: %.1f readings/s acknowledged by the cloud, %.0f points/s\n", t, s / t, s * pts / t
	printf "gateway    %5.2f %% of a core, RSS %s MB (anonymous %s MB), %.1f kB written a second\n", 100 * g / hz / t, rss, anon, w / t / 1000
	printf "mosquitto  %5.2f %% of a core, RSS %s MB\n", 100 * m / hz / t, mrss
	printf "devices    %5.2f %% of a core (simulated, in one process)\n", 100 * p / hz / t
}'
grep -iE 'level=(warn|error)' "$dir/gateway.log" | head -5 || true
