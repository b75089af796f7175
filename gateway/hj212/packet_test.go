package hj212

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// vector is a frame that was published somewhere.
type vector struct {
	Frame     string `json:"frame"`
	Valid     bool   `json:"valid"`
	DecodesTo string `json:"decodes_to"`
	Source    string `json:"source"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPublishedFrames(t *testing.T) {
	all := vectors(t)
	if len(all) < 5 {
		t.Fatalf("only %d published frames", len(all))
	}
	for _, v := range all {
		p, err := Decode([]byte(v.Frame))
		if (err == nil) != v.Valid {
			t.Errorf("%s: decoded with %v, but valid is %v", v.DecodesTo, err, v.Valid)
		}
		if err != nil {
			continue
		}
		if again := string(p.Append(nil)); !strings.EqualFold(again, v.Frame) {
			t.Errorf("encoded again:\n got %q\nwant %q", again, v.Frame)
		}
	}
}

func TestPacketIsTakenApart(t *testing.T) {
	p, err := Decode([]byte(vectors(t)[2].Frame))
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := Pairs(p.Data)
	if err != nil {
		t.Fatal(err)
	}
	p.Data = ""
	if want := (Packet{QN: "20220513162608370", ST: "22", CN: Minute, PW: "123456", MN: "JLYP01_AIR01_0001", Flag: 4}); p != want {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
	if len(pairs) != 23 || pairs[0] != (Pair{"", "DataTime", "20220513162600"}) || pairs[7] != (Pair{"a21005", "Avg", "0.427"}) || pairs[8] != (Pair{"a21005", "Flag", "N"}) {
		t.Errorf("%d pairs, %+v", len(pairs), pairs[:min(len(pairs), 9)])
	}
	if Value(pairs, "DataTime") != "20220513162600" || Value(pairs, "Avg") != "" {
		t.Error("a key without a code is not found, or one with a code is")
	}
}

func packet(p Packet) string { return string(p.Append(nil)) }

func TestWhatCannotBeIsRefused(t *testing.T) {
	segment := func(s string) string {
		b := []byte("##0000" + s)
		copy(b[2:], []byte{'0', '0' + byte(len(s)/100), '0' + byte(len(s)/10%10), '0' + byte(len(s)%10)})
		return string(b) + strings.ToUpper(hex4(Checksum([]byte(s)))) + "\r\n"
	}
	good := packet(Packet{CN: "2011", MN: "1", Flag: 5})
	for name, c := range map[string]struct{ frame, want string }{
		"no data area":       {segment("CN=2011;MN=1"), "no data area"},
		"open data area":     {segment("CN=2011;CP=&&a"), "no data area"},
		"no command":         {segment("MN=1;CP=&&&&"), "no CN"},
		"flag of letters":    {segment("CN=2011;Flag=A;CP=&&&&"), "Flag=A"},
		"flag too large":     {segment("CN=2011;Flag=256;CP=&&&&"), "Flag=256"},
		"packet 0":           {segment("CN=2011;PNUM=2;PNO=0;CP=&&&&"), "packet 0 of 2"},
		"packet beyond":      {segment("CN=2011;PNUM=2;PNO=3;CP=&&&&"), "packet 3 of 2"},
		"signed number":      {segment("CN=2011;PNUM=-2;CP=&&&&"), "PNUM=-2"},
		"length of letters":  {"##00x1" + good[6:], "length"},
		"length too short":   {"##0010" + good[6:], "checksum"},
		"length too long":    {"##0100" + good[6:], "announces 100 bytes"},
		"checksum of no hex": {good[:len(good)-6] + "zzzz\r\n", "checksum"},
		"two packets":        {good + good, "more than the packet"},
		"noise in front":     {"x" + good, "noise"},
		"cut short":          {good[:20], "cut short"},
		"empty":              {"", "cut short"},
	} {
		if p, err := Decode([]byte(c.frame)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v; want an error with %q", name, p, err, c.want)
		}
	}
}

func hex4(n uint16) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>12], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}

// A stream is read on behind whatever is wrong in it.
func TestStreamIsReadOnBehindDamage(t *testing.T) {
	first := packet(Packet{QN: "1", CN: "2011", MN: "1", Flag: 5, Data: "w01018-Rtd=1"})
	second := packet(Packet{QN: "2", CN: "2011", MN: "1", Flag: 5, Data: "w01018-Rtd=2"})
	for name, c := range map[string]struct {
		stream string
		want   string // the QNs
		errors int
	}{
		"two in one":                 {first + second, "1 2", 0},
		"without line ends":          {strings.TrimSpace(first) + second, "1 2", 0},
		"noise between":              {first + "\x00noise" + second, "1 2", 1},
		"a flipped bit":              {strings.Replace(first, "Rtd=1", "Rtd=3", 1) + second, "2", 1},
		"cut short":                  {first[:30] + second, "2", 1},
		"cut short before the end":   {first[:len(first)-3] + "\r\n" + second, "2", 1},
		"a length that is too large": {"##0900" + first[6:] + second, "2", 1},
		"hashes in noise":            {"####" + second, "2", 2},
	} {
		got, errors := read(c.stream, len(c.stream))
		if got != c.want || errors != c.errors {
			t.Errorf("%s: packets %q and %d errors, want %q and %d", name, got, errors, c.want, c.errors)
		}
		if got, _ := read(c.stream, 1); got != c.want {
			t.Errorf("%s, byte by byte: packets %q, want %q", name, got, c.want)
		}
	}
}

// read gives the QNs of the packets in a stream that arrives in pieces.
func read(stream string, piece int) (qns string, errors int) {
	var all []string
	var buffer []byte
	for from := 0; from < len(stream); from += piece {
		buffer = append(buffer, stream[from:min(len(stream), from+piece)]...)
		for {
			p, frame, used, err := Next(buffer)
			buffer = buffer[used:]
			if err != nil {
				errors++
			} else if frame == nil {
				break
			} else {
				all = append(all, p.QN)
			}
		}
	}
	return strings.Join(all, " "), errors
}

func FuzzPacket(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.Frame))
	}
	f.Add([]byte(packet(Packet{QN: "20260101000000000", ST: "32", CN: "2061", PW: "1", MN: "2", Flag: 7, PNUM: 2, PNO: 1, Data: "DataTime=20260101000000"})))
	f.Fuzz(func(t *testing.T, in []byte) {
		for range len(in) + 1 {
			p, frame, used, err := Next(in)
			if used < 0 || used > len(in) || used == 0 && (err != nil || frame != nil) {
				t.Fatalf("%q: %d bytes used, %v", in, used, err)
			}
			if frame != nil {
				if again, err := Decode(p.Append(nil)); err != nil || again != p {
					t.Errorf("%+v does not survive a round trip: %+v, %v", p, again, err)
				}
			} else if err == nil {
				return
			}
			in = in[used:]
		}
		t.Error("it does not end")
	})
}

func FuzzPairs(f *testing.F) {
	f.Add("DataTime=20160103133030;060-Rtd=3.0943,060-Flag=N;011-Rtd=18.0412")
	f.Add("PolId=w01018,i13013-Info=//\xd6\xd0\xce\xc4//")
	f.Fuzz(func(t *testing.T, data string) {
		pairs, err := Pairs(data)
		if err != nil {
			return
		}
		if again, err := Pairs(string(AppendPairs(nil, pairs))); err != nil || !reflect.DeepEqual(again, pairs) {
			t.Errorf("%q does not survive a round trip: %+v, then %+v, %v", data, pairs, again, err)
		}
	})
}
