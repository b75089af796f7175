package dlt645sim

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// now is the meters' clock.
func (l *Line) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.options.Clock().Add(l.shift)
}

// written answers a request to write, and keeps what it wrote.
func (l *Line) written(q request, fault Fault) (control byte, data []byte) {
	control = q.control | answerBit
	idBytes, head := 4, 12 // identifier, password, operator
	if q.control == write1997 {
		idBytes, head = 2, 6
	}
	switch {
	case len(q.data) <= head:
		return control | errorBit, []byte{1}
	case !l.rightPassword(q.data[idBytes : idBytes+4]):
		return control | errorBit, []byte{wrongPassword}
	case fault == Refuse:
		return control | errorBit, []byte{noSuchData}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Writes++
	if fault == Deaf {
		return control, nil
	}
	id := make([]byte, 4)
	copy(id, q.data[:idBytes])
	l.keepLocked(binary.LittleEndian.Uint32(id), q.data[head:])
	return control, nil
}

// rightPassword compares the level and the three bytes of the password, which come low byte first.
func (l *Line) rightPassword(sent []byte) bool {
	password, err := hex.DecodeString(l.options.Password)
	if err != nil || len(password) != 4 {
		return false
	}
	return bytes.Equal(sent, []byte{password[0], password[3], password[2], password[1]})
}

// keepLocked sets the clock, or fixes what is behind another identifier.
func (l *Line) keepLocked(id uint32, data []byte) {
	now := l.options.Clock().Add(l.shift)
	switch {
	case (id == 0x04000101 || id == 0xC010) && len(data) == 4:
		l.setLocked(time.Date(2000+two(data[3]), time.Month(two(data[2])), two(data[1]), now.Hour(), now.Minute(), now.Second(), 0, now.Location()))
	case (id == 0x04000102 || id == 0xC011) && len(data) == 3:
		l.setLocked(time.Date(now.Year(), now.Month(), now.Day(), two(data[2]), two(data[1]), two(data[0]), 0, now.Location()))
	default:
		l.fixed[id] = bytes.Clone(data)
	}
}

func (l *Line) setLocked(at time.Time) { l.shift = at.Sub(l.options.Clock()) }

// takeTime sets the clocks from a broadcast when they are not far off, as the standard wants it.
func (l *Line) takeTime(q request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Times++
	if len(q.data) != 6 {
		return
	}
	d, now := q.data, l.options.Clock().Add(l.shift)
	at := time.Date(2000+two(d[5]), time.Month(two(d[4])), two(d[3]), two(d[2]), two(d[1]), two(d[0]), 0, now.Location())
	if at.Sub(now).Abs() < 5*time.Minute {
		l.setLocked(at)
	}
}

func two(c byte) int { return int(c>>4)*10 + int(c&0xF) }

// block gives what is behind the identifier of a block: the values of its members that there are, one
// after the other.
func (s State) block(id uint32, meter [6]byte, t time.Time) (data []byte, ok bool) {
	switch {
	case id == 0x0001FF00:
		for tariff := range 5 { // the total and four tariffs
			data = append(data, bcd(s.Energy/uint64(tariff+1), 4)...)
		}
		return data, true
	case id == 0x05060101: // frozen at midnight
		for tariff := range 5 {
			data = append(data, bcd(s.Energy/uint64(tariff+1)-100, 4)...)
		}
		return data, true
	case id == 0x05060001:
		return bcd(uint64(t.Year()%100)*100_000_000+uint64(t.Month())*1_000_000+uint64(t.Day())*10_000, 5), true
	case id == 0x01010000: // highest demand and when
		return append(bcd(240000, 3), bcd(26_11_22_10_15, 5)...), true
	case id&0xFF00FFFF == 0x0200FF00:
		for phase := range uint32(4) {
			value, ok := s.data(id&0xFFFF00FF|phase<<8, meter, t)
			if ok {
				data = append(data, value...)
			}
		}
		return data, len(data) > 0
	}
	return nil, false
}
