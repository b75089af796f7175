package main

import (
	"strings"
	"testing"
)

func TestATallyTakesNoWrongValue(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       tally
		wrong      string
	}{
		{"two readings", "> modbus,name=d0,slave_id=1,type=holding_register p0=0u,p17=17u 1795345665000000000\n" +
			"modbus,name=d1,slave_id=1,type=holding_register p0=0i 1795345665000000000\n", tally{2, 3}, ""},
		{"another register's value", "modbus,name=d0 p0=1u 1795345665000000000\n", tally{}, "point p0 is 1"},
		{"no number", "modbus,name=d0 p0=\"x\" 1795345665000000000\n", tally{}, "field"},
		{"a warning", "2026-11-23T17:00:00Z W! Something\n", tally{}, "is no reading"},
	} {
		got, err := lineProtocol(strings.NewReader(c.text))
		check(t, "Telegraf, "+c.name, got, err, c.want, c.wrong)
	}
	const payload = `{"position":1,"topic":"readings/bench/d0","payload":"{\"gateway\":\"bench\",\"device\":\"d0\",\"epoch\":1,\"seq\":1,\"ts\":1,`
	for _, c := range []struct {
		name, text string
		want       tally
		wrong      string
	}{
		{"two readings", payload + `\"values\":{\"p0\":0,\"p17\":17}}"}` + "\n" + payload + `\"values\":{\"p3\":3}}"}` + "\n", tally{2, 3}, ""},
		{"another register's value", payload + `\"values\":{\"p4\":3}}"}`, tally{}, "point p4 is 3"},
		{"an error", payload + `\"values\":{},\"errors\":{\"p4\":\"exception 2\"}}"}`, tally{}, "point p4: exception 2"},
	} {
		got, err := readings(strings.NewReader(c.text))
		check(t, "log, "+c.name, got, err, c.want, c.wrong)
	}
}

func check(t *testing.T, name string, got tally, err error, want tally, wrong string) {
	t.Helper()
	switch {
	case wrong == "" && (err != nil || got != want):
		t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
		t.Errorf("%s: %v, want an error with %q", name, err, wrong)
	}
}
