package sheet

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// readCSV takes commas, semicolons and tabs, and the character sets that spreadsheets write: UTF-8,
// UTF-16 ("Unicode text") and GB 18030, which Chinese Windows writes without saying so.
func readCSV(data []byte) (*Table, error) {
	text, err := decodeText(data)
	if err != nil {
		return nil, err
	}
	r := records(text, delimiter(text))
	var rows [][]string
	var lines []int
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("this is not CSV: %w", err)
		}
		line, _ := r.FieldPos(0)
		for i, cell := range row {
			row[i] = plainCell(cell)
		}
		if row, err = bounded(row, line); err != nil {
			return nil, err
		}
		if len(rows) > MaxRows+20 {
			return nil, fmt.Errorf("line %d: more than %d points", line, MaxRows)
		}
		rows, lines = append(rows, row), append(lines, line)
	}
	if len(rows) == 0 {
		return nil, errEmpty
	}
	return table(rows, lines)
}

// bounded trims the cells of a row and refuses what no table of points has.
func bounded(row []string, line int) ([]string, error) {
	if len(row) > maxColumns {
		return nil, fmt.Errorf("line %d: more than %d columns", line, maxColumns)
	}
	for i, cell := range row {
		row[i] = strings.TrimSpace(cell)
		if utf8.RuneCountInString(row[i]) > maxCell {
			return nil, fmt.Errorf("line %d: a cell with more than %d characters", line, maxCell)
		}
	}
	return row, nil
}

func decodeText(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xFF\xFE")):
		return decodeUTF16(data[2:], binary.LittleEndian), nil
	case bytes.HasPrefix(data, []byte("\xFE\xFF")):
		return decodeUTF16(data[2:], binary.BigEndian), nil
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return "", errors.New("this is neither CSV nor XLSX: it has bytes that no text has")
	}
	if utf8.Valid(data) {
		return string(data), nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return "", errors.New("the text is neither UTF-8 nor GB 18030; save the file as CSV UTF-8")
	}
	return string(text), nil
}

func decodeUTF16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

func records(text string, comma rune) *csv.Reader {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = comma
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.TrimLeadingSpace = comma != '\t' // or it would trim empty cells away
	return r
}

// delimiter is the one with which headings are found first, and most of them.
func delimiter(text string) rune {
	best, first, most := ',', headingRows, 0
	for _, comma := range []rune{',', ';', '\t'} {
		r := records(text, comma)
		for i := range headingRows {
			row, err := r.Read()
			if err != nil || i > first {
				break
			}
			if known := len(Match(row)); headings(row) && (i < first || known > most) {
				best, first, most = comma, i, known
				break
			}
		}
	}
	return best
}

// WriteCSV writes rows under the headings that Read knows, as UTF-8 with the mark that Excel needs.
func WriteCSV(w io.Writer, rows []Row) error {
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	out := csv.NewWriter(w)
	for _, row := range cells(rows) {
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

// harmless keeps a spreadsheet from taking a text for a formula. Reading takes the mark off again.
func harmless(cell string) string {
	if _, err := number(cell); formula(cell) && (err != nil || cell[0] == '\'') {
		return "'" + cell
	}
	return cell
}

// formula says whether a spreadsheet might calculate what a cell says, marks in front left aside.
func formula(cell string) bool {
	cell = strings.TrimLeft(cell, "'")
	return cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0]))
}

func plainCell(cell string) string {
	cell = strings.TrimSpace(cell)
	if rest, marked := strings.CutPrefix(cell, "'"); marked && formula(rest) {
		return rest
	}
	return cell
}
