package payload

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice/gateway/message"
)

const bornAt = 1795345660000

func edgeNode(t testing.TB) *EdgeNode {
	t.Helper()
	n, err := NewEdgeNode("plant 1", "line-3")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// told is a published message as the tests read it back.
type told struct {
	kind    string // NBIRTH and so on
	device  string
	seq     int // -1: there is none
	time    int64
	metrics []wireMetric
}

// read decodes what a session made, with our own decoder; TestSparkplugPayloadAgrees does it with
// another one.
func read(t testing.TB, messages ...SparkplugMessage) []told {
	t.Helper()
	var all []told
	for _, m := range messages {
		levels := strings.Split(m.Topic, "/")
		if len(levels) < 4 || levels[0] != "spBv1.0" || levels[1] != "plant 1" || levels[3] != "line-3" {
			t.Fatalf("the topic is %q", m.Topic)
		}
		each := told{kind: levels[2], seq: -1}
		if len(levels) == 5 {
			each.device = levels[4]
		}
		var err error
		if each.metrics, err = decodeMetrics(m.Payload); err != nil {
			t.Fatal(err)
		}
		eachField(m.Payload, func(field protowire.Number, _ protowire.Type, v fieldValue) error {
			switch field {
			case payloadSeq:
				each.seq = int(v.number)
			case payloadTimestamp:
				each.time = int64(v.number)
			}
			return nil
		})
		all = append(all, each)
	}
	return all
}

func kinds(all []told) string {
	var b strings.Builder
	for _, each := range all {
		fmt.Fprintf(&b, "%s %s %d;", each.kind, each.device, each.seq)
	}
	return b.String()
}

func (m told) metric(name string) *wireMetric {
	for i := range m.metrics {
		if m.metrics[i].name == name {
			return &m.metrics[i]
		}
	}
	return nil
}

func data(t testing.TB, s *Session, r *message.Record) []SparkplugMessage {
	t.Helper()
	made, err := s.Data(r, bornAt+9)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestSessionFollowsTheOrderOfSparkplug(t *testing.T) {
	s := edgeNode(t).Connect(257)
	will := read(t, s.Will())[0]
	if will.kind != "NDEATH" || will.seq != -1 || len(will.metrics) != 1 || will.metric("bdSeq").value.bits != 1 {
		t.Errorf("the will is %+v", will)
	}
	if _, err := s.Data(press, bornAt); err == nil {
		t.Error("data came before the birth")
	}
	births := read(t, s.Births(bornAt)...)
	if got, want := kinds(births), "NBIRTH  0;"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if got := births[0]; got.metric("bdSeq").value.bits != 1 || got.metric("bdSeq").kind != typeInt64 || got.metric(rebirthMetric).kind != typeBoolean || got.metric(rebirthMetric).value.bits != 0 {
		t.Errorf("the birth is %+v", got)
	}
	if got, want := kinds(read(t, data(t, s, press)...)), "DBIRTH press 1;DDATA press 2;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := kinds(read(t, data(t, s, press)...)), "DDATA press 3;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i := 4; i < 600; i++ {
		if got, want := kinds(read(t, data(t, s, press)...)), fmt.Sprintf("DDATA press %d;", i%256); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if got, want := kinds(read(t, s.Births(bornAt+1)...)), "NBIRTH  0;DBIRTH press 1;"; got != want {
		t.Errorf("reborn: got %s, want %s", got, want)
	}
	dead, needed := s.DeviceDeath("press", bornAt)
	if got, want := kinds(read(t, dead)), "DDEATH press 2;"; got != want || !needed {
		t.Errorf("got %s, %v, want %s", got, needed, want)
	}
	if _, needed = s.DeviceDeath("press", bornAt); needed {
		t.Error("it died twice")
	}
	if got, want := kinds(read(t, data(t, s, press)...)), "DBIRTH press 3;DDATA press 4;"; got != want {
		t.Errorf("back again: got %s, want %s", got, want)
	}
}

func TestNextSessionKnowsTheDevices(t *testing.T) {
	n := edgeNode(t)
	first := n.Connect(1)
	first.Births(bornAt)
	data(t, first, press)
	second := n.Connect(2)
	births := read(t, second.Births(bornAt+1000)...)
	if got, want := kinds(births), "NBIRTH  0;DBIRTH press 1;"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if m := births[1].metric("counter"); m.value.bits != 7 || m.time != 1795345665221 || m.null || m.alias == 0 {
		t.Errorf("the last value is told as %+v", m)
	}
	if m := births[1].metric("pressure"); !m.null || m.kind != typeDouble {
		t.Errorf("what never had a value is told as %+v", m)
	}
	if _, err := first.Data(press, bornAt); err == nil {
		t.Error("the first session goes on")
	}
	if got, want := kinds(read(t, data(t, second, press)...)), "DDATA press 2;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	n.Forget("press")
	n.Forget("press")
	if got, want := kinds(read(t, second.Births(bornAt)...)), "NBIRTH  0;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A device is born anew when its birth has told otherwise, and at most three times for a metric.
func TestMetricsWiden(t *testing.T) {
	s := edgeNode(t).Connect(1)
	s.Births(bornAt)
	for i, c := range []struct {
		value string
		born  bool
		kind  dataType
	}{
		{"null", true, typeDouble}, {"null", false, typeDouble}, {"19.5", false, typeDouble}, {"20", false, typeDouble},
		{"18446744073709551615", false, typeDouble}, {`"high"`, true, typeString}, {"20", false, typeString}, {"true", false, typeString},
	} {
		checkWidening(t, s, "a", i, c.value, c.born, c.kind)
	}
	for i, c := range []struct {
		value string
		born  bool
		kind  dataType
	}{
		{"null", true, typeDouble}, {"-5", true, typeInt64}, {"7", false, typeInt64}, {"7.5", true, typeDouble}, {"-9", false, typeDouble},
	} {
		checkWidening(t, s, "b", i, c.value, c.born, c.kind)
	}
	for i, c := range []struct {
		value string
		born  bool
		kind  dataType
	}{
		{"18446744073709551615", true, typeUInt64}, {"7", false, typeUInt64}, {"-7", true, typeDouble}, {"true", true, typeString}, {"[1]", false, typeString},
	} {
		checkWidening(t, s, "c", i, c.value, c.born, c.kind)
	}
}

func checkWidening(t *testing.T, s *Session, device string, i int, value string, born bool, kind dataType) {
	t.Helper()
	all := read(t, data(t, s, foreign("x/"+device, `{"values":{"v":`+value+`},"ts":1795345661000}`))...)
	got := all[len(all)-1].metrics[2]
	if (len(all) == 2) != born || got.kind != kind || got.null != (value == "null") {
		t.Errorf("%s, value %d: %s gives %d messages and %+v, want a birth: %v, type %d", device, i, value, len(all), got, born, kind)
	}
	if born && all[0].metric("v").kind != kind {
		t.Errorf("%s, value %d: born as %+v, want type %d", device, i, all[0].metric("v"), kind)
	}
	if got.name != "" || got.alias == 0 {
		t.Errorf("%s, value %d: %+v goes by its name; data goes by the alias", device, i, got)
	}
}

func TestWhatWasReadBeforeTheBirthIsHistory(t *testing.T) {
	s := edgeNode(t).Connect(1)
	s.Births(bornAt)
	for ts, want := range map[int64]bool{bornAt - 1: true, bornAt: false, -5: true} {
		all := read(t, data(t, s, foreign("x/press", fmt.Sprintf(`{"values":{"v":1},"ts":%d}`, ts)))...)
		for _, m := range all[len(all)-1].metrics {
			if m.historical != want || m.time != max(ts, 0) {
				t.Errorf("at %d: %+v, want history: %v", ts, m, want)
			}
		}
	}
}

func TestSessionRefusesWhatSparkplugCannotCarry(t *testing.T) {
	s := edgeNode(t).Connect(1)
	s.Births(bornAt)
	var many strings.Builder
	for i := range maxSparkplugMetrics {
		fmt.Fprintf(&many, `"p%d":1,`, i)
	}
	for _, c := range []struct{ record, want string }{
		{"hello", "is no reading"},
		{`{"device":"a/b","values":{"v":1}}`, "one level"},
		{`{"device":"","values":{"v":1}}`, "one level"},
		{`{"device":"many","values":{` + many.String() + `"v":1}}`, "more than 4096 metrics"},
	} {
		if _, err := s.Data(foreign("x/y", c.record), bornAt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: got %v, want %q", c.record, err, c.want)
		}
	}
	// Nothing of that has a number that a host would miss.
	if got, want := kinds(read(t, data(t, s, press)...)), "DBIRTH press 1;DDATA press 2;"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, names := range [][2]string{{"", "n"}, {"g", ""}, {"a/b", "n"}, {"g", "a+"}, {"g", "#"}, {"g\x00", "n"}, {"g", "\xff"}} {
		if _, err := NewEdgeNode(names[0], names[1]); err == nil {
			t.Errorf("%q were taken as names", names)
		}
	}
}

func TestMakerLeavesSparkplugToTheSession(t *testing.T) {
	m := maker(t, Options{Format: "sparkplug"})
	if made, err := m.Make(nil, press); err != nil || len(made) != 1 || &made[0].Payload[0] != &press.Payload[0] {
		t.Errorf("got %v, %v", made, err)
	}
	if _, err := m.Make(nil, foreign("x", "hello")); err == nil {
		t.Error("what is no reading was taken")
	}
}

// spoken is a session from its will to its last word, for the golden file and for the other decoder.
func spoken(t *testing.T) []SparkplugMessage {
	n := edgeNode(t)
	s := n.Connect(255)
	all := append([]SparkplugMessage{s.Will()}, s.Births(bornAt)...)
	all = append(all, data(t, s, press)...)
	all = append(all, data(t, s, stored(everything))...)
	all = append(all, data(t, s, foreign("plant/oven", `{"values":{"t":20.5,"nested":{"a":[1]}},"ts":1700000000000}`))...)
	all = append(all, s.Births(bornAt+500)...)
	dead, _ := s.DeviceDeath("press", bornAt+600)
	return append(all, dead)
}

func TestSparkplugBytesAreAsRecorded(t *testing.T) {
	var got strings.Builder
	for _, m := range spoken(t) {
		fmt.Fprintf(&got, "%s\n%x\n", m.Topic, m.Payload)
	}
	golden(t, "testdata/sparkplug.golden", got.String())
}

func TestCommandsOfAStockHost(t *testing.T) {
	n := edgeNode(t)
	s := n.Connect(1)
	if got, want := s.Subscriptions(), []string{"spBv1.0/plant 1/NCMD/line-3", "spBv1.0/plant 1/DCMD/line-3/+"}; !reflect.DeepEqual(got, want) {
		t.Errorf("subscribes to %q, want %q", got, want)
	}
	s.Births(bornAt)
	births := read(t, data(t, s, press)...)
	if got := births[0].metric("counter").alias; got != 3 {
		t.Fatalf("the alias is %d, which the recorded commands have as 3", got)
	}
	node, device := s.Subscriptions()[0], "spBv1.0/plant 1/DCMD/line-3/press"
	writes := func(device string, w ...SparkplugWrite) SparkplugCommand {
		return SparkplugCommand{Device: device, Writes: w}
	}
	for name, c := range map[string]struct {
		topic string
		want  SparkplugCommand
	}{
		"rebirth":    {node, SparkplugCommand{Rebirth: true}},
		"no-rebirth": {node, SparkplugCommand{}},
		"alias":      {device, writes("press", SparkplugWrite{"counter", message.Int(-9)})},
		"types": {device, writes("press",
			SparkplugWrite{"int8", message.Int(-8)}, SparkplugWrite{"int16", message.Int(-16)}, SparkplugWrite{"int32", message.Int(-32)},
			SparkplugWrite{"int64", message.Int(-64)}, SparkplugWrite{"uint8", message.Uint(200)}, SparkplugWrite{"uint32", message.Uint(4000000000)},
			SparkplugWrite{"uint64", message.Uint(math.MaxUint64)}, SparkplugWrite{"float", message.Float32(21.3)}, SparkplugWrite{"double", message.Float64(-0.5)},
			SparkplugWrite{"boolean", message.Bool(true)}, SparkplugWrite{"温度", message.Text("hoch")})},
	} {
		got, err := s.Command(c.topic, recorded(t, "commands", name))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	for _, c := range []struct{ topic, name, want string }{
		{"spBv1.0/plant 1/NCMD/line-4", "rebirth", "is no topic"},
		{"spBv1.0/plant 1/DCMD/line-4/press", "rebirth", "is no topic"},
		{node, "alias", "which no metric here has"},
		{device + "/x", "alias", "which no metric here has"},
		{device, "null", "gives no value"},
		{device, "broken", "no Sparkplug payload"},
	} {
		got, err := s.Command(c.topic, recorded(t, "commands", c.name))
		if err == nil || !strings.Contains(err.Error(), c.want) || got.Rebirth || got.Writes != nil {
			t.Errorf("%s on %s: got %+v, %v, want %q", c.name, c.topic, got, err, c.want)
		}
	}
}

// recorded gives a command, or a message, as sparkplug-payload encoded it.
func recorded(t testing.TB, kind, name string) []byte {
	t.Helper()
	if name == "broken" {
		return []byte{0x12, 0x05, 0x0a}
	}
	all := map[string]string{}
	file, err := os.ReadFile("testdata/sparkplug/" + kind + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(all[name])
	if err != nil || len(b) == 0 {
		t.Fatalf("there is no recorded %q in %s", name, kind)
	}
	return b
}

// peer runs the stock codec.
func peer(t *testing.T, input string, args ...string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if _, missing := os.Stat("testdata/sparkplug/node_modules/sparkplug-payload"); err != nil || missing != nil {
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatal("sparkplug-payload is not installed: .ci/peers")
		}
		t.Skip("sparkplug-payload is not installed")
	}
	command := exec.CommandContext(t.Context(), node, append([]string{"codec.mjs"}, args...)...)
	command.Dir, command.Stdin = "testdata/sparkplug", strings.NewReader(input)
	var problem strings.Builder
	command.Stderr = &problem
	out, err := command.Output()
	if err != nil {
		t.Fatalf("node codec.mjs %v: %v\n%s", args, err, &problem)
	}
	return string(out)
}

func TestSparkplugPayloadAgrees(t *testing.T) {
	var input strings.Builder
	all := spoken(t)
	for _, m := range all {
		fmt.Fprintf(&input, "%x\n", m.Payload)
	}
	lines := strings.Split(strings.TrimSpace(peer(t, input.String(), "decode")), "\n")
	if len(lines) != len(all) {
		t.Fatalf("%d messages were decoded, want %d", len(lines), len(all))
	}
	var got strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&got, "%s\n%s\n", all[i].Topic, line)
	}
	golden(t, "testdata/sparkplug.decoded", got.String())
}

func TestRecordedCommandsAreThePeers(t *testing.T) {
	golden(t, "testdata/sparkplug/commands.json", peer(t, "", "commands"))
}

func FuzzCommand(f *testing.F) {
	for _, name := range []string{"rebirth", "alias", "types", "null", "broken"} {
		f.Add(recorded(f, "commands", name))
	}
	n := edgeNode(f)
	s := n.Connect(1)
	s.Births(bornAt)
	data(f, s, press)
	f.Fuzz(func(t *testing.T, payload []byte) {
		for _, topic := range []string{"spBv1.0/plant 1/NCMD/line-3", "spBv1.0/plant 1/DCMD/line-3/press"} {
			c, err := s.Command(topic, payload)
			if err != nil {
				continue // refusing is fine, panicking is not
			}
			for _, w := range c.Writes {
				if w.Value.Absent() {
					t.Errorf("%x asks to write nothing to %q", payload, w.Name)
				}
			}
		}
		metrics, err := decodeMetrics(payload)
		if err != nil {
			return
		}
		var p payloadWriter
		for i := range metrics {
			if m := &metrics[i]; writable(m) {
				p.metric(m)
				again, err := decodeMetrics(p.bytes)
				if last := &again[len(again)-1]; err != nil || last.name != m.name || last.alias != m.alias || last.kind != m.kind || last.null != m.null || !m.null && last.value != m.value {
					t.Errorf("%+v does not survive a round trip: %+v, %v", m, last, err)
				}
			}
		}
	})
}

// writable says whether a decoded metric has the form that we write.
func writable(m *wireMetric) bool {
	switch m.kind {
	case typeInt64, typeUInt64:
		return m.field == metricLong
	case typeDouble:
		return m.field == metricDouble
	case typeString:
		return m.field == metricString
	}
	return false
}
