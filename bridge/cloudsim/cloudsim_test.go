package cloudsim

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func reading(device string, epoch, seq uint64) []byte {
	return fmt.Appendf(nil, `{"gateway":"line-3","device":%q,"epoch":%d,"seq":%d,"ts":1,"values":{}}`, device, epoch, seq)
}

func TestCheckerCounts(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []uint64
		want StreamReport
	}{
		{"in order", []uint64{1, 2, 3, 4}, StreamReport{Received: 4, First: 1, Last: 4}},
		{"a gap", []uint64{5, 6, 9}, StreamReport{Received: 3, First: 5, Last: 9, Gaps: 2}},
		{"a repeated run", []uint64{1, 2, 3, 4, 2, 3, 4, 5}, StreamReport{Received: 8, First: 1, Last: 5, Duplicates: 3, StepsBack: 1, LongestRepeat: 3}},
		{"two runs", []uint64{1, 2, 3, 2, 3, 4, 4, 5}, StreamReport{Received: 8, First: 1, Last: 5, Duplicates: 3, StepsBack: 2, LongestRepeat: 2}},
		{"overtaken", []uint64{1, 3, 2, 4}, StreamReport{Received: 4, First: 1, Last: 4, StepsBack: 1, Reordered: 1}},
		{"first comes late", []uint64{3, 1, 2}, StreamReport{Received: 3, First: 1, Last: 3, StepsBack: 1, Reordered: 2}},
		{"the same again", []uint64{7, 7, 7}, StreamReport{Received: 3, First: 7, Last: 7, Duplicates: 2, StepsBack: 2, LongestRepeat: 1}},
		{"the ends of what can be", []uint64{0, 1<<64 - 1}, StreamReport{Received: 2, Last: 1<<64 - 1, Gaps: 1<<64 - 2}},
	} {
		var check Checker
		for _, seq := range c.seqs {
			check.Add(reading("press", 1, seq))
		}
		c.want.Gateway, c.want.Device, c.want.Epoch = "line-3", "press", 1
		if got := check.Report().Streams; len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %v gives %+v, want %+v", c.name, c.seqs, got, c.want)
		}
	}
}

func TestCheckerKeepsStreamsApart(t *testing.T) {
	var check Checker
	for _, payload := range [][]byte{
		reading("press", 1, 1), reading("saw", 1, 1), reading("press", 2, 1), reading("press", 1, 2), reading("saw", 1, 3),
		[]byte("no JSON"), []byte(`{"device":"press"}`), []byte(`{"device":"press","epoch":1,"seq":-1}`), nil,
		reading("press", 1, 1), reading("saw", 1, 1), reading("press", 1, 2),
	} {
		check.Add(payload)
	}
	r := check.Report()
	if r.Received != 8 || r.Other != 4 || r.Gaps != 1 || r.Duplicates != 3 || len(r.Streams) != 3 || r.LongestRepeat != 3 {
		t.Errorf("report is %+v", r)
	}
}

func TestCheckerAgainstAPlainModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	for range 200 {
		var check Checker
		seen := make(map[uint64]bool)
		var highest, duplicates, reordered uint64
		lowest := uint64(1000)
		for range random.IntN(300) {
			seq := 1 + random.Uint64N(100)
			check.Add(reading("press", 1, seq))
			if seen[seq] {
				duplicates++
			} else if seq < highest {
				reordered++
			}
			seen[seq] = true
			highest, lowest = max(highest, seq), min(lowest, seq)
		}
		if len(seen) == 0 {
			continue
		}
		r := check.Report()
		gaps := highest - lowest + 1 - uint64(len(seen))
		if r.Gaps != gaps || r.Duplicates != duplicates || r.Reordered != reordered {
			t.Fatalf("gaps %d, duplicates %d, reordered %d; want %d, %d, %d", r.Gaps, r.Duplicates, r.Reordered, gaps, duplicates, reordered)
		}
	}
}

func TestCheckerMemoryIsBounded(t *testing.T) {
	var check Checker
	const n = 5 * maxIntervals
	for i := range uint64(n) {
		check.Add(reading("press", 1, 1+2*i)) // every second one is missing
	}
	s := check.streams[streamKey{"line-3", "press", 1}]
	if len(s.seen) > maxIntervals {
		t.Errorf("%d intervals are kept, want at most %d", len(s.seen), maxIntervals)
	}
	if got := check.Report().Gaps; got != n-1 {
		t.Errorf("%d gaps, want %d: forgotten ones count", got, n-1)
	}
	for i := range uint64(maxStreams + 10) {
		check.Add(reading("press", i, 1))
	}
	if got := len(check.streams); got != maxStreams {
		t.Errorf("%d streams are kept, want %d", got, maxStreams)
	}
}

func TestRecordingSurvivesAKillInTheMiddleOfALine(t *testing.T) {
	path := t.TempDir() + "/taken"
	payloads := [][]byte{reading("press", 1, 1), []byte("two\nlines"), []byte(`"quoted"`), {}, reading("press", 1, 2)}
	r, err := openRecorder(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(nil, payloads); err != nil {
		t.Fatal(err)
	}
	r.file.WriteString(`{"gateway":"line-3","device":"pre`) // what a kill leaves
	r.close()
	if r, err = openRecorder(path); err != nil {
		t.Fatal(err)
	}
	if err := r.write(nil, [][]byte{reading("press", 1, 3)}); err != nil {
		t.Fatal(err)
	}
	r.close()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := Check(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.Received != 3 || got.Other != 3 || got.Gaps != 0 || got.Streams[0].Last != 3 {
		t.Errorf("the recording holds %+v, want three readings and three others", got)
	}
}

func TestRecordingNamesTheTopicsWhenAsked(t *testing.T) {
	path := t.TempDir() + "/taken"
	r, err := openRecorder(path)
	if err != nil {
		t.Fatal(err)
	}
	r.topics = true
	if err := r.write([]string{"a/b", "c"}, [][]byte{[]byte("{}"), []byte("two\nlines")}); err != nil {
		t.Fatal(err)
	}
	r.close()
	got, err := os.ReadFile(path)
	if want := "a/b {}\nc \"two\\nlines\"\n"; err != nil || string(got) != want {
		t.Errorf("the recording is %q (%v), want %q", got, err, want)
	}
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	return s
}

// dial logs a client in.
func dial(t *testing.T, s *Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	c.Write(hello)
	in := bufio.NewReader(c)
	if p, err := readPacket(in); err != nil || p.kind != typeConnack || !bytes.Equal(p.body, []byte{0, 0}) {
		t.Fatalf("login was answered with %+v, %v", p, err)
	}
	return c, in
}

var hello = appendPacket(nil, typeConnect, 0, []byte("\x00\x04MQTT\x04\x02\x00\x1e\x00\x03abc"))

func TestABurstIsSyncedOnceAndAcknowledgedInOrder(t *testing.T) {
	path := t.TempDir() + "/taken"
	s := start(t, Options{Record: path})
	c, in := dial(t, s)
	var burst []byte
	const n = 200
	for i := range n {
		burst = publish{topic: "a", qos: 1, id: uint16(i + 1), payload: reading("press", 1, uint64(i+1))}.append(burst, false)
	}
	c.Write(burst)
	for i := range n {
		p, err := readPacket(in)
		if err != nil || p.kind != typePuback || int(p.body[1]) != i+1 {
			t.Fatalf("answer %d is %+v, %v", i+1, p, err)
		}
		if i == 0 { // what is acknowledged is in the file
			recorded, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(recorded, []byte(`"seq":1,`)) {
				t.Errorf("message 1 is acknowledged, but not recorded (%v)", err)
			}
		}
	}
	// An answer is counted behind its write, which the client may see first.
	for deadline := time.Now().Add(10 * time.Second); s.Stats().Acked < n && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if st := s.Stats(); st.Received != n || st.Acked != n || st.Syncs > n/4 {
		t.Errorf("stats are %+v, want few syncs for %d messages", st, n)
	}
}

func TestServerEndsConnectionsThatMakeNoSense(t *testing.T) {
	s := start(t, Options{})
	for name, wire := range map[string][]byte{
		"QoS 2":            appendPacket(nil, typePublish, 4, []byte("\x00\x01a\x00\x01x")),
		"id 0":             appendPacket(nil, typePublish, 2, []byte("\x00\x01a\x00\x00x")),
		"topic cut":        appendPacket(nil, typePublish, 0, []byte("\x00\x09a")),
		"endless length":   {0x30, 0xff, 0xff, 0xff, 0xff, 0xff},
		"too long":         {0x30, 0xff, 0xff, 0xff, 0x7f},
		"empty subscribe":  appendPacket(nil, typeSubscribe, 2, []byte{0, 1}),
		"a second connect": hello,
	} {
		c, in := dial(t, s)
		c.Write(wire)
		if _, err := in.ReadByte(); err == nil {
			t.Errorf("%s is answered", name)
		}
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte{typePingreq << 4, 0})
	if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

func TestRunFailsWhenItCannotRecord(t *testing.T) {
	s, err := Listen("127.0.0.1:0", Options{Record: t.TempDir() + "/taken"})
	if err != nil {
		t.Fatal(err)
	}
	s.recorder.file.Close() // as good as a broken disk
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	c, in := dial(t, s)
	c.Write(publish{topic: "a", qos: 1, id: 1, payload: []byte("x")}.append(nil, false))
	if _, err := in.ReadByte(); err == nil {
		t.Error("acknowledged although it was not recorded")
	}
	if err := <-ended; err == nil {
		t.Error("Run returned nil")
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	s := start(t, Options{})
	if _, err := Listen(s.Addr().String(), Options{}); err == nil {
		t.Error("a port in use is taken")
	}
	if _, err := Listen("127.0.0.1:0", Options{Record: t.TempDir() + "/no/such/folder"}); err == nil {
		t.Error("a recording in a folder that is not there is opened")
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(hello)
	f.Add(publish{topic: "a/b", qos: 1, id: 7, payload: []byte("x")}.append(nil, true))
	f.Add(appendPacket(nil, typeSubscribe, 2, []byte("\x00\x01\x00\x03a/+\x01")))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x03})
	f.Add(publish{topic: "a/b", qos: 1, id: 7, payload: []byte("x"), about: &About{User: []message.Property{{Name: "a", Value: "b"}},
		ContentType: "text/plain", ResponseTopic: "r", Correlation: []byte{0}, Expiry: 9, Format: 1, Alias: 2}}.append(nil, true))
	f.Add(appendPacket(nil, typeConnect, 0, []byte("\x00\x04MQTT\x05\x02\x00\x1e\x05\x11\x00\x00\x00\x00\x00\x03abc")))
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := bufio.NewReader(bytes.NewReader(wire))
		in.Peek(1) // fills the buffer
		whole := buffered(in)
		p, err := readPacket(in)
		if whole && err != nil {
			t.Fatalf("%x was said to be whole, but gives %v", wire, err)
		}
		if err != nil {
			return // refusing is fine, panicking is not
		}
		again, err := readPacket(bufio.NewReader(bytes.NewReader(appendPacket(nil, p.kind, p.flags, p.body))))
		if err != nil || again.kind != p.kind || again.flags != p.flags || !bytes.Equal(again.body, p.body) {
			t.Errorf("%x does not survive a round trip: %v", wire, err)
		}
		parseConnect(p.body)
		for _, level := range []byte{4, 5} {
			parseSubscribe(p.body, level)
			m, err := parsePublish(p, level)
			if err != nil {
				continue
			}
			sent, err := readPacket(bufio.NewReader(bytes.NewReader(m.append(nil, false))))
			if err != nil {
				t.Fatalf("%+v cannot be read back: %v", m, err)
			}
			back, err := parsePublish(sent, level)
			if err != nil || back.topic != m.topic || back.qos != m.qos || !bytes.Equal(back.payload, m.payload) ||
				level == 5 && !bytes.Equal(back.about.append(nil), m.about.append(nil)) {
				t.Errorf("%+v came back as %+v, %v", m, back, err)
			}
		}
	})
}
