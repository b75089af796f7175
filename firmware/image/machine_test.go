package image_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// emulated is the machine that a board's image is tried on.
type emulated struct {
	qemu     []string  // the program, and what its machine is
	firmware [2]string // its code and the variables that it begins with
}

// machines are those by the architecture that the board's file names.
var machines = map[string]emulated{
	"arm64": {
		[]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512"},
		[2]string{"AAVMF_CODE.fd", "AAVMF_VARS.fd"},
	},
	// Debian's kernel for ARMv7 has no addresses above 4 GB, and would not find the PCI bus there.
	"armhf": {
		[]string{"qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15", "-smp", "2", "-m", "256"},
		[2]string{"AAVMF32_CODE.fd", "AAVMF32_VARS.fd"},
	},
}

var architecture = regexp.MustCompile(`(?m)^ARCH=(\w+)$`)

// emulator is the machine for the board that the folder's image is for.
func emulator(t *testing.T) emulated {
	board, err := os.ReadFile(filepath.Join(images(t), "board"))
	if err != nil {
		t.Fatalf("an image tells its board since it was built anew: %v", err)
	}
	arch := architecture.FindSubmatch(board)
	if arch == nil || machines[string(arch[1])].qemu == nil {
		t.Fatalf("there is no machine to emulate for this board:\n%s", board)
	}
	machine := machines[string(arch[1])]
	// For a host that is busy: "-smp 1 -icount shift=3" lets the machine's own time go with its work.
	machine.qemu = append(slices.Clip(machine.qemu), strings.Fields(os.Getenv("SLUICE_QEMU"))...)
	return machine
}
