package mbus_test

import (
	"context"
	"net"
	"testing"

	"sluice/collectors/drivertest"
	"sluice/collectors/mbus/mbussim"
)

// listen lets meters answer behind a transparent serial server, and gives its address.
func listen(t *testing.T, o mbussim.Options) (*mbussim.Line, string) {
	t.Helper()
	line, err := mbussim.New(o)
	must(t, err)
	return line, drivertest.Serve(t, func(ctx context.Context, conn net.Conn) error {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer stop()
		return line.Serve(conn)
	})
}
