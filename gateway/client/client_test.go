package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func box(t *testing.T, tls bool) *httptest.Server {
	handler := http.NewServeMux()
	handler.HandleFunc("POST /api/v1/session", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ User, Password string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.User != "admin" || body.Password != "correct horse" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"status":401,"title":"Unauthorized","detail":"wrong password"}`)
			return
		}
		fmt.Fprint(w, `{"token":"t1"}`)
	})
	handler.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"devices":[{"name":"press","state":"online","seq":18446744073709551615,"points":[{"name":"a.b","value":1.50}]}]}`)
	})
	server := httptest.NewUnstartedServer(handler)
	if tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

func ask(t *testing.T, o Options) (string, error) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		return "", err
	}
	defer c.Close()
	answer, err := c.Ask(t.Context(), "GET", "status", nil)
	return string(answer.Body), err
}

func TestAGatewayIsAsked(t *testing.T) {
	server := box(t, false)
	if got, err := ask(t, Options{URL: strings.TrimPrefix(server.URL, "http://"), User: "admin", Password: "correct horse"}); err != nil || !strings.Contains(got, "press") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := ask(t, Options{URL: server.URL + "/", Token: "t1"}); err != nil {
		t.Error(err)
	}
	var problem *Problem
	if _, err := ask(t, Options{URL: server.URL, User: "admin", Password: "x"}); !errors.As(err, &problem) || err.Error() != "wrong password (401)" {
		t.Errorf("a wrong password gives %v", err)
	}
	if _, err := ask(t, Options{URL: server.URL}); !errors.As(err, &problem) || problem.Status != 401 {
		t.Errorf("no token gives %v", err)
	}
	for _, bad := range []Options{{URL: "ftp://x"}, {URL: "http://"}, {URL: "x", Fingerprint: "12"}, {URL: "x", CA: "/nowhere"}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestWhoTheGatewayIs(t *testing.T) {
	server := box(t, true)
	certificate := server.Certificate()
	fingerprint := fmt.Sprintf("%X", sha256.Sum256(certificate.Raw))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o  Options
		ok bool
	}{
		"nobody speaks for it":  {Options{}, false},
		"its authority":         {Options{CA: file}, true},
		"its fingerprint":       {Options{Fingerprint: "SHA256:" + fingerprint[:2] + ":" + fingerprint[2:]}, true},
		"another's fingerprint": {Options{Fingerprint: strings.Repeat("ab", 32)}, false},
	} {
		c.o.URL, c.o.Token = server.URL, "t1"
		if _, err := ask(t, c.o); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShortNames(t *testing.T) {
	for _, c := range []struct {
		name, what string
		want       Address
	}{
		{"", "", Address{"status", nil}},
		{"status", "log.bytes", Address{"status", []string{"log", "bytes"}}},
		{"devices", "", Address{"status", []string{"devices"}}},
		{"devices/press", "state", Address{"status", []string{"devices", "press", "state"}}},
		{"devices/press/a.b", "value", Address{"status", []string{"devices", "press", "points", "a.b", "value"}}},
		{"devices/plan?device=press", "", Address{"devices/plan?device=press", nil}},
		{"uplinks/cloud", "", Address{"status", []string{"uplinks", "cloud"}}},
		{"uplinks/cloud/aside", "", Address{"uplinks/cloud/aside", nil}},
		{"/api/v1/logs?level=warn", "items.0", Address{"logs?level=warn", []string{"items", "0"}}},
		{"config", `devices.a\.b.interval`, Address{"config", []string{"document", "devices", "a.b", "interval"}}},
	} {
		if got := Find(c.name, c.what); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q %q is %q, want %q", c.name, c.what, got, c.want)
		}
	}
}

func TestPartsOfAnAnswer(t *testing.T) {
	text := []byte(`{"devices":[{"name":"press","seq":18446744073709551615},{"name":"7"}],"n":null}`)
	for path, want := range map[string]string{
		"devices.press.seq": "18446744073709551615", "devices.1.name": `"7"`, "devices.7.name": `"7"`, "n": "null",
		"devices.2": "", "devices.x": "", "n.x": "", "x": "",
	} {
		value, err := Pick(text, SplitPath(path))
		got, _ := json.Marshal(value)
		if (err == nil) != (want != "") || err == nil && string(got) != want {
			t.Errorf("%s is %s, %v; want %s", path, got, err, want)
		}
	}
}

func TestEdits(t *testing.T) {
	for text, want := range map[string]string{
		"a.b=500ms":       `{"path":["a","b"],"value":"500ms"}`,
		"a=42":            `{"path":["a"],"value":42}`,
		`a="42"`:          `{"path":["a"],"value":"42"}`,
		"a=true":          `{"path":["a"],"value":true}`,
		"a=":              `{"path":["a"],"value":""}`,
		"a=null":          `{"path":["a"],"value":"null"}`,
		`a=["x","y"]`:     `{"path":["a"],"value":["x","y"]}`,
		"a=1 2":           `{"path":["a"],"value":"1 2"}`,
		"u=tcp://x:1?a=b": `{"path":["u"],"value":"tcp://x:1?a=b"}`,
		"a":               "", "=1": "",
	} {
		edit, err := ParseEdit(text)
		got, _ := json.Marshal(edit)
		if (err == nil) != (want != "") || err == nil && string(got) != want {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestEventsAreRead(t *testing.T) {
	var got []string
	stream := ": hello\n\nid: 1\nevent: record\ndata: {\"a\":1}\n\ndata: x\r\ndata: y\n\nevent: none\n\n"
	if err := readEvents(strings.NewReader(stream), func(event, id string, data []byte) {
		got = append(got, event+"/"+id+"/"+string(data))
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{`record/1/{"a":1}`, "/1/x\ny"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	server := box(t, false)
	c, err := New(Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Follow(context.Background(), "status", nil); err == nil {
		t.Error("a refusal was followed")
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("data: {\"a\":[1,{\"name\":\"b\"}]}\n\n", "a.b")
	f.Add("event: x\nid\ndata\n\n", `\`)
	f.Fuzz(func(t *testing.T, text, path string) {
		_ = readEvents(strings.NewReader(text), func(_, _ string, data []byte) {
			_, _ = Pick(data, SplitPath(path))
		})
		_, _ = Pick([]byte(text), SplitPath(path))
		_ = Find(text, path)
		_, _ = ParseEdit(text)
	})
}
