package modbus

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"sluice/collectors/bus"
)

// Model is what tells devices of one model from others.
type Model struct {
	Name     string
	Maker    string
	Products []string // what its devices may call themselves, or a part of it
	Tells    []Tell
	Others   []Point // that all its devices have, whatever they show; they tell it from its siblings
}

// Tell is a point of which it is known what it shows on every device of a model.
type Tell struct {
	Point     Point
	Low, High float64 // a number lies between them
	Idle      bool    // or is 0, which then says nothing: a phase that is not connected
	Exactly   string  // or it is raw data, these hex digits
}

// Likeness is how much a unit resembles a model.
type Likeness struct {
	Model string
	Score float64 // 0 to 1
	Why   string
}

// Recognition is what is known of a unit after it was looked at.
type Recognition struct {
	Calls  string     // what it calls itself
	Likely []Likeness // the best first; none when nothing is certain enough
}

// How much is asked of one unit, and how certain a guess must be. The certainty counts as bits: how
// unlikely it is that a device of another model shows the same.
const (
	maxQuestions = 24
	maxTimeouts  = 4    // in a row: the unit has gone
	maxTells     = 8    // that are asked of one model; then it is certain, or never will be
	enoughBits   = 14.0 // to be a guess
	plentyBits   = 40.0 // to stop asking
	leastTells   = 3    // that must agree, unless the device says its name
	namedBits    = 40.0 // of a device that says it
	presentBits  = 3.0  // of a register that siblings do not have, when it is not 0
	maxLikely    = 3
	twinScore    = 0.5 // of a model that another fits as well as or better
	rivalShare   = 0.6 // of the best one's bits, to be named beside it
)

// Recognise looks at a unit that answers and says which of the models it may be. It asks for what the
// unit calls itself and for at most 24 points that tell models apart; each question is a turn of its
// own. What does not fit a model excludes it, be it an address that the unit does not have or a mains
// frequency of 7000 Hz. No guess is better than a wrong one.
func Recognise(ctx context.Context, c *bus.Client, s Search, unit byte, models []Model) (Recognition, error) {
	return recognise(ctx, busWire{c}, s, unit, models)
}

func recognise(ctx context.Context, w wire, s Search, number byte, models []Model) (Recognition, error) {
	spokenAs, err := s.dialect()
	if err != nil {
		return Recognition{}, err
	}
	t := target{dialect: spokenAs}
	f := t.framer(number, new(atomic.Uint32))
	var owed *debts
	if !f.matched() {
		owed = &debts{}
	}
	l := newLink(t, fmt.Sprintf("unit %d", number), f, s.patience(), s.settled(w), owed)
	r := &recognition{unit: &unit{link: l, known: &holes{}}, lacks: map[Area]bool{}}
	said, err := l.identify(ctx)
	if err != nil {
		return Recognition{}, err
	}
	r.calls = words(said)
	r.suspect(models)
	err = r.ask(ctx)
	return Recognition{Calls: r.calls, Likely: r.likely()}, err
}

type recognition struct {
	unit     *unit
	calls    string
	suspects []*suspect
	lacks    map[Area]bool // the unit has nothing of the kind
}

// suspect is a model that the unit may be.
type suspect struct {
	*Model
	tells  []*tell
	others []*tell
	out    bool // it is not
	named  bool // it calls itself so
	bits   float64
	good   []string // tells that agree, in words
	silent int      // that said nothing
}

// tell is one made ready.
type tell struct {
	*Tell
	point point
	asked bool
}

// suspect begins with all models, but for those of other makers when the unit says who made it, and
// those of other names when it says its name.
func (r *recognition) suspect(models []Model) {
	makerKnown := slices.ContainsFunc(models, func(m Model) bool { return m.makes(r.calls) })
	nameKnown := slices.ContainsFunc(models, func(m Model) bool { return m.named(r.calls) })
	for i := range models {
		m := &models[i]
		s := &suspect{Model: m, named: nameKnown}
		if makerKnown && !m.makes(r.calls) || nameKnown && !m.named(r.calls) {
			continue
		}
		for j := range m.Tells {
			s.tells = append(s.tells, &tell{Tell: &m.Tells[j], point: newPoint(&m.Tells[j].Point)})
		}
		slices.SortStableFunc(s.tells, func(a, b *tell) int { return cmp.Compare(b.weight(), a.weight()) })
		s.others = append(s.others, s.tells[min(len(s.tells), maxTells):]...)
		s.tells = s.tells[:min(len(s.tells), maxTells)]
		for j := range m.Others {
			s.others = append(s.others, &tell{Tell: &Tell{Point: m.Others[j]}, point: newPoint(&m.Others[j])})
		}
		if s.named {
			s.bits = namedBits
		}
		r.suspects = append(r.suspects, s)
	}
}

// ask reads what tells the suspects apart until nothing is left that would.
func (r *recognition) ask(ctx context.Context) error {
	timeouts, silent := 0, span{}
	for range maxQuestions {
		at, more := r.next()
		if !more {
			if at, more = r.difference(); !more {
				return nil
			}
		}
		data, err := r.read(ctx, at)
		refusal, refused := errors.AsType[exception](err)
		switch {
		case err == nil:
			r.take(at, data)
			timeouts = 0
		case refused:
			r.exclude(at, refusal)
			timeouts = 0
		case ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		default:
			// Some units do not answer at all to what they do not have. Others are late once.
			if at == silent {
				r.exclude(at, 0)
			}
			silent = at
			if timeouts++; timeouts == maxTimeouts {
				return nil
			}
		}
	}
	return nil
}

func (r *recognition) read(ctx context.Context, at span) ([]byte, error) {
	if err := r.unit.take(ctx, false); err != nil {
		return nil, err
	}
	defer r.unit.release()
	return r.unit.fetch(ctx, at)
}

// next is what to ask for: of the suspect that fits best so far what makes it more certain, else what
// most suspects have a tell at.
func (r *recognition) next() (at span, more bool) {
	var lead *tell
	best := 0.0
	count, first := map[span]int{}, []span{}
	known := len(r.fitting()) > 0 // then it is one of those that fit, or of their family
	for _, s := range r.suspects {
		t := r.open(s)
		if t == nil || known && len(s.good) == 0 {
			continue
		}
		if len(s.good) > 0 && s.bits > best && s.bits < plentyBits {
			lead, best = t, s.bits
		}
		for _, each := range s.tells {
			if each.asked {
				continue
			}
			if count[each.point.span] == 0 {
				first = append(first, each.point.span)
			}
			count[each.point.span]++
		}
	}
	if lead != nil {
		return lead.point.span, true
	}
	for _, each := range first {
		if !more || count[each] > count[at] {
			at, more = each, true
		}
	}
	return at, more
}

// difference is something that one of several models that fit has and another has not.
func (r *recognition) difference() (at span, more bool) {
	fit := r.fitting()
	for i, s := range fit {
		for _, p := range s.others {
			if p.asked {
				continue
			}
			for j, rival := range fit {
				if i != j && !rival.has(p.point.span) {
					return p.point.span, true
				}
			}
		}
	}
	return span{}, false
}

// has says whether the model has anything at a place.
func (s *suspect) has(at span) bool {
	overlaps := func(t *tell) bool {
		return t.point.area == at.area && t.point.start < at.end() && at.start < t.point.end()
	}
	return slices.ContainsFunc(s.tells, overlaps) || slices.ContainsFunc(s.others, overlaps)
}

// open is the strongest tell of a suspect that was not asked for yet; nil when there is nothing to
// be learned of it any more.
func (r *recognition) open(s *suspect) *tell {
	if s.out || s.named || s.bits >= plentyBits {
		return nil
	}
	for _, t := range s.tells {
		if !t.asked {
			return t
		}
	}
	return nil
}

// take judges every suspect by what stands at a place.
func (r *recognition) take(at span, data []byte) {
	for _, s := range r.suspects {
		for _, t := range s.tells {
			if t.point.span == at && !t.asked {
				t.asked = true
				s.judge(t, data)
			}
		}
		for _, t := range s.others {
			if t.point.span == at && !t.asked {
				t.asked = true
				if slices.ContainsFunc(data, func(b byte) bool { return b != 0 }) {
					s.bits += presentBits
				}
			}
		}
	}
}

func (s *suspect) judge(t *tell, raw []byte) {
	v, err := t.point.decode(raw)
	if err != nil {
		s.out = true
		return
	}
	at := t.Point.Address.String()
	if t.Exactly != "" {
		if hex.EncodeToString(raw) != t.Exactly {
			s.out = true
			return
		}
		s.bits += t.weight()
		s.good = append(s.good, fmt.Sprintf("%s holds %s", at, t.Exactly))
		return
	}
	number, isNumber := v.Float()
	switch {
	case !isNumber || math.IsNaN(number) || number != 0 && (number < t.Low || number > t.High):
		s.out = true
	case number == 0 && t.Idle:
		s.silent++
	case number < t.Low || number > t.High:
		s.out = true
	default:
		s.bits += t.weight()
		said := fmt.Sprintf("%s at %s is %s", t.Point.Name, at, v)
		if t.Point.Unit != "" {
			said += " " + t.Point.Unit
		}
		s.good = append(s.good, said)
	}
}

// weight is how many bits of certainty a tell gives. A float in the right range is hardly chance.
// Small whole numbers are everywhere, so that even a narrow range says less than arithmetic would.
func (t *tell) weight() float64 {
	if t.Exactly != "" {
		return float64(min(4*len(t.Exactly), 32))
	}
	weight := 5.0
	switch {
	case t.point.class == floating:
		weight = 9
	case t.point.bytes >= 4:
		weight = 7
	}
	if t.Low > 0 && t.High/t.Low < 2 {
		weight++ // such as a mains frequency
	}
	return weight
}

// exclude puts out whom a refusal speaks against.
func (r *recognition) exclude(at span, refusal exception) {
	if refusal == illegalFunction {
		r.lacks[at.area] = true
	}
	for _, s := range r.suspects {
		refused := func(t *tell) bool { return t.point.span == at || r.lacks[t.point.area] }
		if slices.ContainsFunc(s.tells, refused) || slices.ContainsFunc(s.others, refused) {
			s.out = true
		}
	}
}

// fitting gives the models that fit, the best first.
func (r *recognition) fitting() (fit []*suspect) {
	for _, s := range r.suspects {
		if s.named || !s.out && s.bits >= enoughBits && (len(s.good) >= leastTells || s.exact()) {
			fit = append(fit, s)
		}
	}
	slices.SortStableFunc(fit, func(a, b *suspect) int { return cmp.Compare(b.strength(), a.strength()) })
	return fit
}

// likely gives the few that fit best.
func (r *recognition) likely() (list []Likeness) {
	fit := r.fitting()
	for i, s := range fit {
		if len(list) == maxLikely || s.strength() < rivalShare*fit[0].strength() {
			break
		}
		score, why := s.score(), s.why(r.calls)
		for j, twin := range fit {
			if j != i && twin.strength() >= s.strength() {
				score *= twinScore
				why += "; " + twin.Name + " fits as well"
				break
			}
		}
		list = append(list, Likeness{Model: s.Name, Score: math.Round(100*score) / 100, Why: why})
	}
	return list
}

// strength is what the suspects are compared by.
func (s *suspect) strength() float64 { return s.bits * s.share() }

func (s *suspect) exact() bool {
	return slices.ContainsFunc(s.tells, func(t *tell) bool { return t.asked && t.Exactly != "" })
}

// share is how much of what was looked at agrees.
func (s *suspect) share() float64 {
	seen := len(s.good) + s.silent
	if seen == 0 {
		return 1
	}
	return float64(len(s.good)) / float64(seen)
}

func (s *suspect) score() float64 { return (1 - math.Exp2(-s.bits/8)) * s.share() }

const maxReasons = 3

func (s *suspect) why(calls string) string {
	if s.named {
		return "it calls itself " + calls
	}
	text := strings.Join(s.good[:min(len(s.good), maxReasons)], ", ")
	if rest := len(s.good) - maxReasons; rest > 0 {
		text += fmt.Sprintf(", and %d more that fit", rest)
	}
	return text
}
