package gateway

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"sluice/gateway/access"
	"sluice/gateway/config"
	"sluice/gateway/mqtt"
)

func TestGuardIsWhatTheConfigurationSays(t *testing.T) {
	folder := t.TempDir()
	hash, err := access.HashPassword([]byte("water level 7"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "sensor.password"), []byte(hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "sluice.yaml")
	text := `mqtt:
  users:
    - {name: sensor, password_file: ./sensor.password, publish: ["readings/#"], subscribe: ["commands/%u/%c/#"]}
    - {name: press, certificate: true, publish: ["machines/%u"], subscribe: ["#"]}
  deny_subscribe: ["secret/#"]
  deny_publish: ["readings/line-3/#"]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, Kinds())
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGuard(&c.MQTT, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var asked mqtt.Access = g
	attempt := mqtt.Attempt{ClientID: "c1", Address: "192.0.2.1:1", HasUser: true, User: "sensor", HasPassword: true, Password: []byte("wrong")}
	if asked.Connect(context.Background(), &attempt) != nil {
		t.Error("a wrong password came in")
	}
	attempt.Password = []byte("water level 7")
	sensor := asked.Connect(context.Background(), &attempt)
	if sensor == nil {
		t.Fatal("the right password was refused")
	}
	press := asked.Connect(context.Background(), &mqtt.Attempt{
		ClientID: "c2", Address: "192.0.2.1:1", Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "press"}},
	})
	if press == nil {
		t.Fatal("the certificate was refused")
	}
	for _, c := range []struct {
		what      string
		got, want bool
	}{
		{"sensor publishes", sensor.Publish("readings/press"), true},
		{"sensor publishes what is denied", sensor.Publish("readings/line-3/press"), false},
		{"sensor publishes elsewhere", sensor.Publish("machines/press"), false},
		{"sensor subscribes", sensor.Subscribe("commands/sensor/c1/#"), true},
		{"sensor subscribes to another's", sensor.Subscribe("commands/sensor/c2/#"), false},
		{"press publishes", press.Publish("machines/press"), true},
		{"press publishes elsewhere", press.Publish("machines/other"), false},
		{"press subscribes to all", press.Subscribe("#"), true},
		{"press subscribes to what is denied", press.Subscribe("secret/a"), false},
		{"press receives what is denied", press.Receive("secret/a"), false},
		{"press receives", press.Receive("readings/line-3/press"), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	if s := g.Stats(); s.Accepted != 2 || s.Refused != 1 {
		t.Errorf("counted %+v", s)
	}
}
