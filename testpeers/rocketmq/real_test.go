package rocketmqtest

import "testing"

func TestStartServesRoutes(t *testing.T) {
	real := Start(t, Options{})
	if err := routed(real.NameServer); err != nil {
		t.Fatal(err)
	}
}
