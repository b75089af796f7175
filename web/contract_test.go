package web

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"sluice/gateway/config"
	"sluice/gateway/network"
)

type document struct {
	OpenAPI    string                    `json:"openapi"`
	Paths      map[string]map[string]any `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Required   []string       `json:"required"`
			Properties map[string]any `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func described(t *testing.T, s *Server) document {
	t.Helper()
	return decode[document](t, ask(s, "GET", "/api/v1/openapi.json", ""))
}

// parameter is how gin writes what OpenAPI writes in braces.
var parameter = regexp.MustCompile(`[:*]([a-z]+)`)

func TestTheDocumentDescribesEveryRoute(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	engine, ok := s.handler.(*gin.Engine)
	if !ok {
		t.Fatalf("the handler is a %T", s.handler)
	}
	var have, want []string
	for _, route := range engine.Routes() {
		have = append(have, route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}"))
	}
	doc := described(t, s)
	for path, methods := range doc.Paths {
		for method := range methods {
			want = append(want, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("routes are\n%s\nthe document has\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("the document is OpenAPI %q", doc.OpenAPI)
	}
}

func TestTheDocumentsReferencesResolve(t *testing.T) {
	var whole map[string]any
	if err := json.Unmarshal(apiDocument(), &whole); err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`"\$ref":"#/([^"]+)"`).FindAllSubmatch(apiDocument(), -1) {
		var at any = whole
		for step := range strings.SplitSeq(string(match[1]), "/") {
			object, _ := at.(map[string]any)
			at = object[step]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", match[1])
		}
	}
}

func TestTheDocumentsFilesAreAnAreaEach(t *testing.T) {
	names, err := fs.Glob(apiParts, "openapi/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(apiParts, name)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); lines > 700 {
			t.Errorf("%s has %d lines; more than 700 are two areas", name, lines)
		}
	}
}

func TestTheDocumentDescribesTheTypes(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	schemas := described(t, s).Components.Schemas
	for name, kind := range map[string]reflect.Type{
		"Status": reflect.TypeFor[statusAnswer](), "Device": reflect.TypeFor[Device](), "Point": reflect.TypeFor[Point](),
		"Uplink": reflect.TypeFor[Uplink](), "UplinkRoute": reflect.TypeFor[UplinkRoute](), "UplinkLane": reflect.TypeFor[UplinkLane](), "Abandoned": reflect.TypeFor[Abandoned](),
		"Bus": reflect.TypeFor[Bus](), "BusDevice": reflect.TypeFor[BusDevice](), "Refusals": reflect.TypeFor[Refusals](), "BusFinding": reflect.TypeFor[BusFinding](), "BusText": reflect.TypeFor[BusText](), "BusFrame": reflect.TypeFor[BusFrame](),
		"Search": reflect.TypeFor[DeviceSearch](), "SearchRequest": reflect.TypeFor[SearchRequest](), "FoundDevice": reflect.TypeFor[FoundDevice](), "DeviceGuess": reflect.TypeFor[DeviceGuess](),
		"SearchOptions": reflect.TypeFor[SearchOptions](), "SearchLine": reflect.TypeFor[SearchLine](), "SearchProtocol": reflect.TypeFor[SearchProtocol](),
		"User": reflect.TypeFor[User](), "Token": reflect.TypeFor[Token](), "MadeToken": reflect.TypeFor[madeToken](), "Certificate": reflect.TypeFor[Certificate](),
		"AlarmList": reflect.TypeFor[alarmList](), "AlarmPage": reflect.TypeFor[alarmPage](), "Alarm": reflect.TypeFor[Alarm](), "AlarmNote": reflect.TypeFor[AlarmNote](), "AlarmEvent": reflect.TypeFor[AlarmEvent](), "AlarmCount": reflect.TypeFor[AlarmCount](), "Notification": reflect.TypeFor[Notification](),
		"Aside": reflect.TypeFor[Aside](), "TestStep": reflect.TypeFor[TestStep](), "TestResult": reflect.TypeFor[TestResult](), "Log": reflect.TypeFor[Log](), "MQTT": reflect.TypeFor[MQTT](), "RocketMQ": reflect.TypeFor[RocketMQ](), "NameServer": reflect.TypeFor[NameServer](), "Demo": reflect.TypeFor[Demo](),
		"Problem": reflect.TypeFor[problem](), "Session": reflect.TypeFor[opened](), "Identity": reflect.TypeFor[identity](), "Line": reflect.TypeFor[lineState](),
		"Cursor": reflect.TypeFor[Cursor](), "Backup": reflect.TypeFor[Backup](), "Audit": reflect.TypeFor[Audit](), "KeyChange": reflect.TypeFor[KeyChange](),
		"Topic": reflect.TypeFor[Topic](), "TopicDetail": reflect.TypeFor[TopicDetail](), "TopicGroup": reflect.TypeFor[TopicGroup](), "Queue": reflect.TypeFor[Queue](), "Group": reflect.TypeFor[Group](), "GroupQueue": reflect.TypeFor[GroupQueue](),
		"MessageHead": reflect.TypeFor[MessageHead](), "Message": reflect.TypeFor[Message](), "MessageProperty": reflect.TypeFor[MessageProperty](),
		"Trend": reflect.TypeFor[Trend](), "TrendSeries": reflect.TypeFor[TrendSeries](),
		"PublishRequest": reflect.TypeFor[publishRequest](), "TailNews": reflect.TypeFor[TailNews](), "TailItem": reflect.TypeFor[TailItem](), "DeadPlace": reflect.TypeFor[DeadPlace](), "DeadPlaces": reflect.TypeFor[DeadPlaces](),
		"Track": reflect.TypeFor[Track](), "Resent": reflect.TypeFor[Resent](), "Reset": reflect.TypeFor[Reset](),
		"Plan": reflect.TypeFor[Plan](), "PlanGroup": reflect.TypeFor[PlanGroup](), "PlanRequest": reflect.TypeFor[PlanRequest](), "PlanLesson": reflect.TypeFor[PlanLesson](),
		"Registers": reflect.TypeFor[Registers](), "Interpretation": reflect.TypeFor[Interpretation](), "Profile": reflect.TypeFor[Profile](),
		"PointFile": reflect.TypeFor[PointFile](), "PointColumn": reflect.TypeFor[PointColumn](), "PointProblem": reflect.TypeFor[PointProblem](),
		"RouteExample": reflect.TypeFor[RouteExample](), "Recognised": reflect.TypeFor[Recognised](), "RecognisedSecret": reflect.TypeFor[RecognisedSecret](), "Outage": reflect.TypeFor[Outage](), "TraceStep": reflect.TypeFor[TraceStep](), "TraceEnd": reflect.TypeFor[TraceEnd](),
		"Lamps": reflect.TypeFor[Lamps](), "TrialRequest": reflect.TypeFor[TrialRequest](), "Trial": reflect.TypeFor[Trial](), "TriedPoint": reflect.TypeFor[TriedPoint](), "SectionProblem": reflect.TypeFor[SectionProblem](),
		"WriteRequest": reflect.TypeFor[writeRequest](), "Written": reflect.TypeFor[Written](),
		"SetupState": reflect.TypeFor[setupState](), "Checklist": reflect.TypeFor[Checklist](), "ChecklistChange": reflect.TypeFor[ChecklistChange](), "Time": reflect.TypeFor[Time](),
		"SystemState": reflect.TypeFor[SystemState](), "SystemNetwork": reflect.TypeFor[SystemNetwork](), "SystemInterface": reflect.TypeFor[SystemInterface](), "SystemRoute": reflect.TypeFor[SystemRoute](),
		"SystemMachine": reflect.TypeFor[SystemMachine](), "SystemGroup": reflect.TypeFor[SystemGroup](), "SystemTemperature": reflect.TypeFor[SystemTemperature](),
		"SystemProcess": reflect.TypeFor[SystemProcess](), "SystemStorage": reflect.TypeFor[SystemStorage](), "SystemLog": reflect.TypeFor[SystemLog](), "SystemWriting": reflect.TypeFor[SystemWriting](), "SystemFlash": reflect.TypeFor[SystemFlash](),
		"NetworkState": reflect.TypeFor[network.State](), "NetworkDevice": reflect.TypeFor[network.Device](), "NetworkReach": reflect.TypeFor[network.Reach](), "NetworkFailover": reflect.TypeFor[network.Failover](),
		"NetworkConnection": reflect.TypeFor[network.Connection](), "NetworkIP": reflect.TypeFor[network.IP](), "NetworkWiFi": reflect.TypeFor[network.WiFi](), "NetworkModem": reflect.TypeFor[network.Modem](),
		"NetworkWireGuard": reflect.TypeFor[network.WireGuard](), "NetworkPeer": reflect.TypeFor[network.Peer](), "NetworkAccessPoint": reflect.TypeFor[network.AccessPoint](), "NetworkApplied": reflect.TypeFor[network.Applied](),
		"NetworkChange": reflect.TypeFor[networkChange](), "NetworkScan": reflect.TypeFor[networkScan](), "NetworkAir": reflect.TypeFor[networkAir](), "FactoryResetRequest": reflect.TypeFor[factoryResetRequest](),
		"FirmwareState": reflect.TypeFor[FirmwareState](), "FirmwareSlot": reflect.TypeFor[FirmwareSlot](), "FirmwareInstall": reflect.TypeFor[FirmwareInstall](), "FirmwareWaiting": reflect.TypeFor[FirmwareWaiting](),
		"FirmwareTrial": reflect.TypeFor[FirmwareTrial](), "FirmwareCheck": reflect.TypeFor[FirmwareCheck](), "FirmwareEvent": reflect.TypeFor[FirmwareEvent](), "BundleURL": reflect.TypeFor[bundleURL](),
		"Sparkplug": reflect.TypeFor[Sparkplug](), "SparkplugMetric": reflect.TypeFor[SparkplugMetric](),
		"Restarting": reflect.TypeFor[restarting](), "Restore": reflect.TypeFor[Restore](), "LogPage": reflect.TypeFor[logPage](), "LogRecord": reflect.TypeFor[LogRecord](), "LogAttr": reflect.TypeFor[LogAttr](),
		"LogLevel": reflect.TypeFor[LogLevel](), "LogOverride": reflect.TypeFor[LogOverride](), "SyslogState": reflect.TypeFor[SyslogState](),
		"Revision": reflect.TypeFor[Revision](), "RevisionText": reflect.TypeFor[RevisionText](),
		"ConfigState": reflect.TypeFor[ConfigState](), "PendingChange": reflect.TypeFor[PendingChange](), "Configuration": reflect.TypeFor[Configuration](), "ConfigChange": reflect.TypeFor[ConfigChange](), "ConfigEdit": reflect.TypeFor[ConfigEdit](),
		"ConfigPreview": reflect.TypeFor[ConfigPreview](), "DiffLine": reflect.TypeFor[DiffLine](), "ConfigDiff": reflect.TypeFor[diffAnswer](), "ConfigApplied": reflect.TypeFor[ConfigApplied](),
		"ConfigConfirmation": reflect.TypeFor[confirmation](), "ConfigSchema": reflect.TypeFor[ConfigSchema](), "DriverSchema": reflect.TypeFor[DriverSchema](), "ConfigField": reflect.TypeFor[config.Field](),
	} {
		var all, required []string
		for _, field := range reflect.VisibleFields(kind) {
			tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if tag == "" || tag == "-" {
				continue // embedded, or not part of the answer
			}
			all = append(all, tag)
			if options != "omitempty" && options != "omitzero" {
				required = append(required, tag)
			}
		}
		slices.Sort(all)
		slices.Sort(required)
		if got := slices.Sorted(maps.Keys(schemas[name].Properties)); !slices.Equal(got, all) {
			t.Errorf("schema %s has %q, the type %q", name, got, all)
		}
		if got := slices.Sorted(slices.Values(schemas[name].Required)); !slices.Equal(got, required) {
			t.Errorf("schema %s requires %q, the type %q", name, got, required)
		}
	}
}

var sampleLine = regexp.MustCompile(`^(sluice_[a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$`)

func TestMetricsAreInTheExpositionFormat(t *testing.T) {
	gateway := newFakeGateway()
	gateway.change = func(status *Status) {
		status.Devices[0].Name = "a\"b\\c\nd\xff"
		status.Log.Bytes = math.MaxInt64
		status.RocketMQ = &RocketMQ{NameServers: []NameServer{{State: "registered"}, {State: "refused"}}}
	}
	s := newServer(t, gateway, signedUp(t))
	got := ask(s, "GET", "/metrics", "")
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != metricsType {
		t.Errorf("metrics are %d %q", got.Code, got.Header().Get("Content-Type"))
	}
	text := got.Body.String()
	typed, seen := "", map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(kind, " ")
			if seen[name] {
				t.Errorf("%s stands in two places", name)
			}
			typed, seen[name] = name, true
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		match := sampleLine.FindStringSubmatch(line)
		if match == nil {
			t.Errorf("not a sample: %q", line)
			continue
		}
		if match[1] != typed {
			t.Errorf("%q stands under the type of %s", line, typed)
		}
		if _, err := strconv.ParseFloat(match[3], 64); err != nil {
			t.Errorf("%q has no number: %v", line, err)
		}
	}
	for _, want := range []string{
		"sluice_rocketmq_name_servers 2",
		"sluice_rocketmq_registered 1",
		`sluice_info{gateway="line-3",version="0.1.0"} 1`,
		`sluice_device_up{device="a\"b\\c\nd` + "\uFFFD" + `",driver="modbus"} 1`,
		`sluice_device_state{device="conveyor",driver="modbus",state="offline"} 1`,
		`sluice_device_up{device="conveyor",driver="modbus"} 0`,
		`sluice_uplink_up{uplink="cloud",driver="mqtt"} 1`,
		`sluice_uplink_backlog_bytes{uplink="cloud",driver="mqtt"} 0`,
		`sluice_uplink_tries_total{uplink="cloud",driver="mqtt"} 1`,
		`sluice_uplink_lane_backlog_messages{uplink="cloud",driver="mqtt",route="readings/#",lane="backfill"} 0`,
		`sluice_uplink_lane_paused{uplink="cloud",driver="mqtt",route="readings/#",lane="live"} 0`,
		`sluice_mqtt_connections 2`,
		`sluice_mqtt_unwelcome_total 7`,
		`sluice_demo_line_up 1`,
		`sluice_alarms_active{severity="critical"} 0`,
		`sluice_log_cursors 3`,
		`sluice_log_cursors_expired_total 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	// Its log grows while the test waits for a processor.
	if !regexp.MustCompile(`(?m)^sluice_abandoned_messages\{uplink="old-cloud",route="readings/#"\} 48\d{3}$`).MatchString(text) {
		t.Error("metrics lack what is kept for a route that is gone")
	}
	if strings.Contains(text, "B-114") {
		t.Error("metrics show a point's value to whoever asks")
	}
}
