package cloudsim

import (
	"encoding/binary"

	"sluice/gateway/message"
)

// About is what MQTT 5 says of a message beside its payload. A field that is zero is not sent.
type About struct {
	User          []message.Property
	ContentType   string
	ResponseTopic string
	Correlation   []byte
	Expiry        uint32 // seconds
	Format        byte   // 1: the payload is UTF-8
	Alias         uint16 // as it was sent
}

// The properties of MQTT 5, section 2.2.2.2.
const (
	propFormat        = 0x01
	propExpiry        = 0x02
	propContentType   = 0x03
	propResponseTopic = 0x08
	propCorrelation   = 0x09
	propKeepAlive     = 0x13
	propReason        = 0x1f
	propReceiveMax    = 0x21
	propAliasMax      = 0x22
	propAlias         = 0x23
	propUser          = 0x26
	propMaxPacket     = 0x27
)

// propSizes are the lengths of the others whose length is fixed.
var propSizes = map[byte]int{0x11: 4, 0x17: 1, 0x18: 4, 0x19: 1, propReceiveMax: 2, propAliasMax: 2, propMaxPacket: 4}

// length takes a variable byte integer off.
func (r *reader) length() int {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b := r.byte()
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.rest, r.bad = nil, true
	return 0
}

// properties takes a list of properties off and keeps in about, if it is there, what belongs in it.
func (r *reader) properties(about *About) {
	if about == nil {
		about = new(About)
	}
	list := reader{rest: r.take(r.length())}
	for len(list.rest) > 0 {
		switch kind := list.byte(); kind {
		case propFormat:
			about.Format = list.byte()
		case propExpiry:
			if b := list.take(4); b != nil {
				about.Expiry = binary.BigEndian.Uint32(b)
			}
		case propContentType:
			about.ContentType = list.text()
		case propResponseTopic:
			about.ResponseTopic = list.text()
		case propCorrelation:
			about.Correlation = list.take(int(list.uint16()))
		case propAlias:
			about.Alias = list.uint16()
		case propUser:
			name := list.text()
			about.User = append(about.User, message.Property{Name: name, Value: list.text()})
		case 0x0b: // a subscription identifier
			list.length()
		default:
			size, known := propSizes[kind]
			if !known {
				list.rest, list.bad = nil, true
			}
			list.take(size)
		}
	}
	r.bad = r.bad || list.bad
}

// append adds the whole list, with its length.
func (a *About) append(b []byte) []byte {
	var list []byte
	text := func(kind byte, texts ...string) {
		list = append(list, kind)
		for _, t := range texts {
			list = binary.BigEndian.AppendUint16(list, uint16(len(t)))
			list = append(list, t...)
		}
	}
	if a.Format != 0 {
		list = append(list, propFormat, a.Format)
	}
	if a.Expiry != 0 {
		list = binary.BigEndian.AppendUint32(append(list, propExpiry), a.Expiry)
	}
	if a.ContentType != "" {
		text(propContentType, a.ContentType)
	}
	if a.ResponseTopic != "" {
		text(propResponseTopic, a.ResponseTopic)
	}
	if len(a.Correlation) > 0 {
		text(propCorrelation, string(a.Correlation))
	}
	if a.Alias != 0 {
		list = binary.BigEndian.AppendUint16(append(list, propAlias), a.Alias)
	}
	for _, u := range a.User {
		text(propUser, u.Name, u.Value)
	}
	return append(appendLength(b, len(list)), list...)
}

func appendLength(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// welcome gives the properties of a CONNACK.
func (o *Options) welcome() []byte {
	var list []byte
	if o.ReceiveMaximum > 0 {
		list = binary.BigEndian.AppendUint16(append(list, propReceiveMax), o.ReceiveMaximum)
	}
	if o.TopicAliases > 0 {
		list = binary.BigEndian.AppendUint16(append(list, propAliasMax), o.TopicAliases)
	}
	if o.MaximumPacket > 0 {
		list = binary.BigEndian.AppendUint32(append(list, propMaxPacket), o.MaximumPacket)
	}
	if o.KeepAlive > 0 {
		list = binary.BigEndian.AppendUint16(append(list, propKeepAlive), o.KeepAlive)
	}
	return append(appendLength(nil, len(list)), list...)
}

// reason gives the properties that say why in words.
func reason(text string) []byte {
	list := binary.BigEndian.AppendUint16([]byte{propReason}, uint16(len(text)))
	list = append(list, text...)
	return append(appendLength(nil, len(list)), list...)
}
