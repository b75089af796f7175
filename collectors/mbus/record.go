package mbus

import (
	"errors"
	"fmt"

	"sluice/gateway/message"
)

const (
	difManufacturer = 0x0F // the rest of the telegram is the maker's own
	difMore         = 0x1F // the same, and further telegrams follow
	difFiller       = 0x2F

	extension  = 0x80 // of DIF, DIFE, VIF and VIFE: another one follows
	maxExtends = 10   // that one DIF or VIF may have
)

// Function says what about the quantity a record holds.
type Function byte

// The functions, as the DIF codes them.
const (
	Instantaneous Function = iota
	Maximum
	Minimum
	ErrorState // the value while the meter was in an error
)

// suffix is how a selector says the function.
func (f Function) suffix() string { return [...]string{"", ".max", ".min", ".error"}[f&3] }

// Record is one value of a telegram. Value is in Unit, and absent when Problem says why there is
// none.
type Record struct {
	Index    int // its number within the answer, counted from 0
	Function Function
	Storage  uint64 // 0: now; others: what the meter kept, such as the last due date
	Tariff   uint32 // 0: all tariffs
	Subunit  uint32
	Quantity string // "energy", "flow_temperature"; in quotes: the meter's own word
	// Modifiers narrow the quantity: "forward", "L1", "per_hour", "maker=01".
	Modifiers []string
	Value     message.Value
	Problem   string

	dif    byte
	vif    []byte // with its extensions; as on the wire
	plain  string // the meter's own word for the quantity
	number number // before any unit
	scale  scale
}

var (
	errTooManyDIFE = errors.New("it has more than ten DIFE")
	errTooManyVIFE = errors.New("it has more than ten VIFE")
)

// decodeRecord takes the record that b, which is not empty, starts with.
func decodeRecord(b []byte, highFirst bool) (r Record, n int, err error) {
	r.dif = b[0]
	if r.dif == difManufacturer || r.dif == difMore {
		r.Quantity = "manufacturer_data"
		r.Value = message.Text(fmt.Sprintf("%X", b[1:]))
		return r, len(b), nil
	}
	if r.dif&0x0F == 0x0F {
		return Record{}, 0, fmt.Errorf("its DIF %02X is reserved", r.dif)
	}
	if n, err = r.decodeDIF(b); err != nil {
		return Record{}, 0, err
	}
	used, err := r.decodeVIF(b[n:])
	if err != nil {
		return Record{}, 0, err
	}
	n += used
	data, used, err := field(r.dif&0x0F, b[n:])
	if err != nil {
		return Record{}, 0, err
	}
	meaning := meaningOf(r.vif, r.plain)
	r.Quantity, r.Modifiers, r.scale = meaning.quantity, meaning.modifiers, meaning.scale
	r.number, err = meaning.decode(r.dif&0x0F, data, highFirst)
	if err == nil {
		err = meaning.problem
	}
	if err == nil {
		r.Value, err = r.number.in(r.scale, r.scale.unit.shown())
	}
	if err != nil {
		r.Value, r.Problem = message.Value{}, err.Error()
	}
	return r, n + used, nil
}

// decodeDIF takes DIF and DIFE: storage number from bit 6 and then four bits each, two bits of
// tariff and one of subunit each.
func (r *Record) decodeDIF(b []byte) (n int, err error) {
	r.Function = Function(b[0] >> 4 & 3)
	r.Storage = uint64(b[0] >> 6 & 1)
	for n = 1; b[n-1]&extension != 0; n++ {
		i := n - 1 // of the DIFE
		if i == maxExtends {
			return 0, errTooManyDIFE
		}
		if n == len(b) {
			return 0, fmt.Errorf("%w in its DIF", errBreaksOff)
		}
		r.Storage |= uint64(b[n]&0x0F) << (1 + 4*i)
		r.Tariff |= uint32(b[n]>>4&3) << (2 * i)
		r.Subunit |= uint32(b[n]>>6&1) << i
	}
	return n, nil
}

// decodeVIF takes VIF, the meter's own word if that is what the VIF announces, and VIFE. The word
// stands before the VIFE, as meters send it.
func (r *Record) decodeVIF(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, fmt.Errorf("%w before its VIF", errBreaksOff)
	}
	vif := b[0]
	r.vif = append(r.vif, vif)
	n = 1
	if vif&^extension == vifPlain {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return 0, fmt.Errorf("%w in the name of its quantity", errBreaksOff)
		}
		n = 2 + int(b[1])
		if r.plain, err = backwards(b[2:n]); err != nil {
			return 0, fmt.Errorf("the name of its quantity: %w", err)
		}
	}
	for last := vif; last&extension != 0; n++ {
		if len(r.vif) > maxExtends {
			return 0, errTooManyVIFE
		}
		if n >= len(b) {
			return 0, fmt.Errorf("%w in its VIF", errBreaksOff)
		}
		last = b[n]
		r.vif = append(r.vif, last)
	}
	return n, nil
}

// Unit is what Value is measured in; "" is none.
func (r *Record) Unit() string { return r.scale.unit.shown().name }

// In gives the value in another unit of the same kind.
func (r *Record) In(unit string) (message.Value, error) {
	if r.Problem != "" {
		return message.Value{}, errors.New(r.Problem)
	}
	u, ok := unitNamed(unit)
	if !ok || u.dimension != r.scale.unit.dimension {
		return message.Value{}, fmt.Errorf("the meter sent a value in %s, which cannot be given in %s", r.scale.unit.shown().orNone(), unit)
	}
	return r.number.in(r.scale, u)
}
