package manager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/network"
)

// Against the real NetworkManager, in namespaces of network and mounts that the test makes: what lies
// outside of them it can neither see nor change.

const roleKey = "SLUICE_TEST_NETWORK_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleKey) == "far" {
		os.Exit(beFar())
	}
	os.Exit(m.Run())
}

func shell(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// needPeers skips, or fails where everything has to be there.
func needPeers(t *testing.T) {
	t.Helper()
	missing := ""
	for _, program := range []string{"NetworkManager", "dbus-daemon", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = program
		}
	}
	if os.Getuid() != 0 {
		missing = "root"
	}
	if missing == "" {
		return
	}
	if os.Getenv("SLUICE_REQUIRE_PEERS") != "" {
		t.Fatalf("%s is missing; .ci/peers installs what the tests need", missing)
	}
	t.Skipf("%s is missing", missing)
}

// inside runs the test again in namespaces of its own; true there.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(roleKey) == "near" {
		return true
	}
	needPeers(t)
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	again.Env = append(os.Environ(), roleKey+"=near")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	out, err := again.CombinedOutput()
	if err != nil {
		t.Fatalf("in its namespaces: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// world is a NetworkManager with two devices, each with a cable to a far machine.
type world struct {
	t       *testing.T
	address string // of its bus
	dir     string
	far     io.Writer
	heard   *bufio.Scanner
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	shell(t, `mount --make-rprivate /
		mount -t proc proc /proc
		mount -t sysfs -o ro sysfs /sys
		mount -t tmpfs tmpfs /run
		mkdir -p /run/NetworkManager /run/dbus
		mount -t tmpfs tmpfs /var/lib/NetworkManager
		ip link set lo up
		ip link add up0 type veth peer name far0
		ip link add up1 type veth peer name far1`)
	w.startFar()
	bus := filepath.Join(w.dir, "bus")
	w.address = "unix:path=" + bus
	w.write("bus.conf", `<busconfig><type>system</type><listen>unix:path=`+bus+`</listen><auth>EXTERNAL</auth>
		<policy context="default"><allow send_destination="*"/><allow own="*"/><allow receive_sender="*"/><allow user="*"/></policy></busconfig>`)
	w.write("nm.conf", "[main]\nplugins=keyfile\ndns=none\nrc-manager=unmanaged\ndhcp=internal\nauth-polkit=false\nno-auto-default=*\nconfigure-and-quit=no\n[keyfile]\npath="+w.disk()+"\n[connectivity]\nenabled=false\n")
	for _, dir := range []string{"disk", "conf.d"} {
		if err := os.Mkdir(filepath.Join(w.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.start("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+filepath.Join(w.dir, "bus.conf"))
	w.until("the bus", func() bool { _, err := os.Stat(bus); return err == nil })
	w.start("NetworkManager", "--no-daemon", "--config="+filepath.Join(w.dir, "nm.conf"), "--config-dir="+filepath.Join(w.dir, "conf.d"),
		"--system-config-dir="+filepath.Join(w.dir, "conf.d"), "--intern-config="+filepath.Join(w.dir, "intern.conf"),
		"--state-file="+filepath.Join(w.dir, "state"), "--pid-file="+filepath.Join(w.dir, "pid"))
	return w
}

func (w *world) disk() string { return filepath.Join(w.dir, "disk") }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start(program string, args ...string) {
	w.t.Helper()
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.address)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(w.dir, program+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && w.t.Failed() {
			lines := strings.Split(string(text), "\n")
			w.t.Logf("%s:\n%s", program, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
}

// until polls: other processes cannot be waited for in a bubble of simulated time.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(12 * time.Second); !is(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not within 12 s", what)
		}
	}
}

// startFar starts the machine at the other end of both cables, which has the address 10.9.9.9.
func (w *world) startFar() {
	w.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleKey+"=far")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	w.far, w.heard = in, bufio.NewScanner(out)
	shell(w.t, fmt.Sprintf("ip link set far0 netns %d; ip link set far1 netns %d", c.Process.Pid, c.Process.Pid))
	w.tellFar(`ip link set lo up; ip addr add 10.9.9.9/32 dev lo; ip link set far0 up; ip link set far1 up
		ip addr add 10.1.0.1/24 dev far0; ip addr add 10.2.0.1/24 dev far1`)
}

func (w *world) tellFar(command string) {
	w.t.Helper()
	fmt.Fprintln(w.far, strings.ReplaceAll(command, "\n", ";"))
	if !w.heard.Scan() || w.heard.Text() != "done" {
		w.t.Fatalf("the far machine says %q to %s", w.heard.Text(), command)
	}
}

// beFar runs the commands that come, and takes TCP connections.
func beFar() int {
	go func() {
		listener, err := net.Listen("tcp", ":1883")
		for err == nil {
			var conn net.Conn
			if conn, err = listener.Accept(); err == nil {
				conn.Close()
			}
		}
	}()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if out, err := exec.Command("sh", "-ec", in.Text()).CombinedOutput(); err != nil {
			fmt.Println(err, string(out))
			continue
		}
		fmt.Println("done")
	}
	return 0
}

// manager is one run of a Manager; stop ends it, or what it held dies with the test as in a kill.
func (w *world) manager(grace time.Duration) (m *Manager, stop func()) {
	w.t.Helper()
	m = New(Options{Address: w.address, Grace: grace, Mark: filepath.Join(w.dir, "mark.json"), Log: slog.New(slog.DiscardHandler),
		Write: func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); m.Run(ctx) }()
	stop = func() { cancel(); <-ran }
	w.t.Cleanup(stop)
	return m, stop
}

func (w *world) state(m *Manager) network.State {
	w.t.Helper()
	state, err := m.State(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

func (w *world) apply(m *Manager, all []network.Connection) network.Applied {
	w.t.Helper()
	done, err := m.Apply(context.Background(), all, w.state(m).ETag)
	if err != nil {
		w.t.Fatal(err)
	}
	if done.Pending == nil || len(done.Warnings) > 0 {
		w.t.Fatalf("applied %+v", done)
	}
	return done
}

func (w *world) confirm(m *Manager, done network.Applied) {
	w.t.Helper()
	if err := m.Confirm(context.Background(), done.Pending.ID); err != nil {
		w.t.Fatal(err)
	}
}

func wired(name, device, address, gateway string, metric int64) network.Connection {
	return network.Connection{
		Name: name, Kind: network.KindEthernet, Interface: device, Auto: true, Metric: &metric,
		IPv4: network.IP{Method: "manual", Addresses: []string{address}, Gateway: gateway, DNS: []string{"10.9.9.9"}},
		IPv6: network.IP{Method: "disabled"},
	}
}

func (w *world) hasAddress(device, address string) func() bool {
	return func() bool {
		out, _ := exec.Command("ip", "-4", "-o", "addr", "show", "dev", device).Output()
		return strings.Contains(string(out), " "+address+" ")
	}
}

func find(t *testing.T, all []network.Connection, name string) *network.Connection {
	t.Helper()
	at := slices.IndexFunc(all, func(c network.Connection) bool { return c.Name == name })
	if at < 0 {
		t.Fatalf("there is no connection %s in %+v", name, all)
	}
	return &all[at]
}

func (w *world) files() (names []string) {
	entries, err := os.ReadDir(w.disk())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestTheRealNetworkManagerIsChanged(t *testing.T) {
	if !inside(t) {
		return
	}
	w := newWorld(t)
	m, stop := w.manager(time.Minute)
	w.until("NetworkManager", func() bool {
		s := w.state(m)
		return s.Available && len(s.Devices) == 2 && s.Devices[0].State == "disconnected"
	})
	if s := w.state(m); !s.Writable || s.Devices[0].Interface != "up0" || s.Devices[0].Kind != network.KindEthernet || len(s.Connections) != 0 {
		t.Fatalf("a fresh machine shows %+v", s)
	}

	// What is confirmed lies on disk.
	done := w.apply(m, []network.Connection{wired("office", "up0", "10.1.0.2/24", "10.1.0.1", 100), wired("spare", "up1", "10.2.0.2/24", "10.2.0.1", 200)})
	w.until("addresses", func() bool { return w.hasAddress("up0", "10.1.0.2/24")() && w.hasAddress("up1", "10.2.0.2/24")() })
	if files := w.files(); len(files) != 0 {
		t.Errorf("before anybody has confirmed there are %q on disk", files)
	}
	if _, err := m.Apply(context.Background(), nil, w.state(m).ETag); !errors.Is(err, network.ErrPending) {
		t.Errorf("another change meanwhile: %v", err)
	}
	w.confirm(m, done)
	if files := w.files(); len(files) != 2 {
		t.Errorf("confirmed, there are %q on disk", files)
	}
	w.until("both connected", func() bool {
		s := w.state(m)
		return s.Devices[0].State == "connected" && s.Devices[1].State == "connected"
	})
	s := w.state(m)
	if d := s.Devices[0]; d.Connection != find(t, s.Connections, "office").ID || d.Gateway != "10.1.0.1" || d.Metric == nil || *d.Metric != 100 || !slices.Equal(d.DNS, []string{"10.9.9.9"}) || d.Addresses[0] != "10.1.0.2/24" {
		t.Errorf("the device shows %+v", d)
	}
	if _, err := m.Apply(context.Background(), s.Connections, "old"); !errors.Is(err, network.ErrChanged) {
		t.Errorf("with an old tag: %v", err)
	}
	if done, err := m.Apply(context.Background(), s.Connections, s.ETag); err != nil || done.Pending != nil {
		t.Errorf("without a change: %+v, %v", done, err)
	}

	// What is taken back is as before: of what was changed, what was removed, and what was added.
	before := s.Connections
	mistake := func() network.Applied {
		office := *find(t, before, "office")
		office.IPv4.Addresses, office.IPv4.Gateway = []string{"10.77.0.2/24"}, ""
		extra := wired("extra", "", "10.3.0.2/24", "", 900)
		extra.Auto = false
		done := w.apply(m, []network.Connection{office, extra})
		w.until("the mistake", func() bool { return w.hasAddress("up0", "10.77.0.2/24")() && !w.hasAddress("up1", "10.2.0.2/24")() })
		return done
	}
	mistake()
	if err := m.RollBack(context.Background()); err != nil {
		t.Fatal(err)
	}
	asBefore := func() {
		t.Helper()
		w.until("what was before", func() bool { return w.hasAddress("up0", "10.1.0.2/24")() && w.hasAddress("up1", "10.2.0.2/24")() })
		w.until("the same profiles", func() bool {
			s := w.state(m)
			return s.Pending == nil && len(s.Connections) == 2 && same(*find(t, s.Connections, "office"), *find(t, before, "office")) && same(*find(t, s.Connections, "spare"), *find(t, before, "spare"))
		})
		if files := w.files(); len(files) != 2 {
			t.Errorf("there are %q on disk", files)
		}
	}
	asBefore()

	// Nobody confirms.
	stop()
	m, stop = w.manager(time.Second)
	mistake()
	asBefore()

	// The gateway dies while a change waits; the next one takes it back.
	stop()
	m, stop = w.manager(time.Minute)
	mistake()
	stop()
	m, stop = w.manager(time.Minute)
	asBefore()

	// The gateway dies and nobody starts it again: NetworkManager takes the devices back by itself.
	stop()
	m, stop = w.manager(-4 * time.Second) // of which NetworkManager gets a second
	office := *find(t, before, "office")
	office.IPv4.Addresses, office.IPv4.Gateway = []string{"10.77.0.2/24"}, ""
	m.pendingHeld(t, w, []network.Connection{office, *find(t, before, "spare")})
	w.until("what was before", w.hasAddress("up0", "10.1.0.2/24"))

	// What the gateway could not be asked for, and removal that is confirmed.
	stop()
	m, _ = w.manager(time.Minute)
	asBefore()
	wrong := *find(t, w.state(m).Connections, "office")
	wrong.Kind = network.KindModem
	if _, err := m.Apply(context.Background(), []network.Connection{wrong}, w.state(m).ETag); err == nil {
		t.Error("a cable became a modem")
	}
	w.confirm(m, w.apply(m, []network.Connection{*find(t, before, "office")}))
	w.until("one connection", func() bool { return len(w.files()) == 1 && !w.hasAddress("up1", "10.2.0.2/24")() })
}

// pendingHeld applies without the loop that takes back: as a gateway that dies at once.
func (m *Manager) pendingHeld(t *testing.T, w *world, all []network.Connection) {
	t.Helper()
	m = New(m.options)
	defer m.bus.close()
	if _, err := m.Apply(context.Background(), all, w.state(m).ETag); err != nil {
		t.Fatal(err)
	}
}

func TestAWayThatLeadsNowhereIsLeft(t *testing.T) {
	if !inside(t) {
		return
	}
	w := newWorld(t)
	m, _ := w.manager(time.Minute)
	w.until("NetworkManager", func() bool {
		s := w.state(m)
		return s.Available && len(s.Devices) == 2 && s.Devices[0].State == "disconnected"
	})
	w.confirm(m, w.apply(m, []network.Connection{wired("office", "up0", "10.1.0.2/24", "10.1.0.1", 100), wired("spare", "up1", "10.2.0.2/24", "10.2.0.1", 200)}))
	used := func() string {
		out := shell(t, "ip route get 10.9.9.9")
		_, rest, _ := strings.Cut(out, " dev ")
		return strings.Fields(rest)[0]
	}
	w.until("a way out", func() bool {
		ways, err := m.Ways(context.Background())
		return err == nil && len(ways) == 2 && used() == "up0"
	})
	impatient := func(ctx context.Context, through network.Way, target string) error {
		ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		return network.Connect(ctx, through, target)
	}
	watch := &network.Watch{Ways: m, Probe: impatient, Targets: func() []string { return []string{"10.9.9.9:1883"} }, Interval: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- watch.Run(ctx) }()
	reached := func(name, state string) func() bool {
		return func() bool { r := watch.Reach(name); return r != nil && r.State == state }
	}
	w.until("both good", func() bool { return reached("up0", "good")() && reached("up1", "good")() })

	// Far away the way breaks: the cable still has its carrier, and nothing comes back.
	w.tellFar("ip addr del 10.1.0.1/24 dev far0")
	w.until("the other way", func() bool { return used() == "up1" })
	if !watch.Reach("up0").Demoted || watch.Reach("up1").State != "good" {
		t.Errorf("up0 %+v, up1 %+v", watch.Reach("up0"), watch.Reach("up1"))
	}
	if !w.hasAddress("up0", "10.1.0.2/24")() {
		t.Error("the way that is left has lost its address")
	}
	w.tellFar("ip addr add 10.1.0.1/24 dev far0")
	w.until("the way back", func() bool { return used() == "up0" })

	w.tellFar("ip addr del 10.1.0.1/24 dev far0")
	w.until("the other way", func() bool { return used() == "up1" })
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if used() != "up0" {
		t.Error("after the end a way is still where nobody put it")
	}
}

// TestTheNamespaceIsTheTests makes sure that what follows from a mistake here is small.
func TestTheNamespaceIsTheTests(t *testing.T) {
	if !inside(t) {
		return
	}
	var own, parent unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", os.Getppid()), &parent); err == nil && own.Ino == parent.Ino {
		t.Error("the test runs in the machine's own network")
	}
}
