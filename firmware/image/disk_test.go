package image_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// label is what stands on the boot partition for whoever lost it: name, code and identity.
type label struct{ name, code, identity string }

var onLabel = regexp.MustCompile(`gateway (sluice-[0-9a-f]{6})\r?\n(?:.*\n)?code +([A-Z2-9]{10}) .*\nidentity ([0-9a-f]{32})\r?\n`)

// beforeLine is what systemd puts before each line of the console.
var beforeLine = regexp.MustCompile(`(?m)^\[ *[0-9.]+\] first\[\d+\]: `)

func readLabel(text string) (l label, whole bool) {
	found := onLabel.FindStringSubmatch(text)
	if found == nil {
		return label{}, false
	}
	return label{found[1], found[2], found[3]}, true
}

// labelled is the label, which is on the console too; they must agree.
func (b *box) labelled() label {
	b.t.Helper()
	l, whole := readLabel(b.onBootPartition("SLUICE.TXT"))
	if !whole {
		b.t.Fatalf("the boot partition has the label %q", b.onBootPartition("SLUICE.TXT"))
	}
	printed := strings.ReplaceAll(b.console(), "\r", "")
	if printed, _ := readLabel(beforeLine.ReplaceAllString(printed, "")); printed != l {
		b.t.Errorf("the console says %v, and the boot partition %v", printed, l)
	}
	if l.name != "sluice-"+l.identity[:6] {
		b.t.Errorf("the label mixes %s with %s", l.name, l.identity)
	}
	return l
}

// place is where a partition lies on the disk, in bytes.
func (b *box) place(name string) (offset, size int64) {
	b.t.Helper()
	var table struct {
		Partitiontable struct {
			Partitions []struct {
				Name        string
				Start, Size int64
			}
		}
	}
	// stderr apart: sfdisk complains of a disk that is larger than its table, as it is before the first start.
	if err := json.Unmarshal([]byte(run(b.t, "sh", "-c", "sfdisk -J "+b.disk+" 2>/dev/null")), &table); err != nil {
		b.t.Fatal(err)
	}
	for _, p := range table.Partitiontable.Partitions {
		if p.Name == name {
			return p.Start * 512, p.Size * 512
		}
	}
	b.t.Fatalf("the disk has no partition %s", name)
	return 0, 0
}

// onData mounts the data partition of a box that is off.
func (b *box) onData(do func(folder string)) {
	b.t.Helper()
	offset, size := b.place("data")
	folder := b.t.TempDir()
	run(b.t, "mount", "-t", "ext4", "-o", fmt.Sprintf("loop,offset=%d,sizelimit=%d", offset, size), b.disk, folder)
	defer run(b.t, "umount", folder)
	do(folder)
}

// overwrite puts noise over the blocks of 4 KiB of the data partition of a box that is off.
func (b *box) overwrite(noise *rand.Rand, blocks ...int64) {
	b.t.Helper()
	offset, _ := b.place("data")
	disk, err := os.OpenFile(b.disk, os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer disk.Close()
	for _, block := range blocks {
		torn := make([]byte, 4096)
		for i := range torn {
			torn[i] = byte(noise.Uint32())
		}
		if _, err := disk.WriteAt(torn, offset+4096*block); err != nil {
			b.t.Fatal(err)
		}
	}
}

// grown says whether the data partition fills the disk, and its file system the partition.
func (b *box) grown() {
	b.t.Helper()
	offset, size := b.place("data")
	disk, err := os.Stat(b.disk)
	if err != nil {
		b.t.Fatal(err)
	}
	if left := disk.Size() - offset - size; left > 2<<20 {
		b.t.Errorf("%d bytes of the disk behind the data partition are nobody's", left)
	}
	said := run(b.t, "sh", "-c", fmt.Sprintf("dumpe2fs -h '%s?offset=%d' 2>/dev/null", b.disk, offset))
	found := regexp.MustCompile(`Block count: +(\d+)`).FindStringSubmatch(said)
	if found == nil {
		b.t.Fatalf("dumpe2fs says %q", said)
	}
	if blocks, _ := strconv.ParseInt(found[1], 10, 64); size-4096*blocks > 1<<20 {
		b.t.Errorf("the file system has %d of the %d bytes of its partition", 4096*blocks, size)
	}
}

// identityOnData is who the box is, for itself.
func (b *box) identityOnData() (id string) {
	b.t.Helper()
	b.onData(func(folder string) {
		text, err := os.ReadFile(filepath.Join(folder, "machine-id"))
		if err != nil {
			b.t.Fatal(err)
		}
		id = strings.TrimSpace(string(text))
	})
	return id
}

// written counts what the box has written to its disk since its start.
func (b *box) written() (requests int64) {
	b.t.Helper()
	for _, line := range strings.Split(b.monitor("info blockstats"), "\n") {
		if found := regexp.MustCompile(`^disk.* wr_operations=(\d+)`).FindStringSubmatch(line); found != nil {
			requests, _ = strconv.ParseInt(found[1], 10, 64)
			return requests
		}
	}
	b.t.Fatalf("QEMU says %q", b.monitor("info blockstats"))
	return 0
}

func (b *box) toBootPartition(name string) {
	b.t.Helper()
	empty := filepath.Join(b.t.TempDir(), name)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
	run(b.t, "mcopy", "-o", "-i", b.disk+"@@1M", empty, "::"+name)
}
