package sheet

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// The files in testdata are one table, written by the libraries whose names they have: with shared
// texts and without, in runs of two looks, with formulas, filters, remarks and further sheets.
func TestWhatOtherProgramsWriteIsRead(t *testing.T) {
	want := []Row{
		{Name: "voltage", Address: "holding:0", Type: "float32", Scale: 0.1, Unit: "V", Access: "r", Description: "supply, phase A"},
		{Name: "000001", Address: "400020", Type: "uint16", Unit: "%", Access: "rw", Description: `"quoted" <&>`},
		{Name: "电压", Address: "input:7", Type: "int16", Scale: -2.5, Unit: "kW", Access: "r", Description: "two\nlines"},
		{Name: "on", Address: "coil:3", Type: "bool", Scale: 1, Access: "r", Description: "1"},
	}
	files, err := filepath.Glob("testdata/*.xlsx")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := append([]Row(nil), want...)
			if strings.Contains(file, "openpyxl") {
				want[3].Scale = 0 // a formula that nobody has calculated yet
			}
			roundTrip(t, data, want)
			sameCells(t, data)
		})
	}
}

// sameCells compares all sheets with what excelize finds in them.
func sameCells(t *testing.T, data []byte) {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := openBook(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, tab := range b.tabs {
		all, err := f.GetRows(tab.name)
		if err != nil {
			t.Fatal(err)
		}
		var want [][]string
		var wantLines []int
		for i, row := range all {
			for len(row) > 0 && row[len(row)-1] == "" {
				row = row[:len(row)-1]
			}
			if len(row) == 0 {
				continue
			}
			for j := range row {
				row[j] = strings.TrimSpace(row[j])
			}
			want, wantLines = append(want, row), append(wantLines, i+1)
		}
		got, lines, err := b.rows(tab.part)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(lines, wantLines) {
			t.Errorf("sheet %s\ngot  %q at %d\nwant %q at %d", tab.name, got, lines, want, wantLines)
		}
	}
}

func TestOtherProgramsReadWhatIsWritten(t *testing.T) {
	rows := append([]Row{
		{Name: "a\rb\x01c", Address: "holding:1", Description: "_x000D_ and _x005F_ <&>\tas they stand"},
		{Name: "wide", Address: "holding:1", Scale: 1e-9, Offset: 12345678, Other: map[string]string{"report": "  change"}},
	}, some...)
	var b bytes.Buffer
	if err := WriteXLSX(&b, rows); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, b.Bytes(), func() []Row {
		rows := append([]Row(nil), rows...)
		rows[1].Other = map[string]string{"report": "change"}
		return rows
	}())
	sameCells(t, b.Bytes())
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for cell, want := range map[string]excelize.CellType{"A2": excelize.CellTypeInlineString} {
		if got, err := f.GetCellType("points", cell); got != want || err != nil {
			t.Errorf("%s has type %v, %v; want %v", cell, got, err, want)
		}
	}
	written := cells(rows)
	for i, row := range written[1:] {
		for j, cell := range row {
			if cell == "" || !numeric()[written[0][j]] {
				continue
			}
			name := fmt.Sprintf("%s%d", columnName(j+1), i+2)
			if got, err := f.GetCellType("points", name); got != excelize.CellTypeUnset || err != nil { // a plain number has none
				t.Errorf("%s is no number: %v, %v", name, got, err)
			}
		}
	}
}

// made is a workbook of parts that a test wrote by hand, with what it leaves out filled in.
func made(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	all := map[string]string{
		"_rels/.rels":                `<Relationships><Relationship Id="a" Type="http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument" Target="/xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml":            `<x:workbook xmlns:x="u" xmlns:r="v"><x:sheets><x:sheet name="one" sheetId="1" r:id="b"/></x:sheets></x:workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="b" Type="x/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="s" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
		"xl/sharedStrings.xml": `<sst><si><t>name</t></si><si><t>address</t></si><si><r><t xml:space="preserve">a </t></r><rPh><t>hidden</t></rPh><r><rPr><b/></rPr><t>b</t></r></si>` +
			`<si><t>line_x000D_
end _x005F_x000D_</t><phoneticPr fontId="1"/></si></sst>`,
		"xl/worksheets/sheet1.xml": `<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row></sheetData></worksheet>`,
	}
	for name, text := range parts {
		all[name] = text
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range all {
		part, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCellsOfEveryKind(t *testing.T) {
	b, err := openBook(made(t, map[string]string{"xl/worksheets/sheet1.xml": `<x:worksheet xmlns:x="u"><x:sheetData>
<x:row r="2"><x:c r="A2" t="s"><x:v>2</x:v></x:c><x:c r="C2" t="s"><x:v> 3 </x:v></x:c><x:c t="s"><x:v>99</x:v></x:c><x:c/><x:c r="E2"><x:f>1/3</x:f><x:v>0.33333333333333331</x:v></x:c></x:row>
<x:row><x:c t="str"><x:f>A1&amp;"x"</x:f><x:v>ax</x:v></x:c><x:c t="b"><x:v>1</x:v></x:c><x:c t="e"><x:v>#N/A</x:v></x:c><x:c t="d"><x:v>2026-11-24</x:v></x:c><x:c t="inlineStr"><x:is><x:r><x:t>in</x:t></x:r><x:r><x:t>line</x:t></x:r></x:is></x:c></x:row>
<x:row r="9"/><x:row r="1048576"><x:c r="XFD1048576" s="1"/></x:row>
</x:sheetData></x:worksheet>`}))
	if err != nil {
		t.Fatal(err)
	}
	rows, lines, err := b.rows(b.tabs[0].part)
	if err != nil {
		t.Fatal(err) // an empty row far down is no reason
	}
	want := [][]string{{"a b", "", "line\r\nend _x000D_", "", "0.33333333333333331"}, {"ax", "1", "#N/A", "2026-11-24", "inline"}}
	if !reflect.DeepEqual(rows, want) || !reflect.DeepEqual(lines, []int{2, 3}) {
		t.Errorf("got  %q at %d\nwant %q", rows, lines, want)
	}
}

func TestDamagedWorkbooksAreRefused(t *testing.T) {
	row := func(cell string) string {
		return `<worksheet><sheetData><row r="1">` + cell + `</row></sheetData></worksheet>`
	}
	for what, c := range map[string]struct {
		part, text string
		want       string
	}{
		"no workbook":        {"_rels/.rels", `<Relationships/>`, "not an XLSX file"},
		"a workbook outside": {"_rels/.rels", `<Relationships><Relationship Type="x/officeDocument" Target="../../etc/passwd"/></Relationships>`, "not an XLSX file"},
		"no sheets":          {"xl/workbook.xml", `<workbook><sheets/></workbook>`, "nothing in the file"},
		"a sheet that ends":  {"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row><c><v>1`, "not an XLSX file"},
		"texts that end":     {"xl/sharedStrings.xml", `<sst><si><t>name`, "not an XLSX file"},
		"an entity":          {"xl/worksheets/sheet1.xml", `<!DOCTYPE a [<!ENTITY b "c">]>` + row(`<c t="str"><v>&b;</v></c>`), "not an XLSX file"},
		"too many texts":     {"xl/sharedStrings.xml", `<sst>` + strings.Repeat(`<si/>`, maxTexts+1) + `</sst>`, "texts"},
		"a wide row":         {"xl/worksheets/sheet1.xml", row(`<c r="IW1"><v>1</v></c>`), "more than 256 columns"},
		"a very wide row":    {"xl/worksheets/sheet1.xml", row(`<c r="ZZZZZZZZZZZZZZZZ1"><v>1</v></c>`), "more than 256 columns"},
		"a long cell":        {"xl/worksheets/sheet1.xml", row(`<c t="str"><v>` + strings.Repeat("x", maxCell+1) + `</v></c>`), "more than 1024 characters"},
		"a row far down":     {"xl/worksheets/sheet1.xml", `<worksheet><sheetData><row r="40001"><c><v>1</v></c></row></sheetData></worksheet>`, "more than 40000 lines"},
		"rows in one place":  {"xl/worksheets/sheet1.xml", `<worksheet><sheetData>` + strings.Repeat(`<row r="1"><c><v>1</v></c></row>`, 2*MaxRows+1) + `</sheetData></worksheet>`, "more than 40000 lines"},
	} {
		if table, err := Read(made(t, map[string]string{c.part: c.text})); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", what, table, err, c.want)
		}
	}
}

// However often a workbook names a part, it is unpacked once.
func TestASheetIsReadOnce(t *testing.T) {
	b, err := openBook(made(t, map[string]string{"xl/workbook.xml": `<workbook><sheets>` + strings.Repeat(`<sheet name="one" id="b"/>`, 1000) + `</sheets></workbook>`}))
	if err != nil || len(b.tabs) != 1 {
		t.Errorf("%d sheets, %v; want 1", len(b.tabs), err)
	}
}

// FuzzSheet: whatever XML the cells and the texts of a workbook are, the reader ends with rows within
// its bounds or with an error.
func FuzzSheet(f *testing.F) {
	f.Add(`<worksheet><sheetData><row r="2"><c r="B2" t="s"><v>0</v></c><c t="inlineStr"><is><r><t>a</t></r></is></c></row></sheetData></worksheet>`, `<sst><si><t>_x0041_</t></si></sst>`)
	f.Add(`<row><c r="ZZ9" t="str"><f>1</f><v>_xD83D_</v></c>`, `<si><rPh><t>a</t></rPh></si>`)
	f.Fuzz(func(t *testing.T, cells, texts string) {
		b, err := openBook(made(t, map[string]string{"xl/worksheets/sheet1.xml": cells, "xl/sharedStrings.xml": texts}))
		if err != nil {
			return
		}
		rows, lines, err := b.rows(b.tabs[0].part)
		if err != nil {
			return
		}
		if len(rows) != len(lines) || len(rows) > 2*MaxRows {
			t.Errorf("%d rows, %d lines", len(rows), len(lines))
		}
		for _, row := range rows {
			if len(row) == 0 || len(row) > maxColumns {
				t.Errorf("the row %q", row)
			}
		}
	})
}
