package smlsim

import (
	"math"
	"time"
)

// State is what a simulated meter measures at one moment, in the units of the wire.
type State struct {
	Energy  uint64    // drawn, tenths of a Wh
	Tariff  uint64    // of it in the first tariff
	Reverse uint64    // delivered, tenths of a Wh
	Power   int64     // hundredths of a W, negative when delivered
	Voltage [3]uint64 // tenths of a V
	Current [3]uint64 // hundredths of an A
	Hertz   uint64    // tenths
}

// epoch is when the meters were installed.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// StateAt gives what every simulated meter measures at t. It follows from t alone, so a restarted
// simulator goes on where it would have been and a test can tell what to expect.
func StateAt(t time.Time) State {
	seconds := t.Sub(epoch).Seconds()
	angle := 2 * math.Pi * math.Mod(seconds, 90) / 90
	power := 350 + 800*math.Sin(angle) // W: delivers for a third of the time
	s := State{
		Energy: uint64(seconds / 3600 * 350 * 10), Reverse: uint64(seconds / 3600 * 120 * 10),
		Power: int64(math.Round(power * 100)), Hertz: 500,
	}
	s.Tariff = s.Energy / 2
	for phase := range s.Voltage {
		s.Voltage[phase] = uint64(2310 + 30*math.Sin(angle+float64(phase)*2*math.Pi/3))
		s.Current[phase] = uint64(math.Abs(power) / 3 / 230 * 100)
	}
	return s
}

// entry encodes one value: name, status, time, unit, scaler, value, signature.
func entry(name string, unit byte, scaler int64, value []byte) []byte {
	u, s := omitted, omitted
	if unit != 0 {
		u, s = Unsigned(uint64(unit), 1), Signed(scaler, 1)
	}
	return list(Octets(unhex(name)...), omitted, omitted, u, s, value, omitted)
}

// values encodes what the meter tells.
func (o *Options) values(t time.Time) [][]byte {
	s := StateAt(t)
	status := Unsigned(0x1C0104, 4)
	energy := list(Octets(unhex("0100010800FF")...), status, list(Unsigned(1, 1), Unsigned(uint64(t.Sub(epoch)/time.Second), 4)),
		Unsigned(30, 1), Signed(-1, 1), Unsigned(s.Energy, 1), omitted)
	all := [][]byte{
		entry("010060320101", 0, 0, Octets([]byte("SLC")...)),
		entry("0100600100FF", 0, 0, Octets(o.server()...)),
		energy,
		entry("0100010801FF", 30, -1, Unsigned(s.Tariff, 1)),
		entry("0100020800FF", 30, -1, Unsigned(s.Reverse, 8)),
	}
	if !o.Locked {
		all = append(all, entry("0100100700FF", 27, -2, o.power(s.Power)))
		for phase, name := range []string{"0100200700FF", "0100340700FF", "0100480700FF"} {
			all = append(all, entry(name, 35, -1, Unsigned(s.Voltage[phase], 2)))
		}
		for phase, name := range []string{"01001F0700FF", "0100330700FF", "0100470700FF"} {
			all = append(all, entry(name, 33, -2, Unsigned(s.Current[phase], 1)))
		}
		all = append(all, entry("01000E0700FF", 44, -1, Unsigned(s.Hertz, 1)))
	}
	all = append(all,
		entry("010000020000", 0, 0, Octets([]byte("1.02.007")...)),
		entry("8181C78205FF", 0, 0, Octets(unhex("E82E3051EF18A388DC0B4605DBFF2F27B9CBCB80A3B295FD9C7A5016D42774B2D086DBB1573CBE193842429840EDDB06")...)),
		entry("0100600B0001", 0, 0, []byte{0x42, 0x01}),
	)
	if !o.NoEscapes {
		all = append(all, entry("0100605AFF01", 0, 0, Octets(0x1B, 0x1B, 0x1B, 0x1B, 0x1A, 0x00, 0x1B)))
	}
	return all
}

// power encodes the momentary power. Old DZG meters send up to three bytes as if they were unsigned.
func (o *Options) power(p int64) []byte {
	switch {
	case !o.OldDZG:
		return Signed(p, 2)
	case p < 0:
		return Signed(p, 4)
	}
	b := Unsigned(uint64(p), 2)
	b[0] = b[0]&0xF | 0x50
	return b
}

func (o *Options) server() []byte {
	if o.OldDZG {
		return unhex("0A01445A47000282225E")
	}
	return unhex(o.Server)
}

// telegram is what the meter sends at t.
func (o *Options) telegram(t time.Time, transaction []byte) []byte {
	name := func(n byte) []byte { return append(append([]byte{}, transaction...), n) }
	now := list(Unsigned(1, 1), Unsigned(uint64(t.Sub(epoch)/time.Second), 4))
	id := Octets(o.server()...)
	return o.wrap(
		o.message(name(0), 0x0101, list(omitted, omitted, Octets(transaction...), id, now, Unsigned(1, 1))),
		o.message(name(1), 0x0701, list(omitted, id, Octets(unhex("0100620AFFFF")...), now, list(o.values(t)...), omitted, omitted)),
		o.message(name(2), 0x0201, list(omitted)),
	)
}

// refusal is the answer of a meter that gives nothing.
func (o *Options) refusal(transaction []byte) []byte {
	name := append(append([]byte{}, transaction...), 1)
	body := list(Octets(o.server()...), Octets(unhex("8181C7C7FE01")...), Octets([]byte("no such list")...), omitted)
	return o.wrap(o.message(name, 0xFF01, body))
}
