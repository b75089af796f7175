package sheet

import (
	"errors"
	"fmt"
)

var errNotXLSX = errors.New("this is not an XLSX file that can be read")

// readXLSX gives the sheet with the most headings that are known.
func readXLSX(data []byte) (*Table, error) {
	b, err := openBook(data)
	if err != nil {
		return nil, err
	}
	var best *Table
	most := -1
	var first error
	for _, tab := range b.tabs {
		found, err := b.table(tab)
		if err != nil {
			if err = fmt.Errorf("sheet %s: %w", tab.name, err); first == nil {
				first = err
			}
			continue
		}
		if known := len(Match(found.Header)); known > most {
			best, most = found, known
		}
	}
	switch {
	case best != nil:
		return best, nil
	case first != nil:
		return nil, first
	}
	return nil, errEmpty
}

func (b *book) table(tab tab) (*Table, error) {
	rows, lines, err := b.rows(tab.part)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errEmpty
	}
	t, err := table(rows, lines)
	if err != nil {
		return nil, err
	}
	t.Sheet = tab.name
	return t, nil
}
