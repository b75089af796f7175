package main

import (
	"strings"
	"testing"

	"sluice/gateway/config"
)

func TestAGatewayWithoutAPageSendsNobodyThere(t *testing.T) {
	if got := welcome(&config.Web{Listen: "127.0.0.1:8080"}, "7Q4K"); !strings.Contains(got, "http://127.0.0.1:8080") || !strings.Contains(got, "7Q4K") {
		t.Errorf("got %q", got)
	}
	if got := welcome(&config.Web{}, "7Q4K"); got != "" {
		t.Errorf("without a page: got %q", got)
	}
}
