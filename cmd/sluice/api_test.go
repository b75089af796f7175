package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test's binary be sluice itself, so that a process can be tested that starts itself anew.
func TestMain(m *testing.M) {
	if os.Getenv("SLUICE_TEST_IS_SLUICE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const testPassword = "correct horse 1"

// startSluice runs a gateway with a simulated device as a process of its own, and gives its address.
func startSluice(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "sluice.yaml")
	text := fmt.Sprintf("gateway: {name: line-3}\nstore: {dir: ./data}\nweb: {listen: \"%s\"}\ndevices:\n  - {name: press, driver: simulated, interval: 200ms, points: [{name: temperature, wave: sine, period: 10s, min: 20, max: 80}]}\n", address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	gateway := exec.Command(program, "run", "--config", file)
	gateway.Env = append(os.Environ(), "SLUICE_TEST_IS_SLUICE=1", "SLUICE_ADMIN_PASSWORD="+testPassword)
	gateway.Stderr = &said
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := gateway.Wait(); err != nil || t.Failed() {
			t.Errorf("the gateway ended with %v and said\n%s", err, said.String())
		}
	})
	t.Setenv("SLUICE_URL", "http://"+address)
	t.Setenv("SLUICE_PASSWORD", testPassword)
	t.Setenv("SLUICE_TOKEN", "")
	comes(t, "device", func() bool { return remote(t, "get", "devices/press", "state") == "online" })
	return "http://" + address + "/api/v1"
}

// comes waits for what another process brings about.
func comes(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// remote runs a command for gateways that run, and gives what it prints, or its error.
func remote(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	err := map[string]func() error{
		"get":   func() error { return getFrom(ctx, &out, args[1:]) },
		"set":   func() error { return setIn(ctx, &out, args[1:]) },
		"watch": func() error { return watchIn(ctx, &out, args[1:]) },

		"firmware": func() error { return updateBoxesIn(ctx, &out, args[1:]) },
	}[args[0]]()
	if err != nil {
		return strings.TrimSpace(out.String() + "\n" + err.Error())
	}
	return strings.TrimSpace(out.String())
}

var example = regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?")

// TestTheDocumentedExamples runs docs/api.md from its beginning to its end.
func TestTheDocumentedExamples(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not here")
		}
	}
	base := startSluice(t)
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := example.FindAllSubmatch(text, -1)
	if len(examples) < 7 {
		t.Fatalf("there are only %d examples", len(examples))
	}
	started := remote(t, "get", "status", "started")
	token, dir := "", t.TempDir()
	for _, one := range examples {
		script := exec.Command("bash", "-euc", string(one[1]))
		script.Dir = dir
		script.Env = append(os.Environ(), "A="+base, "TOKEN="+token, "PASSWORD="+testPassword)
		got, err := script.Output()
		if err != nil {
			failed, _ := errors.AsType[*exec.ExitError](err)
			t.Fatalf("%s\nended with %v: %s %s", one[1], err, got, failed.Stderr)
		}
		var want, have any
		if err := errors.Join(json.Unmarshal(one[2], &want), json.Unmarshal(got, &have)); err != nil {
			t.Fatalf("%s\n%v: %s", one[1], err, got)
		}
		if wrong := unlike(want, have, ""); wrong != "" {
			t.Errorf("%s\n%s: %s", one[1], wrong, got)
		}
		if object, ok := have.(map[string]any); ok && object["token"] != nil {
			token, _ = object["token"].(string)
		}
	}
	// The last of them has restored a backup: the same process begins anew with it.
	comes(t, "start", func() bool {
		now := remote(t, "get", "status", "started")
		return now != started && strings.HasPrefix(now, "20")
	})
	if got := remote(t, "get", "restore", "state"); got != "trying" && got != "done" {
		t.Errorf("the restore is %s", got)
	}
}

// unlike tells where an answer lacks something, or has something of another kind; null is like anything.
func unlike(want, have any, at string) string {
	switch want := want.(type) {
	case nil:
		return ""
	case map[string]any:
		object, ok := have.(map[string]any)
		if !ok {
			return at + " is no object"
		}
		for key, value := range want {
			member, there := object[key]
			if !there {
				return at + "." + key + " is missing"
			}
			if wrong := unlike(value, member, at+"."+key); wrong != "" {
				return wrong
			}
		}
	case []any:
		list, ok := have.([]any)
		if !ok {
			return at + " is no list"
		}
		for i := range min(len(want), len(list), 1) {
			return unlike(want[i], list[i], fmt.Sprintf("%s[%d]", at, i))
		}
	default:
		if have != nil && fmt.Sprintf("%T", want) != fmt.Sprintf("%T", have) {
			return fmt.Sprintf("%s is %v", at, have)
		}
	}
	return ""
}

func TestGatewaysFromTheCommandLine(t *testing.T) {
	startSluice(t)
	url := os.Getenv("SLUICE_URL")
	list := filepath.Join(t.TempDir(), "boxes.txt")
	if err := os.WriteFile(list, fmt.Appendf(nil, "# two of the same\n%s\n\n%s token=wrong\n", url, url+"/"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "status", "gateway"}, `^line-3$`},
		{[]string{"get", "devices/press/temperature", "name"}, `^temperature$`},
		{[]string{"get", "firmware", "trial"}, `^null$`},
		{[]string{"get", "--json", "system", "storage.log"}, `^\{"bytes":\d+,.*\}$`},
		{[]string{"get", "devices/pump"}, `there is no devices.pump$`},
		{[]string{"get", "nothing"}, `\(404\)$`},
		{[]string{"get", "--user", "nobody", "status"}, `\(401\)$`},
		{[]string{"get", "--urls", list, "status", "gateway"}, `(?s)line-3.*1 of 2 gateways failed$`},
		{[]string{"get", "--urls", list, "--json", "status", "gateway"}, `"ok":false`},
		{[]string{"get", "--url", "ftp://x"}, `is not the address of a gateway`},
		{[]string{"get", "a", "b", "c"}, `not also "c"`},
		{[]string{"set"}, `what\? For example`},
		{[]string{"set", "x"}, `is not PATH=VALUE`},
		{[]string{"watch", "press/pressure"}, `has no point "pressure"$`},
		{[]string{"watch", "pump"}, `there is no device "pump"$`},
	} {
		if got := remote(t, c.args...); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("sluice %s says %q, want %s", strings.Join(c.args, " "), got, c.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // long enough for the value to change
	defer cancel()
	var out bytes.Buffer
	if err := watchIn(ctx, &out, []string{"press/temperature"}); err != nil || !strings.Contains(out.String(), "press: temperature=") {
		t.Errorf("watching gives %v, %s", err, out.String())
	}
}
