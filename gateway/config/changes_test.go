package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestChangesNameKeysWithBothValues(t *testing.T) {
	const before = `
gateway: {name: line-3}
mqtt:
  users:
    - {name: zoe, password: HUSH}
    - {name: max, password: "QUIET"}
devices:
  - name: press
    interval: 10s
    points:
      - {name: a, address: "holding:0"}
      - {name: b, address: "holding:1", scale: 0.1}
  - {name: pump, interval: 5s}
ntp: [one, two]
`
	for _, c := range []struct {
		what, old, new string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"a remark, and another way to write the same", "gateway: {name: line-3}", "# hello\ngateway:\n  name: 'line-3'", nil},
		{"a value", "interval: 10s", "interval: 30s", []string{`devices.press.interval "10s" "30s"`}},
		{"a key that is new", "interval: 10s", "interval: 10s\n    aligned: true", []string{`devices.press.aligned  true`}},
		{"a key that goes", ", scale: 0.1", "", []string{`devices.press.points.b.scale 0.1 `}},
		{"an item that is new", "  - {name: pump, interval: 5s}", "  - {name: pump, interval: 5s}\n  - {name: fan}", []string{`devices.fan  {"name":"fan"}`}},
		{"an item that goes", "  - {name: pump, interval: 5s}\n", "", []string{`devices.pump {"name":"pump","interval":"5s"} `}},
		{"an item that is renamed", "name: pump", "name: fan", []string{`devices.pump.name "pump" "fan"`}},
		{"an item without a name", "[one, two]", "[one, three]", []string{`ntp.1 "two" "three"`}},
		{"items in another order", "[one, two]", "[two, one]", []string{`ntp.0 "one" "two"`, `ntp.1 "two" "one"`}},
		{"a secret that becomes a section", "password: HUSH", "password: {a: 1}", []string{`mqtt.users.zoe.password "***" {"a":1}`}},
		{"another kind of value", "[one, two]", "one", []string{`ntp ["one","two"] "one"`}},
		{"a secret", "HUSH", "LOUD", []string{`mqtt.users.zoe.password "***" "***"`}},
		{"a secret that goes", `, password: "QUIET"`, "", []string{`mqtt.users.max.password "***" `}},
		{"a user with a secret", "    - {name: zoe, password: HUSH}\n", "", []string{`mqtt.users.zoe {"name":"zoe","password":"***"} `}},
	} {
		now := strings.Replace(before, c.old, c.new, 1)
		old, next := documentOf(t, before), documentOf(t, now)
		var got []string
		for _, change := range Changes(old, next, Secrets{"password": true}) {
			got = append(got, fmt.Sprint(change.Path, " ", change.Before, " ", change.After))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the changes are %q, want %q", c.what, got, c.want)
		}
		if said := fmt.Sprint(got); strings.Contains(said, "HUSH") || strings.Contains(said, "LOUD") || strings.Contains(said, "QUIET") {
			t.Errorf("%s: a secret shows in %s", c.what, said)
		}
	}
}

func documentOf(t *testing.T, text string) *Document {
	t.Helper()
	d, err := ReadDocument("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What differs is told, and nothing that does not; a secret never is, whatever the text.
func FuzzChanges(f *testing.F) {
	f.Add("a: 1\n", "a: 2\n")
	f.Add("l: [{name: x, k: 1}, {name: x, k: 2}]\n", "l: [{name: y}, 7]\n")
	f.Add("password: {a: b}\n", "password: c\n")
	f.Add("a: &a {password: s}\nb: *a\n", "a: &a {password: t}\nb: *a\n")
	f.Fuzz(func(t *testing.T, before, now string) {
		old, err := ReadDocument("old", []byte(before))
		if err != nil {
			return
		}
		next, err := ReadDocument("new", []byte(now))
		if err != nil {
			return
		}
		if same, found := old.root.equal(next.root), Changes(old, next, Secrets{"password": true}); same != (len(found) == 0) {
			t.Errorf("%q and %q: the same is %t, and they differ by %+v", before, now, same, found)
		}
	})
}
