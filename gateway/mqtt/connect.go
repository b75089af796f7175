package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// refusal is a CONNECT that gets an answer, but not the one it hoped for.
type refusal struct {
	code packet.Reason // as MQTT 5 has it
	old  packet.Reason // the return code before
	why  string
}

func (r *refusal) Error() string { return "CONNECT refused: " + r.why }

// connect reads CONNECT, which must be the first packet [MQTT-3.1.0-1], and answers it. When it
// returns nil the client is in and its CONNACK waits to be written.
func (c *conn) connect(ctx context.Context) error {
	began := time.Now()
	if err := c.socket.SetDeadline(began.Add(connectTimeout)); err != nil {
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
	deciding, cancel := context.WithDeadline(ctx, began.Add(connectTimeout-answerTime))
	err = c.accept(deciding, &request, frame)
	cancel()
	if err == nil {
		err = c.enter(ctx, &request)
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		c.refuse(refused)
	}
	return err
}

// accept decides on a CONNECT.
func (c *conn) accept(ctx context.Context, request *packet.Connect, frame packet.Frame) error {
	err := request.Decode(frame)
	c.version, c.clientID = request.Version, string(request.ClientID) // also for the log line
	invalid, broken := errors.AsType[*packet.Error](err)
	switch {
	case broken && invalid.Code == packet.UnsupportedProtocolVersion && request.Version == 0:
		return err // whatever it is, it is not MQTT
	case broken && invalid.Code == packet.UnsupportedProtocolVersion:
		// Mosquitto's bridges set the upper bit, and ask again without it when they get the return code
		// [MQTT-3.1.2-2].
		c.version = packet.V311
		if request.Version > packet.V5 && request.Version < 0x80 {
			c.version = packet.V5
		}
		return &refusal{packet.UnsupportedProtocolVersion, packet.ReturnVersion, fmt.Sprintf("there is no MQTT with this name and level %d", request.Version)}
	case broken && request.Version == packet.V5:
		return &refusal{invalid.Code, 0, invalid.Error()} // [MQTT-3.1.4-2]
	case err != nil:
		return err // no answer [MQTT-3.1.4-1]
	}
	if request.Version == packet.V5 {
		c.in.RequireMinimal()
	}
	if c.clientID == "" {
		if request.Version == packet.V31 || request.Version < packet.V5 && !request.CleanStart {
			return &refusal{packet.ClientIdentifierNotValid, packet.ReturnIdentifier, "the client identifier is empty"} // 3.1.1 [MQTT-3.1.3-8]
		}
		c.clientID = "anonymous-" + rand.Text() // unique [MQTT-3.1.3-6]
	}
	if len(c.clientID) > maxClientID {
		return &refusal{packet.ClientIdentifierNotValid, packet.ReturnIdentifier, "the client identifier is too long"} // [MQTT-3.1.3-8]
	}
	if _, extended := request.Properties.Bytes(packet.AuthenticationMethod); extended {
		return &refusal{packet.BadAuthenticationMethod, 0, "extended authentication is not known here"} // [MQTT-4.12.0-1]
	}
	c.readPeer(request)
	if c.grant = c.server.options.Access.Connect(ctx, c.attempt(request)); c.grant == nil {
		code := packet.NotAuthorized
		if request.HasUser {
			code = packet.BadUserNameOrPassword
		}
		return &refusal{code, packet.ReturnNotAuthorized, "user name or password are missing or wrong"}
	}
	return c.readWill(request)
}

func (c *conn) attempt(request *packet.Connect) *Attempt {
	return &Attempt{
		ClientID: c.clientID, Address: c.socket.RemoteAddr().String(),
		HasUser: request.HasUser, User: string(request.User),
		HasPassword: request.HasPassword, Password: request.Password,
		Certificate: c.certificate(), Anonymous: c.anonymous(),
	}
}

// readPeer takes what the client says of itself.
func (c *conn) readPeer(request *packet.Connect) {
	p := &c.peer
	number := func(id packet.PropertyID, otherwise uint32) uint32 {
		if n, ok := request.Properties.Number(id); ok {
			return n
		}
		return otherwise
	}
	keepAlive := time.Duration(request.KeepAlive) * time.Second
	if most := c.server.options.MaxKeepAlive; request.Version == packet.V5 && most > 0 && (keepAlive == 0 || keepAlive > most) {
		keepAlive = most // the client is told and obeys [MQTT-3.1.2-21]
	}
	p.patience = keepAlive * 3 / 2 // [MQTT-3.1.2-22]
	p.window = math.MaxUint16
	p.explained = true
	switch {
	case request.Version == packet.V5:
		p.expiry = expiryOf(number(packet.SessionExpiry, 0))
		p.window = int(number(packet.ReceiveMaximum, math.MaxUint16))
		p.maxPacket = int(min(number(packet.MaximumPacketSize, 0), math.MaxInt32))
		p.aliases = min(int(number(packet.TopicAliasMaximum, 0)), maxAliases)
		p.explained = number(packet.RequestProblemInfo, 1) == 1 // [MQTT-3.1.2-29]
	case !request.CleanStart:
		p.expiry = NeverExpires // 3.1.1 [MQTT-3.1.2-4]
	}
}

// expiryOf turns a Session Expiry Interval into a time; 0xFFFFFFFF is for ever (3.1.2.11.2).
func expiryOf(seconds uint32) time.Duration {
	if seconds == math.MaxUint32 {
		return NeverExpires
	}
	return time.Duration(seconds) * time.Second
}

// readWill checks a will when it is made, not when it is too late to tell.
func (c *conn) readWill(request *packet.Connect) error {
	if !request.HasWill {
		return nil
	}
	topic := string(request.Will.Topic)
	switch {
	case levels(request.Will.Topic) > c.server.options.MaxLevels:
		return &refusal{packet.TopicNameInvalid, packet.ReturnUnavailable, "the will topic has too many levels"}
	case topic[0] == '$':
		return nil // such topics are the gateway's own: dropped like a PUBLISH
	case !c.grant.Publish(topic):
		return &refusal{packet.NotAuthorized, packet.ReturnNotAuthorized, "the will may not be published on its topic"}
	}
	properties, err := messageProperties(request.Will.Properties, false)
	if err != nil {
		return err
	}
	delay, _ := request.Will.Properties.Number(packet.WillDelay)
	c.will = &will{
		message: message.Message{
			Topic: topic, Payload: bytes.Clone(request.Will.Payload), QoS: request.Will.QoS, Retain: request.Will.Retain,
			Client: c.clientID, Properties: properties,
		},
		delay: time.Duration(delay) * time.Second,
	}
	return nil
}

// enter makes the connection the owner of its session and lets the client know.
func (c *conn) enter(ctx context.Context, request *packet.Connect) error {
	c.answers.init(c.end, c.version)
	c.filters.own = c.clientID
	c.out = newWriter(c.socket, &c.answers, &c.server.bytesOut, func(err error) { c.end(err) })
	c.answers.out = c.out
	c.server.takeOver(c, request.CleanStart)
	present, err := c.openSession(request.CleanStart)
	if err != nil {
		c.server.forget(c)
		close(c.done)
		c.server.warn("a session could not be opened", "client", c.clientID, "err", err)
		return &refusal{packet.QuotaExceeded, packet.ReturnUnavailable, "the session cannot be opened"}
	}
	connack, fits := c.welcome(request, present)
	if err = c.socket.SetDeadline(time.Time{}); err == nil && !fits {
		err = &refusal{packet.PacketTooLarge, 0, "the client takes too small packets"}
	}
	if err != nil {
		if c.session != nil {
			c.session.Close(c.peer.expiry)
		}
		c.server.forget(c)
		close(c.done)
		return err
	}
	c.in.Limit(c.server.options.MaxPacket)
	c.out.answer(&connack, c.version) // [MQTT-3.1.4-5, MQTT-3.2.0-1]
	c.server.log.Debug("client connected", "client", c.clientID, "address", c.socket.RemoteAddr().String(), "session", present)
	c.resume(ctx)
	return nil
}

// openSession finds what the log keeps of the client. A session that ends with its connection needs
// nothing of it.
func (c *conn) openSession(fresh bool) (present bool, err error) {
	if !fresh || c.peer.expiry != 0 {
		c.session, present, err = c.server.backend.OpenSession(c.clientID, c.peer.expiry, fresh)
	} else {
		err = c.server.backend.DropSession(c.clientID)
	}
	if err != nil {
		return false, err
	}
	if c.session != nil && !present && c.peer.expiry == 0 {
		c.session.Close(0)
		c.session = nil
	}
	return present, nil
}

// resume goes on where an earlier connection of the session ended.
func (c *conn) resume(ctx context.Context) {
	if c.session == nil {
		return
	}
	list := c.session.Subscriptions()
	upTo, under := c.session.Flights()
	taken := c.server.takenOver(c.clientID)
	if len(list)+len(under)+len(taken) == 0 {
		return
	}
	d := newDelivery(c, c.server.backend.Subscribe(upTo), upTo)
	d.live = c.server.backend.Last()
	d.resumed = make(map[message.Position]bool)
	for _, f := range under { // also what the client has: it would be sent as new
		d.resumed[f.Position], d.lastAgain = true, f.Position
	}
	d.flights.restore(under, taken)
	d.remember(under, ofSession)
	d.remember(taken, ofNobody)
	for _, s := range list { // first, or what they want is passed over
		c.resubscribe(d, s)
	}
	c.begin(ctx, d)
	for _, f := range append(under, taken...) {
		if f.State != FlightReceived {
			continue
		}
		if token, ok := c.answers.reserve(ctx, packet.PUBREL, f.ID, 0); ok { // [MQTT-4.4.0-1]
			c.answers.ready(token, packet.Success)
		}
	}
}

// remember notes what is to be sent once more.
func (d *delivery) remember(under []Flight, from origin) {
	for _, f := range under {
		if f.State == FlightSent || f.State == FlightSentExactly {
			d.again = append(d.again, again{f, from})
		}
	}
}

// resubscribe puts a filter of the session in force.
func (c *conn) resubscribe(d *delivery, kept Subscribed) {
	group, inner, ok := splitShare(kept.Filter)
	if !ok || !c.grant.Subscribe(inner) {
		return // what is no longer allowed
	}
	s := subscribed{
		filter: inner, group: group, qos: kept.Options & optionQoS, identifier: kept.Identifier, after: max(1, kept.From) - 1,
		noLocal: kept.Options&optionNoLocal != 0, asPublished: kept.Options&optionAsPublished != 0,
	}
	if group == "" {
		d.subscription.Resume(inner, s.after)
	} else {
		share, err := d.subscription.Join(group, inner, true)
		if err != nil {
			c.server.warn("a shared subscription failed", "client", c.clientID, "filter", inner, "err", err)
			return
		}
		s.share = share
	}
	c.filters.put(s)
	if kept.Options&optionOwesRetained != 0 {
		d.owe(c.jobFor(s))
	}
}

// welcome is the CONNACK that lets a client in; ok is false when one that says what it must does not fit
// into what the client takes [MQTT-3.1.2-24].
func (c *conn) welcome(request *packet.Connect, present bool) (connack packet.Connack, ok bool) {
	connack.SessionPresent = present && c.version > packet.V31 // [MQTT-3.2.2-1, MQTT-3.2.2-2, MQTT-3.2.2-3]; 3.1 has no such flag
	if c.version < packet.V5 {
		return connack, true
	}
	var must packet.Properties
	if len(request.ClientID) == 0 {
		must = append(must, packet.Property{ID: packet.AssignedClientID, Data: []byte(c.clientID)}) // [MQTT-3.2.2-16]
	}
	if keepAlive := c.peer.patience * 2 / 3; keepAlive != time.Duration(request.KeepAlive)*time.Second {
		must = append(must, packet.Property{ID: packet.ServerKeepAlive, Number: uint32(keepAlive / time.Second)}) // [MQTT-3.2.2-21]
	}
	connack.Properties = append(must,
		packet.Property{ID: packet.ReceiveMaximum, Number: receiveMaximum},
		packet.Property{ID: packet.MaximumPacketSize, Number: uint32(c.server.options.MaxPacket)},
		packet.Property{ID: packet.TopicAliasMaximum, Number: maxAliases})
	for c.tooLarge(&connack) && len(connack.Properties) > len(must) {
		connack.Properties = connack.Properties[:len(connack.Properties)-1]
	}
	_, told := connack.Properties.Number(packet.ReceiveMaximum)
	c.peer.lenient = !told // then the ring of answers alone holds it back
	return connack, !c.tooLarge(&connack)
}

// tooLarge says whether the client would not take a packet.
func (c *conn) tooLarge(p appender) bool {
	return c.peer.maxPacket > 0 && len(p.Append(nil, c.version)) > c.peer.maxPacket
}

// refuse writes the CONNACK and lets the client read it.
func (c *conn) refuse(r *refusal) {
	connack := packet.Connack{Code: r.code} // no session present [MQTT-3.2.2-6]
	if c.version < packet.V5 {
		connack.Code = r.old
	}
	if c.version == packet.V5 && c.tooLarge(&connack) {
		return
	}
	if _, err := c.socket.Write(connack.Append(nil, c.version)); err != nil {
		return // the client has gone; what is logged is the refusal
	}
	c.linger()
}

func levels(topic []byte) int { return bytes.Count(topic, []byte{'/'}) + 1 }
