package mbussim

import "bytes"

// meter is one meter with its state.
type meter struct {
	Meter
	identity [8]byte // as on the wire
	access   byte

	counted bool // a frame count bit was seen since the link was reset
	fcb     bool
	at      int    // the telegram that was sent last
	last    []byte // and how it looked

	selected bool
}

const (
	sndNKE = 0x40
	sndUD  = 0x53
	reqUD1 = 0x5A
	reqUD2 = 0x5B

	network   = 0xFD
	test      = 0xFE
	broadcast = 0xFF
)

// Answer gives what is heard on the line after a request: nothing, an answer, or what comes of several
// at once. It does not wait.
func (l *Line) Answer(frame []byte) []byte {
	q, _, _, ok := next(frame)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Requests++
	switch {
	case q.control == sndNKE:
		l.counts.Resets++
	case q.ci == 0x52:
		l.counts.Selects++
	case q.ci == 0x50:
		l.counts.Applies++
	}
	if l.fault == Silence {
		return nil
	}
	var heard []byte
	for _, m := range l.meters {
		heard = collide(heard, l.ask(m, q))
	}
	if len(heard) == 0 {
		return l.echoOnly(q)
	}
	if q.control&0x4F == reqUD2&0x4F {
		l.counts.Reads++
	}
	return l.spoil(q, heard)
}

func (l *Line) echoOnly(q request) []byte {
	if l.fault == Echo || l.fault == EchoOnly {
		return q.raw
	}
	return nil
}

// collide gives what is heard of two answers of which the second begins a character later. A meter
// says zero by drawing current, so a zero of either wins.
func collide(a, b []byte) []byte {
	if len(a) == 0 {
		return bytes.Clone(b)
	}
	out := bytes.Clone(a)
	for i, c := range b {
		if i+1 < len(out) {
			out[i+1] &= c
		} else {
			out = append(out, c)
		}
	}
	return out
}

// ask gives one meter's answer.
func (l *Line) ask(m *meter, q request) []byte {
	if q.address == network && q.ci == 0x52 {
		m.selected = matches(q.data, m.identity)
		if m.selected {
			return []byte{0xE5}
		}
		return nil
	}
	if q.address != m.Primary && q.address != test && q.address != broadcast && (q.address != network || !m.selected) {
		return nil
	}
	switch q.control &^ 0x20 {
	case sndNKE:
		if m.Deaf {
			return nil
		}
		m.counted = false
		switch q.address {
		case network:
			m.selected = false
		case broadcast:
			return nil
		}
		return []byte{0xE5}
	case reqUD2:
		if q.address == broadcast {
			return nil
		}
		return l.data(m, q)
	case reqUD1:
		return []byte{0xE5} // nothing urgent to tell
	case sndUD:
		return l.take(m, q)
	}
	return nil
}

// matches compares a selection with wildcards: digits of F, and FF in the other bytes.
func matches(want []byte, have [8]byte) bool {
	if len(want) < 8 {
		return false
	}
	for i := range 4 {
		if high := want[i] >> 4; high != 0xF && high != have[i]>>4 {
			return false
		}
		if low := want[i] & 0xF; low != 0xF && low != have[i]&0xF {
			return false
		}
	}
	anyMaker := want[4] == 0xFF && want[5] == 0xFF
	return (anyMaker || want[4] == have[4] && want[5] == have[5]) &&
		(want[6] == 0xFF || want[6] == have[6]) && (want[7] == 0xFF || want[7] == have[7])
}

// data answers a request for data. With the same frame count bit as before the same telegram is sent
// again, byte for byte.
func (l *Line) data(m *meter, q request) []byte {
	if m.counted && m.last != nil && (m.fcb == q.fcb() || l.fault == Repeat) {
		l.counts.Repeats++
		return m.last
	}
	m.at++
	if !m.counted {
		m.at = 0
	}
	m.counted, m.fcb = true, q.fcb()
	m.access++
	m.last = l.telegram(m)
	return m.last
}

func (l *Line) telegram(m *meter) []byte {
	if len(m.Frames) > 0 {
		return m.Frames[m.at%len(m.Frames)]
	}
	telegrams := m.Telegrams
	if len(telegrams) == 0 {
		telegrams = [][]byte{StateAt(l.options.Clock()).Records(l.options.Clock())}
	}
	m.at %= len(telegrams)
	records := bytes.Clone(telegrams[m.at])
	if m.at < len(telegrams)-1 || l.fault == Endless {
		records = append(records, 0x1F)
	}
	address, identity := m.Primary, m.identity
	switch l.fault {
	case Refuse:
		return build(address, 0x70, []byte{0x08})
	case WrongAddress:
		address ^= 0x01
	case WrongIdentity:
		identity[0] ^= 0x01
	}
	header := append(identity[:], m.access, 0x00, 0x00, 0x00)
	if l.fault == Encrypted {
		header[10], header[11] = 0x10, 0x05 // one block of mode 5
		records = bytes.Repeat([]byte{0xA7}, 16)
	}
	return build(address, 0x72, append(header, records...))
}

// take carries out a command.
func (l *Line) take(m *meter, q request) []byte {
	switch {
	case q.ci == 0x50:
	case q.ci == 0x51 && len(q.data) == 3 && q.data[0] == 0x01 && q.data[1] == 0x7A:
		m.Primary = q.data[2]
	case q.ci >= 0xB8 && q.ci <= 0xBF:
	default:
		return nil
	}
	m.counted, m.fcb, m.at, m.last = true, q.fcb(), -1, nil
	if q.address == broadcast {
		return nil
	}
	return []byte{0xE5}
}

// spoil does to a good answer what the fault demands.
func (l *Line) spoil(q request, answer []byte) []byte {
	answer = bytes.Clone(answer)
	switch l.fault {
	case EchoOnly:
		return q.raw
	case Echo:
		return append(bytes.Clone(q.raw), answer...)
	case Garbage:
		return append([]byte{0x00, 0x68, 0x16, 0x68, 0x68, 0x10, 0x01, 0x02, 0x03, 0x16}, answer...)
	}
	if len(answer) < 5 {
		return answer
	}
	l.odd = !l.odd
	switch {
	case l.fault == Short:
		return answer[:len(answer)-4]
	case l.fault == BadChecksum, l.fault == Flaky && l.odd:
		answer[len(answer)-2] ^= 0x01
	}
	return answer
}
