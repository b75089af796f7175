package mbus

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/gateway/message"
)

// What libmbus makes of the same frames.
type foreign struct {
	Slave struct {
		ID           string `xml:"Id"`
		Manufacturer string
		Version      string
		Medium       string
		AccessNumber string
		Status       string
		Signature    string
	} `xml:"SlaveInformation"`
	Records []foreignRecord `xml:"DataRecord"`
	Error   string          `xml:"Error"`
}

type foreignRecord struct {
	Function      string
	StorageNumber uint64
	Tariff        *uint32
	Device        *uint32
	Unit          string
	Quantity      string
	Value         string
}

func readForeign(t testing.TB, path string) foreign {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := xml.NewDecoder(file)
	// The files say ISO-8859-1; units in them are UTF-8 and the meters' own texts are not.
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(in)
		if err != nil || utf8.Valid(b) {
			return strings.NewReader(string(b)), err
		}
		var text strings.Builder
		for _, c := range b {
			text.WriteRune(rune(c))
		}
		return strings.NewReader(text.String()), nil
	}
	var f foreign
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return f
}

func readHex(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for word := range strings.FieldsSeq(string(text)) {
		n, err := strconv.ParseUint(word, 16, 8)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		b = append(b, byte(n))
	}
	return b
}

func foreignFrames(t testing.TB, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata/libmbus", folder, "*.hex"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no frames in %s: %v", folder, err)
	}
	return paths
}

// differences are records that libmbus and we see differently, with the reason. An entry for a record
// that is alike fails too.
var differences = map[string]string{}

func TestFramesOfRealMetersDecodeAsLibmbusDoesIt(t *testing.T) {
	frames, records := 0, 0
	used := map[string]bool{}
	for _, path := range foreignFrames(t, "test-frames") {
		name := strings.TrimSuffix(filepath.Base(path), ".hex")
		if name == "manual_frame2" {
			continue // fixed data: the next test
		}
		want := readForeign(t, strings.TrimSuffix(path, ".hex")+".norm.xml")
		f, err := Decode(readHex(t, path))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := DecodeTelegram(f.Info, f.Data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		frames++
		if problem := compareHeader(&got.Header, &want); problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
		if len(got.Records) != len(want.Records) {
			t.Errorf("%s: %d records, libmbus has %d", name, len(got.Records), len(want.Records))
			continue
		}
		names := Names(got.Records)
		for i := range got.Records {
			records++
			at := fmt.Sprintf("%s#%d", name, i)
			problem := compareRecord(&got.Records[i], &want.Records[i])
			reason, known := differences[at]
			used[at] = true
			switch {
			case problem != "" && !known:
				t.Errorf("%s %s: %s", at, names[i], problem)
			case problem == "" && known:
				t.Errorf("%s %s is alike, but listed as different: %s", at, names[i], reason)
			}
		}
	}
	for at := range differences {
		if !used[at] {
			t.Errorf("there is no record %s", at)
		}
	}
	if frames < 70 || records < 900 {
		t.Errorf("compared %d frames with %d records, there should be more", frames, records)
	}
	t.Logf("%d frames, %d records", frames, records)
}

func compareHeader(h *Header, want *foreign) string {
	for _, c := range []struct{ what, got, want string }{
		{"identification", fmt.Sprintf("%X", h.ID), want.Slave.ID},
		{"manufacturer", maker(h.Maker), want.Slave.Manufacturer},
		{"version", strconv.Itoa(int(h.Version)), want.Slave.Version},
		{"access number", strconv.Itoa(int(h.Access)), want.Slave.AccessNumber},
		{"status", fmt.Sprintf("%02X", h.Status), want.Slave.Status},
		{"signature", fmt.Sprintf("%04X", h.Signature), want.Slave.Signature},
	} {
		if c.got != c.want {
			return fmt.Sprintf("%s %s, libmbus has %s", c.what, c.got, c.want)
		}
	}
	return ""
}

// quantities are libmbus's names of what we call otherwise than by its words in lower case.
var quantities = map[string]string{
	"Time point (date)": "date", "Time point (date & time)": "datetime", "Fabrication No": "fabrication_number",
	"(Enhanced) Identification": "identification", "H.C.A.": "hca_units", "Parameter set identification": "parameter_set",
	"Model / Version": "model_version", "Special supplier information": "supplier_information", "Manufacturer specific": "manufacturer",
}

var functions = map[string]Function{
	"Instantaneous value": Instantaneous, "Maximum value": Maximum, "Minimum value": Minimum, "Value during error state": ErrorState,
}

func compareRecord(r *Record, want *foreignRecord) string {
	if r.dif == difManufacturer || r.dif == difMore {
		word := map[byte]string{difManufacturer: "Manufacturer specific", difMore: "More records follow"}[r.dif]
		if got := r.Value.String(); want.Function != word || strings.Trim(got, `"`) != strings.ReplaceAll(want.Value, " ", "") {
			return fmt.Sprintf("%s, libmbus has %s %s", got, want.Function, want.Value)
		}
		return ""
	}
	quantity, ok := quantities[want.Quantity]
	if !ok {
		quantity = strings.ReplaceAll(strings.ToLower(want.Quantity), " ", "_")
	}
	switch {
	case r.plain != "":
		quantity = strconv.Quote(want.Quantity)
	case strings.HasPrefix(r.Quantity, "reserved_"):
		quantity = strings.Replace(quantity, "reserved", r.Quantity, 1)
	}
	function, ok := functions[want.Function]
	switch {
	case r.Quantity != quantity:
		return fmt.Sprintf("quantity %s, libmbus has %s", r.Quantity, want.Quantity)
	case !ok || r.Function != function:
		return fmt.Sprintf("function %d, libmbus has %s", r.Function, want.Function)
	case r.Storage != want.StorageNumber:
		return fmt.Sprintf("storage %d, libmbus has %d", r.Storage, want.StorageNumber)
	case want.Tariff != nil && (r.Tariff != *want.Tariff || r.Subunit != *want.Device):
		return fmt.Sprintf("tariff %d of subunit %d, libmbus has %d of %d", r.Tariff, r.Subunit, *want.Tariff, *want.Device)
	case want.Tariff == nil && (r.Tariff != 0 || r.Subunit != 0):
		return fmt.Sprintf("tariff %d of subunit %d, libmbus has none", r.Tariff, r.Subunit)
	}
	return compareValue(r, want)
}

// noDate is what libmbus makes of bytes that are no date; it shows days and months of 0 and years
// before meters.
var noDate = regexp.MustCompile(`^\d{4}-(00|1[3-6]|\d\d-(00|3[12]))|^\d{4}-\d\d-00|^1900-|^20\d\d-00|^2\d{3}-1[3-6]`)

func compareValue(r *Record, want *foreignRecord) string {
	if r.Problem != "" {
		switch {
		case r.dif&0xF == noData && want.Value == "", r.dif&0xF == noData && want.Value == "0.000000":
			return ""
		case noDate.MatchString(want.Value):
			return ""
		}
		return fmt.Sprintf("%s; libmbus has %s", r.Problem, want.Value)
	}
	unit := strings.NewReplacer("m^3", "m3", "Units for H.C.A.", "", "Reserved", "").Replace(want.Unit)
	if unit == "-" {
		unit = ""
	}
	value := r.Value
	if unit != r.Unit() {
		var err error
		if value, err = r.In(unit); err != nil {
			return err.Error()
		}
	}
	got, numeric := numberIn(value)
	expected, err := strconv.ParseFloat(want.Value, 64)
	if numeric && err == nil {
		if math.Abs(got-expected) > 1e-6+1e-6*math.Abs(expected) {
			return fmt.Sprintf("%v, libmbus has %s", got, want.Value)
		}
		return ""
	}
	text := strings.Trim(value.String(), `"`)
	if text != strings.TrimSuffix(strings.TrimSpace(want.Value), "Z") && text != strings.TrimSpace(want.Value) {
		return fmt.Sprintf("%s, libmbus has %s", text, want.Value)
	}
	return ""
}

func numberIn(v message.Value) (float64, bool) {
	if f, ok := v.Float(); ok {
		return f, true
	}
	f, err := strconv.ParseFloat(strings.Trim(v.String(), `"`), 64)
	return f, err == nil
}

func TestFixedDataDecodesAsLibmbusDoesIt(t *testing.T) {
	f, err := Decode(readHex(t, "testdata/libmbus/test-frames/manual_frame2.hex"))
	if err != nil {
		t.Fatal(err)
	}
	// libmbus calls the second counter, whose unit is "the same, of a due date", 135 reserved but historic.
	want := "12345678.*.*.7; volume=0.001 m3; volume[storage=1]=0.135 m3"
	if got := described(f); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	refused, err := Decode(readHex(t, "testdata/libmbus/unsupported-frames/invalid_length2.hex"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeTelegram(refused.Info, refused.Data); err == nil {
		t.Error("fixed data of 15 bytes was accepted")
	}
}

func TestBrokenFramesAreRefused(t *testing.T) {
	for _, path := range foreignFrames(t, "error-frames") {
		f, err := Decode(readHex(t, path))
		if err == nil {
			_, err = DecodeTelegram(f.Info, f.Data)
		}
		if err == nil {
			t.Errorf("%s was accepted", path)
			continue
		}
		t.Logf("%s: %v", filepath.Base(path), err)
	}
}

func TestUnsupportedFramesAreNoAnswers(t *testing.T) {
	var seen []string
	for _, name := range []string{"invalid_length", "manual_frame1", "manual_frame4", "manual_frame5", "manual_frame6"} {
		b := readHex(t, "testdata/libmbus/unsupported-frames/"+name+".hex")
		summary, ok := Dissect(true, b)
		if !ok {
			summary = "none"
		}
		seen = append(seen, summary)
		l := &dataListener{meter: Primary(addressTest)}
		if _, ok := l.hear(b); ok {
			t.Errorf("%s passed for an answer", name)
		}
	}
	want := []string{"none", "none", "give any meter the number 8", "10 bytes to any meter (CI 51)", "12 bytes to any meter (CI 51)"}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}
