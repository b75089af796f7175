package recognise

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// samples are what people paste, and what it is.
var samples = []struct {
	text, kind string
	section    []string // parts of the section's JSON
	secret     string
	needs      string
}{
	{"mqtts://line3:s3cr:t@broker.example.com:8883/plants/a", "mqtt", []string{`"address":"ssl://broker.example.com:8883"`, `"username":"line3"`, `"to":"plants/a/{topic}"`, `"from":"plants/a/commands/{gateway}/+"`}, "s3cr:t", ""},
	{"mqtt://10.0.0.5", "mqtt", []string{`"address":"tcp://10.0.0.5:1883"`, `"from":"readings/{gateway}/+","to":"{topic}"`}, "", ""},
	{"tcp://10.0.0.5:1884/#", "mqtt", []string{`"address":"tcp://10.0.0.5:1884"`, `"to":"{topic}"`}, "", ""},
	{"ssl://u@[2001:db8::1]", "mqtt", []string{`"address":"ssl://[2001:db8::1]:8883"`}, "", "password_file"},
	{"ws://broker.example.com:8083", "mqtt", []string{`"address":"ws://broker.example.com:8083/mqtt"`}, "", ""},
	{"wss://broker.example.com/ws?clientId=box-7", "mqtt", []string{`"address":"wss://broker.example.com/ws"`, `"client_id":"box-7"`}, "", ""},
	{"mqtts://u:p%40ss@x1.emqxsl.com", "emqx", []string{`"address":"x1.emqxsl.com"`}, "p@ss", ""},
	{"HostName=plant.azure-devices.net;DeviceId=line-3;SharedAccessKey=c2VjcmV0a2V5c2VjcmV0a2V5", "azure-iot-hub", []string{`"address":"plant.azure-devices.net"`, `"device_id":"line-3"`}, "c2VjcmV0a2V5c2VjcmV0a2V5", ""},
	{"HostName=plant.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0a2V5c2VjcmV0a2V5", "azure-iot-hub", nil, "", "device_id key_file"},
	{"abcdef-ats.iot.eu-central-1.amazonaws.com", "aws-iot", []string{`"address":"abcdef-ats.iot.eu-central-1.amazonaws.com"`}, "", "tls.cert tls.key"},
	{`{"ProductKey":"a1pC3rpU4xF","DeviceName":"line-3","DeviceSecret":"0123456789abcdef0123456789abcdef"}`, "alibaba-iot", []string{`"product_key":"a1pC3rpU4xF"`, `"device_name":"line-3"`}, "0123456789abcdef0123456789abcdef", "region"},
	{"a1pC3rpU4xF,line-3,0123456789abcdef0123456789abcdef", "alibaba-iot", []string{`"device_name":"line-3"`}, "0123456789abcdef0123456789abcdef", "region"},
	{"ProductKey: a1pC3rpU4xF\nDeviceName: line-3\nDeviceSecret: 0123456789abcdef0123456789abcdef\nregion: cn-shanghai", "alibaba-iot", []string{`"region":"cn-shanghai"`}, "0123456789abcdef0123456789abcdef", ""},
	{`{"device_id":"6a1_line3","secret":"verysecretvalue","hostname":"x.iotda-device.cn-north-4.myhuaweicloud.com"}`, "huawei-iotda", []string{`"device_id":"6a1_line3"`}, "verysecretvalue", ""},
	{"mqtt.thingsboard.cloud A1_TEST_TOKEN_9", "thingsboard", []string{`"address":"mqtt.thingsboard.cloud"`}, "A1_TEST_TOKEN_9", ""},
	{"10.0.0.9 A1TESTTOKEN99", "thingsboard", []string{`"address":"tcp://10.0.0.9"`}, "A1TESTTOKEN99", ""},
	{`mosquitto_pub -d -q 1 -h thingsboard.plant.lan -p 1883 -t v1/devices/me/telemetry -u "A1TESTTOKEN99" -m "{temperature:25}"`, "thingsboard", []string{`"address":"tcp://thingsboard.plant.lan:1883"`, `"as":"device"`}, "A1TESTTOKEN99", ""},
	{"https://in.example.com/plants/{gateway}", "http", []string{`"address":"https://in.example.com/plants/{gateway}"`}, "", ""},
	{"http://u:topsecret@10.1.1.1:8080/in", "http", []string{`"address":"http://10.1.1.1:8080/in"`, `"username":"u"`}, "topsecret", ""},
	{"kafka://k1.example.com:9092/plant", "kafka", []string{`"address":"tcp://k1.example.com:9092"`, `"to":"plant"`, `"to":"plant/alarms"`}, "", ""},
	{"kafka://u:topsecret@k1:9093,k2:9093/plant", "kafka", []string{`"address":"ssl://k1:9093,ssl://k2:9093"`, `"mechanism":"scram-sha-512"`}, "topsecret", ""},
	{"10.0.0.1:9876;10.0.0.2:9876", "rocketmq", []string{`"name_servers":["10.0.0.1:9876","10.0.0.2:9876"]`}, "", ""},
	{"broker.plant.local", "mqtt", []string{`"address":"tcp://broker.plant.local:1883"`}, "", ""},
	{"mqtt.example.com", "mqtt", []string{`"address":"ssl://mqtt.example.com:8883"`}, "", ""},
	{"192.168.1.5:1883", "mqtt", []string{`"address":"tcp://192.168.1.5:1883"`}, "", ""},
	{"Host: mqtt.example.com\nPort: 8883\nUsername: box\nPassword: topsecret", "mqtt", []string{`"address":"ssl://mqtt.example.com:8883"`, `"username":"box"`}, "topsecret", ""},
}

func TestRecognises(t *testing.T) {
	for _, s := range samples {
		got, err := Recognise("  " + s.text + "\n")
		if err != nil || got.Kind != s.kind {
			t.Errorf("%s is taken for %q, %v; want %s", s.text, got.Kind, err, s.kind)
			continue
		}
		section, err := json.Marshal(got.Section)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range s.section {
			if !strings.Contains(string(section), part) {
				t.Errorf("%s became %s, without %s", s.text, section, part)
			}
		}
		secret := ""
		if len(got.Secrets) > 0 {
			secret = got.Secrets[0].Value
		}
		if secret != s.secret || strings.Join(got.Needs, " ") != s.needs {
			t.Errorf("%s has the secret %q and needs %v; want %q and %q", s.text, secret, got.Needs, s.secret, s.needs)
		}
	}
}

func TestWhatIsNothingIsSaidToBeNothing(t *testing.T) {
	for _, text := range []string{"", "hello", "my broker", "ftp://x.example.com", "mqtt://", "mqtt://h:99999", "https://", "{", "{}", "a,b,c", "x\x00y.example.com", strings.Repeat("a", Longest+1)} {
		if got, err := Recognise(text); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

// FuzzRecognise: whatever is pasted, the answer is JSON with a name and routes, and what is secret stands in
// its own list alone.
func FuzzRecognise(f *testing.F) {
	for _, s := range samples {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Recognise(text)
		if err != nil {
			return
		}
		section, err := json.Marshal(got.Section)
		if err != nil || !json.Valid(section) {
			t.Fatalf("%q became %s, %v", text, section, err)
		}
		if !slices.ContainsFunc(got.Section, func(e Entry) bool { return e.Key == "forward" }) || got.Said.English == "" || got.Said.Chinese == "" {
			t.Errorf("%q became %s, %+v", text, section, got.Said)
		}
		for _, s := range got.Secrets {
			if s.Value == "" || strings.ContainsAny(s.Value, "\r\n") {
				t.Errorf("%q has the secret %q", text, s.Value)
			}
			// A short one, or one that is the host's name too, may stand elsewhere by chance.
			if len(s.Value) > 12 && strings.Count(text, s.Value) == 1 && strings.Contains(string(section)+got.Said.English, s.Value) {
				t.Errorf("%q shows its secret in %s %s", text, section, got.Said.English)
			}
		}
	})
}
