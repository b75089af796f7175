package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// guarded starts a gateway with a user "sensor" who may publish under out/ and subscribe under in/.
func guarded(t *testing.T) (address string) {
	t.Helper()
	addresses, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sensor.hash"), hash, 0o600); err != nil {
		t.Fatal(err)
	}
	ownGateway(t, dir, fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data}
web: {listen: ""}
mqtt:
  listen: [%q]
  users:
    - {name: sensor, password_file: sensor.hash, publish: ["out/#"], subscribe: ["in/#", "out/%%u"]}
  deny_publish: [out/locked]
`, addresses[0]))
	return addresses[0]
}

func ptr(s string) *string { return &s }

// [MQTT-3.1.4-2]: who may not connect is told so, or not, and cut off; the answer does not tell whether
// the user exists. Its code is one of CONNACK's [MQTT-3.2.2-8], without session present [MQTT-3.2.2-6],
// and the connection ends [MQTT-3.2.2-7, MQTT-4.13.2-1].
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	to := guarded(t)
	for _, version := range []int{v31, v311, v5} {
		var answers []byte
		for _, h := range []hello{
			{user: ptr("sensor"), password: ptr("guess")},
			{user: ptr("nobody"), password: ptr("secret")},
			{user: ptr("sensor")},
			{},
		} {
			h.version, h.address = version, to
			p := try(t, h)
			got := p.connack
			if got == nil {
				t.Errorf("version %d: the connection just ended", version)
				continue
			}
			if version == v5 && got.code != 0x86 && got.code != 0x87 || version != v5 && got.code != 4 && got.code != 5 || got.ackFlags != 0 {
				t.Errorf("version %d: got %v, want a refusal", version, got)
			}
			answers = append(answers, got.code)
			p.ends()
		}
		if len(answers) > 1 && answers[0] != answers[1] {
			t.Errorf("version %d: a wrong password is answered with %x, an unknown user with %x", version, answers[0], answers[1])
		}
	}
	for _, version := range []int{v31, v311, v5} {
		connect(t, hello{version: version, address: to, user: ptr("sensor"), password: ptr("secret")}).leave()
	}
}

// What a user may not publish is refused with a code of PUBACK [MQTT-3.4.2-1] and PUBREC [MQTT-3.5.2-1];
// after such a PUBREC the identifier means a new message [MQTT-4.3.3-9], and there is no PUBREL to come.
// Nobody gets what was refused.
func TestTopicsThatAUserMayNotPublishOn(t *testing.T) {
	t.Parallel()
	to := guarded(t)
	login := hello{address: to, user: ptr("sensor"), password: ptr("secret")}
	p, watch := connect(t, login), connect(t, login)
	watch.subscribe(want{"in/#", 2}, want{"out/sensor", 2})
	for _, topic := range []string{"in/x", "elsewhere", "out/locked"} {
		p.begin(post{topic: topic, payload: "never"})
		p.begin(post{topic: topic, payload: "never", qos: 1, id: 1})
		if got := p.await(PUBACK); got.code != 0x87 {
			t.Errorf("QoS 1 on %s: got %v, want not authorized", topic, got)
		}
		p.begin(post{topic: topic, payload: "never", qos: 2, id: 2})
		if got := p.await(PUBREC); got.code != 0x87 {
			t.Errorf("QoS 2 on %s: got %v, want not authorized", topic, got)
		}
		p.publish(post{topic: "out/sensor", payload: "good", qos: 2, id: 2})
		if got := watch.receive(); got.payload != "good" || got.topic != "out/sensor" {
			t.Errorf("got %q on %s, want what is allowed", got.payload, got.topic)
		}
	}
	old := connect(t, hello{version: v311, address: to, user: ptr("sensor"), password: ptr("secret")})
	old.begin(post{topic: "in/x", payload: "never", qos: 1, id: 1})
	if got := old.next(); got != nil && (got.kind != PUBACK || got.id != 1) { // 3.1.1 [MQTT-3.3.5-2]: as if, or the end
		t.Errorf("before MQTT 5: got %v", got)
	}
	p.publish(post{topic: "out/sensor", payload: "last", qos: 2})
	watch.expect("last")
}

// A filter outside of what a user may subscribe to is refused in its place among the codes
// [MQTT-3.9.3-1, MQTT-3.9.3-2, MQTT-3.8.4-7], and so is a wider one.
func TestFiltersThatAUserMayNotSubscribeTo(t *testing.T) {
	t.Parallel()
	to := guarded(t)
	for _, version := range []int{v311, v5} {
		p := connect(t, hello{version: version, address: to, user: ptr("sensor"), password: ptr("secret")})
		got := p.ask(nil, want{"in/+/x", 1}, want{"#", 1}, want{"in/#", 2}, want{"out/#", 0}, want{"out/sensor", 0}, want{"$SYS/#", 0}, want{"$share/g/elsewhere", 1})
		for i, allowed := range []int{1, -1, 2, -1, 0, -1, -1} {
			if code := int(got.codes[i]); allowed >= 0 && code != allowed || allowed < 0 && code != 0x80 && (version != v5 || code != 0x87) {
				t.Errorf("version %d: filter %d was answered with %x, want %d", version, i, code, allowed)
			}
		}
	}
}
