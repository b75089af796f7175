package rocketmq_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rocketmqtest "sluice/testpeers/rocketmq"
)

// accountsDiffer is why commands about users and policies are not compared: the recorded broker has none and says
// so with code 1, the gateway shows those of its configuration and refuses to change them. What it answers
// is tested in TestAdministrationIsForAdministrators.
const accountsDiffer = "accounts are configured in the gateway's file or on its page"

// mqadminOnPurpose are the commands that print something else about the gateway, with the reason.
var mqadminOnPurpose = map[string]string{
	"createUser": accountsDiffer, "listUser": accountsDiffer, "getUser": accountsDiffer, "deleteUser": accountsDiffer,
	"createAcl": accountsDiffer, "listAcl": accountsDiffer, "getAcl": accountsDiffer, "deleteAcl": accountsDiffer,
}

// TestMqadmin has mqadmin of 5.5.0 print what it can about one topic and its groups, and compares the facts
// with what it printed about a real broker in the same state.
func TestMqadmin(t *testing.T) {
	rocketmqtest.Require(t)
	const name = "mqadmin"
	file := filepath.Join("testdata", name+".jsonl")
	as := rocketmqtest.Client{Generation: rocketmqtest.Current}
	if *record {
		keepObservations(t, file, []string{name}, rocketmqtest.Play(t, sharedReal(t).nameServer, as, name))
		return
	}
	compared := func(all []rocketmqtest.Observation) []rocketmqtest.Observation {
		return slices.DeleteFunc(all, func(o rocketmqtest.Observation) bool { return mqadminOnPurpose[strings.Fields(o.Saw)[1]] != "" })
	}
	want := compared(readObservations(t, file)[name])
	got := rocketmqtest.Play(t, startGateway(t, "").nameServer, as, name)[name]
	for _, o := range got {
		if o.Saw == "failed" {
			t.Fatalf("mqadmin did not get to its end: %s", o.With)
		}
	}
	got = compared(got)
	for _, line := range rocketmqtest.Diff(want, got) {
		t.Errorf("%.4000s", line)
	}
}
