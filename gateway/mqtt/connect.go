package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// refusal is a CONNECT that gets an answer, but not the one it hoped for.
type refusal struct {
	code packet.Reason // below 0x80 a return code of 3.1.1
	why  string
}

func (r *refusal) Error() string { return "CONNECT refused: " + r.why }

// connect reads CONNECT, which must be the first packet [MQTT-3.1.0-1], and answers it. When it
// returns nil the client is in and its CONNACK waits to be written.
func (c *conn) connect(ctx context.Context) error {
	if err := c.socket.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	frame, err := c.in.Next()
	if err != nil {
		return err
	}
	if frame.Type != packet.CONNECT {
		return protocolError("MQTT-3.1.0-1", frame.Type.String()+" before CONNECT")
	}
	var request packet.Connect
	err = c.accept(ctx, &request, frame)
	if refused, ok := errors.AsType[*refusal](err); ok {
		c.refuse(refused)
	}
	if err != nil {
		return err
	}
	if err := c.socket.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.version = request.Version
	// The server gives up after one and a half times the keep-alive [MQTT-3.1.2-24].
	c.patience = time.Duration(request.KeepAlive) * time.Second * 3 / 2
	c.in.Limit(c.server.options.MaxPacket)
	c.answers = newAnswers(c.end)
	c.out = newWriter(c.socket, c.answers)
	c.answers.out = c.out
	c.server.takeOver(c)
	// No session is ever present yet [MQTT-3.2.2-1].
	c.out.answer(&packet.Connack{Code: packet.ReturnAccepted}, c.version) // [MQTT-3.1.4-4, MQTT-3.2.0-1]
	c.server.log.Debug("client connected", "client", c.clientID, "address", c.socket.RemoteAddr().String())
	return nil
}

// accept decides on a CONNECT.
func (c *conn) accept(ctx context.Context, request *packet.Connect, frame packet.Frame) error {
	err := request.Decode(frame)
	refuse := func(code packet.Reason, format string, args ...any) error {
		c.clientID = string(request.ClientID) // for the log line
		return &refusal{code: code, why: fmt.Sprintf(format, args...)}
	}
	unsupported, ok := errors.AsType[*packet.Error](err)
	switch {
	case ok && unsupported.Code == packet.UnsupportedProtocolVersion && request.Version > packet.V5 && request.Version < 0x80:
		return refuse(packet.UnsupportedProtocolVersion, "there is no MQTT with level %d", request.Version)
	case ok && unsupported.Code == packet.UnsupportedProtocolVersion && request.Version > 0:
		// Mosquitto's bridges set the upper bit, and ask again without it when they get this answer.
		return refuse(packet.ReturnVersion, "there is no MQTT with this name and level %d", request.Version) // [MQTT-3.1.2-2]
	case err != nil:
		return err // no answer [MQTT-3.1.4-1]
	case request.Version == packet.V5:
		return refuse(packet.UnsupportedProtocolVersion, "MQTT 5 is not there yet, the client can use 3.1.1")
	case len(request.ClientID) == 0 && (!request.CleanStart || request.Version == packet.V31):
		return refuse(packet.ReturnIdentifier, "the client identifier is empty") // [MQTT-3.1.3-8]
	case !request.CleanStart:
		return refuse(packet.ReturnUnavailable, "sessions that outlive a connection (clean session 0) are not there yet")
	case !c.mayEnter(ctx, request):
		return refuse(packet.ReturnNotAuthorized, "user name or password are missing or wrong")
	}
	c.clientID = string(request.ClientID)
	if c.clientID == "" {
		c.clientID = "anonymous-" + rand.Text() // unique [MQTT-3.1.3-6]
	}
	if !request.HasWill {
		return nil
	}
	if levels(request.Will.Topic) > c.server.options.MaxLevels {
		return refuse(packet.ReturnUnavailable, "the will topic has more than %d levels", c.server.options.MaxLevels)
	}
	if request.Will.Topic[0] == '$' {
		return nil // such topics are the gateway's own: dropped like a PUBLISH
	}
	c.will = &message.Message{
		Topic:   string(request.Will.Topic),
		Payload: bytes.Clone(request.Will.Payload),
		QoS:     request.Will.QoS,
		Retain:  request.Will.Retain,
	}
	return nil
}

func (c *conn) mayEnter(ctx context.Context, request *packet.Connect) bool {
	options := &c.server.options
	if !request.HasUser || options.Authenticate == nil {
		return c.anonymous()
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	select {
	case c.server.passwords <- struct{}{}: // hashes are made to be slow: a flood must not take every core
	case <-ctx.Done():
		return false
	}
	defer func() { <-c.server.passwords }()
	return options.Authenticate(string(request.User), request.Password)
}

// refuse writes the CONNACK and lets the client read it: closing at once would, if there are bytes
// from it that we have not read, destroy the answer on its way.
func (c *conn) refuse(r *refusal) {
	version := packet.V311
	if r.code >= packet.UnspecifiedError {
		version = packet.V5
	}
	connack := packet.Connack{Code: r.code} // no session present [MQTT-3.2.2-4]
	if _, err := c.socket.Write(connack.Append(nil, version)); err != nil {
		return // the client has gone; what is logged is the refusal
	}
	half, ok := c.socket.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.socket.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.socket, connectLimit) // its errors mean that the client closed, as it should
}

func levels(topic []byte) int { return bytes.Count(topic, []byte{'/'}) + 1 }
