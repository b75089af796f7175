//go:build linux

package nighttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// mosquitto is the cloud: Debian's broker, with a stock subscriber whose session outlives both of
// them and who writes down everything under plants/.
type mosquitto struct {
	site    site
	address string
	config  string
	process *process
	*record
}

func newMosquitto(t *testing.T, s site, address string) *mosquitto {
	t.Helper()
	need(t, "mosquitto", "mosquitto_sub", "mosquitto_pub")
	dir := t.TempDir()
	m := &mosquitto{site: s, address: address, config: filepath.Join(dir, "mosquitto.conf")}
	host, port := split(address)
	// user root: mosquitto would drop to its own user, who may not write into our folder.
	config := fmt.Sprintf(`listener %s %s
allow_anonymous true
user root
persistence true
persistence_location %s/
autosave_interval 5
max_queued_messages 0
`, port, host, dir)
	if err := os.WriteFile(m.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start(t)

	path := filepath.Join(dir, "received")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out.Close()
	s.start(t, "mosquitto_sub", nil, "sh", "-c", `exec mosquitto_sub -h "$0" -p "$1" -i recorder -c -q 1 -t 'plants/#' -F '%t %p' >"$2"`, host, port, path)
	m.record = follow(t, path, withTopic)
	until(t, 30*time.Second, "the recorder's subscription", func() bool {
		s.run("mosquitto_pub", "-h", host, "-p", port, "-t", "plants/probe", "-m", "probe")
		return m.count() > 0
	})
	return m
}

func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	m.process = m.site.start(t, "mosquitto", nil, "mosquitto", "-c", m.config)
	until(t, 30*time.Second, "mosquitto's listener", func() bool {
		m.process.alive(t)
		return m.site.reachable(m.address)
	})
}

// stop ends mosquitto in order: it acknowledges what it has not yet saved, so only this way does
// it keep its own promises.
func (m *mosquitto) stop(t *testing.T) {
	t.Helper()
	if code, _, err := m.process.terminate(time.Minute); code != 0 || err != nil {
		t.Fatalf("mosquitto ended with code %d: %v", code, err)
	}
}

// sink is the cloud that may be killed: sluice's own recorder, which syncs before it acknowledges.
type sink struct {
	site    site
	address string
	path    string
	binary  string
	options []string // of the recorder
	process *process
	*record
}

func newSink(t *testing.T, s site, address string) *sink {
	t.Helper()
	path := filepath.Join(t.TempDir(), "received")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return &sink{site: s, address: address, path: path, binary: sluice(t), record: follow(t, path, payloadOnly)}
}

func (k *sink) start(t *testing.T) {
	t.Helper()
	command := append([]string{k.binary, "simulate", "cloud", "--listen", k.address, "--record", k.path}, k.options...)
	k.process = k.site.start(t, "sink", nil, command...)
	until(t, 30*time.Second, "the sink's listener", func() bool {
		k.process.alive(t)
		return k.site.reachable(k.address)
	})
}

// record follows a file to which deliveries are appended, one a line, and remembers how long it
// was at which time. It sees a line a little later than it was written, never earlier.
type record struct {
	path  string
	parse func(line []byte) (delivery, error)

	mu      sync.Mutex // guards what follows
	lines   int
	history []sample
}

type sample struct {
	at    time.Time
	lines int
}

func follow(t *testing.T, path string, parse func([]byte) (delivery, error)) *record {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &record{path: path, parse: parse}
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	go func() {
		defer close(stopped)
		defer file.Close()
		buf := make([]byte, 1<<20)
		for offset := int64(0); ; {
			// Whole lines only: the beginning of one may vanish again when its writer is killed.
			n, _ := file.ReadAt(buf, offset)
			whole := buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
			offset += int64(len(whole))
			r.grow(bytes.Count(whole, []byte("\n")))
			if len(whole) > 0 {
				continue
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return r
}

func (r *record) grow(lines int) {
	if lines == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines += lines
	r.history = append(r.history, sample{time.Now(), r.lines})
}

// count is how many deliveries have been recorded.
func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// countAt is how many deliveries had been recorded at an earlier time.
func (r *record) countAt(at time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.history) - 1; i >= 0; i-- {
		if !r.history[i].at.After(at) {
			return r.history[i].lines
		}
	}
	return 0
}

// deliveries reads the whole record. A last line without an end was being written when its writer
// was killed: it was never acknowledged and does not count.
func (r *record) deliveries(t *testing.T) []delivery {
	t.Helper()
	file, err := os.Open(r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []delivery
	for lines := bufio.NewReaderSize(file, 1<<16); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.parse(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			t.Fatalf("%s line %d: %v", r.path, len(all)+1, err)
		}
		all = append(all, d)
	}
}

// withTopic reads "TOPIC PAYLOAD", as mosquitto_sub was told to write.
func withTopic(line []byte) (delivery, error) {
	topic, payload, found := bytes.Cut(line, []byte(" "))
	if !found {
		return delivery{}, fmt.Errorf("no payload in %.200q", line)
	}
	return delivery{string(topic), payload}, nil
}

// payloadOnly reads what the sink writes: the payload, as a JSON string where it would not fit into
// a line.
func payloadOnly(line []byte) (delivery, error) {
	if !bytes.HasPrefix(line, []byte(`"`)) {
		return delivery{payload: line}, nil
	}
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		return delivery{}, fmt.Errorf("%w: %.200q", err, line)
	}
	return delivery{payload: []byte(text)}, nil
}

// run runs a short command in the site and gives what it wrote.
func (s site) run(command ...string) (out []byte, err error) {
	err = s.do(func() error {
		out, err = exec.Command(command[0], command[1:]...).CombinedOutput()
		return err
	})
	return out, err
}
