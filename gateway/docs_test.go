package gateway

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"sluice/gateway/config"
)

var update = flag.Bool("update", false, "write the documents that are made from the code")

func TestConfigurationReferenceIsUpToDate(t *testing.T) {
	const name = "../docs/configuration.md"
	var want bytes.Buffer
	if err := config.WriteReference(&want, Kinds()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(name, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the schema says; go test ./gateway -run Reference -update writes it", name)
	}
}

func TestFullExampleRuns(t *testing.T) {
	c, err := config.Load("../docs/full.yaml", Kinds())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.Warnings {
		if !strings.HasSuffix(w.Message, "does not exist here") {
			t.Errorf("warning: %v", w)
		}
	}
}
