package gateway

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/collectors/profiles"
	"sluice/gateway/config"
)

// The English of the gateway is what the page looks its Chinese up by (web/ui/src/sentences.ts). What
// these packages say may reach the page; the catalogue has it all, a file for each part of the gateway.
var speaking = []string{"bridge", "collectors", "firmware", "gateway", "store", "web"}

const catalogue = "../web/ui/src/lang/zh/said"

// Of these packages and files the page shows nothing.
var unheard = map[string]string{
	"bridge/cloudsim":                   "a simulated neighbour",
	"bridge/uplinktest":                 "the contract of uplinks, for tests",
	"collectors/bus/pty":                "the far end of a line, for tests and the demo",
	"collectors/capture":                "a file for Wireshark",
	"collectors/diagnosis":              "says everything in both languages",
	"collectors/drivertest":             "the contract of drivers, for tests",
	"collectors/profiles/table.go":      "docs/profiles.md",
	"collectors/sheet/columns.go":       "headings that tables may have",
	"collectors/sheet/kepware_write.go": "headings that Kepware wants",
	"collectors/sheet/xlsx_parts.go":    "the XML of a workbook",
	"firmware/release.go":               "commands to be typed",
	"firmware/release":                  "the tool that signs releases",
	"firmware/sayings.go":               "words of RAUC's, to know its refusals by",
	"gateway/client":                    "the command line, which is English",
	"gateway/config/reference.go":       "docs/configuration.md",
	"gateway/demo":                      "the demo's configuration",
	"gateway/notify/letter.go":          "mails, in the language of their reader",
	"store/crashtest":                   "tests",
	"store/storetest":                   "tests",
	"web/guard.go":                      "headers",
	"web/metrics.go":                    "for Prometheus",
}

// Of these the page shows nothing but what they write into the journal: the rest goes to clients.
var inJournal = map[string]string{
	"gateway/broker":       "wraps what the store and its callers say",
	"gateway/mqtt":         "answers MQTT clients",
	"gateway/mqtt/packet":  "answers MQTT clients",
	"gateway/queue":        "answers RocketMQ clients",
	"gateway/remoting":     "answers RocketMQ clients",
	"gateway/rocketmq":     "answers RocketMQ clients",
	"gateway/rocketmq/acl": "answers RocketMQ clients",
	"gateway/rocketmqgrpc": "answers RocketMQ clients",
	"gateway/sql92":        "answers RocketMQ clients",
	"store":                "damage, which a person who reads store/FORMAT.md can understand",
}

// Of those these do reach the page all the same.
var heard = []string{
	"gateway/mqtt/listening.go", "gateway/rocketmq/server.go", "gateway/rocketmqgrpc/server.go", // a port that another program has
	"store/export.go", "store/exportread.go", "store/exportsmall.go", "store/restore.go", "store/replace.go", // backup and restore
}

// Texts with words in them that are not for people, or the same in every language.
var unsaid = map[string][]string{
	"compared with what a library or a server says": {
		"remote error", "certificate required", "expired certificate", "unknown certificate authority", "revoked certificate",
		"no application protocol", "protocol version not supported", "unrecognized name", "handshake failure",
		"check signature failed", "no acl config for", "access key", "username can", `"no value"`,
	},
	"said in both languages": {
		"Apache RocketMQ with the name servers %s.", "Apache RocketMQ，NameServer：%s。",
		" The token is that of one device: choose the one device that is forwarded.", " The key in it is the hub's; the device's own is needed.",
		"no longer ", "%s is %s",
	},
	"protocols, types, units and their notation": {
		"%s MN %s", "Node Control/Rebirth", "Modbus RTU", "Modbus ASCII", "Modbus TCP", "DL/T 645", "CJ/T 188", "IEC 62056-21", "SML", "M-Bus", "json: %w",
		"hex:% X", "%s coil:%d = %s", "%s holding:%d = %d", "holding:0 = %d", "QoS 2", "Read Write",
		"bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64, bcd16, bcd32, bcd64, string or raw",
		"ENCRYPTED PRIVATE KEY", "EC PARAMETERS", "PRIVATE KEY",
		"SharedAccessSignature sr=%s&sig=%s&se=%s", "sluice %s",
		` [meta sequenceId="`, `"][origin software="sluice" swVersion="`,
	},
	"pieces of a configuration": {
		`{name: holding_0, address: "holding:0", type: uint16}`, `{name: energy_import, id: "00010000", unit: kWh}`,
		`{name: energy_import, id: "9010", unit: kWh}`, `{name: energy_import, code: "1.8.0"}`, "{name: energy}", "{name: volume}",
		"{name: %q, record: %q}", `{name: first, record: "#0"}`, "{name: %q, code: %q}", "- {name: %s}",
		", baud: %d", ", data_bits: %d", ", parity: %s", ", stop_bits: %d",
	},
	"commands to be typed": {
		"timedatectl set-time '%s UTC'", "apt-get install tzdata && timedatectl set-timezone %s", "timedatectl set-timezone %s",
	},
	"headers and files of HTTP": {
		"attachment; filename=%q", `attachment; filename="trends-%s.csv"`, "application/yaml; charset=utf-8", "application/json; charset=utf-8", "text/html; charset=utf-8", "text/csv; charset=utf-8", "\ufefftime (%s)", "use %s",
	},
	"a mistake of whoever describes the API": {"%s stands in another file too"},
}

var (
	placeholder = regexp.MustCompile(`%[-+# 0-9.*]*(\[\d+\])?[a-zA-Z]`)
	worded      = regexp.MustCompile(`[a-z]{2,} [a-z]{2,}`)
	word        = regexp.MustCompile(`[A-Za-z]{2,}`)
	simulator   = regexp.MustCompile(`sim$|test$|/peers$|/clients$|/conformance$`)
	aside       = regexp.MustCompile(`^(panic|regexp\.MustCompile|.*\.Debug|strings\.\w+|\.?bytes\.\w+|fmt\.Fprint\w*|fmt\.Sscan\w*|fmt\.Append\w*|.*\.(Header|Set|Data|WriteString|DELETE|GET|POST|PUT|PATCH|Add|Write))$`)
	logging     = regexp.MustCompile(`\.(Warn|Info|Error|warn)$`)
	saying      = regexp.MustCompile(`^(fmt\.Errorf|errors\.New|Title:|Detail:|log\.(Warn|Info|Error))$`) // a single word too
)

func TestPageSaysEverythingInChinese(t *testing.T) {
	said := map[string]string{} // the file that says it
	for name, entries := range readCatalogue(t) {
		for english, chinese := range entries {
			if other, twice := said[english]; twice {
				t.Errorf("%s and %s both have %q", other, name, english)
			}
			said[english] = name
			if name != "keys" && name != "runtime" && len(placeholder.FindAllString(bare(english), -1)) != len(placeholder.FindAllString(bare(chinese), -1)) {
				t.Errorf("%s: %q has other placeholders than %q", name, chinese, english)
			}
		}
	}
	wanted := map[string]string{} // where it is said
	for _, top := range speaking {
		for _, dir := range packagesBelow(t, top) {
			for _, s := range spoken(t, dir) {
				wanted[s.text] = s.file
			}
		}
	}
	for _, why := range slices.Sorted(maps.Keys(unsaid)) {
		for _, text := range unsaid[why] {
			if wanted[text] == "" {
				t.Errorf("%q is an exception (%s), and nothing says it", text, why)
			}
			delete(wanted, text)
		}
	}
	docs := map[string]string{}
	explained(docs)
	for _, name := range profiles.Names() {
		profile, err := profiles.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		// Others are names as their makers have them: Janitza UMG 96RM.
		if title := profile.Title(); worded.MatchString(title) {
			wanted[title] = "collectors/profiles/models/" + name + ".yaml"
		}
	}
	for _, text := range slices.Sorted(maps.Keys(wanted)) {
		if said[text] == "" {
			t.Errorf("%s says it, and nothing in %s has it in Chinese:\n  %s: \"\",", wanted[text], catalogue, quoted(t, text))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(docs)) {
		if said[text] == "" {
			t.Errorf("the key %s has no explanation in %s/keys.json:\n  %s: \"\",", docs[text], catalogue, quoted(t, text))
		}
	}
	for _, text := range slices.Sorted(maps.Keys(said)) {
		// What Go and libraries say stands in no source of ours.
		if wanted[text] == "" && docs[text] == "" && said[text] != "runtime" {
			t.Errorf("%s/%s.json has %q, which nothing says", catalogue, said[text], text)
		}
	}
}

// spoken gives the sentences of a package that reach the page.
func spoken(t *testing.T, dir string) []sentence {
	t.Helper()
	if unheard[dir] != "" || simulator.MatchString(dir) {
		return nil
	}
	all := sentences(t, dir, reaches)
	return slices.DeleteFunc(all, func(s sentence) bool {
		return unheard[s.file] != "" || inJournal[dir] != "" && !s.logged && !slices.Contains(heard, s.file)
	})
}

// reaches tells what a person may read from everything else that is written in quotes.
func reaches(text string, in argument) bool {
	switch {
	case !word.MatchString(placeholder.ReplaceAllString(bare(text), "")) || chinese.MatchString(text) || strings.Contains(text, "\n") || strings.HasPrefix(text, "bug: "):
		return false
	case aside.MatchString(in.call):
		return false
	}
	return strings.Contains(strings.TrimSpace(text), " ") || in.first && saying.MatchString(in.call)
}

func bare(text string) string { return strings.ReplaceAll(text, "%%", "") }

// explained collects what the keys of the configuration mean, by the text.
func explained(docs map[string]string) {
	var look func(path string, fields []config.Field)
	look = func(path string, fields []config.Field) {
		for _, f := range fields {
			if f.Doc != "" {
				docs[f.Doc] = path + f.Name
			}
			look(path+f.Name+".", f.Fields)
		}
	}
	kinds := Kinds()
	look("", config.Describe(config.Config{}))
	for _, name := range kinds.DriverNames {
		options, _ := kinds.Driver(name)
		look(name+".", config.Describe(options))
	}
	for _, name := range kinds.UplinkNames {
		options, _ := kinds.Uplink(name)
		look(name+".", config.Describe(options))
	}
}

func readCatalogue(t *testing.T) map[string]map[string]string {
	t.Helper()
	names, err := filepath.Glob(catalogue + "/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("there is no catalogue in %s: %v", catalogue, err)
	}
	all := map[string]map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var entries map[string]string
		if err := json.Unmarshal(text, &entries); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = entries
	}
	return all
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}
