package mqtt5

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/bridge/uplinktest"
)

func TestMosquittoKeepsTheContract(t *testing.T) {
	uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
		broker := uplinktest.StartMosquitto(t, "")
		gate := newGate(t, broker.Address)
		reader := newReader(t, broker)
		return uplinktest.Harness{
			Uplink:   uplink(t, "tcp://"+gate.listener.Addr().String(), nil),
			Received: reader.received,
			Mute:     gate.mute,
			SetUp:    gate.setUp,
		}
	})
}

// reader is a stock subscriber.
type reader struct {
	t      *testing.T
	broker *uplinktest.Mosquitto
	taken  uplinktest.Book
	marks  int
}

const markTopic = "plants/readings/mark"

func newReader(t *testing.T, m *uplinktest.Mosquitto) *reader {
	r := &reader{t: t, broker: m}
	cmd := exec.Command(uplinktest.Peer(t, "mosquitto_sub"), "-p", fmt.Sprint(m.Port), "-t", "plants/#", "-q", "1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.taken.Add("", lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		cmd.Wait()
	})
	uplinktest.Eventually(t, "the subscriber is there", func() bool {
		r.mark()
		return len(r.taken.All()) > 0
	})
	return r
}

func (r *reader) mark() (text string) {
	r.marks++
	text = fmt.Sprintf("mark %d", r.marks)
	out, err := exec.Command(uplinktest.Peer(r.t, "mosquitto_pub"), "-p", fmt.Sprint(r.broker.Port), "-q", "1", "-t", markTopic, "-m", text).CombinedOutput()
	if err != nil {
		r.t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
	return text
}

// received waits until what the broker has by now is through.
func (r *reader) received() []string {
	mark := r.mark()
	uplinktest.Eventually(r.t, "the subscriber has everything", func() bool { return slices.Contains(r.taken.All(), mark) })
	return slices.DeleteFunc(r.taken.All(), func(m string) bool { return strings.HasPrefix(m, "mark ") })
}

// gate is a line to a broker that can be cut, or made to swallow acknowledgements.
type gate struct {
	listener net.Listener
	broker   string
	running  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns []net.Conn
	down  bool
	muted bool
}

func newGate(t *testing.T, broker string) *gate {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: listener, broker: broker}
	g.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			g.open(conn)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		g.setUp(false)
		g.running.Wait()
	})
	return g
}

func (g *gate) open(near net.Conn) {
	far, err := net.Dial("tcp", g.broker)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil || g.down {
		near.Close()
		if err == nil {
			far.Close()
		}
		return
	}
	g.conns = append(g.conns, near, far)
	g.running.Go(func() {
		io.Copy(far, near)
		far.Close()
	})
	g.running.Go(func() {
		g.answers(near, bufio.NewReader(far))
		near.Close()
	})
}

// answers passes packets of the broker on, but no PUBACK while it is muted.
func (g *gate) answers(near io.Writer, far *bufio.Reader) {
	for {
		head, err := far.Peek(2)
		if err != nil {
			return
		}
		packet := make([]byte, 2+int(head[1])) // answers are shorter than 128 bytes
		if _, err := io.ReadFull(far, packet); err != nil {
			return
		}
		g.mu.Lock()
		muted := g.muted
		g.mu.Unlock()
		if muted && packet[0]>>4 == 4 {
			continue
		}
		if _, err := near.Write(packet); err != nil {
			return
		}
	}
}

func (g *gate) mute(mute bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.muted = mute
}

func (g *gate) setUp(up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = !up
	if !up {
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
	}
}
