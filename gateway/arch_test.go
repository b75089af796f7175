package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rules is the import table of ARCHITECTURE.md: which of our packages each package may import, not
// counting tests. The first pattern that matches counts; "x/*" is every folder right below x.
var rules = []struct {
	pkg string
	may []string
	why string
}{
	{"gateway/message", nil, "it is the vocabulary: everybody speaks it, so it may know nobody"},
	{"gateway/config", nil, "the schema must be readable without the parts that it configures"},
	{"gateway/remoting", nil, "a codec has no sockets and no state"},
	{"gateway/hj212", nil, "a codec has no sockets and no state"},
	{"gateway/mqtt/packet", nil, "a codec has no sockets and no state"},
	{"collectors/bus", nil, "a bus moves bytes and knows no protocol"},
	{"firmware", nil, "an update must work when everything else is broken"},
	{"firmware/release", nil, "it looks at what was built from outside"},
	{"store/storetest", []string{"store", "gateway/message"}, "it opens stores for tests"},
	{"store/crashtest", []string{"store", "gateway/message"}, "it kills a process that has nothing but a log"},
	{"store", []string{"gateway/message"}, "the log knows no protocol and no broker"},
	{"gateway/broker", []string{"gateway/message"}, "the broker declares the log it stands on"},
	{"gateway/transport", nil, "it moves bytes and knows no MQTT"},
	{"gateway/mqtt", []string{"gateway/message", "gateway/mqtt/packet", "gateway/transport"}, "the listener declares the broker it talks to"},
	{"gateway/client", nil, "it asks a gateway from outside, which may be of another version"},
	{"gateway/curve", nil, "a course is made of payloads, wherever they lie"},
	{"gateway/machine", nil, "it reads what the kernel says, whoever asks"},
	{"gateway/network/manager", []string{"gateway/network"}, "it has the network changed and knows nobody who asks for it"},
	{"gateway/network", nil, "it is the vocabulary of networks, whoever manages them"},
	{"gateway/journal", nil, "what is logged is kept without knowing who logs"},
	{"gateway/syslog", []string{"gateway/journal"}, "it sends a journal and knows nothing else"},
	{"gateway/sql92", nil, "a language for filters knows no messages"},
	{"gateway/queue/durable", []string{"gateway/message", "gateway/queue", "store"}, "it lets the store be the log that the engine declares"},
	{"gateway/queue", []string{"gateway/message", "gateway/sql92"}, "the engine declares the log it stands on, and knows no wire"},
	{"gateway/rocketmq/acl", nil, "signatures are judged without knowing what is signed"},
	{"gateway/rocketmq", []string{"gateway/message", "gateway/remoting", "gateway/queue", "gateway/transport", "gateway/rocketmq/acl"}, "a face speaks with clients and leaves what it means to the engine"},
	{"gateway/rocketmqgrpc", []string{"gateway/message", "gateway/remoting", "gateway/queue", "gateway/transport", "gateway/rocketmq/acl"}, "a face speaks with clients and leaves what it means to the engine"},
	{"gateway/rules", []string{"gateway/message", "gateway/config"}, "rules are a consumer like any other"},
	{"gateway/notify", []string{"gateway/message", "gateway/config", "gateway/rules"}, "whoever tells people of alarms reads what the rules have told the log"},
	{"gateway/certificates", []string{"gateway/transport"}, "certificates are decided on without knowing what is served"},
	{"gateway/access", []string{"gateway/message"}, "who may do what is decided without knowing who asks"},
	{"gateway/demo", []string{"*"}, "the demo is one more assembly, with simulators around it"},
	{"bench/measure/remote", []string{"gateway/remoting"}, "a client over our own codec, for benchmarks alone"},
	{"bench/measure", nil, "it measures processes, whosever they are"},
	{"testpeers/rocketmq", nil, "it runs foreign programs and knows nothing of ours"},
	{"gateway/nighttest", nil, "it drives the built binary from outside"},
	{"gateway/mqtt/conformance", nil, "it talks to a whole gateway over a socket, and its tests alone start one"},
	{"gateway", []string{"*"}, "assembly is the one place that knows all parts"},
	{"collectors/all", []string{"collectors", "collectors/*"}, "the explicit list of drivers"},
	{"collectors/bus/pty", nil, "the far end of a line knows nothing of the near one"},
	{"collectors/*/*", []string{"collectors/bus", "collectors/bus/pty"}, "a simulator shares no code with the driver that it tests"},
	{"collectors/finder", []string{"collectors/bus"}, "a search knows lines and no protocol; collectors/all brings those"},
	{"collectors/formula", []string{"gateway/message"}, "an expression knows values and nothing else"},
	{"collectors/meterline", []string{"collectors/bus"}, "what meters have in common is less than a driver"},
	{"collectors/profiles", nil, "profiles are data"},
	{"collectors/sheet", nil, "a table of points is data"},
	{"collectors/diagnosis", []string{"collectors/bus"}, "what is wrong with a line is told from what was seen on it"},
	{"collectors/capture", []string{"collectors/bus"}, "a capture is made of what was seen on a line"},
	{"collectors/drivertest", []string{"collectors", "collectors/bus", "gateway/config", "gateway/message"}, "the contract of a driver"},
	{"collectors/*", []string{"collectors", "collectors/bus", "collectors/formula", "collectors/meterline", "gateway/message", "gateway/config", "gateway/hj212"}, "a driver knows its wire and no other"},
	{"collectors", []string{"gateway/message"}, "collectors declare the sink they fill"},
	{"bridge/all", []string{"bridge", "bridge/*"}, "the explicit list of uplinks"},
	{"bridge/cloudsim", []string{"gateway/message"}, "a simulated cloud shares no code with the uplink that it tests"},
	{"bridge/uplinktest", []string{"bridge", "bridge/cloudsim", "gateway/message"}, "the contract of an uplink"},
	{"bridge/payload", []string{"bridge", "gateway/message"}, "what goes up is made of a record, whoever sends it"},
	{"bridge/preset", []string{"bridge", "bridge/dial", "bridge/mqtt", "bridge/payload", "gateway/message"}, "a recipe is options of an uplink, and no uplink of its own"},
	{"bridge/mqttline", []string{"bridge/dial"}, "a line knows no messages"},
	{"bridge/dial", nil, "how a connection is opened, whatever is spoken on it"},
	{"bridge/batch", []string{"bridge", "gateway/message"}, "gathering knows no cloud"},
	{"bridge/*", []string{"bridge", "bridge/dial", "bridge/batch", "bridge/mqttline", "gateway/message", "gateway/config", "gateway/remoting", "gateway/hj212"}, "an uplink knows its cloud and no other"},
	{"bridge", []string{"gateway/message"}, "the bridge declares the source it drains"},
	{"web", []string{"gateway/config", "gateway/message", "gateway/network"}, "the page declares the gateway it shows"},
	{"cmd/sluice", []string{"gateway", "gateway/access", "gateway/client", "gateway/config", "gateway/journal", "gateway/message", "gateway/demo", "store", "firmware",
		"collectors/*/*", "bridge/cloudsim"}, "flags and exit codes, nothing else"},
}

// confined third parties stay behind one package, or few, so that they can be replaced there.
var confined = map[string][]string{
	"github.com/dgraph-io/badger":         {"store"},
	"github.com/gin-gonic/gin":            {"web"},
	"github.com/eclipse/paho.mqtt.golang": {"bridge/mqtt"},
	"github.com/eclipse/paho.golang":      {"bridge/mqtt5"},
	"github.com/expr-lang/expr":           {"bridge/payload", "collectors/formula"},
	"github.com/goburrow/modbus":          {"collectors/modbus"},
	"github.com/godbus/dbus":              {"firmware", "gateway/network/manager"},
	"github.com/goburrow/serial":          {"collectors/modbus"},
	"github.com/tarm/serial":              {"collectors/bus"},
	"github.com/twmb/franz-go":            {"bridge/kafka"},
	"github.com/xuri/excelize":            {}, // in tests alone: it is 3 MB of program
	"github.com/apache/rocketmq-clients":  {"gateway/rocketmqgrpc"},
	"google.golang.org/grpc":              {"gateway/rocketmqgrpc"},
	"github.com/wneessen/go-mail":         {"gateway/notify"},
}

type goPackage struct {
	ImportPath, Dir, Name string
	Imports, GoFiles      []string
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Imports,GoFiles", "sluice/...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list gave bad JSON: %v", err)
		}
		packages = append(packages, p)
	}
}

func TestImportsFollowTheTable(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 15 {
		t.Fatalf("go list found only %d packages", len(packages))
	}
	for _, p := range packages {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		pkg := strings.TrimPrefix(p.ImportPath, "sluice/")
		for _, broken := range brokenRules(pkg, p.Imports) {
			t.Error(broken)
		}
	}
}

// brokenRules names what pkg must not import, with the reason.
func brokenRules(pkg string, imports []string) (broken []string) {
	at := slices.IndexFunc(rules, func(r struct {
		pkg string
		may []string
		why string
	}) bool {
		return matchPath(r.pkg, pkg)
	})
	if at < 0 {
		return []string{pkg + " is not in the import table of gateway/arch_test.go"}
	}
	rule := rules[at]
	for _, imported := range imports {
		if ours, ok := strings.CutPrefix(imported, "sluice/"); ok {
			if !slices.ContainsFunc(rule.may, func(may string) bool { return may == "*" || matchPath(may, ours) }) {
				broken = append(broken, pkg+" imports "+ours+", but "+rule.why)
			}
			continue
		}
		for prefix, homes := range confined {
			if strings.HasPrefix(imported, prefix) && !slices.Contains(homes, pkg) {
				broken = append(broken, pkg+" imports "+imported+", which only "+strings.Join(homes, " and ")+" may")
			}
		}
	}
	return broken
}

func matchPath(pattern, pkg string) bool {
	ok, err := filepath.Match(pattern, pkg)
	return err == nil && ok
}

func TestTheTableItselfRefuses(t *testing.T) {
	for _, c := range []struct {
		pkg, imports string
		refused      bool
	}{
		{"collectors/modbus", "sluice/bridge", true},
		{"store", "sluice/gateway/broker", true},
		{"bridge", "github.com/eclipse/paho.mqtt.golang", true},
		{"bridge/mqtt", "github.com/eclipse/paho.mqtt.golang", false},
		{"gateway/message", "sluice/gateway/config", true},
		{"gateway", "sluice/web", false},
		{"helpers", "fmt", true},
	} {
		if got := len(brokenRules(c.pkg, []string{c.imports})) > 0; got != c.refused {
			t.Errorf("%s importing %s: refused = %v, want %v", c.pkg, c.imports, got, c.refused)
		}
	}
}

func TestEveryPackageSaysWhatItHides(t *testing.T) {
	for _, p := range listPackages(t) {
		var with []string
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				with = append(with, name)
			}
		}
		if len(p.GoFiles) > 0 && len(with) != 1 {
			t.Errorf("%s has %d package comments (%v), want one", p.ImportPath, len(with), with)
		}
	}
}
