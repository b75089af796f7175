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
./build.sh image [BOARD]  the disk image and the update bundle of a board (as root, on Debian or Ubuntu); docs/image.md
./build.sh release    static binaries and packages for every supported machine, with bills of materials,
                      checksums and, if SLUICE_RELEASE_KEY_FILE names a minisign key, a signature, in dist/
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

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; } # at_least WANT HAVE

# An older Go fetches the one that go.mod names: by itself since 1.21, before that as the module that
# toolchains are published as.
need_go() {
	need go golang-go "it compiles the gateway"
	local want have dir
	want=$(awk '$1 == "go" {print $2}' go.mod)
	have=$(cd / && GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')
	if at_least "$want" "$have" || { at_least 1.21 "$have" && [ "$(cd / && go env GOTOOLCHAIN)" != local ]; }; then
		return
	fi
	say "Go $have is too old, $want is needed: fetching it into .cache"
	dir=$PWD/.cache/go
	mkdir -p "$dir"
	(cd / && GO111MODULE=on GOMODCACHE=$dir GOFLAGS=-modcacherw go mod download "golang.org/toolchain@v0.0.1-go$want.$(go env GOOS)-$(go env GOARCH)") || {
		echo "that failed. Get Go $want from https://go.dev/dl/ and try again" >&2
		exit 1
	}
	dir=$(echo "$dir"/golang.org/toolchain@v0.0.1-go"$want".*)
	chmod -R u+x "$dir/bin" "$dir/pkg/tool"
	export PATH=$dir/bin:$PATH GOROOT=$dir GOTOOLCHAIN=local
}

# Node.js too: where the system's is missing or too old, npm has it as a package.
need_node() {
	need npm npm "it builds the page"
	local want=20.19.0 have
	have=$(node -p process.versions.node 2>/dev/null || echo 0)
	at_least "$want" "$have" && return
	say "Node.js $have is too old, $want is needed: fetching it into .cache"
	case $(uname -m) in
	x86_64) arch=x64 ;;
	aarch64) arch=arm64 ;;
	*)
		echo "There is no package for $(uname -m). Install Node.js $want or newer: https://nodejs.org/" >&2
		exit 1
		;;
	esac
	npm install --silent --no-audit --no-fund --prefix .cache/node "node-linux-$arch@22.20.0" || {
		echo "that failed. Install Node.js $want or newer: https://nodejs.org/" >&2
		exit 1
	}
	export PATH=$PWD/.cache/node/node_modules/node-linux-$arch/bin:$PATH
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
			fetch npm ci --no-audit --no-fund --loglevel=error
			touch node_modules
		fi
		npm run --silent build
	)
}

version() { git describe --tags --always --dirty 2>/dev/null || echo unknown; }

# Registries have bad moments: a download that fails is tried again.
fetch() { # fetch COMMAND…
	local try
	for try in 1 2 3; do
		"$@" && return
		sleep $((try * 5))
	done
	echo "this failed three times: $*" >&2
	return 1
}

build_binary() {
	need_go
	fetch go mod download
	say "building bin/sluice"
	cmd/sluice/build bin/sluice "$(version)"
}

# The same commit gives the same bytes: no paths, no times, no cgo, and in packages the commit's time. SLUICE_RELEASE
# names the processors if not all are wanted.
build_release() {
	need_go
	local processor goarm
	rm -rf dist
	mkdir dist
	for processor in ${SLUICE_RELEASE:-amd64 arm64 armv7 armv6 riscv64}; do
		say "linux/$processor: program, packages, bill of materials"
		goarm=
		[[ $processor != armv* ]] || goarm=${processor#armv}
		GOOS=linux GOARCH=${processor%v[67]} GOARM=$goarm cmd/sluice/build "dist/sluice-linux-$processor" "$(version)"
		firmware/packages/make "$processor" "dist/sluice-linux-$processor" dist
		CGO_ENABLED=0 go run ./firmware/release sbom "dist/sluice-linux-$processor" web/ui/package-lock.json >"dist/sluice-linux-$processor.cdx.json"
	done
	(cd dist && sha256sum sluice-* >SHA256SUMS)
	CGO_ENABLED=0 go run ./firmware/release sign dist/SHA256SUMS
	ls -l dist
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
	# The long ones first, so that none of them is left alone at the end; three at once on two cores, because most of
	# them wait for a device, a disk or a kill.
	.ci/gotest $race -timeout 25m -p 3 -- ./store ./gateway/nighttest ./gateway/rocketmq ./web ./... || failed=1
	say "the page in a real browser"
	.ci/page || failed=1
	return $failed
}

# The tools of the image are Debian's. Programs of another processor run through binfmt_misc, which has to be
# there before qemu-user-static is installed: that registers them.
build_image() {
	need_go
	[ "$(id -u)" = 0 ] || { echo "An image is built as root: owners and device nodes are part of it." >&2; exit 1; }
	[ -e /proc/sys/fs/binfmt_misc/status ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
	local tool board=${1:-uefi-arm64}
	for tool in qemu-aarch64-static:qemu-user-static mmdebstrap:mmdebstrap genimage:genimage mcopy:mtools mkfs.vfat:dosfstools \
		mksquashfs:squashfs-tools rauc:rauc grub-mkimage:grub-common depmod:kmod cpio:cpio zstd:zstd xz:xz-utils mke2fs:e2fsprogs openssl:openssl \
		qemu-system-aarch64:qemu-system-arm; do
		need "${tool%:*}" "${tool#*:}" "it makes the image"
	done
	# The image's test boots through them.
	[ -e /usr/share/AAVMF/AAVMF_CODE.fd ] || apt-get install -y -qq qemu-efi-aarch64 >/dev/null
	[ -e /usr/share/AAVMF/AAVMF32_CODE.fd ] || apt-get install -y -qq qemu-efi-arm >/dev/null
	if grep -qx BOOT=uboot "firmware/image/boards/$board" 2>/dev/null; then
		for tool in mkimage:u-boot-tools fw_printenv:libubootenv-tool make:make gcc:gcc bison:bison flex:flex bc:bc; do
			need "${tool%:*}" "${tool#*:}" "it makes U-Boot"
		done
		[ "$(uname -m)" = aarch64 ] || need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu "it makes U-Boot"
		[ -e /usr/include/openssl/ssl.h ] || apt-get install -y -qq libssl-dev >/dev/null
	fi
	fetch go mod download
	firmware/image/build "$board"
}

case "${1:-}" in
"") build_page; build_binary ;;
demo) build_page; build_binary; shift; exec bin/sluice demo "$@" ;;
test) build_page; build_binary; run_tests ;;
release) build_page; build_release ;;
image) build_page; build_image "${2:-}" ;;
arch) need_go; exec .ci/arch ;;
lint) need_go; fetch go mod download -modfile=.ci/lint.mod; exec go tool -modfile=.ci/lint.mod golangci-lint run ./... ;;
bench)
	[ -n "${2:-}" ] && [ -x "bench/$2/run.sh" ] || { echo "which benchmark? There are: $(cd bench && ls -d */run.sh | sed 's|/run.sh||' | xargs)" >&2; exit 2; }
	build_page; build_binary; name=$2; shift 2; exec "bench/$name/run.sh" "$@" ;;
help | -h | --help) usage ;;
*) usage >&2; exit 2 ;;
esac
