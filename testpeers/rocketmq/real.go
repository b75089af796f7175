package rocketmqtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Options are what a real RocketMQ is started with.
type Options struct {
	// Broker and NameServer are lines of their configurations, which replace those of this package.
	Broker, NameServer map[string]string
	// BrokerJVM and NameServerJVM are options of the virtual machines, after those of this package:
	// small heaps, and a compiler that is done sooner (who measures says -XX:TieredStopAtLevel=4).
	BrokerJVM, NameServerJVM []string
	// In runs do where the servers are to live, a network namespace for instance, and gives what it gave:
	// there ports are tried, processes started and connections opened. nil: here.
	In func(do func() error) error
}

func (o *Options) where() func(do func() error) error {
	if o.In != nil {
		return o.In
	}
	return func(do func() error) error { return do() }
}

// Real is a running name server with one broker.
type Real struct {
	// NameServer and Broker are their addresses.
	NameServer, Broker string
	// Dir has everything that they wrote.
	Dir string

	in                 func(do func() error) error // Options.In
	nameServer, broker *process
}

// patience is how long a broker may take to come up on a busy machine.
const patience = 90 * time.Second

// Start runs a name server and a broker until the test ends; their logs are printed if it fails.
func Start(t testing.TB, options Options) *Real {
	t.Helper()
	require(t)
	r, err := Launch(t.Context(), t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Stop()
		if t.Failed() {
			t.Log(logs(r.Dir))
		}
	})
	return r
}

// Launch runs a name server and a broker with their files in dir, and returns once the name server knows
// the broker. They run until Stop.
func Launch(ctx context.Context, dir string, options Options) (*Real, error) {
	found, err := findJars()
	if err != nil {
		return nil, err
	}
	in := options.where()
	var port, nameServerPort int
	err = in(func() (err error) {
		if port, err = brokerPort(); err == nil {
			nameServerPort, err = freePort()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r := &Real{NameServer: address(nameServerPort), Broker: address(port), Dir: dir, in: in}
	if err := r.launch(ctx, found, options, port, nameServerPort); err != nil {
		r.Stop()
		return nil, fmt.Errorf("%w\n%s", err, logs(dir))
	}
	return r, nil
}

// launchNameServer starts the name server and does not wait for it.
func (r *Real) launchNameServer(found jars, options Options, port int) error {
	conf := map[string]string{"listenPort": strconv.Itoa(port), "bindAddress": "127.0.0.1"}
	line, err := r.command(found, "namesrv", conf, options.NameServer)
	if err != nil {
		return err
	}
	line = append(line, "-Xms64m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
	line = append(line, options.NameServerJVM...)
	r.nameServer, err = r.start("namesrv", append(line, "-cp", found.server(), "org.apache.rocketmq.namesrv.NamesrvStartup", "-c", "namesrv.conf"))
	return err
}

func (r *Real) launch(ctx context.Context, found jars, options Options, port, nameServerPort int) error {
	if err := r.launchNameServer(found, options, nameServerPort); err != nil {
		return err
	}
	line, err := r.command(found, "broker", brokerConf(r.Dir, port, r.NameServer), options.Broker)
	if err != nil {
		return err
	}
	// Every thread that stores has a buffer of 4 MiB outside the heap: short of those, the broker still
	// takes small messages, and loses delays and large ones.
	line = append(line, "-Xms256m", "-Xmx512m", "-Xmn128m", "-XX:MaxDirectMemorySize=1g", "-XX:TieredStopAtLevel=1")
	line = append(line, options.BrokerJVM...)
	r.broker, err = r.start("broker", append(line, "-cp", found.server(), "org.apache.rocketmq.broker.BrokerStartup", "-c", "broker.conf"))
	if err != nil {
		return err
	}
	return r.wait(ctx)
}

// command writes a configuration and begins the command line of the program that reads it.
func (r *Real) command(found jars, name string, conf, more map[string]string) ([]string, error) {
	maps.Copy(conf, more)
	var text []byte
	for _, key := range slices.Sorted(maps.Keys(conf)) {
		text = fmt.Appendf(text, "%s=%s\n", key, conf[key])
	}
	// A server with TLS makes itself a key at every start, which takes it seconds; clients here speak without.
	return append(machine(found.java, r.Dir), "-Dtls.server.mode=disabled"), os.WriteFile(filepath.Join(r.Dir, name+".conf"), text, 0o600)
}

// brokerConf is a broker that is small on disk, and that hurries where the stock one takes its time.
func brokerConf(dir string, port int, nameServer string) map[string]string {
	return map[string]string{
		"brokerClusterName": "DefaultCluster", "brokerName": "broker-a", "brokerId": "0",
		"listenPort": strconv.Itoa(port), "haListenPort": strconv.Itoa(port + 1),
		"bindAddress": "127.0.0.1", "brokerIP1": "127.0.0.1", "brokerIP2": "127.0.0.1", "namesrvAddr": nameServer,
		"storePathRootDir": filepath.Join(dir, "store"), "storePathCommitLog": filepath.Join(dir, "store", "commitlog"),
		"brokerRole": "ASYNC_MASTER", "flushDiskType": "ASYNC_FLUSH",
		"autoCreateTopicEnable": "true", "enablePropertyFilter": "true", "traceTopicEnable": "true", "recallMessageEnable": "true",
		"mappedFileSizeCommitLog": "67108864", "mappedFileSizeConsumeQueue": "120000", "mappedFileSizeTimerLog": "10485760",
		"maxHashSlotNum": "50000", "maxIndexNum": "200000",
		"diskMaxUsedSpaceRatio": "95", "diskSpaceWarningLevelRatio": "99", "waitTimeMillsInSendQueue": "3000",
		// Half messages are looked at every 2 s and not every 30 s.
		"transactionCheckInterval": "2000",
	}
}

// wait returns once the name server serves the broker's routes.
func (r *Real) wait(ctx context.Context) error {
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := r.in(func() error { return routed(r.NameServer) })
		if err == nil {
			return nil
		}
		if dead := errors.Join(r.nameServer.alive(), r.broker.alive(), ctx.Err()); dead != nil {
			return dead
		}
		if time.Since(began) > patience {
			return fmt.Errorf("the broker is not known to the name server after %v: %w", patience, err)
		}
	}
}

// BrokerPID and NameServerPID are for those who measure.
func (r *Real) BrokerPID() int { return r.broker.cmd.Process.Pid }

// NameServerPID is the name server's process.
func (r *Real) NameServerPID() int { return r.nameServer.cmd.Process.Pid }

// Stop kills both: a broker takes more than ten seconds to end by itself, for files that go with it.
func (r *Real) Stop() {
	for _, p := range []*process{r.broker, r.nameServer} {
		if p != nil {
			p.kill()
		}
	}
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// brokerPort is a port whose neighbours a broker can take too: port-2 for its fast channel, port+1 for
// replicas.
func brokerPort() (int, error) {
	for range 100 {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		if free(port-2) && free(port+1) {
			return port, nil
		}
	}
	return 0, errors.New("no three free ports on 127.0.0.1")
}

// freePort is below the ports that outgoing connections take.
func freePort() (int, error) {
	for range 100 {
		if port := 20000 + rand.IntN(12000); free(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

func free(port int) bool {
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
