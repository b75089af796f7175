package rocketmq_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/gateway/remoting"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// TestJavaClientsSign has the Java clients of both generations sign their requests with the right keys, with a
// wrong secret, as somebody unknown and not at all. Clients show the code and the remark; what a broker
// with ACL 1.0 refuses has the code NO_PERMISSION.
func TestJavaClientsSign(t *testing.T) {
	rocketmqtest.Require(t)
	const name, accessKey, secretKey = "acl", "boss", "boss-secret"
	access := `  access:
    - {access_key: boss, secret_key: boss-secret, admin: true}
    - {access_key: device, secret_key: device-secret, publish: ["T_acl_open*"], subscribe: ["T_acl_open*"], groups: ["G_acl_*"]}
`
	// What each may: send to and pull from the topic that is open to the device, and to the one that is not.
	may := []struct {
		who          string
		open, closed bool
	}{
		{"administrator", true, true}, {"device", true, false}, {"device with a wrong secret", false, false}, {"stranger", false, false}, {"unsigned", false, false},
	}
	for _, generation := range []rocketmqtest.Generation{rocketmqtest.Current, rocketmqtest.Old} {
		t.Run(string(generation), func(t *testing.T) {
			t.Parallel() // most of it is waiting for nothing to come
			as := rocketmqtest.Client{Generation: generation, AccessKey: accessKey, SecretKey: secretKey}
			seen := make(map[string]rocketmqtest.Observation)
			for _, o := range rocketmqtest.Play(t, startGateway(t, access).nameServer, as, name)[name] {
				seen[o.Saw] = o
			}
			for _, m := range may {
				outcome(t, seen, m.who+" sends to T_acl_open", m.open, "SEND_OK")
				outcome(t, seen, m.who+" pulls from T_acl_open", m.open, "FOUND")
				outcome(t, seen, m.who+" sends to T_acl_closed", m.closed, "SEND_OK")
				outcome(t, seen, m.who+" pulls from T_acl_closed", m.closed, "FOUND")
				want := `{"result":"nothing"}` // a push consumer that is refused goes on trying
				if m.open {
					want = `{"result":"something"}`
				}
				if got := string(seen[m.who+" consumes"].With); got != want {
					t.Errorf("%s consumes: %s, want %s", m.who, got, want)
				}
			}
		})
	}
}

// outcome checks how an attempt ended: well, or with NO_PERMISSION and a word of why.
func outcome(t *testing.T, seen map[string]rocketmqtest.Observation, attempt string, well bool, result string) {
	t.Helper()
	o, found := seen[attempt]
	if !found {
		t.Errorf("no client has tried: %s", attempt)
		return
	}
	var got struct {
		Result string
		Code   int
		Remark string
	}
	if err := json.Unmarshal(o.With, &got); err != nil {
		t.Fatalf("%v: %v", o, err)
	}
	refused := got.Code == remoting.NoPermission && strings.TrimSpace(got.Remark) != ""
	if well && got.Result != result || !well && !refused {
		t.Errorf("%s: %s; allowed: %t", attempt, o.With, well)
	}
}
