package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/bridge/cloudsim"
	"sluice/web"
)

// TestWhatIsRecognisedIsAConfiguration pastes what consoles show, puts the secrets away, fills in what is needed
// and lets the configuration's check have it.
func TestWhatIsRecognisedIsAConfiguration(t *testing.T) {
	page, dir := freePort(t), t.TempDir()
	g := newGateway(t, parse(t, dir, fmt.Sprintf("gateway: {name: line-3}\nstore: {dir: ./data}\nweb: {listen: %q}\nmqtt: {listen: []}\n", page)))
	start(t, g.Run)
	c := signIn(t, page)
	for _, text := range []string{
		"mqtts://line3:s3cret@broker.example.com:8883/plants/a",
		"mqtt://u:p@x1.emqxsl.com",
		"wss://broker.example.com/ws",
		"HostName=plant.azure-devices.net;DeviceId=line-3;SharedAccessKey=c2VjcmV0a2V5c2VjcmV0a2V5",
		"HostName=plant.azure-devices.net;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0a2V5c2VjcmV0a2V5",
		"abcdef-ats.iot.eu-central-1.amazonaws.com",
		"abcdef-ats.iot.eu-central-1.amazonaws.com:443",
		"a1pC3rpU4xF,line-3,0123456789abcdef0123456789abcdef",
		"mqtts://x.mqtt.iothub.aliyuncs.com:1883",
		`{"device_id":"6a1_line3","secret":"verysecretvalue","hostname":"x.iotda-device.cn-north-4.myhuaweicloud.com"}`,
		"mqtt.thingsboard.cloud A1_TEST_TOKEN_9",
		"tcp://thingsboard.lan",
		"https://u:p@in.example.com/plants/{gateway}",
		"kafka://u:topsecret@k1:9093,k2:9093/plant",
		"kafka://k1",
		"10.0.0.1:9876;10.0.0.2:9876",
		"192.168.1.5:1883",
		"[2001:db8::1]:1883",
		"mqtt.example.com",
	} {
		body, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		found := asked[web.Recognised](t, c, "POST", "/uplinks/recognise", string(body))
		var section map[string]any
		if err := json.Unmarshal(found.Uplink, &section); err != nil {
			t.Fatal(err)
		}
		for _, s := range found.Secrets {
			put(section, s.Path, kept(t, c, s.Name, s.Value))
		}
		for _, need := range found.Needs {
			value := map[string]string{"region": "cn-shanghai", "product_key": "a1pC3rpU4xF", "device_name": "line-3", "device_id": "d1", "address": "h.example.com"}[need]
			if value == "" {
				value = kept(t, c, "needed", "x")
			}
			put(section, strings.Split(need, "."), value)
		}
		whole, err := json.Marshal(section)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := alone("line-3", whole); err != nil {
			t.Errorf("%s became %s: %v", text, whole, err)
		}
	}
	if status, body := c.ask("POST", "/uplinks/recognise", `{"text":"my broker"}`); status != 422 || !strings.Contains(string(body), `"field":"text"`) {
		t.Errorf("nothing recognised answers %d %s", status, body)
	}
}

func put(section map[string]any, path []string, value string) {
	for ; len(path) > 1; path = path[1:] {
		inner, ok := section[path[0]].(map[string]any)
		if !ok {
			inner = map[string]any{}
			section[path[0]] = inner
		}
		section = inner
	}
	section[path[0]] = value
}

// kept stores a secret and looks at its file.
func kept(t *testing.T, c *client, name, value string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"name": name, "value": value})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := c.ask("POST", "/secrets", string(body))
	var at struct{ File string }
	if err := json.Unmarshal(answer, &at); err != nil || status != http.StatusCreated {
		t.Fatalf("storing %s answers %d %s", name, status, answer)
	}
	info, err := os.Stat(at.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s is %v, %v", at.File, info.Mode(), err)
	}
	if text, err := os.ReadFile(at.File); err != nil || string(text) != value {
		t.Errorf("%s has %q, %v", at.File, text, err)
	}
	return at.File
}

func TestASecretsNameLeadsOutOfNowhere(t *testing.T) {
	page := freePort(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf("store: {dir: ./data}\nweb: {listen: %q}\nmqtt: {listen: []}\n", page)))
	start(t, g.Run)
	c := signIn(t, page)
	for _, body := range []string{`{"name":"../x","value":"v"}`, `{"name":".x","value":"v"}`, `{"name":"a/b","value":"v"}`, `{"name":"","value":"v"}`, `{"name":"a"}`, `null`} {
		if status, answer := c.ask("POST", "/secrets", body); status != 422 {
			t.Errorf("%s answers %d %s", body, status, answer)
		}
	}
}

func TestAnUplinkThatIsNotSavedIsTested(t *testing.T) {
	cloud, page := startCloud(t, cloudsim.Options{}), freePort(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf("gateway: {name: site}\nstore: {dir: ./data}\nweb: {listen: %q}\nmqtt: {listen: []}\n", page)))
	start(t, g.Run)
	c := signIn(t, page)
	status, body := c.ask("POST", "/uplinks/test", fmt.Sprintf(`{"uplink":{"driver":"mqtt","address":"tcp://%s","forward":[{"from":"readings/#","to":"{topic}"}]}}`, cloud.Addr()))
	if status != http.StatusOK || !strings.Contains(string(body), `"acknowledged"`) || !strings.HasSuffix(strings.TrimSpace(string(body)), `{"ok":true}`) {
		t.Errorf("it answers %d %s", status, body)
	}
	publishReading(t, g, "press", 1, time.Now(), `{"t":21.5}`)
	type list struct{ Items []web.RouteExample }
	got := asked[list](t, c, "POST", "/uplinks/examples", `{"uplink":{"driver":"emqx","address":"h","forward":[
		{"from":"readings/{gateway}/+","to":"plant/{device}"},{"from":"status/#","to":"{topic}"},{"from":"readings/#","to":"p/{point}","payload":{"format":"points","filter":"values.t > 80"}}]}}`)
	if len(got.Items) != 3 || got.Items[0].To != "plant/press" || got.Items[0].Invented || !strings.Contains(got.Items[0].Payload, "21.5") ||
		!got.Items[1].Invented || got.Items[1].To != "status/site/device" || got.Items[2].Made != 0 {
		t.Errorf("the examples are %+v", got.Items)
	}
	for _, wrong := range []struct{ body, field string }{
		{`null`, "uplink"}, {`{"uplink":null}`, "uplink"}, {`{"uplink":[]}`, "uplink"}, {`{"uplink":"x"}`, "uplink"}, {`{"uplink":{}}`, "uplink.driver"},
		{`{"uplink":{"driver":"mqtt"}}`, "uplink.address"}, {`{"uplink":{"driver":"mqtt","address":1e400}}`, "uplink.address"},
		{`{"uplink":{"driver":"mqtt","address":"tcp://h","keep_alive":"x"}}`, "uplink.keep_alive"}, {`{"uplink":{"name":7,"driver":"mqtt","address":"tcp://h","x":"\u0000"}}`, ""},
	} {
		status, answer := c.ask("POST", "/uplinks/test", wrong.body)
		var p struct{ Field string }
		if err := json.Unmarshal(answer, &p); err != nil || status != 422 || wrong.field != "" && p.Field != wrong.field {
			t.Errorf("%s answers %d %s, want 422 with the field %s", wrong.body, status, answer, wrong.field)
		}
	}
}
