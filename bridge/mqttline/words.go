package mqttline

import (
	"errors"
	"os"

	"sluice/bridge/dial"
)

// Explain puts what somebody at the gateway's page can act on in front of an error, once.
func Explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) { // reading has no deadline
		if _, done := errors.AsType[*dial.Error](err); !done {
			return &dial.Error{Text: "the line takes no more bytes", Cause: err}
		}
	}
	return dial.Explain(err)
}
