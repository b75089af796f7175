package mqtt

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"sluice/bridge/mqttline"
)

func TestPlainWordsAreSaidOnce(t *testing.T) {
	once := mqttline.Explain(io.EOF)
	twice := mqttline.Explain(fmt.Errorf("127.0.0.1:1883: %w", once))
	if got := strings.Count(twice.Error(), "closed the connection"); got != 1 {
		t.Errorf("%q says it %d times, want once", twice, got)
	}
}
