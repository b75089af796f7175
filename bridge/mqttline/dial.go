package mqttline

import (
	"context"
	"net"
	"net/http"
	"net/url"

	"github.com/gorilla/websocket"

	"sluice/bridge/dial"
)

// webSocketOpen is a step that people see.
const webSocketOpen = "WebSocket open"

// Reach opens what TLS and MQTT run on; dial.Options has one.
type Reach func(ctx context.Context, address string) (net.Conn, error)

// Dial opens the connection to an address up to where MQTT begins. The connection below it all is
// handed back as well: it can be told to hurry.
func Dial(ctx context.Context, reach Reach, o *dial.Options, to *url.URL) (net.Conn, *dial.Patient, error) {
	tcp, err := reach(ctx, to.Host)
	if err != nil {
		return nil, nil, err
	}
	raw := &dial.Patient{Conn: tcp}
	conn, err := wrap(ctx, o, raw, to)
	if err != nil {
		tcp.Close()
		return nil, nil, err
	}
	return conn, raw, nil
}

// wrap puts TLS and WebSocket around a connection where the address asks for them.
func wrap(ctx context.Context, o *dial.Options, raw *dial.Patient, to *url.URL) (net.Conn, error) {
	var conn net.Conn = raw
	if Secure(to) {
		secured, err := o.Secure(ctx, raw, to.Hostname())
		if err != nil {
			return nil, err
		}
		conn = secured
	}
	if to.Scheme != "ws" && to.Scheme != "wss" {
		return conn, nil
	}
	// The WebSocket handshake looks at ctx's deadline, but not at its end.
	stop := context.AfterFunc(ctx, func() { raw.Conn.Close() })
	defer stop()
	give := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	upgrade := websocket.Dialer{NetDialContext: give, NetDialTLSContext: give, Subprotocols: []string{"mqtt"}} // [MQTT-6.0.0-3]
	var ws *websocket.Conn
	err := dial.Take(ctx, webSocketOpen, func() (string, error) {
		opened, response, err := upgrade.DialContext(ctx, to.String(), http.Header{})
		if err != nil && response != nil {
			err = &upgradeError{response.Status}
		}
		ws = opened
		return to.Path, Explain(err)
	})
	if err != nil {
		return nil, err
	}
	return &wsConn{Conn: conn, ws: ws}, nil
}

type upgradeError struct{ status string }

func (e *upgradeError) Error() string {
	return "the server answers the WebSocket request with " + e.status
}

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
