package finder

import (
	"cmp"
	"slices"

	"sluice/collectors/bus"
)

// step is one protocol at one setting of the line.
type step struct {
	protocol  *Protocol
	character *bus.Character // nil: as the line is set
	part      int
	questions int
	done      int
	rank      int // among the settings of its protocol
}

// parts are how often all settings are gone through: what is likely first.
const parts = 2

// common are settings by how often they are met with, whatever is spoken.
var common = []bus.Character{
	{Baud: 9600, DataBits: 8, Parity: "none", StopBits: 1},
	{Baud: 2400, DataBits: 8, Parity: "even", StopBits: 1},
	{Baud: 9600, DataBits: 8, Parity: "even", StopBits: 1},
	{Baud: 19200, DataBits: 8, Parity: "even", StopBits: 1},
	{Baud: 19200, DataBits: 8, Parity: "none", StopBits: 1},
	{Baud: 4800, DataBits: 8, Parity: "none", StopBits: 1},
	{Baud: 115200, DataBits: 8, Parity: "none", StopBits: 1},
}

func commonness(c *bus.Character) int {
	if c == nil {
		return 0
	}
	if i := slices.Index(common, *c); i >= 0 {
		return i
	}
	return len(common)
}

// settings are those that a protocol is looked for at: its usual ones, or what was chosen, that of the
// line as it is set first.
func (p *Protocol) settings(bauds []int, parities []string, now bus.Character) (list []bus.Character) {
	if len(bauds) == 0 && (len(parities) == 0 || p.Fixed) {
		list = slices.Clone(p.Usual)
	} else {
		list = p.chosen(bauds, parities)
	}
	slices.SortStableFunc(list, func(a, b bus.Character) int {
		return cmp.Compare(other(a, now), other(b, now))
	})
	return list
}

func other(c, now bus.Character) int {
	if c == now {
		return 0
	}
	return 1
}

// chosen are the settings of these rates and parities; what is not chosen is as usual.
func (p *Protocol) chosen(bauds []int, parities []string) (list []bus.Character) {
	if len(bauds) == 0 {
		for _, c := range p.Usual {
			bauds = append(bauds, c.Baud)
		}
	}
	var forms []bus.Character // of a character, its rate aside
	for _, c := range p.Usual {
		c.Baud = 0
		if len(parities) == 0 || p.Fixed {
			forms = append(forms, c)
			continue
		}
		for _, parity := range parities {
			// Seven bits with parity and eight without take the same place on the wire.
			forms = append(forms, bus.Character{DataBits: c.DataBits, Parity: parity, StopBits: 1})
		}
	}
	for _, baud := range bauds {
		for _, c := range forms {
			c.Baud = baud
			if !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list
}

// steps puts what is to be asked in order. Each protocol's likeliest setting comes before any one's
// second, and what is likely at all settings before the rest at the first of them.
func (s *LineSearch) steps() (list []*step) {
	for part := range parts {
		var round []*step
		for _, p := range s.Protocols {
			for rank, character := range s.characters(p) {
				questions := p.Questions(&Query{Part: part, Units: s.Units})
				if questions > 0 {
					round = append(round, &step{protocol: p, character: character, part: part, questions: questions, rank: rank})
				}
			}
		}
		slices.SortStableFunc(round, func(a, b *step) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(commonness(a.character), commonness(b.character)))
		})
		list = append(list, round...)
	}
	return list
}

// characters are the settings at which a protocol is asked for; one that is nil on a line whose
// settings are nobody's business, such as a connection.
func (s *LineSearch) characters(p *Protocol) (list []*bus.Character) {
	if !s.Serial {
		return []*bus.Character{nil}
	}
	for _, c := range p.settings(s.Bauds, s.Parities, s.Now) {
		list = append(list, &c)
	}
	return list
}

// prefer brings forward what is left at a setting at which something was found: those who wire a line
// mostly set all devices alike.
func prefer(left []*step, found *step) {
	slices.SortStableFunc(left, func(a, b *step) int {
		return cmp.Compare(distance(a, found), distance(b, found))
	})
}

func distance(a, found *step) int {
	switch {
	case a.protocol == found.protocol && same(a.character, found.character):
		return 0
	case same(a.character, found.character):
		return 1
	}
	return 2
}

func same(a, b *bus.Character) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
