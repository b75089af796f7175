package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Addresses of the two ends of a way.
const (
	nearIP = "10.231.78.1"
	farIP  = "10.231.78.2"
)

// way is two network namespaces and what carries packets between them: it keeps each for a time and loses some. Many
// kernels have no netem that would do this.
type way struct {
	near, far namespace
	ends      [2]*os.File
	carrying  sync.WaitGroup
}

// namespace is a network namespace, by its name.
type namespace struct{ name string }

func newWay(delay time.Duration, loss float64) (w *way, err error) {
	w = &way{near: namespace{temporary("near")}, far: namespace{temporary("far")}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	for i, end := range []struct {
		n    namespace
		own  string
		peer string
	}{{w.near, nearIP, farIP}, {w.far, farIP, nearIP}} {
		if err := ip("netns add " + end.n.name); err != nil {
			return w, err
		}
		if err := end.n.do(func() (err error) {
			w.ends[i], err = openTUN("way")
			return err
		}); err != nil {
			return w, err
		}
		for _, command := range []string{"link set lo up", "addr add " + end.own + " peer " + end.peer + " dev way", "link set way mtu 1500 txqueuelen 1000 up"} {
			if err := ip("-n " + end.n.name + " " + command); err != nil {
				return w, err
			}
		}
	}
	w.carry(w.ends[0], w.ends[1], delay, loss, 1)
	w.carry(w.ends[1], w.ends[0], delay, loss, 2)
	return w, nil
}

func ip(words string) error {
	if text, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", words, err, text)
	}
	return nil
}

// openTUN makes the device of a name in the namespace of this thread.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(request))); no != 0 {
		unix.Close(fd)
		return nil, fmt.Errorf("make the network device %s: %w", name, no)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// carry takes packets of one direction until an end is closed. So many may be on the way; one more is lost, as on a
// router.
func (w *way) carry(from, to *os.File, delay time.Duration, loss float64, seed uint64) {
	type packet struct {
		due   time.Time
		bytes []byte
	}
	under := make(chan packet, 10_000)
	w.carrying.Go(func() {
		defer close(under)
		random := rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano())))
		buffer := make([]byte, 2048)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if random.Float64() < loss {
				continue
			}
			select {
			case under <- packet{time.Now().Add(delay), append([]byte(nil), buffer[:n]...)}:
			default:
			}
		}
	})
	w.carrying.Go(func() {
		for p := range under {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.bytes) // an end that is closed loses it
		}
	})
}

func (w *way) close() (err error) {
	for _, end := range w.ends {
		if end != nil {
			end.Close()
		}
	}
	w.carrying.Wait()
	for _, n := range []namespace{w.near, w.far} {
		if _, there := os.Stat(filepath.Join("/run/netns", n.name)); there == nil {
			err = errors.Join(err, ip("netns del "+n.name))
		}
	}
	return err
}

// do runs f with this goroutine's thread in the namespace: sockets that f makes stay there, and processes that it
// starts live there.
func (n namespace) do(f func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer unix.Close(home)
	away, err := unix.Open(filepath.Join("/run/netns", n.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open network namespace %s: %w", n.name, err)
	}
	defer unix.Close(away)
	if err := unix.Setns(away, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", n.name, err)
	}
	done := f()
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		// The thread stays locked and so ends with its goroutine: nobody else may run on it.
		return errors.Join(done, fmt.Errorf("leave network namespace %s: %w", n.name, err))
	}
	runtime.UnlockOSThread()
	return done
}
