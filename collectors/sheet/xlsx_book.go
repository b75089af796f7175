package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// maxTexts is how many different texts the cells of an XLSX file may have.
const maxTexts = 1 << 19

// book is an XLSX file [ECMA-376]: a zip of XML parts, of which one names the next by a relation. Only
// cells are looked at: what a number looks like, colours and pictures are not.
type book struct {
	parts map[string]*zip.File // by path, in small letters
	tabs  []tab
	texts []string // what cells refer to by number
}

// tab is a sheet of cells, in the order in which a spreadsheet shows them.
type tab struct{ name, part string }

func openBook(data []byte) (*book, error) {
	archive, err := weigh(data)
	if err != nil {
		return nil, err
	}
	b := &book{parts: map[string]*zip.File{}}
	for _, part := range archive.File {
		name := strings.ToLower(strings.ReplaceAll(part.Name, `\`, "/")) // some programs write Windows' paths
		if _, twice := b.parts[name]; !twice {
			b.parts[name] = part
		}
	}
	root, err := b.relations("")
	if err != nil {
		return nil, err
	}
	for _, r := range root {
		if r.kind == "officeDocument" {
			return b, b.readWorkbook(r.part)
		}
	}
	return nil, errNotXLSX
}

// weigh looks at the parts before anything is unpacked: a small file can unpack to a very large one.
// That a part says less than it has, the zip reader finds out itself.
func weigh(data []byte) (*zip.Reader, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, errNotXLSX
	}
	if len(r.File) > maxParts {
		return nil, fmt.Errorf("%w: it has %d parts", errNotXLSX, len(r.File))
	}
	var total uint64
	for _, part := range r.File {
		if total += part.UncompressedSize64; total > maxUnpacked || part.UncompressedSize64 > maxUnpacked {
			return nil, fmt.Errorf("the file unpacks to more than %d MiB", maxUnpacked>>20)
		}
	}
	return r, nil
}

func (b *book) readWorkbook(part string) error {
	relations, err := b.relations(part)
	if err != nil {
		return err
	}
	sheets := map[string]string{} // the part of a sheet by the relation's id
	for _, r := range relations {
		switch r.kind {
		case "worksheet": // charts and dialogues have no cells
			sheets[r.id] = r.part
		case "sharedStrings":
			if err := b.readTexts(r.part); err != nil {
				return err
			}
		}
	}
	return b.each(part, func(_ *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local != "sheet" {
			return nil
		}
		id := attribute(e, "id")
		if part, ok := sheets[id]; ok {
			b.tabs = append(b.tabs, tab{attribute(e, "name"), part})
			delete(sheets, id) // a part is read once, however often a damaged file names it
		}
		return nil
	})
}

// relation says that a part belongs to another, and as what.
type relation struct{ id, kind, part string }

// relations gives what belongs to a part, or to the file as a whole if of is empty.
func (b *book) relations(of string) ([]relation, error) {
	folder, name := path.Split(of)
	var out []relation
	err := b.each(folder+"_rels/"+name+".rels", func(_ *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local != "Relationship" {
			return nil
		}
		// Types are addresses, in strict files others than in Excel's own; the last word is the same.
		target := attribute(e, "Target")
		if !strings.HasPrefix(target, "/") {
			target = folder + target
		}
		if len(out) < maxParts {
			out = append(out, relation{attribute(e, "Id"), path.Base(attribute(e, "Type")), strings.TrimPrefix(path.Clean(target), "/")})
		}
		return nil
	})
	return out, err
}

func (b *book) readTexts(part string) error {
	return b.each(part, func(d *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		if len(b.texts) == maxTexts {
			return fmt.Errorf("%w: it has more than %d texts", errNotXLSX, maxTexts)
		}
		text, err := textOf(d)
		b.texts = append(b.texts, text)
		return err
	})
}

// each calls element with every element of a part whose beginning is not taken by a call before.
func (b *book) each(part string, element func(*xml.Decoder, xml.StartElement) error) error {
	file := b.parts[strings.ToLower(part)]
	if file == nil {
		return errNotXLSX
	}
	r, err := file.Open()
	if err != nil {
		return fmt.Errorf("%w: %v", errNotXLSX, err)
	}
	defer r.Close()
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %v", errNotXLSX, err)
		}
		if e, ok := token.(xml.StartElement); ok {
			if err := element(d, e); err != nil {
				return err
			}
		}
	}
}

// children calls child with each element in the one that d is in, until that ends. child takes all of
// its element.
func children(d *xml.Decoder, child func(xml.StartElement) error) error {
	for {
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %v", errNotXLSX, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if err := child(e); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip passes over the element that d is in.
func skip(d *xml.Decoder) error {
	if err := d.Skip(); err != nil {
		return fmt.Errorf("%w: %v", errNotXLSX, err)
	}
	return nil
}

// textOf gives the text in the element that d is in: one <t>, or one in each of several runs of
// characters that look different.
func textOf(d *xml.Decoder) (string, error) {
	var out strings.Builder
	err := addText(&out, d)
	return unescaped(out.String()), err
}

func addText(out *strings.Builder, d *xml.Decoder) error {
	return children(d, func(e xml.StartElement) error {
		switch e.Name.Local {
		case "t":
			t, err := characters(d)
			out.WriteString(t)
			return err
		case "r":
			return addText(out, d)
		}
		return skip(d) // how it is read aloud, <rPh>, is no part of it
	})
}

// characters gives what stands in the element that d is in, outside of further elements.
func characters(d *xml.Decoder) (string, error) {
	var out strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return "", fmt.Errorf("%w: %v", errNotXLSX, err)
		}
		switch e := token.(type) {
		case xml.CharData:
			out.Write(e)
		case xml.StartElement:
			if err := skip(d); err != nil {
				return "", err
			}
		case xml.EndElement:
			return out.String(), nil
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
