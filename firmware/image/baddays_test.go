package image_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/web"
)

// A power cut is a kill -9 of QEMU here: what the box had written is in the host's page cache and stays, in the order
// of its writing; what was on its way is lost. Writes that a disk had taken and not yet kept are not lost this way: that
// is tried with the file systems' and the log's own tests (store/crashtest).

// seeded gives the random numbers of one run, and says how to have them again.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SLUICE_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("SLUICE_SEED=%d repeats it", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// early is a position that a box had reached that has lived.
const early = 10

// lived gives a box that was set up and has readings of a simulated device. The first that asks makes it, beside the
// image, and everybody gets a copy of its disk as a power cut left it.
func lived(t *testing.T) *box {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("SLUICE_LONG=1 runs it")
	}
	kept := filepath.Join(images(t), "lived.img")
	image, err := os.Stat(filepath.Join(images(t), "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	if made, err := os.Stat(kept); err != nil || made.ModTime().Before(image.ModTime()) {
		b := flash(t)
		b.start()
		t.Logf("the page of a new box answers after %s", b.answers())
		b.setUp()
		b.change("devices", simulated())
		b.change("firmware", map[string]any{"stable": "20s", "within": "6m"})
		b.wait("reading of the simulated device", func() bool { return b.status().Log.Last > early })
		b.cutPower()
		run(t, "cp", "--sparse=always", b.disk, kept+".new")
		run(t, "mv", kept+".new", kept)
	}
	b := flash(t)
	run(t, "cp", "--sparse=always", kept, b.disk)
	return b
}

// simulated are the devices of a box that has none.
func simulated() []any {
	return []any{map[string]any{
		"name": "press", "driver": "simulated", "interval": "1s",
		"points": []any{map[string]any{"name": "force", "wave": "sine", "period": "1m", "min": 0, "max": 1}},
	}}
}

// change sets one part of the configuration.
func (b *box) change(part string, value any) {
	b.t.Helper()
	var now struct{ Etag string }
	b.api("GET", "/config", nil, &now)
	b.api("PUT", "/config", map[string]any{"edits": []any{map[string]any{"path": []string{part}, "value": value}}}, nil, "If-Match", now.Etag)
}

// status is what the page begins with.
func (b *box) status() (now web.Status) {
	b.t.Helper()
	b.api("GET", "/status", nil, &now)
	return now
}

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

// TestThePowerFailsDuringTheFirstStart cuts it at moments that are counted in writes: between two of them all moments
// leave the same disk.
func TestThePowerFailsDuringTheFirstStart(t *testing.T) {
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("SLUICE_LONG=1 runs it")
	}
	random := seeded(t)
	whole := flash(t)
	whole.start()
	took := whole.answers()
	writes := whole.written()
	whole.cutPower()
	t.Logf("an undisturbed first start writes %d times in the %s until the page answers", writes, took)
	for i := range 20 {
		at := random.Int64N(writes + writes/10)
		t.Run(fmt.Sprint("cut ", i), func(t *testing.T) {
			b := flash(t)
			b.start()
			var were int64
			took := b.wait("moment for the cut", func() bool { were = b.written(); return were >= at })
			time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond) // and a moment within
			b.cutPower()
			before, labelled := readLabel(run(t, "sh", "-c", "mtype -i "+b.disk+"@@1M ::SLUICE.TXT 2>/dev/null || true"))
			b.start()
			again := b.answers()
			now := b.labelled()
			if labelled && now != before {
				t.Errorf("it was %v before the cut, and is %v", before, now)
			}
			b.setUp()
			if name := b.status().Gateway; name != now.name {
				t.Errorf("the page says %s, and the label %s", name, now.name)
			}
			b.cutPower()
			b.grown()
			if id := b.identityOnData(); id != now.identity {
				t.Errorf("it is %s, and its label says %s", id, now.identity)
			}
			t.Logf("cut after %s and %d writes (of %d), labelled %t; the page answers %s after the next start", took, were, writes, labelled, again)
		})
	}
}

// TestTheClockIsWrong starts a box long before it was built, and long after it has rusted.
func TestTheClockIsWrong(t *testing.T) {
	for _, day := range []string{"2001-01-01T00:00:00", "2042-01-01T00:00:00"} {
		t.Run(day, func(t *testing.T) {
			b := lived(t)
			b.more = append(b.more, "-rtc", "base="+day)
			b.start()
			t.Logf("the page answers after %s", b.answers())
			b.signIn()
			b.inTime()
			b.install()
		})
	}
}

// inTime says whether everything that has a time has a believable one, and the certificate can be used today.
func (b *box) inTime() {
	b.t.Helper()
	built, err := os.Stat(filepath.Join(images(b.t), "disk.img"))
	if err != nil {
		b.t.Fatal(err)
	}
	// The floor is the commit that was built, within hours or weeks of the build.
	earliest, latest := built.ModTime().AddDate(0, -2, 0), time.Now().AddDate(0, 0, 1)
	believable := func(what string, at time.Time) {
		b.t.Helper()
		if at.Before(earliest) || at.After(latest) {
			b.t.Errorf("%s says %s", what, at)
		}
	}
	from := b.status().Log.Last
	b.wait("new reading", func() bool { return b.status().Log.Last > from+5 })
	for position := b.status().Log.Last; position > from; position-- {
		var m web.Message
		b.api("GET", fmt.Sprint("/messages/", position), nil, &m)
		believable(m.Text, m.Stored)
		believable(m.Text, m.Born)
	}
	var clock web.Time
	b.api("GET", "/time", nil, &clock)
	believable("the gateway's clock", clock.Now)
	answer, err := b.client.Get("https://" + b.page + "/")
	if err != nil {
		b.t.Fatal(err)
	}
	answer.Body.Close()
	shown := answer.TLS.PeerCertificates[0]
	trusted := x509.NewCertPool()
	trusted.AddCert(answer.TLS.PeerCertificates[len(answer.TLS.PeerCertificates)-1])
	if _, err := shown.Verify(x509.VerifyOptions{Roots: trusted, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		b.t.Errorf("a browser with the right clock that trusts the gateway's own certificate says: %v", err)
	}
}

// install gives the box an update that is good but for what is in it, and waits until it is in the other slot.
func (b *box) install() {
	b.t.Helper()
	var now web.FirmwareState
	took := b.wait("system that is good", func() bool {
		now = web.FirmwareState{}
		b.api("GET", "/firmware", nil, &now)
		return now.Trial == nil
	})
	bundle := smallBundle(b.t, now.Board)
	body, err := os.Open(bundle)
	if err != nil {
		b.t.Fatal(err)
	}
	defer body.Close()
	request, err := http.NewRequestWithContext(b.t.Context(), "POST", "https://"+b.page+"/api/v1/firmware", body)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set("Authorization", "Bearer "+b.token)
	patient := *b.client
	patient.Timeout = patience
	answer, err := patient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusAccepted {
		b.t.Fatalf("a good bundle: %s %s", answer.Status, said)
	}
	b.wait("end of the installation", func() bool {
		b.api("GET", "/firmware", nil, &now)
		return now.Install != nil && !now.Install.Running
	})
	if now.Install.Error != "" {
		b.t.Errorf("a good bundle is not installed: %s", now.Install.Error)
	}
	b.t.Logf("found good after %s, and a bundle is installed", took)
}

// smallBundle is signed by the key of the image, and has next to nothing in it.
func smallBundle(t *testing.T, board string) (file string) {
	keys := os.Getenv("SLUICE_KEYS")
	if keys == "" {
		keys = filepath.Join(images(t), "..", "test-keys")
	}
	folder := filepath.Join(t.TempDir(), "bundle")
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, text := range map[string][]byte{
		"system.img":     noise,
		"manifest.raucm": []byte("[update]\ncompatible=sluice-" + strings.TrimPrefix(board, "sluice-") + "\nversion=9.9.9\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=system.img\n"),
	} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file = folder + ".raucb"
	run(t, "rauc", "bundle", "--cert="+keys+"/signer.crt", "--key="+keys+"/signer.key", "--intermediate="+keys+"/intermediate.crt", "--keyring="+keys+"/root.crt", folder, file)
	return file
}

// TestTheDataPartitionIsFull fills it to the last block, as somebody else's file would.
func TestTheDataPartitionIsFull(t *testing.T) {
	b := lived(t)
	const filler = "somebody-elses"
	b.onData(func(folder string) {
		run(t, "sh", "-c", "mkdir "+folder+"/"+filler+`; n=0
			for k in 262144 65536 16384 4096 1024 256 64 16 4; do
				while fallocate -l ${k}K `+folder+"/"+filler+`/$n 2>/dev/null; do n=$((n + 1)); done
				n=$((n + 1))
			done; df -k `+folder+`|tail -n 1|awk '{exit $4 > 0}'`)
	})
	var last uint64
	for _, start := range []string{"first", "second"} {
		b.start()
		t.Logf("full, at its %s start the page answers after %s", start, b.answers())
		b.signIn()
		b.wait("word of the full log", func() bool { return b.status().Log.State == "full" })
		last = b.status().Log.Last
		b.cutPower()
	}
	b.onData(func(folder string) { run(t, "rm", "-r", filepath.Join(folder, filler)) })
	b.start()
	t.Logf("with room again the page answers after %s", b.answers())
	b.signIn()
	b.wait("new reading", func() bool { now := b.status(); return now.Log.State == "ok" && now.Log.Last > last+3 })
}

// TestTheDataPartitionIsDamaged destroys more and more of it.
func TestTheDataPartitionIsDamaged(t *testing.T) {
	random := seeded(t)
	t.Run("superblock", func(t *testing.T) {
		b := lived(t)
		b.overwrite(random, 0)
		b.start()
		t.Logf("the page answers after %s", b.answers())
		b.signIn() // the password is there, so the rest is
		b.api("GET", fmt.Sprint("/messages/", early), nil, nil)
		b.notLost()
		b.cutPower()
		b.grown()
	})
	t.Run("tables", func(t *testing.T) {
		b := lived(t)
		who := b.identityOnData()
		var blocks []int64
		for range 40 {
			blocks = append(blocks, random.Int64N(1200)) // descriptors, bitmaps and inodes
		}
		b.overwrite(random, append(blocks, 0)...)
		b.start()
		t.Logf("the page answers after %s", b.answers())
		if now := b.labelled(); now.identity != who {
			t.Errorf("it was %s, and is %v", who, now)
		}
		b.notLost()
		b.cutPower()
		b.grown()
	})
	t.Run("everything", func(t *testing.T) {
		b := lived(t)
		who := b.identityOnData()
		offset, size := b.place("data")
		run(t, "fallocate", "--punch-hole", "-o", strconv.FormatInt(offset, 10), "-l", strconv.FormatInt(size, 10), b.disk)
		b.start()
		t.Logf("without a data partition the page answers after %s", b.answers())
		if !strings.Contains(b.console(), "cannot be mounted") {
			t.Error("the console does not say that nothing is kept")
		}
		now := b.labelled()
		if now.identity != who {
			t.Errorf("it was %s, and is %v", who, now)
		}
		b.setUp()
		if !b.status().Log.Volatile {
			t.Error("the page does not say that nothing is kept")
		}
		b.cutPower()

		b.toBootPartition("factory-reset")
		b.start()
		t.Logf("with a new data partition the page answers after %s", b.answers())
		if again := b.labelled(); again != now {
			t.Errorf("it was %v, and is %v", now, again)
		}
		b.setUp()
		b.notLost()
		if b.status().Log.Volatile {
			t.Error("the page says that nothing is kept")
		}
		b.cutPower()
		b.grown()
		if again := b.identityOnData(); again != who {
			t.Errorf("it was %s, and its new data partition says %s", who, again)
		}
		if again := run(t, "mdir", "-b", "-i", b.disk+"@@1M", "::"); strings.Contains(again, "factory-reset") {
			t.Error("the next start would do it again")
		}
	})
}

// notLost says whether the data partition was mounted.
func (b *box) notLost() {
	b.t.Helper()
	if strings.Contains(b.console(), "cannot be mounted") {
		b.t.Error("the data partition was not mounted")
	}
}

func (b *box) toBootPartition(name string) {
	b.t.Helper()
	empty := filepath.Join(b.t.TempDir(), name)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
	run(b.t, "mcopy", "-o", "-i", b.disk+"@@1M", empty, "::"+name)
}

// asNew says whether a box that had been set up is one that can be set up, at the ports of a new one.
func (b *box) asNew(was label) {
	b.t.Helper()
	if now := b.labelled(); now != was {
		b.t.Errorf("it was %v, and its label says %v now", was, now)
	}
	plain := free(b.t)
	b.monitor("hostfwd_add net tcp:" + plain + "-:80")
	stay := *b.client
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := stay.Get("http://" + plain + "/")
	if err != nil {
		b.t.Errorf("nothing answers at port 80: %v", err)
	} else {
		answer.Body.Close()
		if to := answer.Header.Get("Location"); !strings.HasPrefix(to, "https://") || strings.Contains(to, ":8443") {
			b.t.Errorf("port 80 leads to %q: %s", to, answer.Status)
		}
	}
	b.setUp()
	now := b.status()
	if len(now.Devices) != 0 || now.Gateway != was.name {
		b.t.Errorf("%s is not new: it has %d devices", now.Gateway, len(now.Devices))
	}
}

// startedAnew waits until the box has started another time by itself, and its page answers.
func (b *box) startedAnew(times int) time.Duration {
	b.t.Helper()
	return b.wait("start by itself", func() bool { return strings.Count(b.console(), "Sluice: slot ") >= times }) + b.answers()
}

func TestABoxIsMadeAsNew(t *testing.T) {
	b := lived(t)
	was, whole := readLabel(b.onBootPartition("SLUICE.TXT"))
	if !whole {
		t.Fatal("there is no label")
	}
	b.onData(func(folder string) { run(t, "touch", filepath.Join(folder, "factory-reset")) })
	b.start()
	t.Logf("after a marker the page answers after %s", b.answers())
	b.asNew(was)

	b.change("devices", simulated())
	b.api("POST", "/reset", map[string]string{"password": password}, nil)
	t.Logf("after a reset on the page it answers after %s", b.startedAnew(2))
	b.asNew(was)
}

// TestAButtonMakesABoxAsNew presses the button that the machine's device tree has at its GPIO.
func TestAButtonMakesABoxAsNew(t *testing.T) {
	b := lived(t)
	was, whole := readLabel(b.onBootPartition("SLUICE.TXT"))
	if !whole {
		t.Fatal("there is no label")
	}
	tree := filepath.Join(t.TempDir(), "tree")
	run(t, b.on.qemu[0], append(b.on.qemu[1:], "-machine", "acpi=off,dumpdtb="+tree, "-nographic", "-nodefaults")...)
	run(t, "fdtput", "-t", "i", tree, "/gpio-keys/poweroff", "linux,code", "408") // KEY_RESTART
	wire := tree + ".wire"
	b.more = append(b.more, "-machine", "acpi=off", "-dtb", tree, "-qtest", "unix:"+wire+",server=on,wait=off", "-qtest-log", "none")
	b.start()
	conn, err := net.Dial("unix", wire) // QEMU's own; start returns before it is there
	for tries := 0; err != nil && tries < 100; tries++ {
		time.Sleep(100 * time.Millisecond)
		conn, err = net.Dial("unix", wire)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	chip := regexp.MustCompile(`(/device\[\d+\]) \(pl061\)`).FindStringSubmatch(b.monitor("info qom-tree"))
	if chip == nil {
		t.Fatal("the machine has no GPIO")
	}
	press := func(level int) {
		t.Helper()
		if _, err := fmt.Fprintf(conn, "set_irq_in /machine/unattached%s unnamed-gpio-in 3 %d\n", chip[1], level); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 256)
		if n, err := conn.Read(said); err != nil || !strings.HasPrefix(string(said[:n]), "OK") {
			t.Fatalf("the button answers %q, %v", said[:n], err)
		}
	}
	t.Logf("the page answers after %s", b.answers())
	b.signIn() // the password is there

	press(1)
	time.Sleep(time.Second)
	press(0)
	t.Logf("a short press starts it anew: the page answers after %s", b.startedAnew(2))
	b.signIn() // and still is

	press(1)
	time.Sleep(20 * time.Second) // five of the box's own
	press(0)
	t.Logf("a long one makes it as new: the page answers after %s", b.startedAnew(3))
	b.asNew(was)
}
