package bus

import (
	"strings"
	"testing"
	"time"
	"unsafe"
)

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		settings Settings
		want     string // the keys that are wrong
	}{
		{Settings{Serial: "/dev/x"}, ""},
		{Settings{Serial: "/dev/x", Character: Character{2400, 8, "even", 1}, Silence: time.Millisecond, Gap: time.Second, Echo: "on", RS485: &RS485{}}, ""},
		{Settings{Dial: "host:4001"}, ""},
		{Settings{Listen: ":9000", Registration: []byte("A"), Heartbeat: []byte("B")}, ""},
		{Settings{}, "serial"},
		{Settings{Serial: "/dev/x", Dial: "host:4001"}, "serial"},
		{Settings{Dial: "host", Heartbeat: []byte("B")}, "tcp heartbeat"},
		{Settings{Dial: "host:0", Registration: []byte("B"), RS485: &RS485{}}, "tcp registration rs485"},
		{Settings{Listen: "9000", Registration: make([]byte, 65)}, "listen registration"},
		{Settings{Serial: "/dev/x", Character: Character{Baud: 14400}}, "baud"},
		{Settings{Serial: "/dev/x", Character: Character{-1, 9, "mark", 3}, Silence: -1, Gap: time.Hour, Turnaround: -1, Echo: "maybe", RS485: &RS485{Before: time.Second, After: -1}},
			"baud data_bits parity stop_bits silence gap turnaround echo rs485.before rs485.after"},
	} {
		var got []string
		c.settings.Validate(func(path, _ string) { got = append(got, path) })
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: got mistakes at %v, want %q", c.settings, got, c.want)
		}
	}
}

func TestTwoLinesCannotBeTheSame(t *testing.T) {
	dtu := func(registration string) Settings {
		return Settings{Listen: "127.0.0.1:0", Registration: []byte(registration)}
	}
	for _, c := range []struct {
		a, b Settings
		want string
	}{
		{Settings{Serial: "/dev/x"}, Settings{Serial: "/dev/x"}, "serial: /dev/x already belongs to bus a"},
		{Settings{Dial: "h:1"}, Settings{Dial: "h:1"}, "tcp: h:1 already belongs to bus a"},
		{dtu("AB"), dtu("ABC"), "registration: bus a at the same address has one that begins alike"},
		{dtu("AB"), dtu(""), "registration: bus a "},
		{dtu("AB"), dtu("AC"), ""},
		{Settings{Serial: "/dev/x"}, Settings{Serial: "/dev/y"}, ""},
	} {
		set, err := NewSet(map[string]Settings{"a": c.a, "b": c.b})
		if err == nil {
			must(t, set.Close())
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), "bus b: "+c.want) {
			t.Errorf("%+v beside %+v: got %v, want %q", c.a, c.b, err, c.want)
		}
	}
}

func TestEveryRateOfTheTableOpens(t *testing.T) {
	line := newLine(t)
	for _, baud := range bauds {
		s := Settings{Serial: line.Path(), Character: Character{Baud: baud}}.withDefaults()
		port, err := openTTY(&s)
		if err != nil {
			t.Errorf("%d: %v", baud, err)
			continue
		}
		if err := port.close(); err != nil {
			t.Errorf("%d: close: %v", baud, err)
		}
		if rates[baud] == 0 {
			t.Errorf("%d has no name in termios", baud)
		}
	}
}

func TestDefaultTimes(t *testing.T) {
	for _, c := range []struct {
		settings     Settings
		silence, gap time.Duration
	}{
		{Settings{Serial: "x", Character: Character{Baud: 9600}}, 3645833 * time.Nanosecond, 50 * time.Millisecond},
		{Settings{Serial: "x", Character: Character{Baud: 2400}}, 14583333 * time.Nanosecond, 50 * time.Millisecond},
		{Settings{Serial: "x", Character: Character{Baud: 115200}}, 1750 * time.Microsecond, 50 * time.Millisecond},
		{Settings{Serial: "x", Character: Character{Baud: 50}}, 700 * time.Millisecond, 800 * time.Millisecond},
		{Settings{Serial: "x", Silence: time.Millisecond, Gap: 2 * time.Millisecond}, time.Millisecond, 2 * time.Millisecond},
		{Settings{Dial: "x"}, 0, 250 * time.Millisecond},
		{Settings{Dial: "x", Silence: time.Millisecond}, time.Millisecond, 250 * time.Millisecond},
	} {
		s := c.settings.withDefaults()
		if got := s.silence(s.Character); got != c.silence {
			t.Errorf("%+v: silence %v, want %v", c.settings, got, c.silence)
		}
		if got := s.gap(s.Character); got != c.gap {
			t.Errorf("%+v: gap %v, want %v", c.settings, got, c.gap)
		}
	}
	if got := (Character{2400, 8, "even", 1}).String(); got != "2400 8E1" {
		t.Errorf("got %q", got)
	}
}

func TestRS485IsLaidOutAsTheKernelWantsIt(t *testing.T) {
	if got := unsafe.Sizeof(serialRS485{}); got != 32 {
		t.Errorf("struct serial_rs485 has %d bytes, want 32", got)
	}
	got := (&RS485{Before: 2 * time.Millisecond, After: 3 * time.Millisecond, HearItself: true, Termination: true}).raw()
	if want := (serialRS485{flags: 1 | 2 | 16 | 32, before: 2, after: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (&RS485{RTSLow: true}).raw().flags; got != 1|4 {
		t.Errorf("RTS low while sending: flags %b, want 101", got)
	}
}

func TestADriverWithoutRS485IsToldInPlainWords(t *testing.T) {
	line := newLine(t)
	settings := fast(line.Path())
	settings.RS485 = &RS485{}
	_, err := on(t, settings).Exchange(t.Context(), ask("x?"))
	if err == nil || !strings.Contains(err.Error(), "its driver cannot switch an RS485 transceiver") {
		t.Errorf("got %v", err)
	}
}
