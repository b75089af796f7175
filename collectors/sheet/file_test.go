package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// some is a table with something in every column.
var some = []Row{
	{Name: "power", Address: "holding:7", Type: "float32", Order: "CDAB", Scale: 0.1, Offset: -5, Unit: "kW", Access: "rw", Group: "fast", Deadband: 0.5, Description: "测点, \"the first\"", Station: "3", Other: map[string]string{"report": "change"}},
	{Name: "=label", Address: "400020", Type: "string", Length: 10, Description: "-1 is none\nsecond line"},
	{Name: "bit", Address: "000001"},
}

// withoutLines makes what was read comparable with what was written.
func withoutLines(rows []Row) []Row {
	out := make([]Row, len(rows))
	for i, r := range rows {
		r.Line = 0
		out[i] = r
	}
	return out
}

func roundTrip(t *testing.T, data []byte, want []Row) {
	t.Helper()
	table, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	rows, problems := table.Points(Options{})
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if got := withoutLines(rows); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatIsExportedIsImportedAgain(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCSV(&b, some); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, b.Bytes(), some)
	b.Reset()
	if err := WriteXLSX(&b, some); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, b.Bytes(), some)
}

func TestWhatNeuronTakesComesBackFromNeuronsForm(t *testing.T) {
	rows := []Row{
		{Group: "default", Name: "a", Address: "holding:0", Type: "int16", Access: "r", Station: "1", Scale: 0.1},
		{Group: "fast", Name: "b", Address: "input:99", Type: "float32", Order: "CDAB", Access: "rw", Station: "2"},
		{Group: "fast", Name: "c", Address: "coil:4", Access: "rw"},
		{Group: "fast", Name: "d", Address: "40010.3", Access: "r"},
		{Group: "fast", Name: "e", Address: "400020", Type: "string", Length: 12, Order: "BADC"},
		{Group: "fast", Name: "f", Address: "holding:30", Type: "uint16", Order: "DCBA"},
		{Group: "fast", Name: "g", Address: "holding:40", Type: "int64", Order: "GHEFCDAB"},
	}
	var b bytes.Buffer
	problems, err := WriteNeuron(&b, append(rows, Row{Name: "n", Address: "holding:1", Offset: 3}, Row{Name: "h", Address: "D100"}, Row{Name: "i", Address: "holding:1", Type: "bcd16"},
		Row{Name: "j", Address: "holding:1.h", Type: "int8"}, Row{Name: "k", Address: "holding:1", Type: "float64", Order: "CDABGHEF"}), "7")
	if err != nil || len(problems) != 5 {
		t.Fatalf("%v, %v", problems, err)
	}
	table, err := Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if table.Detect() != Neuron {
		t.Fatalf("taken for %s", table.Detect())
	}
	got, bad := table.Points(Options{})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	want := []Row{
		{Group: "default", Name: "a", Address: "400001", Type: "int16", Access: "r", Station: "1", Scale: 0.1},
		{Group: "fast", Name: "b", Address: "300100", Type: "float32", Order: "CDAB", Access: "rw", Station: "2"},
		{Group: "fast", Name: "c", Address: "000005", Type: "bool", Access: "rw", Station: "7"},
		{Group: "fast", Name: "d", Address: "400010.3", Type: "bool", Access: "r", Station: "7"},
		{Group: "fast", Name: "e", Address: "400020", Type: "string", Length: 12, Order: "BADC", Access: "r", Station: "7"},
		{Group: "fast", Name: "f", Address: "400031", Type: "uint16", Order: "BADC", Access: "r", Station: "7"},
		{Group: "fast", Name: "g", Address: "400041", Type: "int64", Order: "CDAB", Access: "r", Station: "7"},
	}
	if rows := withoutLines(got); !reflect.DeepEqual(rows, want) {
		t.Errorf("got  %+v\nwant %+v", rows, want)
	}
}

func TestSpreadsheetsCharacterSets(t *testing.T) {
	const text = "名称,地址\r\n电压,holding:1\r\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	var wide []byte
	for _, unit := range utf16.Encode([]rune(strings.ReplaceAll(text, ",", "\t"))) {
		wide = binary.LittleEndian.AppendUint16(wide, unit)
	}
	for what, data := range map[string]string{
		"UTF-8": text, "UTF-8 with a mark": "\uFEFF" + text, "GB 18030": gb, "UTF-16": "\xFF\xFE" + string(wide),
	} {
		rows, problems := read(t, data, Options{})
		if len(problems) > 0 || len(rows) != 1 || rows[0].Name != "电压" || rows[0].Address != "holding:1" {
			t.Errorf("%s: %+v, %v", what, rows, problems)
		}
	}
}

func TestFilesThatAreNoTablesAreRefused(t *testing.T) {
	bomb := func(parts, size int) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for i := range parts {
			part, err := w.Create(fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := part.Write(make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	many := "name,address\n" + strings.Repeat("a,b\n", MaxRows+2)
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":        {nil, "nothing in the file"},
		"a large file":   {make([]byte, MaxBytes+1), "more than 8 MiB"},
		"a picture":      {[]byte("\x89PNG\r\n\x1a\n\x00\x00"), "neither CSV nor XLSX"},
		"an old .xls":    {[]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"), ".xls"},
		"half a zip":     {[]byte("PK\x03\x04 and no more"), "not an XLSX file"},
		"a bomb":         {bomb(2, 20<<20), "unpacks to more than 32 MiB"},
		"a hail of them": {bomb(maxParts+1, 1), "257 parts"},
		"an empty zip":   {bomb(1, 1), "not an XLSX file"},
		"many rows":      {[]byte(many), "more than 20000 points"},
		"a wide row":     {[]byte("name,address\n" + strings.Repeat(",", maxColumns+1)), "more than 256 columns"},
		"a long cell":    {[]byte("name,address\n" + strings.Repeat("x", maxCell+1)), "more than 1024 characters"},
	} {
		if _, err := Read(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

// A cell that a spreadsheet would take for a formula must not become one.
func TestNoCellIsAFormula(t *testing.T) {
	var b bytes.Buffer
	if err := WriteCSV(&b, []Row{{Name: "=cmd|' /C calc'!A0", Address: "@x", Scale: -1, Description: "+1 each"}}); err != nil {
		t.Fatal(err)
	}
	for _, cell := range strings.FieldsFunc(strings.SplitN(b.String(), "\n", 2)[1], func(r rune) bool { return r == ',' || r == '\n' }) {
		if strings.ContainsAny(cell[:1], "=+@") {
			t.Errorf("the cell %q is a formula", cell)
		}
	}
	roundTrip(t, b.Bytes(), []Row{{Name: "=cmd|' /C calc'!A0", Address: "@x", Scale: -1, Description: "+1 each"}})
}

func TestThePointsOfADeviceBecomeRowsAndPointsAgain(t *testing.T) {
	rows := []Row{
		{Name: "power", Address: "holding:7", Type: "float32", Order: "CDAB", Scale: 0.1, Offset: -5, Unit: "°C", Access: "rw", Group: "fast", Deadband: 0.5, Other: map[string]string{"report": "change"}},
		{Name: "yes", Address: "40020", Type: "string", Length: 10},
		{Name: "energy: total", Other: map[string]string{"id": "00010000"}},
	}
	got, problems, err := ReadPoints(WritePoints(rows))
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	if !reflect.DeepEqual(got, rows) {
		t.Errorf("got  %+v\nwant %+v\nfrom %s", got, rows, WritePoints(rows))
	}
	_, problems, err = ReadPoints([]byte("points: [{name: a, address: holding:1, enum: {1: on}, scale: many}]\n"))
	if err != nil || len(problems) != 2 {
		t.Errorf("%v, %v", problems, err)
	}
}

// FuzzRead: no file makes the reader fail otherwise than with an error, and what it takes survives an
// export.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := WriteXLSX(&b, some); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("name,address,type\na,holding:1,float\n"))
	f.Add([]byte("点位名称;地址;功能码\n\"a\";1;3\n"))
	f.Add([]byte(kepwareHeader + "a.b,400001.4,Boolean,1,RO,100,Linear,0,1,0,2,,,,,,\n"))
	f.Add([]byte("name,address,attribute,type\na,1!400001#BL,Read,FLOAT\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Read(data)
		if err != nil {
			return
		}
		rows, _ := table.Points(Options{})
		if len(rows) == 0 {
			return
		}
		var out bytes.Buffer
		if err := WriteCSV(&out, rows); err != nil {
			t.Fatal(err)
		}
		again, err := Read(out.Bytes())
		if err != nil {
			t.Fatalf("%q became %q: %v", data, out.Bytes(), err)
		}
		if len(again.Rows) != len(rows) {
			t.Errorf("%d rows became %d: %q", len(rows), len(again.Rows), out.Bytes())
		}
	})
}
