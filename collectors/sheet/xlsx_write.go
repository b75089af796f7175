package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
)

// WriteXLSX writes rows as a workbook with one sheet, under the headings that Read knows.
func WriteXLSX(w io.Writer, rows []Row) error {
	return writeBook(w, "points", cells(rows), numeric())
}

// numeric says which columns hold numbers, so that a spreadsheet can calculate with them.
func numeric() map[string]bool {
	out := map[string]bool{}
	for _, c := range columns {
		out[c.heading] = c.number
	}
	return out
}

// writeBook writes a workbook with one sheet, whose name is a plain word.
func writeBook(w io.Writer, sheet string, rows [][]string, numbers map[string]bool) error {
	archive := zip.NewWriter(w)
	for _, p := range parts {
		part, err := archive.Create(p.name)
		if err == nil {
			text := p.text
			if p.name == "xl/workbook.xml" {
				text = fmt.Sprintf(text, sheet)
			}
			_, err = io.WriteString(part, xml.Header+text)
		}
		if err != nil {
			return fmt.Errorf("write XLSX: %w", err)
		}
	}
	part, err := archive.Create("xl/worksheets/sheet1.xml")
	if err == nil {
		err = writeSheet(part, rows, numbers)
	}
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	return nil
}

func writeSheet(w io.Writer, rows [][]string, numbers map[string]bool) error {
	if _, err := io.WriteString(w, xml.Header+`<worksheet xmlns="`+namespace+`"><sheetData>`); err != nil {
		return err
	}
	var b bytes.Buffer
	for i, row := range rows {
		b.Reset()
		fmt.Fprintf(&b, `<row r="%d">`, i+1)
		for j, cell := range row {
			if cell == "" {
				continue
			}
			reference := columnName(j+1) + strconv.Itoa(i+1)
			if n, err := number(cell); i > 0 && err == nil && numbers[rows[0][j]] {
				fmt.Fprintf(&b, `<c r="%s"><v>%s</v></c>`, reference, strconv.FormatFloat(n, 'G', -1, 64))
				continue
			}
			// As text, so that 000001 and 1!400001 stay what they are.
			fmt.Fprintf(&b, `<c r="%s" t="inlineStr"><is><t xml:space="preserve">`, reference)
			if err := xml.EscapeText(&b, []byte(escaped(cell))); err != nil {
				return err
			}
			b.WriteString(`</t></is></c>`)
		}
		b.WriteString(`</row>`)
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, `</sheetData></worksheet>`)
	return err
}

// columnName gives AB for 28.
func columnName(n int) string {
	name := ""
	for ; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return name
}
