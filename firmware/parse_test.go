package firmware

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRelease(t *testing.T) {
	root := fstest.MapFS{"etc/os-release": {Data: []byte("PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n# a remark=1\nIMAGE_ID='sluice-cm4'\nIMAGE_VERSION=\"1.4.0\\\"x\"\nbroken\n=nothing\n")}}
	if got, want := ReadRelease(root), (Release{"sluice-cm4", `1.4.0"x`}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := ReadRelease(fstest.MapFS{"usr/lib/os-release": {Data: []byte("IMAGE_VERSION=7")}}); got.Version != "7" {
		t.Errorf("%+v, want what the other place says", got)
	}
	if got := ReadRelease(fstest.MapFS{}); got != (Release{}) {
		t.Errorf("%+v of nothing", got)
	}
}

func TestModules(t *testing.T) {
	dep := "kernel/drivers/md/dm-mod.ko.xz: kernel/drivers/dax/dax.ko.xz\nkernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz\nkernel/drivers/block/nbd.ko.xz:\n"
	whole := func() fstest.MapFS {
		root := fstest.MapFS{
			"lib/modules/6.12/modules.dep":     {Data: []byte(dep)},
			"lib/modules/6.12/modules.builtin": {Data: []byte("kernel/drivers/block/loop.ko\n")},
			"sys/module/squashfs/initstate":    {Data: []byte("live\n")},
		}
		for _, file := range []string{"drivers/md/dm-mod", "drivers/dax/dax", "drivers/md/dm-verity", "drivers/md/dm-bufio", "drivers/block/nbd"} {
			root["lib/modules/6.12/kernel/"+file+".ko.xz"] = &fstest.MapFile{}
		}
		return root
	}
	if err := modules(whole(), "6.12"); err != nil {
		t.Errorf("a whole kernel: %v", err)
	}
	for missing, says := range map[string]string{
		"lib/modules/6.12/kernel/drivers/dax/dax.ko.xz":   "dax.ko.xz does not exist", // boots, and can never be updated again
		"lib/modules/6.12/kernel/drivers/block/nbd.ko.xz": "nbd",
		"lib/modules/6.12/modules.builtin":                "loop",
		"lib/modules/6.12/modules.dep":                    "dm_verity",
		"sys/module/squashfs/initstate":                   "squashfs",
	} {
		root := whole()
		delete(root, missing)
		if err := modules(root, "6.12"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("without %s: %v, want %q in it", missing, err, says)
		}
	}
}

// hidden is a machine whose unit hides the kernel's modules.
type hidden struct{ fs.FS }

func (hidden) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestHiddenModulesAreNoFault(t *testing.T) {
	if err := modules(hidden{}, "6.12"); err != nil {
		t.Errorf("what cannot be seen is held against the system: %v", err)
	}
}

func TestManagers(t *testing.T) {
	for file, want := range map[string]string{
		"var/lib/dpkg/info/sluice.list": "apt", "usr/lib/opkg/info/sluice.control": "opkg", "lib/apk/db/installed": "apk", "var/lib/rpm/rpmdb.sqlite": "dnf",
	} {
		root := fstest.MapFS{file: {Data: []byte("P:busybox\n\nP:sluice\n")}}
		if m, known := ManagerOf(root, "/usr/bin/sluice"); !known || m.Name != want || len(m.Commands) == 0 {
			t.Errorf("%s: %+v, %v, want %s", file, m, known, want)
		}
		if m, known := ManagerOf(root, "/root/sluice"); known {
			t.Errorf("a program that was copied is %s's", m.Name)
		}
	}
	if m, known := ManagerOf(fstest.MapFS{"lib/apk/db/installed": {Data: []byte("P:sluice-doc\n")}}, "/usr/bin/sluice"); known {
		t.Errorf("another package is taken for ours by %s", m.Name)
	}
}

func TestADamagedStateBeginsAnew(t *testing.T) {
	dir := t.TempDir()
	var s state
	for i := range mostEvents + 7 {
		s.record(Event{Kind: "kept", Slot: string(rune('A' + i%2))})
	}
	if err := s.save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := load(dir); err != nil || len(got.History) != mostEvents {
		t.Errorf("%d events, %v", len(got.History), err)
	}
	text, _ := os.ReadFile(filepath.Join(dir, stateFile))
	if err := os.WriteFile(filepath.Join(dir, stateFile), text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := load(dir); err == nil || len(got.History) != 0 || got.Proven == nil {
		t.Errorf("half a file gives %+v, %v", got, err)
	}
}

// TestStateOfOtherVersions reads what another version has written, before and after an update.
func TestStateOfOtherVersions(t *testing.T) {
	dir := t.TempDir()
	text := `{"update":{"version":"9","slot":"B","boot":"x","written":true,"uplinks":["cloud"],"new":{"a":1}},"trial":{"boot":"y","began":5,"crashes":1,"mood":"good"},"later":[1],"history":[{"kind":"blessed","extra":1}]}`
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := load(dir)
	if err != nil || s.Update.Version != "9" || s.Trial.Boot != "y" || s.History[0].Kind != "blessed" {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"update":{"slot":"B"},"proven":{"A":"1"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := load(dir)
		if err != nil {
			return
		}
		if err := s.save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := load(dir)
		if err != nil || again.identical(&s) != nil {
			t.Errorf("%q does not survive: %v", text, err)
		}
	})
}

// identical compares what matters after a round trip.
func (s *state) identical(o *state) error {
	a, err := json.Marshal(s)
	if err != nil {
		return err
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if string(a) != string(b) {
		return os.ErrInvalid
	}
	return nil
}

func FuzzRelease(f *testing.F) {
	f.Add([]byte("IMAGE_ID=\"a\\\\b\"\nIMAGE_VERSION='1'"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, value := range parseRelease(text) {
			if name == "" || strings.ContainsAny(name+value, "\n") {
				t.Errorf("%q = %q of %q", name, value, text)
			}
		}
	})
}

func FuzzDependencies(f *testing.F) {
	f.Add([]byte("kernel/a.ko.xz: kernel/b.ko\nkernel/c.ko:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, files := range dependencies(text) {
			if len(files) == 0 || moduleName(files[0]) != name {
				t.Errorf("%q: %q of %q", name, files, text)
			}
		}
	})
}

// TestWhatRAUCSays has the words of RAUC 1.8 and 1.13, as they were heard and stand in the program.
func TestWhatRAUCSays(t *testing.T) {
	for said, want := range map[string]string{
		"Installation error: Compatible mismatch: Expected 'sluice-test' but bundle manifest has 'sluice-other'":                                "board",
		"Version mismatch: Expected at least '1.5.0' but bundle manifest has '1.0.0'":                                                           "version",
		"signature verification failed: Verify error: self-signed certificate":                                                                  "signer",
		"signature verification failed: Verify error: unable to get local issuer certificate":                                                   "signer",
		"signature verification failed: Verify error: certificate is not yet valid":                                                             "time",
		"signature verification failed: Verify error: certificate has expired":                                                                  "time",
		"signature verification failed: error:1700009E:CMS routines::verification failure":                                                      "signature",
		"Invalid bundle format: Signature data is no valid CMS":                                                                                 "signature",
		"Invalid bundle format: Signature size (4015792086639004220) exceeds bundle size":                                                       "format",
		"Invalid bundle format: Failed to open bundle for reading: Error opening file /t/a.raucb: No such file or directory":                    "missing",
		"Bundle format 'plain' not allowed":                                                                                                     "format",
		"Failed mounting bundle: Failed to open /dev/mapper/control: No such file or directory":                                                 "modules",
		"Failed mounting bundle: Failed to open /dev/loop-control: No such file or directory":                                                   "modules",
		"Failed updating slot rootfs.1: failed to update slot: bundle payload is corrupted":                                                     "damaged",
		"Failed to download bundle http://10.0.0.1/x.raucb: Transfer failed: Failed to connect to 10.0.0.1 port 80: Couldn't connect to server": "network",
		"already processing a different method":                                                                                                 "busy",
		"rauc info error":                                                                                                                       "other",
	} {
		if got := explain(said); got.Kind != want {
			t.Errorf("%q is %s, want %s", said, got.Kind, want)
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("Compatible mismatch: Expected 'a' but bundle manifest has 'b'")
	f.Fuzz(func(t *testing.T, said string) {
		r := explain(said)
		if refusals[r.Kind] == "" || !strings.Contains(r.Error(), r.Said) {
			t.Errorf("%q gives %+v", said, r)
		}
	})
}
