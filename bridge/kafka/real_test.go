package kafka

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// broker is a real Apache Kafka, controller and broker in one process.
type broker struct {
	dir, address, config, jars string
	cmd                        *exec.Cmd
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	if os.Getenv("SLUICE_LONG") != "1" {
		t.Skip("starting Apache Kafka takes a while: SLUICE_LONG=1")
	}
	missing := t.Skip
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		missing = t.Fatal
	}
	jars, err := filepath.Abs("../../testpeers/target/libkafka")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(jars); err != nil {
		missing("the jars of Kafka are missing: mvn -q -f testpeers/pom.xml package")
	}
	b := &broker{dir: t.TempDir(), jars: filepath.Join(jars, "*"), address: freePort(t)}
	b.config = filepath.Join(b.dir, "server.properties")
	controller := freePort(t)
	text := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=%[3]s/log
num.partitions=4
log.flush.interval.messages=1
offsets.topic.replication.factor=1
auto.create.topics.enable=true
`, b.address, controller, b.dir)
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	format := b.java("-Xmx128m", "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", b.config)
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format: %v\n%s", err, out)
	}
	b.start(t)
	t.Cleanup(b.kill)
	return b
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (b *broker) java(heap string, args ...string) *exec.Cmd {
	line := append([]string{heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", b.jars}, args...)
	cmd := exec.Command("java", line...)
	cmd.Dir = b.dir
	// Not even a test that panics leaves a JVM behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	b.cmd = b.java("-Xmx256m", "kafka.Kafka", b.config)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if c, err := net.Dial("tcp", b.address); err == nil {
			c.Close()
			return
		}
		if time.Now().After(limit) {
			t.Fatal("Kafka does not start")
		}
	}
}

// kill is kill -9.
func (b *broker) kill() {
	_ = b.cmd.Process.Kill() // it may have ended
	_ = b.cmd.Wait()
}

// TestRealBrokerIsKilledInTheMiddle: the link rides it out, nothing is lost and nothing comes twice.
func TestRealBrokerIsKilledInTheMiddle(t *testing.T) {
	b := startBroker(t)
	u := uplink(t, "tcp://"+b.address, func(o *Options) {
		o.CreateTopics, o.AckTimeout, o.ConnectTimeout = true, 3*time.Minute, time.Minute
	})
	l := connect(t, u)
	const keys, n, window = 5, 20_000, 1000
	room := make(chan struct{}, window)
	var mu sync.Mutex
	var wrong []error
	killed := make(chan struct{})
	for i := range n {
		if i == n/2 {
			go func() {
				defer close(killed)
				b.kill()
				b.start(t)
			}()
		}
		room <- struct{}{}
		err := l.Send(t.Context(), outgoing(i, "plants/real", fmt.Sprint("key ", i%keys), text(i)), func(err error) {
			if err != nil {
				mu.Lock()
				wrong = append(wrong, err)
				mu.Unlock()
			}
			<-room
		})
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	for range window {
		room <- struct{}{}
	}
	<-killed
	mu.Lock()
	defer mu.Unlock()
	if len(wrong) > 0 {
		t.Fatalf("%d messages were answered with an error, the first with %v", len(wrong), wrong[0])
	}
	next := make(map[string]int)
	records := read(t, b.address, "plants.real")
	for _, r := range records {
		var k, i int
		if _, err := fmt.Sscanf(string(r.Key)+" "+string(r.Value), "key %d message %d", &k, &i); err != nil {
			t.Fatal(err)
		}
		if want := next[string(r.Key)]*keys + k; i != want {
			t.Fatalf("key %d: message %d is in the place of %d", k, i, want)
		}
		next[string(r.Key)]++
	}
	if len(records) != n {
		t.Errorf("the broker has %d records, want %d", len(records), n)
	}
}
