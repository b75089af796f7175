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

func TestFormsExplainTheirKeysInChinese(t *testing.T) {
	text, err := os.ReadFile("../web/ui/src/lang/zh/fields.ts")
	if err != nil {
		t.Fatal(err)
	}
	var look func(path string, fields []config.Field)
	look = func(path string, fields []config.Field) {
		for _, f := range fields {
			if key := path + "_" + f.Name; !strings.Contains(string(text), "\n  "+key+": '") {
				t.Errorf("web/ui/src/lang/zh/fields.ts does not say what %s is: %s", key, f.Doc)
			}
			look(path+"_"+f.Name, f.Fields)
		}
	}
	for _, f := range config.Describe(config.Config{}) {
		switch f.Name {
		case "gateway", "store", "web", "mqtt", "rocketmq", "buses": // which have forms
			look(f.Name, f.Fields)
		}
	}
}
