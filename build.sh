#!/usr/bin/env bash
# Builds, demonstrates, tests and measures Sluice. `./build.sh help` says how.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
	cat <<'TEXT'
./build.sh            build the page and bin/sluice for this machine
./build.sh demo       build, then run the demo: simulated devices, the gateway and a cloud, on loopback
./build.sh test       build, then run every test (SLUICE_LONG=1: the long forms too)
./build.sh arch       build for every processor, and run the tests that count in words on 386 and ARM
./build.sh lint       run the linters of .golangci.yml
./build.sh bench NAME run the side-by-side benchmark in bench/NAME
TEXT
}

say() { printf '\n== %s\n' "$*" >&2; }

# A tool that is missing is named with the way to get it; on Debian and Ubuntu as root it is installed.
need() { # need COMMAND PACKAGE WHAT-FOR
	command -v "$1" >/dev/null 2>&1 && return
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		say "$1 is missing ($3): installing Debian's package $2"
		[ -n "${apt_updated:-}" ] || apt-get update -qq
		apt_updated=1
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
		return
	fi
	echo "$1 is missing ($3). Install it and try again; on Debian or Ubuntu: sudo apt-get install $2" >&2
	exit 1
}

need_go() {
	need go golang-go "it compiles the gateway"
	local have want
	have=$(go env GOVERSION | sed 's/^go//')
	want=$(awk '$1 == "go" {print $2}' go.mod)
	if [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ] && [ "$(go env GOTOOLCHAIN)" = local ]; then
		echo "Go $want is needed, this is $have. Get it from https://go.dev/dl/, or allow Go to fetch it: go env -w GOTOOLCHAIN=auto" >&2
		exit 1
	fi
}

need_node() {
	need node nodejs "it builds the page"
	need npm npm "it builds the page"
	local major
	major=$(node -p 'process.versions.node.split(".")[0]')
	if [ "$major" -lt 20 ]; then
		echo "Node.js 20 or newer is needed to build the page, this is $(node --version). See https://nodejs.org/" >&2
		exit 1
	fi
}

# The page is built only when its sources are newer than what was built from them.
build_page() {
	if [ -f web/ui/dist/index.html ] && [ -z "$(find web/ui -path web/ui/node_modules -prune -o -path web/ui/dist -prune -o -type f -newer web/ui/dist/index.html -print -quit)" ]; then
		return
	fi
	need_node
	say "building the page"
	(
		cd web/ui
		if [ ! -d node_modules ] || [ package-lock.json -nt node_modules ]; then
			npm ci --no-audit --no-fund --loglevel=error
			touch node_modules
		fi
		npm run --silent build
	)
}

version() { git describe --tags --always --dirty 2>/dev/null || echo unknown; }

build_binary() {
	need_go
	say "building bin/sluice"
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(version)" -o bin/sluice ./cmd/sluice
}

run_tests() {
	need_go
	local race=-race
	if ! command -v "$(go env CC)" >/dev/null 2>&1; then
		race=
		echo "no C compiler here: the tests run without the race detector" >&2
	fi
	say "go vet, go test ${race:-without -race} (fuzz seeds, architecture, goroutine leaks included)"
	go vet ./...
	local failed=0
	# shellcheck disable=SC2086 # an empty $race must vanish
	go test $race -timeout 25m ./... || failed=1
	say "the page in a real browser"
	.ci/page || failed=1
	return $failed
}

case "${1:-}" in
"") build_page; build_binary ;;
demo) build_page; build_binary; shift; exec bin/sluice demo "$@" ;;
test) build_page; build_binary; run_tests ;;
arch) need_go; exec .ci/arch ;;
lint) need_go; exec go tool -modfile=.ci/lint.mod golangci-lint run ./... ;;
bench)
	[ -n "${2:-}" ] && [ -d "bench/$2" ] || { echo "which benchmark? There are: $(ls bench)" >&2; exit 2; }
	build_page; build_binary; name=$2; shift 2; exec "bench/$name/run.sh" "$@" ;;
help | -h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
