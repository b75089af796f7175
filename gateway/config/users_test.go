package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsers(t *testing.T) {
	hash := filepath.Join(t.TempDir(), "hash")
	if err := os.WriteFile(hash, []byte("$2b$…"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`mqtt: {users: [{name: a, password_file: HASH, publish: ["a/%u/#"], subscribe: ["%c/+"]}]}`: "",
		`mqtt: {users: [{name: a, certificate: true, subscribe: ["#"]}]}`:                           "",
		`mqtt: {users: []}`: "",
		`mqtt: {deny_subscribe: ["a/#", "$SYS/#"], deny_publish: ["+/b"]}`:     "",
		`mqtt: {users: [{name: a, publish: ["#"]}]}`:                           `mqtt.users[0]: "a" has no password_file`,
		`mqtt: {users: [{name: a, certificate: false, publish: ["#"]}]}`:       `mqtt.users[0]: "a" has no password_file`,
		`mqtt: {users: [{name: a, password_file: "", publish: ["#"]}]}`:        `mqtt.users[0]: "a" has no password_file`,
		`mqtt: {users: [{name: a, certificate: true}]}`:                        `warning: mqtt.users[0]: "a" may neither publish nor subscribe`,
		`mqtt: {users: [{name: a, certificate: true, publish: []}]}`:           `warning: mqtt.users[0]: "a" may neither publish nor subscribe`,
		`mqtt: {users: [{name: a/b, certificate: true, publish: ["#"]}]}`:      `mqtt.users[0].name: "a/b" has a '/'`,
		`mqtt: {users: [{certificate: true, publish: ["#"]}]}`:                 `mqtt.users[0].name: `,
		`mqtt: {users: [{name: a, certificate: true, publish: ["a/x%u+"]}]}`:   `mqtt.users[0].publish[0]: "a/x%u+" has a wildcard`,
		`mqtt: {users: [{name: a, certificate: true, publish: ["#", "a#b"]}]}`: `mqtt.users[0].publish[1]: `,
		`mqtt: {deny_subscribe: ["a/%u"]}`:                                     `mqtt.deny_subscribe[0]: %u stands for`,
		`mqtt: {deny_publish: ["a", "%c/#"]}`:                                  `mqtt.deny_publish[1]: %c stands for`,
	} {
		got := problems(t, strings.ReplaceAll(text, "HASH", hash))
		if want == "" && got != "" || !strings.Contains(got, want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}
