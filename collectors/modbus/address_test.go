package modbus

import (
	"strings"
	"testing"
)

func TestAddressForms(t *testing.T) {
	for written, want := range map[string]string{
		"holding:0": "holding:0", "holding:65535": "holding:65535", "holding:7.2": "holding:7.2",
		"input:10": "input:10", "coil:0": "coil:0", "discrete:3": "discrete:3",
		"40001": "holding:0", "49999": "holding:9998", "400001": "holding:0", "465536": "holding:65535",
		"30011": "input:10", "300011": "input:10", "10004": "discrete:3", "100004": "discrete:3",
		"00001": "coil:0", "000001": "coil:0", "40008.2": "holding:7.2", "input:1.15": "input:1.15",
		"holding:0x1F": "holding:31", "coil:0xffff": "coil:65535", "holding:0x10.3": "holding:16.3",
		"holding:7.h": "holding:7.h", "input:7.l": "input:7.l", "40008.h": "holding:7.h",
	} {
		var a Address
		if err := a.UnmarshalText([]byte(written)); err != nil {
			t.Errorf("%q: %v", written, err)
			continue
		}
		text, err := a.MarshalText()
		if err != nil || string(text) != want {
			t.Errorf("%q is %s (%v), want %s", written, text, err, want)
		}
	}
}

func TestAddressMistakes(t *testing.T) {
	for written, want := range map[string]string{
		"": "digits", "holding": "digits", "holding:": "number from 0", "holding:65536": "number from 0",
		"holding:-1": "number from 0", "holding:+1": "number from 0", "registers:1": `no area "registers"`,
		"holding:7.16": "bits of a register", "holding:7.": "bits of a register", "holding:7.-1": "bits of a register",
		"holding:7.H": "bytes h and l", "coil:7.h": "has no bits", "holding:0x": "number from 0", "holding:0x10000": "number from 0",
		"coil:7.1": "has no bits", "40000": "count from 1", "465537": "count from 1", "20001": "not the digit of an area",
		"4001": "digits", "4000001": "digits", "4x001": "count from 1",
	} {
		var a Address
		err := a.UnmarshalText([]byte(written))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", written, a, err, want)
		}
	}
}

func TestNumberedForm(t *testing.T) {
	for written, want := range map[string]string{
		"holding:0": "40001", "holding:9998": "49999", "holding:9999": "410000", "holding:65535": "465536",
		"input:10": "30011", "discrete:3": "10004", "coil:0": "00001", "coil:9999": "010000",
		"holding:7.2": "40008.2", "holding:7.h": "40008.h",
	} {
		if got := address(written).Numbered(); got != want {
			t.Errorf("%s is %s, want %s", written, got, want)
		}
	}
	if got := (Address{}).Numbered(); got != "" {
		t.Errorf("no address is %q", got)
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"holding:7.2", "40001", "000001", "coil:0", "input:1.15", "465536", "holding:0x1F", "400008.l"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		var a, again Address
		if a.UnmarshalText([]byte(written)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%q is %s, which is read as %s: %v", written, a, again, err)
		}
		if err := again.UnmarshalText([]byte(a.Numbered())); err != nil || again != a {
			t.Errorf("%q is %s, which is read as %s: %v", written, a.Numbered(), again, err)
		}
	})
}
