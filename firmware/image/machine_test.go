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
	firmware [2]string // UEFI's code and the variables that it begins with; none: U-Boot, which the folder has
	disk     []string  // the devices that the drive "disk" is
}

var (
	virtio = []string{"-device", "virtio-blk-pci,drive=disk"}
	card   = []string{"-device", "sdhci-pci", "-device", "sd-card,drive=disk"}
)

// machines are those by the architecture and the boot loader that the board's file names.
var machines = map[string]emulated{
	"arm64 grub": {
		[]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512"},
		[2]string{"AAVMF_CODE.fd", "AAVMF_VARS.fd"}, virtio,
	},
	"arm64 uboot": {
		[]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512"},
		[2]string{}, card,
	},
	// Debian's kernel for ARMv7 has no addresses above 4 GB, and would not find the PCI bus there.
	"armhf grub": {
		[]string{"qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a15", "-smp", "2", "-m", "256"},
		[2]string{"AAVMF32_CODE.fd", "AAVMF32_VARS.fd"}, virtio,
	},
}

// told is what the file of the board that the folder's image is for says of one thing.
func told(t *testing.T, name string) string {
	board, err := os.ReadFile(filepath.Join(images(t), "board"))
	if err != nil {
		t.Fatalf("an image tells its board since it was built anew: %v", err)
	}
	found := regexp.MustCompile(`(?m)^` + name + `=(\w+)$`).FindSubmatch(board)
	if found == nil {
		return ""
	}
	return string(found[1])
}

// emulator is the machine for the board that the folder's image is for.
func emulator(t *testing.T) emulated {
	kind := told(t, "ARCH") + " " + told(t, "BOOT")
	if machines[kind].qemu == nil {
		t.Fatalf("there is no machine to emulate for a board of %s", kind)
	}
	machine := machines[kind]
	// For a host that is busy: "-smp 1 -icount shift=3" lets the machine's own time go with its work.
	machine.qemu = append(slices.Clip(machine.qemu), strings.Fields(os.Getenv("SLUICE_QEMU"))...)
	return machine
}

// firmware is what the machine starts with, for QEMU.
func (b *box) firmware() []string {
	if b.on.firmware[0] == "" {
		return []string{"-bios", filepath.Join(images(b.t), "u-boot.bin")}
	}
	return []string{
		"-drive", "if=pflash,format=raw,readonly=on,file=" + b.disk + ".code",
		"-drive", "if=pflash,format=" + b.format + ",file=" + b.disk + ".vars",
	}
}
