package hj212

import (
	"errors"
	"fmt"
	"strings"
	"time"

	wire "sluice/gateway/hj212"
)

// What one connection may have in hand at most.
const (
	maxSets   = 4
	maxParts  = 256
	maxData   = 256 << 10 // bytes of one message
	partsLife = time.Minute
)

// upload is one message of a logger, which came in one packet or in several.
type upload struct {
	packet wire.Packet // the first one's, with the data of all
	asked  []string    // the QNs under which an answer is wanted, in the order of the packets
}

// assembler puts the messages of one connection together.
type assembler struct {
	sets []*set
}

// set is a message of which some packets are there.
type set struct {
	first wire.Packet // whichever came first
	parts []wire.Packet
	there int
	bytes int
	since time.Time
}

// add takes a packet. whole is false while others are missing. An error says that earlier packets
// were given up, or that this one cannot be used.
func (a *assembler) add(p wire.Packet, now time.Time) (u upload, whole bool, err error) {
	err = a.expire(now)
	if p.PNUM <= 1 {
		return upload{p, asked(p)}, true, err
	}
	if p.PNUM > maxParts {
		return upload{}, false, fmt.Errorf("a message of %d packets; up to %d are taken", p.PNUM, maxParts)
	}
	s, at := a.find(p)
	if s != nil && s.parts[p.PNO-1].CN != "" && s.parts[p.PNO-1].Data != p.Data {
		a.drop(at) // the logger begins again, with other values
		s = nil
	}
	if s == nil {
		if len(a.sets) == maxSets {
			err = a.incomplete(0)
		}
		s = &set{first: p, parts: make([]wire.Packet, p.PNUM), since: now}
		a.sets = append(a.sets, s)
		at = len(a.sets) - 1
	}
	slot := &s.parts[p.PNO-1]
	if slot.CN == "" {
		s.there++
		s.bytes += len(p.Data)
	}
	*slot = p // also when it came before: its QN may be a new one
	if s.bytes > maxData {
		a.drop(at)
		return upload{}, false, fmt.Errorf("a message of more than %d bytes", maxData)
	}
	if s.there < len(s.parts) {
		return upload{}, false, err
	}
	a.drop(at)
	return s.upload(), true, err
}

// find gives the set that a packet belongs to. Some loggers give all packets of a message one QN,
// others one DataTime; what has neither in common is not put together, lest values of one minute
// get into the next.
func (a *assembler) find(p wire.Packet) (*set, int) {
	for i, s := range a.sets {
		same := p.QN != "" && p.QN == s.first.QN || dataTime(p.Data) != "" && dataTime(p.Data) == dataTime(s.first.Data)
		if same && p.MN == s.first.MN && p.CN == s.first.CN && p.PNUM == s.first.PNUM {
			return s, i
		}
	}
	return nil, 0
}

func (a *assembler) drop(i int) { a.sets = append(a.sets[:i], a.sets[i+1:]...) }

// incomplete gives a set up.
func (a *assembler) incomplete(i int) error {
	s := a.sets[i]
	a.drop(i)
	return fmt.Errorf("of the %d packets of a message only %d came, or nothing but their order tells that they belong together", len(s.parts), s.there)
}

func (a *assembler) expire(now time.Time) (err error) {
	for i := len(a.sets) - 1; i >= 0; i-- {
		if now.Sub(a.sets[i].since) > partsLife {
			err = errors.Join(err, a.incomplete(i))
		}
	}
	return err
}

// upload joins the packets.
func (s *set) upload() upload {
	u := upload{packet: s.parts[0], asked: asked(s.parts[0])}
	data := s.parts[0].Data
	for _, p := range s.parts[1:] {
		data = join(data, p.Data)
		u.asked = append(u.asked, asked(p)...)
	}
	u.packet.Data, u.packet.PNUM, u.packet.PNO = data, 0, 0
	return u
}

func asked(p wire.Packet) []string {
	if p.AckWanted() && p.QN != "" {
		return []string{p.QN}
	}
	return nil
}

// join puts the data of two packets behind each other. Most loggers cut between two statements and
// leave the semicolon away, others cut anywhere: then what stands at the seam is no statement by
// itself.
func join(a, b string) string {
	last := a[strings.LastIndexAny(a, ";,")+1:]
	first := b
	if end := strings.IndexAny(b, ";,"); end >= 0 {
		first = b[:end]
	}
	if isStatement(last) && isStatement(first) {
		return a + ";" + b
	}
	return a + b
}

// isStatement says whether text is DataTime=… or code-Field=…
func isStatement(text string) bool {
	key, _, ok := strings.Cut(text, "=")
	code, field, coded := strings.Cut(key, "-")
	return ok && (key == dataTimeKey || coded && code != "" && field != "")
}

const dataTimeKey = "DataTime"

// dataTime gives the DataTime that data begins with or has somewhere.
func dataTime(data string) string {
	_, rest, found := strings.Cut(";"+data, ";"+dataTimeKey+"=")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, ";")
	value, _, _ = strings.Cut(value, ",")
	return value
}
