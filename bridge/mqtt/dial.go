package mqtt

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// A line that takes no bytes at all for writeTimeout is dead. It counts for each chunk, so that
	// a large message may take its time on a slow line.
	writeTimeout = 20 * time.Second
	writeChunk   = 32 << 10
	// hurryTimeout is what remains for last words once the connection shall end.
	hurryTimeout = time.Second
)

// reach opens what TLS and MQTT run on.
type reach func(ctx context.Context, address string) (net.Conn, error)

func overTCP(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}

// dial opens the connection up to where MQTT begins. The raw connection is handed back as well: it
// can be told to hurry.
func (o *Options) dial(ctx context.Context, to *url.URL, reach reach) (net.Conn, *rawConn, error) {
	tcp, err := reach(ctx, to.Host)
	if err != nil {
		return nil, nil, err
	}
	raw := &rawConn{Conn: tcp}
	conn, err := o.secure(ctx, raw, to)
	if err != nil {
		tcp.Close()
		return nil, nil, err
	}
	return conn, raw, nil
}

// secure puts TLS and WebSocket around a connection where the address asks for them.
func (o *Options) secure(ctx context.Context, raw *rawConn, to *url.URL) (net.Conn, error) {
	// The WebSocket handshake looks at ctx's deadline, but not at its end.
	stop := context.AfterFunc(ctx, func() { raw.Conn.Close() })
	defer stop()
	var conn net.Conn = raw
	if secure(to) {
		config, err := o.tlsConfig(to.Hostname())
		if err != nil {
			return nil, err
		}
		secured := tls.Client(raw, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	if to.Scheme != "ws" && to.Scheme != "wss" {
		return conn, nil
	}
	give := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	upgrade := websocket.Dialer{NetDialContext: give, NetDialTLSContext: give, Subprotocols: []string{"mqtt"}} // [MQTT-6.0.0-3]
	ws, response, err := upgrade.DialContext(ctx, to.String(), http.Header{})
	if err != nil {
		if response != nil {
			return nil, &upgradeError{response.Status}
		}
		return nil, err
	}
	return &wsConn{Conn: conn, ws: ws}, nil
}

type upgradeError struct{ status string }

func (e *upgradeError) Error() string {
	return "the server answers the WebSocket request with " + e.status
}

// rawConn keeps the deadlines of writing in its own hands: paho, TLS and WebSocket each set and
// clear them as they think fit.
type rawConn struct {
	net.Conn
	mu    sync.Mutex // guards what follows, and setting the deadline of writing
	hurry bool
}

func (c *rawConn) Write(b []byte) (int, error) {
	written := 0
	for {
		chunk := b[written:min(len(b), written+writeChunk)]
		c.deadline()
		n, err := c.Conn.Write(chunk)
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

func (c *rawConn) deadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hurry {
		c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
}

// hurryUp gives all further writing together, and one that is under way, hurryTimeout.
func (c *rawConn) hurryUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hurry {
		c.hurry = true
		c.Conn.SetWriteDeadline(time.Now().Add(hurryTimeout))
	}
}

// SetWriteDeadline does nothing: see rawConn.
func (c *rawConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is about reading only: see rawConn.
func (c *rawConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// wsConn carries MQTT in WebSocket frames; where one ends means nothing [MQTT-6.0.0-1].
type wsConn struct {
	net.Conn
	ws   *websocket.Conn
	rest interface{ Read([]byte) (int, error) }
}

func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.rest == nil {
			_, frame, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			c.rest = frame
		}
		if n, err := c.rest.Read(b); err == nil || n > 0 {
			return n, nil
		}
		c.rest = nil // the frame is used up, or NextReader will say what is wrong
	}
}

func (c *wsConn) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}
