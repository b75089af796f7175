package mbus_test

import (
	"net"
	"sync"
	"testing"

	"sluice/collectors/mbus/mbussim"
)

// listen lets meters answer whoever connects, one after the other, as behind a transparent serial
// server, and gives the address.
func listen(t *testing.T, o mbussim.Options) string {
	t.Helper()
	address, _ := listenTo(t, o)
	return address
}

func listenTo(t *testing.T, o mbussim.Options) (string, *mbussim.Line) {
	t.Helper()
	line, err := mbussim.New(o)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var mu sync.Mutex
	var current net.Conn
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			current = conn
			mu.Unlock()
			_ = line.Serve(conn) // how a client leaves is its own affair
			conn.Close()
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		if current != nil {
			current.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return listener.Addr().String(), line
}
