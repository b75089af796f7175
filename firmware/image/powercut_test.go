package image_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A log of writes as QEMU's blklogwrites makes it, which is that of Linux' dm-log-writes: after a sector for the log
// itself each write has a sector that says where it goes, and its data.
const (
	sector   = 512
	flushed  = 1 << 0 // everything before it is on the disk
	through  = 1 << 1 // this write is, too
	discards = 1 << 2
)

// write is one of them.
type write struct {
	at, length int64 // on the disk
	data       int64 // where its bytes stand in the log
	flags      uint64
}

// readWrites lists what a log has; a kill may have left it anywhere.
func readWrites(t *testing.T, log *os.File) (all []write) {
	t.Helper()
	head := make([]byte, 4*8)
	for at := int64(sector); ; {
		if _, err := log.ReadAt(head, at); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		word := func(i int) int64 { return int64(binary.LittleEndian.Uint64(head[8*i:])) }
		w := write{at: word(0) * sector, length: word(1) * sector, flags: uint64(word(2)), data: at + sector}
		if w.length == 0 && w.flags == 0 {
			return all
		}
		all = append(all, w)
		at += sector
		if w.flags&discards == 0 {
			at += w.length
		}
	}
}

// cut gives the disk as the power left it after so many writes: of those that no flush had made sure of any sector
// may be missing, as a disk's own memory loses them in any order.
func cut(t *testing.T, disk, log *os.File, all []write, random *rand.Rand) {
	t.Helper()
	sure := 0
	for i, w := range all {
		if w.flags&flushed != 0 {
			sure = i
		}
	}
	for i, w := range all {
		if w.flags&discards != 0 || w.length == 0 {
			continue
		}
		data := make([]byte, w.length)
		if _, err := log.ReadAt(data, w.data); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		fate := random.IntN(3) // of an unsure write: all of it, none of it, some sectors
		for at := int64(0); at < w.length; at += sector {
			if i > sure && w.flags&through == 0 && (fate == 1 || fate == 2 && random.IntN(2) == 0) {
				continue
			}
			if _, err := disk.WriteAt(data[at:at+sector], w.at+at); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestACutLosesOnlyWhatWasNotFlushed tries the above on three writes of which the first was flushed.
func TestACutLosesOnlyWhatWasNotFlushed(t *testing.T) {
	if _, err := exec.LookPath("qemu-io"); err != nil {
		t.Skip("there is no qemu-io: ", err)
	}
	path := filepath.Join(t.TempDir(), "disk")
	for _, name := range []string{path, path + ".writes"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(path, 1<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-io", "--image-opts", "driver=blklogwrites,file.driver=file,file.filename="+path+",log.driver=file,log.filename="+path+".writes",
		"-c", "write -P 1 0 4k", "-c", "flush", "-c", "write -P 2 4k 8k", "-c", "write -P 3 64k 512", "-c", "flush")
	log, err := os.Open(path + ".writes")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	all := readWrites(t, log)
	if len(all) < 5 {
		t.Fatalf("the log has %v", all)
	}
	lost := 0
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		disk, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		cut(t, disk, log, all[:4], random)
		data := make([]byte, 128*sector+sector)
		if _, err := disk.ReadAt(data, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		for i := range len(data) / sector {
			var want byte
			switch {
			case i < 8:
				want = 1
			case i < 24:
				want = 2
			case i == 128:
				want = 3
			}
			got := data[i*sector]
			if got != want && (got != 0 || i < 8) {
				t.Fatalf("sector %d has %d, and %d was written", i, got, want)
			}
			if got != want {
				lost++
			}
		}
		if err := disk.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if lost == 0 {
		t.Error("nothing was ever lost")
	}
}

// TestEveryMomentOfTheFirstStartLeavesAWholeBox records what a first start writes, and looks at the disk as power cuts
// at any of its writes leave it: a boot loader that knows its slots, and one identity and one code or none yet.
func TestEveryMomentOfTheFirstStartLeavesAWholeBox(t *testing.T) {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("SLUICE_LONG=1 runs it")
	}
	random := seeded(t)
	b := flash(t)
	b.writes = b.disk + ".writes"
	if err := os.WriteFile(b.writes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	took := b.answers()
	b.cutPower()
	who, whole := readLabel(b.onBootPartition("SLUICE.TXT"))
	if !whole {
		t.Fatal("there is no label")
	}
	log, err := os.Open(b.writes)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	all := readWrites(t, log)
	t.Logf("%d writes in the %s until the page answers", len(all), took)
	seen := map[string]int{}
	for i := range 100 {
		after := random.IntN(len(all) + 1)
		torn := flash(t)
		disk, err := os.OpenFile(torn.disk, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		cut(t, disk, log, all[:after], random)
		if err := disk.Close(); err != nil {
			t.Fatal(err)
		}
		found, err := torn.look(who)
		if err != nil {
			t.Errorf("cut %d, after %d of %d writes: %v", i, after, len(all), err)
			run(t, "cp", "--sparse=always", torn.disk, filepath.Join(images(t), fmt.Sprintf("torn-%d", i)))
		}
		seen[found]++
		if err := os.Remove(torn.disk); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("what the disks had: %v", seen)
}

// look says what of a box is on its disk by now, or what is wrong with it for a box that becomes who.
func (b *box) look(who label) (found string, err error) {
	b.t.Helper()
	loader := false
	for _, name := range []string{"grubenv", "grubenv.bak"} {
		said, _ := exec.Command("sh", "-c", "mtype -i "+b.disk+"@@1M ::"+name+" >"+b.disk+".env && grub-editenv "+b.disk+".env list").CombinedOutput()
		loader = loader || regexp.MustCompile(`(?m)^ORDER=A B$`).Match(said) && strings.Contains(string(said), "A_OK=1")
	}
	if !loader {
		return "", fmt.Errorf("the boot loader has neither its variables nor their copy")
	}
	if l, whole := readLabel(b.attempt("mtype", "-i", b.disk+"@@1M", "::SLUICE.TXT")); whole && l != who {
		return "", fmt.Errorf("the label is %v, and was to be %v", l, who)
	} else if whole {
		found = "label, "
	}
	offset, size := b.place("data")
	data := b.disk + ".data"
	defer os.Remove(data)
	b.attempt("sh", "-c", fmt.Sprintf("dd if=%s of=%s bs=1M iflag=skip_bytes,count_bytes skip=%d count=%d conv=sparse status=none && truncate -s %d %s", b.disk, data, offset, size, size, data))
	// As the first program does.
	if check := exec.Command("e2fsck", "-p", data).Run(); code(check) >= 4 {
		found += "damaged, "
		for range 3 {
			if check = exec.Command("e2fsck", "-fy", data).Run(); code(check) < 4 {
				break
			}
		}
		if code(check) >= 4 {
			return "", fmt.Errorf("e2fsck does not repair the data partition: %v", check)
		}
	}
	folder := b.t.TempDir()
	if said, err := exec.Command("mount", "-t", "ext4", "-o", "loop", data, folder).CombinedOutput(); err != nil {
		return "", fmt.Errorf("the data partition cannot be mounted: %s", said)
	}
	defer run(b.t, "umount", folder)
	for _, kept := range [][2]string{
		{"machine-id", who.identity + "\n"}, {"setup-code", "SLUICE_SETUP_CODE=" + who.code + "\n"}, {"etc-sluice/sluice.yaml", ""},
	} {
		name, want := kept[0], kept[1]
		text, err := os.ReadFile(filepath.Join(folder, name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		if want != "" && string(text) != want || !strings.HasSuffix(string(text), "\n") {
			return "", fmt.Errorf("%s is %q, and was to be %q", name, text, want)
		}
		found += filepath.Base(name) + ", "
	}
	return found, nil
}

// attempt is run for a command that may fail.
func (b *box) attempt(name string, args ...string) string {
	said, _ := exec.CommandContext(b.t.Context(), name, args...).Output()
	return string(said)
}

// code is the exit status that an error of a command has.
func code(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}
