package packet

import (
	"encoding/binary"
	"fmt"
)

// PropertyID names a property of MQTT 5.
type PropertyID byte

// The 27 properties of MQTT 5 (section 2.2.2.2).
const (
	PayloadFormat          PropertyID = 1
	MessageExpiry          PropertyID = 2
	ContentType            PropertyID = 3
	ResponseTopic          PropertyID = 8
	CorrelationData        PropertyID = 9
	SubscriptionIdentifier PropertyID = 11
	SessionExpiry          PropertyID = 17
	AssignedClientID       PropertyID = 18
	ServerKeepAlive        PropertyID = 19
	AuthenticationMethod   PropertyID = 21
	AuthenticationData     PropertyID = 22
	RequestProblemInfo     PropertyID = 23
	WillDelay              PropertyID = 24
	RequestResponseInfo    PropertyID = 25
	ResponseInfo           PropertyID = 26
	ServerReference        PropertyID = 28
	ReasonString           PropertyID = 31
	ReceiveMaximum         PropertyID = 33
	TopicAliasMaximum      PropertyID = 34
	TopicAlias             PropertyID = 35
	MaximumQoS             PropertyID = 36
	RetainAvailable        PropertyID = 37
	UserProperty           PropertyID = 38
	MaximumPacketSize      PropertyID = 39
	WildcardAvailable      PropertyID = 40
	SubscriptionIDsAllowed PropertyID = 41
	SharedAvailable        PropertyID = 42
	lastProperty                      = SharedAvailable
)

// Property is one property. Which field counts is up to its id: Number for integers, Data for
// strings and binary data, Name and Data for a user property.
type Property struct {
	ID     PropertyID
	Number uint32
	Name   []byte
	Data   []byte
}

// Properties are a packet's properties in the order in which they stand on the wire, which matters
// for user properties [MQTT-3.1.3-10, MQTT-3.3.2-18].
type Properties []Property

// Number gives an integer property.
func (p Properties) Number(id PropertyID) (n uint32, ok bool) {
	for i := range p {
		if p[i].ID == id {
			return p[i].Number, true
		}
	}
	return 0, false
}

// Bytes gives a string or binary property.
func (p Properties) Bytes(id PropertyID) (b []byte, ok bool) {
	for i := range p {
		if p[i].ID == id {
			return p[i].Data, true
		}
	}
	return nil, false
}

type propertyKind byte

const (
	noProperty propertyKind = iota
	flagProperty
	byte2Property
	byte4Property
	varintProperty
	textProperty
	binaryProperty
	pairProperty
)

// inWill stands for the will properties of CONNECT, which are a set of their own.
const inWill Type = 0

var everywhere = ^set(PINGREQ, PINGRESP)

// propertyTable has for each property its type and the packets that may carry it (section 2.2.2.2,
// table 2-4), and whether 0 is refused.
var propertyTable = [lastProperty + 1]struct {
	kind    propertyKind
	nonzero bool
	in      packets
}{
	PayloadFormat:          {kind: flagProperty, in: set(PUBLISH, inWill)},
	MessageExpiry:          {kind: byte4Property, in: set(PUBLISH, inWill)},
	ContentType:            {kind: textProperty, in: set(PUBLISH, inWill)},
	ResponseTopic:          {kind: textProperty, in: set(PUBLISH, inWill)},
	CorrelationData:        {kind: binaryProperty, in: set(PUBLISH, inWill)},
	SubscriptionIdentifier: {kind: varintProperty, nonzero: true, in: set(PUBLISH, SUBSCRIBE)},
	SessionExpiry:          {kind: byte4Property, in: set(CONNECT, CONNACK, DISCONNECT)},
	AssignedClientID:       {kind: textProperty, in: set(CONNACK)},
	ServerKeepAlive:        {kind: byte2Property, in: set(CONNACK)},
	AuthenticationMethod:   {kind: textProperty, in: set(CONNECT, CONNACK, AUTH)},
	AuthenticationData:     {kind: binaryProperty, in: set(CONNECT, CONNACK, AUTH)},
	RequestProblemInfo:     {kind: flagProperty, in: set(CONNECT)},
	WillDelay:              {kind: byte4Property, in: set(inWill)},
	RequestResponseInfo:    {kind: flagProperty, in: set(CONNECT)},
	ResponseInfo:           {kind: textProperty, in: set(CONNACK)},
	ServerReference:        {kind: textProperty, in: endings},
	ReasonString:           {kind: textProperty, in: acks | endings | set(AUTH)},
	ReceiveMaximum:         {kind: byte2Property, nonzero: true, in: set(CONNECT, CONNACK)},
	TopicAliasMaximum:      {kind: byte2Property, in: set(CONNECT, CONNACK)},
	TopicAlias:             {kind: byte2Property, nonzero: true, in: set(PUBLISH)},
	MaximumQoS:             {kind: flagProperty, in: set(CONNACK)},
	RetainAvailable:        {kind: flagProperty, in: set(CONNACK)},
	UserProperty:           {kind: pairProperty, in: everywhere},
	MaximumPacketSize:      {kind: byte4Property, nonzero: true, in: set(CONNECT, CONNACK)},
	WildcardAvailable:      {kind: flagProperty, in: set(CONNACK)},
	SubscriptionIDsAllowed: {kind: flagProperty, in: set(CONNACK)},
	SharedAvailable:        {kind: flagProperty, in: set(CONNACK)},
}

// maxProperties bounds the memory that one packet of two-byte properties can claim.
const maxProperties = 1024

// properties reads the properties of a packet of type t into p, whose memory is used again. Before
// MQTT 5 there are none.
func (d *decoder) properties(p Properties, t Type, version byte) Properties {
	p = p[:0]
	if version < V5 {
		return p
	}
	inner := decoder{rest: d.take(int(d.varint()))}
	var seen uint64
	for len(inner.rest) > 0 && d.err == nil {
		one := Property{ID: inner.propertyID()}
		d.property(&inner, &one, t)
		mayRepeat := one.ID == UserProperty || one.ID == SubscriptionIdentifier && t == PUBLISH
		if seen>>one.ID&1 != 0 && !mayRepeat {
			d.fail(protocolError("2.2.2.2", fmt.Sprintf("property %d twice", one.ID)))
		}
		if len(p) == maxProperties {
			d.fail(&Error{Code: ImplementationSpecificError, Clause: "2.2.2", Text: "more than 1024 properties"})
		}
		seen |= 1 << one.ID
		p = append(p, one)
	}
	return p
}

// propertyID reads an identifier, a variable byte integer of which one byte is in use (2.2.2.2).
func (d *decoder) propertyID() PropertyID {
	id := d.varint()
	if id > uint32(lastProperty) {
		d.fail(malformed("2.2.2.2", fmt.Sprintf("there is no property %d", id)))
	}
	return PropertyID(id)
}

func (d *decoder) property(inner *decoder, one *Property, t Type) {
	if inner.err != nil {
		d.fail(inner.err)
		return
	}
	if propertyTable[one.ID].kind == noProperty {
		d.fail(malformed("2.2.2.2", fmt.Sprintf("there is no property %d", one.ID)))
		return
	}
	row := propertyTable[one.ID]
	if !row.in.has(t) {
		where := t.String()
		if t == inWill {
			where = "a will"
		}
		d.fail(protocolError("2.2.2.2", fmt.Sprintf("property %d in %s", one.ID, where)))
		return
	}
	switch row.kind {
	case flagProperty:
		one.Number = uint32(inner.byte())
		if one.Number > 1 {
			d.fail(protocolError("2.2.2.2", fmt.Sprintf("property %d is neither 0 nor 1", one.ID)))
		}
	case byte2Property:
		one.Number = uint32(inner.uint16())
	case byte4Property:
		one.Number = inner.uint32()
	case varintProperty:
		one.Number = inner.varint()
	case textProperty:
		one.Data = inner.text()
	case binaryProperty:
		one.Data = inner.binary()
	case pairProperty:
		one.Name, one.Data = inner.text(), inner.text() // [MQTT-1.5.7-1]
	}
	switch {
	case inner.err != nil:
		d.fail(inner.err)
	case row.nonzero && one.Number == 0 && one.ID == TopicAlias:
		d.fail(&Error{Code: TopicAliasInvalid, Clause: "MQTT-3.3.2-8", Text: "topic alias 0"})
	case row.nonzero && one.Number == 0:
		d.fail(protocolError("2.2.2.2", fmt.Sprintf("property %d is 0", one.ID)))
	case one.ID == ResponseTopic && hasWildcard(one.Data):
		d.fail(protocolError("MQTT-3.3.2-14", "a response topic with a wildcard"))
	}
}

func (p *Property) size() int {
	switch propertyTable[p.ID].kind {
	case flagProperty:
		return 1 + 1
	case byte2Property:
		return 1 + 2
	case byte4Property:
		return 1 + 4
	case varintProperty:
		return 1 + varintSize(p.Number)
	case textProperty, binaryProperty:
		return 1 + 2 + min(len(p.Data), 65535)
	case pairProperty:
		return 1 + 2 + min(len(p.Name), 65535) + 2 + min(len(p.Data), 65535)
	}
	panic(fmt.Sprintf("bug: there is no property %d", p.ID))
}

func (p Properties) length() (n int) {
	for i := range p {
		n += p[i].size()
	}
	return n
}

// size is what append adds, with the length in front.
func (p Properties) size(version byte) int {
	if version < V5 {
		return 0
	}
	n := p.length()
	return varintSize(uint32(n)) + n
}

func (p Properties) append(b []byte, version byte) []byte {
	if version < V5 {
		return b
	}
	b = appendVarint(b, uint32(p.length())) // 0 when there are none [MQTT-2.2.2-1]
	for i := range p {
		one := &p[i]
		b = append(b, byte(one.ID))
		switch propertyTable[one.ID].kind {
		case flagProperty:
			b = append(b, byte(one.Number))
		case byte2Property:
			b = appendUint16(b, uint16(one.Number))
		case byte4Property:
			b = binary.BigEndian.AppendUint32(b, one.Number)
		case varintProperty:
			b = appendVarint(b, one.Number)
		case textProperty, binaryProperty:
			b = appendBinary(b, one.Data)
		case pairProperty:
			b = appendBinary(appendBinary(b, one.Name), one.Data)
		}
	}
	return b
}
