package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"
)

var errNotXLSX = errors.New("this is not an XLSX file that can be read")

// readXLSX gives the sheet with the most headings that are known. The parts of the file are weighed
// before anything is unpacked: a small file can unpack to a very large one.
func readXLSX(data []byte) (t *Table, err error) {
	defer func() {
		// What a damaged file does to the reader must not end the gateway that was sent it.
		if recover() != nil {
			t, err = nil, errNotXLSX
		}
	}()
	if err := weigh(data); err != nil {
		return nil, err
	}
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		RawCellValue: true, UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxUnpacked, // equal: no temporary files
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errNotXLSX, err)
	}
	defer f.Close()
	most := -1
	var first error
	for _, name := range f.GetSheetList() {
		found, err := readSheet(f, name)
		if err != nil {
			first = firstOf(first, err)
			continue
		}
		if known := len(Match(found.Header)); known > most {
			t, most = found, known
		}
	}
	if t == nil {
		return nil, firstOf(first, errEmpty)
	}
	return t, nil
}

func firstOf(first, next error) error {
	if first != nil {
		return first
	}
	return next
}

func weigh(data []byte) error {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return errNotXLSX
	}
	if len(r.File) > maxParts {
		return fmt.Errorf("%w: it has %d parts", errNotXLSX, len(r.File))
	}
	var total uint64
	for _, part := range r.File {
		if total += part.UncompressedSize64; total > maxUnpacked || part.UncompressedSize64 > maxUnpacked {
			return fmt.Errorf("the file unpacks to more than %d MiB", maxUnpacked>>20)
		}
	}
	return nil
}

func readSheet(f *excelize.File, name string) (*Table, error) {
	cursor, err := f.Rows(name)
	if err != nil {
		return nil, fmt.Errorf("sheet %s: %w", name, err)
	}
	defer cursor.Close()
	var rows [][]string
	var lines []int
	for line := 1; cursor.Next(); line++ {
		if line > 2*MaxRows {
			return nil, fmt.Errorf("sheet %s: more than %d lines", name, 2*MaxRows)
		}
		row, err := cursor.Columns()
		if err != nil {
			return nil, fmt.Errorf("sheet %s: %w", name, err)
		}
		if len(row) == 0 {
			continue
		}
		if row, err = bounded(row, line); err != nil {
			return nil, fmt.Errorf("sheet %s: %w", name, err)
		}
		rows, lines = append(rows, row), append(lines, line)
	}
	if err := cursor.Error(); err != nil {
		return nil, fmt.Errorf("sheet %s: %w", name, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("sheet %s: %w", name, errEmpty)
	}
	t, err := table(rows, lines)
	if err != nil {
		return nil, fmt.Errorf("sheet %s: %w", name, err)
	}
	t.Sheet = name
	return t, nil
}

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

func writeBook(w io.Writer, sheet string, rows [][]string, numbers map[string]bool) error {
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName("Sheet1", sheet); err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	out, err := f.NewStreamWriter(sheet)
	if err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	for i, row := range rows {
		line := make([]any, len(row))
		for j, cell := range row {
			line[j] = cell // as text, so that 000001 and 1!400001 stay what they are
			if n, err := number(cell); i > 0 && err == nil && cell != "" && numbers[rows[0][j]] {
				line[j] = n
			}
		}
		if err := out.SetRow(fmt.Sprintf("A%d", i+1), line); err != nil {
			return fmt.Errorf("write XLSX: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	if err := f.Write(w); err != nil {
		return fmt.Errorf("write XLSX: %w", err)
	}
	return nil
}
