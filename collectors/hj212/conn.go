package hj212

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	wire "sluice/gateway/hj212"
)

// protocol is how the monitor's frames are marked.
const protocol = "hj212"

const (
	introduction = 2 * time.Minute  // until a connection has shown a logger that is known
	partGap      = 10 * time.Second // within a packet
	writeTimeout = 10 * time.Second
	chunkBytes   = 4096
)

// conn is one connection. A logger has one mostly; a collector of loggers sends for several on one.
type conn struct {
	net net.Conn
	of  *listener

	writing sync.Mutex // held while a packet goes out

	// Only the serving goroutine touches what follows.
	assembler assembler
	stations  []*Station // that were heard here
	damaged   int
	heard     uint64 // number of the last packet among the monitor's frames
}

// serve reads packets until the connection ends or is silent for too long.
func (c *conn) serve() {
	defer c.of.farewell(c)
	defer c.end()
	var buffer []byte
	chunk := make([]byte, chunkBytes)
	for {
		c.net.SetReadDeadline(time.Now().Add(c.patience(len(buffer) > 0)))
		n, err := c.net.Read(chunk)
		buffer = c.digest(append(buffer, chunk[:n]...))
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && n > 0:
		case errors.Is(err, os.ErrDeadlineExceeded) && len(buffer) > 0:
			// What began as a packet is none, or lacks its end: good ones may have come behind its head.
			head := min(2, len(buffer))
			c.damage(buffer[:head], fmt.Errorf("%w: the rest of a packet did not come within %v", wire.ErrDamaged, partGap))
			buffer = c.digest(buffer[head:])
		default:
			return
		}
	}
}

func (c *conn) patience(within bool) time.Duration {
	if within {
		return partGap
	}
	longest := introduction
	for i, s := range c.stations {
		if i == 0 || s.options.Silence > longest {
			longest = s.options.Silence
		}
	}
	return longest
}

// end leaves the stations that were heard here.
func (c *conn) end() {
	c.net.Close()
	for _, s := range c.stations {
		s.gone(c)
	}
}

// digest handles every packet in b and gives what is left of it.
func (c *conn) digest(b []byte) []byte {
	rest := b
	for {
		p, frame, used, err := wire.Next(rest)
		dealtWith := rest[:used]
		rest = rest[used:]
		switch {
		case err != nil:
			c.damage(dealtWith, err)
		case frame == nil:
			return append(b[:0], rest...) // to the front, so that the memory is used again
		default:
			c.handle(p, frame)
		}
	}
}

// damage notes that bytes were dropped. Where no logger was heard before, it may be any that is missing.
func (c *conn) damage(dropped []byte, err error) {
	c.damaged++
	device := ""
	if len(c.stations) == 1 {
		device = c.stations[0].name
	}
	c.of.shown.Heard(dropped, device, protocol, err.Error())
	for _, s := range c.stations {
		s.shown().Damaged()
		s.log.Debug("bytes from the logger were dropped", "err", err)
		s.note(aboutLine, "packets of the logger arrive damaged")
	}
	if len(c.stations) == 0 {
		c.of.shown.Trouble("somebody connects whose packets arrive damaged")
		for _, s := range c.of.missing() {
			s.note(aboutLine, "somebody connects whose packets arrive damaged; it may be this logger")
		}
	}
}

const anotherPassword = "the logger sends another password (PW) than the one configured"

func (c *conn) handle(p wire.Packet, frame []byte) {
	s := c.of.station(p.MN)
	if s == nil {
		c.of.stranger(p.MN, c.net.RemoteAddr(), frame)
		return
	}
	if want := string(s.options.Password); want != "" && p.PW != want {
		c.of.shown.Heard(frame, s.name, protocol, anotherPassword)
		s.shown().TurnedAway()
		s.note(aboutPassword, anotherPassword)
		if p.AckWanted() && isUpload(p.CN) {
			c.answer(p, wire.Accepted, p.QN, "QnRtn=3")
		}
		return
	}
	s.note(aboutPassword, "")
	c.heard = c.of.shown.Heard(frame, s.name, protocol, "")
	s.shown().Good()
	c.join(s)
	switch p.CN {
	case wire.Accepted, wire.Result, wire.NoticeAck, wire.DataAck, wire.GetClock:
		s.answered(p)
	case wire.ClockNotice:
		if p.AckWanted() {
			c.answer(p, wire.NoticeAck, p.QN, "")
		}
	default:
		c.upload(s, p)
	}
}

// isUpload says whether a command is a message of its own and no answer.
func isUpload(cn string) bool { return cn != "" && cn[0] != '9' }

// join lets the station speak through this connection.
func (c *conn) join(s *Station) {
	s.heard(c)
	for _, known := range c.stations {
		if known == s {
			return
		}
	}
	c.stations = append(c.stations, s)
	if c.damaged == 0 {
		s.note(aboutLine, "")
	}
}

// upload takes a report, and acknowledges it when it is durable.
func (c *conn) upload(s *Station, p wire.Packet) {
	u, whole, err := c.assembler.add(p, time.Now())
	if err != nil {
		if !whole { // else it is about packets that came before
			c.of.shown.Judge(c.heard, err.Error())
		}
		s.note(aboutReports, err.Error())
	}
	if !whole {
		if s.options.AckParts && err == nil && len(asked(p)) > 0 {
			c.acknowledge(p, p.QN)
		}
		return
	}
	if _, known := periods[p.CN]; known {
		if err := s.take(u.packet); err != nil {
			c.of.shown.Judge(c.heard, err.Error())
			return
		}
	}
	if s.options.AckParts {
		u.asked = asked(p) // the others have theirs
	}
	for _, qn := range u.asked {
		c.acknowledge(p, qn)
	}
}

// acknowledge tells the logger that what it sent under a QN is safe. In the edition of 2005 the data
// area repeats what is meant.
func (c *conn) acknowledge(p wire.Packet, qn string) {
	data := ""
	if version(p.Flag) == 0 {
		data = "QN=" + qn + ";CN=" + p.CN
	}
	c.answer(p, wire.DataAck, qn, data)
}

// version gives the bits above those that say what is wanted, as the sender has them.
func version(flag int) int {
	if flag == wire.NoFlag {
		return 0
	}
	return flag &^ (wire.AckWanted | wire.Packetised)
}

func (c *conn) answer(to wire.Packet, cn, qn, data string) {
	answer := wire.Packet{QN: qn, ST: wire.AnswerST, CN: cn, PW: to.PW, MN: to.MN, Flag: version(to.Flag), Data: data}
	_ = c.send(answer) // a connection that takes nothing is closed, and the logger sends again
}

func (c *conn) send(p wire.Packet) error {
	device := ""
	if s := c.of.station(p.MN); s != nil {
		device = s.name
	}
	frame := p.Append(nil)
	c.writing.Lock()
	defer c.writing.Unlock()
	c.net.SetWriteDeadline(time.Now().Add(writeTimeout))
	said := c.of.shown.Said(frame, device, protocol) // before its answer can be heard
	if _, err := c.net.Write(frame); err != nil {
		c.of.shown.Judge(said, err.Error())
		c.net.Close()
		return err
	}
	return nil
}
