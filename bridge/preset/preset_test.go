package preset

import (
	"crypto/sha1"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/bridge/mqtt"
	"sluice/bridge/payload"
	"sluice/gateway/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write testdata/packets.golden")

// now is 2026-11-22 11:07:45 UTC, and 19:07 in China: the hour in Huawei's login shows which one it is.
var now = time.UnixMilli(1795345665000).In(time.FixedZone("China", 8*3600))

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// everyone is a gateway called line-3 in the eyes of each cloud.
func everyone(t *testing.T) map[string]recipe {
	line := defaultLine()
	certified := line
	certified.TLS.Cert, certified.TLS.Key = "thing.crt", "thing.key"
	return map[string]recipe{
		"aws-iot":            &AWS{Address: "abc-ats.iot.eu-central-1.amazonaws.com", Line: certified},
		"azure-iot-hub":      &Azure{Address: "iot-hub-for-test.azure-devices.net", DeviceID: "iot-device-for-test", KeyFile: file(t, azureKey), TokenLife: time.Hour, Line: line},
		"azure certificate":  &Azure{Address: "iot-hub-for-test.azure-devices.net", DeviceID: "iot-device-for-test", TokenLife: time.Hour, Line: certified},
		"alibaba-iot":        &Alibaba{Region: "cn-shanghai", ProductKey: "a1pC3rpU4xF", DeviceName: "line-3", SecretFile: file(t, "cba236e94094a0399060a9fe355bef88"), Line: line},
		"huawei-iotda":       &Huawei{Address: "abc.iotda-device.cn-north-4.myhuaweicloud.com", DeviceID: "D39564861q3gDa", SecretFile: file(t, "12345678"), Line: line},
		"thingsboard":        &ThingsBoard{Address: "mqtt.thingsboard.cloud", TokenFile: file(t, "A1_TEST_TOKEN"), As: "gateway", Line: line},
		"thingsboard device": &ThingsBoard{Address: "tcp://tb.example:1883", TokenFile: file(t, "A1_TEST_TOKEN"), As: "device", Line: line},
		"emqx":               &EMQX{Address: "abc.emqxsl.com", Username: "line-3", PasswordFile: file(t, "hush"), Line: line},
	}
}

// TestThePacketsThatCloudsSee holds CONNECT and PUBLISH, byte by byte, against testdata/packets.golden,
// which was checked by other means: TestSignaturesAgreeWithTheVendors, and openssl for Huawei's.
func TestThePacketsThatCloudsSee(t *testing.T) {
	var got strings.Builder
	clouds := everyone(t)
	for _, name := range sorted(clouds) {
		packets := seen(t, clouds[name])
		fmt.Fprintf(&got, "%s\n%q\n%q\n", name, packets[0], packets[1])
	}
	const golden = "testdata/packets.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the packets are\n%s\nwant\n%s", got.String(), want)
	}
}

func sorted(clouds map[string]recipe) (names []string) {
	for name := range clouds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// seen connects as a recipe says and sends the reading of one device.
func seen(t *testing.T, r recipe) []string {
	t.Helper()
	b := newBroker(t)
	p := r.expand("line-3")
	p.local(b)
	if login := p.session; login != nil {
		p.session = func(time.Time) (mqtt.Session, error) {
			s, err := login(now)
			s.Until = time.Time{} // which has passed
			return s, err
		}
	}
	u, err := p.open("line-3", quiet())
	if err != nil {
		t.Fatal(err)
	}
	l, err := u.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to, format := r.Route()
	template, err := bridge.ParseTemplate(to)
	if err != nil {
		t.Fatal(err)
	}
	maker, err := payload.New(payload.Options{Format: format}, "line-3")
	if err != nil {
		t.Fatal(err)
	}
	record := press(42)
	made, err := maker.Make(nil, record)
	if err != nil || len(made) != 1 {
		t.Fatalf("made %d messages, %v", len(made), err)
	}
	topic := template.Expand(bridge.Fill{Topic: record.Topic, Gateway: "line-3", Device: "press"})
	deliver(t, l, &bridge.Outgoing{Topic: topic, Key: record.Topic, Payload: made[0].Payload, QoS: 1, Record: record})
	return b.await(t, 2)
}

const azureKey = "+XLy+MVZ+aTeOnVzN2kLeB16O+kSxmz6g3rS6fAf6rw="

func TestSignaturesAgreeWithTheVendors(t *testing.T) {
	// From the tests of Microsoft's azure-iot-cli-extension, test_generate_sas_token.
	token, err := azureToken("iot-hub-for-test.azure-devices.net/devices/iot-device-for-test", azureKey, time.Unix(1471940363, 0))
	if err != nil {
		t.Fatal(err)
	}
	const wantToken = "SharedAccessSignature sr=iot-hub-for-test.azure-devices.net%2Fdevices%2Fiot-device-for-test" +
		"&sig=SIumZ1ACqqPJZ2okHDlW9MSYKykEpqsQY3z6FMOICd4%3D&se=1471940363"
	if token != wantToken {
		t.Errorf("Azure's token is\n%s, want\n%s", token, wantToken)
	}
	// From https://help.aliyun.com/document_detail/73742.html, which has it with SHA-1 alone.
	alibaba := Alibaba{ProductKey: "pk", DeviceName: "device"}
	content := alibaba.signed("12345", "789")
	if want := "clientId12345deviceNamedeviceproductKeypktimestamp789"; content != want {
		t.Errorf("Alibaba's content is %q, want %q", content, want)
	}
	password := hex.EncodeToString(sign(sha1.New, []byte("secret"), content))
	if want := "fafd82a3d602b37fb0fa8b7892f24a477f851a14"; password != want {
		t.Errorf("Alibaba's password is %s, want %s", password, want)
	}
}

func TestAnAzureLoginIsReplacedBeforeItExpires(t *testing.T) {
	o := Azure{Address: "hub.azure-devices.net", DeviceID: "line-3", KeyFile: file(t, azureKey), TokenLife: time.Hour, Line: defaultLine()}
	s, err := o.expand("line-3").session(now)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.Add(54 * time.Minute); !s.Until.Equal(want) {
		t.Errorf("the connection ends at %s, want %s", s.Until, want)
	}
	if want := fmt.Sprint("&se=", now.Add(time.Hour).Unix()); !strings.HasSuffix(s.Login.Password, want) {
		t.Errorf("the token is %s, want it to end in %s", s.Login.Password, want)
	}
	o.KeyFile = file(t, "SharedAccessKey="+azureKey)
	if _, err := o.expand("line-3").session(now); err == nil || strings.Contains(err.Error(), azureKey[:8]) {
		t.Errorf("the error of a bad key is %v", err)
	}
}

func TestAddressesAreCompleted(t *testing.T) {
	for _, c := range []struct {
		r          recipe
		want, alpn string
	}{
		{&AWS{Address: "a-ats.iot.eu-west-1.amazonaws.com"}, "ssl://a-ats.iot.eu-west-1.amazonaws.com:8883", "[]"},
		{&AWS{Address: "a-ats.iot.eu-west-1.amazonaws.com:443"}, "ssl://a-ats.iot.eu-west-1.amazonaws.com:443", "[x-amzn-mqtt-ca]"},
		{&Azure{Address: "wss://hub.azure-devices.net/$iothub/websocket"}, "wss://hub.azure-devices.net/$iothub/websocket", "[]"},
		{&Alibaba{Region: "cn-shanghai", ProductKey: "pk"}, "ssl://pk.iot-as-mqtt.cn-shanghai.aliyuncs.com:1883", "[]"},
		{&Alibaba{Address: "iot-1.mqtt.iothub.aliyuncs.com"}, "ssl://iot-1.mqtt.iothub.aliyuncs.com:1883", "[]"},
		{&ThingsBoard{Address: "tcp://[::1]"}, "tcp://[::1]", "[]"},
		{&EMQX{Address: "ssl://[2001:db8::1]"}, "ssl://[2001:db8::1]:8883", "[]"},
		{&Sparkplug{Address: "broker:8884"}, "ssl://broker:8884", "[]"},
	} {
		p := c.r.expand("line-3")
		if got := fmt.Sprint(p.options.TLS.ALPN); p.options.Address != c.want || c.r.Endpoint() != c.want || got != c.alpn {
			t.Errorf("%+v leads to %s with ALPN %s, want %s with %s", c.r, p.options.Address, got, c.want, c.alpn)
		}
	}
}

func kinds() map[string]Kind {
	return map[string]Kind{
		"aws-iot": AWSIoT(nil), "azure-iot-hub": AzureIoTHub(nil), "alibaba-iot": AlibabaIoT(nil), "huawei-iotda": HuaweiIoTDA(nil),
		"thingsboard": ThingsBoardMQTT(nil), "emqx": EMQXBroker(nil), "sparkplug": SparkplugB(nil),
	}
}

// parse reads a configuration with one uplink, whose own lines are given.
func parse(driver string, lines ...string) (*config.Config, error) {
	text := "gateway: {name: line-3}\nuplinks:\n  - name: cloud\n    driver: " + driver + "\n"
	for _, line := range lines {
		text += "    " + line + "\n"
	}
	return read(text)
}

func read(text string) (*config.Config, error) {
	return config.Parse("gateway.yaml", []byte(text), config.Kinds{Uplink: func(kind string) (any, bool) {
		k, ok := kinds()[kind]
		if !ok {
			return nil, false
		}
		return k.Options(), true
	}})
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		driver string
		lines  []string
		want   []string // what must be said
	}{
		{"aws-iot", nil, []string{"uplinks[0].address: missing", "uplinks[0].tls: needs cert and key"}},
		{"aws-iot", []string{"address: tcp://a.example", "keep_alive: 10s"}, []string{"address: is not secured", "keep_alive: is 10s; this cloud takes 30s to 20m"}},
		{"aws-iot", []string{"address: wss://a.example/mqtt", "client_id: $me"}, []string{"address: is a WebSocket", "client_id: \"$me\" cannot be"}},
		{"azure-iot-hub", []string{"address: hub.azure-devices.net"}, []string{"device_id: missing", "key_file: is missing"}},
		{"azure-iot-hub", []string{"address: hub.azure-devices.net", "device_id: a/b", "token_life: 1s"}, []string{"device_id: \"a/b\" has one of", "token_life: is 1s"}},
		{"alibaba-iot", nil, []string{"product_key: missing", "device_name: missing", "secret_file: missing", "address: is missing: write the instance's"}},
		{"alibaba-iot", []string{"region: cn-shanghai", "address: a.example"}, []string{"region: is of no use beside address"}},
		{"huawei-iotda", nil, []string{"address: missing", "device_id: missing", "secret_file: missing"}},
		{"thingsboard", []string{"as: plant"}, []string{"address: missing", "token_file: missing", "as: "}},
		{"emqx", []string{"address: http://a"}, []string{"address: begins with \"http\""}},
		{"sparkplug", []string{"address: broker", "edge_node: a+b"}, []string{"group: missing", "edge_node: \"a+b\" has one of"}},
	} {
		_, err := parse(c.driver, c.lines...)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %q says\n%v\nwant %q in it", c.driver, c.lines, err, want)
			}
		}
	}
}

func TestRoutesNeedNoTopicAndNoFormat(t *testing.T) {
	secret := file(t, "secret")
	c, err := parse("alibaba-iot", "region: cn-shanghai", "product_key: pk", "device_name: line-3", "secret_file: "+secret,
		"forward: [{from: 'readings/{gateway}/+'}, {from: 'alarms/#', to: '/pk/line-3/user/alarm', payload: {format: stored}}]")
	if err != nil {
		t.Fatal(err)
	}
	first, second := c.Uplinks[0].Forward[0], c.Uplinks[0].Forward[1]
	if first.To != "/sys/pk/line-3/thing/event/property/post" || first.Payload.Format != "alink" {
		t.Errorf("the first route goes to %s as %s", first.To, first.Payload.Format)
	}
	if second.To != "/pk/line-3/user/alarm" || second.Payload.Format != "stored" {
		t.Errorf("the second route goes to %s as %s", second.To, second.Payload.Format)
	}
}

func TestTheDefaultsOfEveryRecipeOpen(t *testing.T) {
	for name, r := range everyone(t) {
		kind := Kind{func() recipe { return r }, quiet()}
		if _, err := kind.Open("line-3", kind.Options()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, kind := range kinds() {
		if _, err := kind.Open("line-3", kind.Options()); err == nil {
			t.Errorf("%s opens with nothing configured", name)
		}
	}
}

func TestASecretThatIsNotThereIsNamed(t *testing.T) {
	o := Huawei{Address: "a.example", DeviceID: "d", SecretFile: "/nowhere/secret", Line: defaultLine()}
	if _, err := o.expand("line-3").session(now); err == nil || !strings.Contains(err.Error(), "secret_file") {
		t.Errorf("error is %v", err)
	}
	o.SecretFile = file(t, "")
	if _, err := o.expand("line-3").session(now); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("error is %v", err)
	}
}

// TestTheDocumentedConfigurationsAreGood reads every example of docs/clouds.md.
func TestTheDocumentedConfigurationsAreGood(t *testing.T) {
	text, err := os.ReadFile("../../docs/clouds.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		example, _, _ := strings.Cut(block, "```")
		c, err := read("gateway: {name: line-3}\n" + example)
		if err != nil {
			t.Errorf("%s\n%v", example, err)
			continue
		}
		seen[c.Uplinks[0].Driver] = true
	}
	if len(seen) != len(kinds()) {
		t.Errorf("there are good examples for %d drivers, want %d", len(seen), len(kinds()))
	}
}
