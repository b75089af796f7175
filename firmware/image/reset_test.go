package image_test

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

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
	b.wait("factory reset", func() bool { return strings.Count(b.console(), "Sluice: slot ") >= 3 }) // after five seconds of its own
	press(0)
	t.Logf("a long one makes it as new: the page answers after %s", b.startedAnew(3))
	b.asNew(was)
}
