package image_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
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
