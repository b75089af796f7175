package mqtt

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestPlainWordsAreSaidOnce(t *testing.T) {
	once := plainWords(io.EOF)
	twice := plainWords(fmt.Errorf("127.0.0.1:1883: %w", once))
	if got := strings.Count(twice.Error(), "closed the connection"); got != 1 {
		t.Errorf("%q says it %d times, want once", twice, got)
	}
}
