package dial

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childRole names what this binary shall be when a test starts it again, in a network namespace.
const childRole = "SLUICE_DIAL_CHILD"

var children = map[string]func() int{"cloud": beCloud, "gateway": beGateway}

const cloudAddress = "10.9.9.9:1883"

// beCloud tells every client from which address it came, until its standard input ends.
func beCloud() int {
	fmt.Println("here")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil { // the links are laid
		return 1
	}
	listener, err := net.Listen("tcp", cloudAddress)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listening")
	go func() {
		in.ReadString('\n')
		listener.Close()
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return 0
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		fmt.Fprintln(conn, host)
		conn.Close()
	}
}

// beGateway dials by the interfaces that its standard input names, and prints what the cloud says.
func beGateway() int {
	fmt.Println("here")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		nic, without := strings.CutSuffix(in.Text(), " without the right")
		fmt.Println(askCloud(strings.TrimSpace(nic), without))
	}
	return 0
}

func askCloud(nic string, withoutRight bool) string {
	o := Default()
	o.Interface, o.ConnectTimeout = nic, 3*time.Second
	ctx, cancel := context.WithTimeout(context.Background(), o.ConnectTimeout)
	defer cancel()
	var conn net.Conn
	leave, err := o.way()
	if err == nil && withoutRight {
		leave.bind = func(int, string) error { return unix.EPERM }
		conn, err = leave.connect(ctx, cloudPort())
	} else if err == nil {
		conn, err = o.Dial(ctx, cloudAddress)
	}
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * time.Second))
	said, err := io.ReadAll(conn)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(said))
}

// child is this binary in a network namespace of its own.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChild(t *testing.T, role string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	c := &child{t, cmd, in, bufio.NewScanner(out)}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	c.expect("here")
	return c
}

func (c *child) line() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("a child ended: %v", c.out.Err())
	}
	return c.out.Text()
}

func (c *child) expect(want string) {
	c.t.Helper()
	if got := c.line(); got != want {
		c.t.Fatalf("a child says %q, want %q", got, want)
	}
}

// ip runs the ip command in the child's namespace.
func (c *child) ip(args string) {
	c.t.Helper()
	all := append([]string{"-t", fmt.Sprint(c.cmd.Process.Pid), "-n", "ip"}, strings.Fields(args)...)
	if out, err := exec.Command("nsenter", all...).CombinedOutput(); err != nil {
		c.t.Skipf("ip %s: %v: %s", args, err, out)
	}
}

// TestTheInterfaceIsChosen gives a gateway Ethernet, by which the route leads, and 4G beside it.
func TestTheInterfaceIsChosen(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces want root")
	}
	for _, tool := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	cloud, gateway := startChild(t, "cloud"), startChild(t, "gateway")
	cloud.ip("link set lo up")
	cloud.ip("address add 10.9.9.9/32 dev lo")
	for i, nic := range []string{"eth0", "wwan0"} {
		gateway.ip(fmt.Sprintf("link add %s type veth peer name %s netns %d", nic, nic, cloud.cmd.Process.Pid))
		cloud.ip(fmt.Sprintf("address add 10.0.%d.1/24 dev %s", i, nic))
		cloud.ip("link set " + nic + " up")
		gateway.ip(fmt.Sprintf("address add 10.0.%d.2/24 dev %s", i, nic))
		gateway.ip("link set " + nic + " up")
		gateway.ip(fmt.Sprintf("route add default via 10.0.%d.1 dev %s metric %d", i, nic, 100*(i+1)))
	}
	gateway.ip("link add eth1 type veth peer name eth2")
	gateway.ip("link set eth2 up")
	gateway.ip("link add eth3 type veth peer name eth4")
	gateway.ip("link set eth3 up")
	gateway.ip("address add 2001:db8::1/64 dev eth3 nodad")
	fmt.Fprintln(cloud.in, "go")
	cloud.expect("listening")
	for _, c := range []struct{ nic, want string }{
		{"", "10.0.0.2"},
		{"eth0", "10.0.0.2"},
		{"wwan0", "10.0.1.2"},
		{"wwan0 without the right", "10.0.1.2"},
		{"eth1", "the network interface eth1 is down; is the cable in, or the modem connected?"},
		{"eth2", "the network interface eth2 has no address; is the cable in, or the modem connected?"},
		{"eth3 without the right", "the network interface eth3 has no address that could reach 10.9.9.9"},
		{"nix0", "there is no network interface nix0 here; there are lo, "},
	} {
		fmt.Fprintln(gateway.in, c.nic)
		if got := gateway.line(); !strings.HasPrefix(got, c.want) {
			t.Errorf("by %q the cloud sees %q, want %q", c.nic, got, c.want)
		}
	}
}

func cloudPort() netip.AddrPort { return netip.MustParseAddrPort(cloudAddress) }

// fullBacklog gives the address of a listener that answers no SYN any more.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 2 { // a backlog of n takes n + 1
		if conn, err := net.DialTimeout("tcp", address, 50*time.Millisecond); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	}
	return address
}
