package remoting

import (
	"strconv"
)

// maxFields bounds the entries of one header; stock requests have about twenty.
const maxFields = 1024

// fieldSpan is one entry of extFields before the header has become a string.
type fieldSpan struct{ name, value span }

// parseJSON reads the header in t. All strings of the command are pieces of one copy of it, which is
// made when everything has been unescaped.
func (c *Command) parseJSON(t *scratch) error {
	s := scanner{b: t.header}
	t.fields = t.fields[:0]
	var remark span
	if s.peek() != '{' {
		return s.wrong("no '{'")
	}
	err := s.members('}', func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		switch string(s.b[name.from:name.to]) {
		case "code":
			c.Code, err = s.integer()
		case "version":
			c.Version, err = s.integer()
		case "flag":
			c.Flag, err = s.integer()
		case "opaque":
			var n int
			n, err = s.integer()
			c.Opaque = int32(n)
		case "language":
			var v span
			if v, _, err = s.scalar(); err == nil {
				c.Language = languageNamed(s.b[v.from:v.to])
			}
		case "remark":
			var v span
			var null bool
			if v, null, err = s.scalar(); !null {
				remark = v
			}
		case "extFields":
			err = s.fields(t)
		default:
			err = s.skip(1)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	text := string(s.b)
	c.Remark = text[remark.from:remark.to]
	if cap(c.Ext) < len(t.fields) {
		c.Ext = make(Fields, 0, len(t.fields))
	}
	for _, f := range t.fields {
		c.Ext = append(c.Ext, Field{text[f.name.from:f.name.to], text[f.value.from:f.value.to]})
	}
	return nil
}

// fields reads extFields, an object of strings or null. An entry that is null is as good as missing.
func (s *scanner) fields(t *scratch) error {
	t.fields = t.fields[:0]
	if s.peek() != '{' {
		if v, err := s.word(); err != nil || string(s.b[v.from:v.to]) != "null" {
			return s.wrong("extFields are no object")
		}
		return nil
	}
	return s.members('}', func() error {
		for len(t.fields) < maxFields {
			f, ok := s.plainField()
			if !ok {
				break
			}
			t.fields = append(t.fields, f)
			if s.at == len(s.b) || s.b[s.at] != ',' {
				return nil
			}
			s.at++
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		value, null, err := s.scalar()
		if err != nil || null {
			return err
		}
		if len(t.fields) == maxFields {
			return s.wrong("too many extFields")
		}
		t.fields = append(t.fields, fieldSpan{name, value})
		return nil
	})
}

// plainField reads a field that holds no escape and no white space, as nearly all are: in one go, which
// saves a quarter of the time that a header takes. Otherwise it takes nothing.
func (s *scanner) plainField() (f fieldSpan, ok bool) {
	b := s.b
	if s.at >= len(b) || b[s.at] != '"' {
		return f, false
	}
	f.name = span{s.at + 1, s.run(s.at + 1)}
	if at := f.name.to; at+2 >= len(b) || b[at] != '"' || b[at+1] != ':' || b[at+2] != '"' {
		return f, false
	}
	from := f.name.to + 3
	f.value = span{from, s.run(from)}
	if f.value.to == len(b) || b[f.value.to] != '"' {
		return f, false
	}
	s.at = f.value.to + 1
	return f, true
}

// integer reads an int32, in quotes or not; null is 0.
func (s *scanner) integer() (int, error) {
	v, null, err := s.scalar()
	if err != nil || null {
		return 0, err
	}
	digits := s.b[v.from:v.to]
	negative := len(digits) > 0 && digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 10 {
		return 0, s.wrong("no int32")
	}
	var n int64
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, s.wrong("no int32")
		}
		n = n*10 + int64(d-'0')
	}
	if negative {
		n = -n
	}
	if n != int64(int32(n)) {
		return 0, s.wrong("no int32")
	}
	return int(n), nil
}

// appendJSON appends the header without white space, since the Go client takes some JSON apart by
// its commas, and with its names in the order in which Java writes them.
func (c *Command) appendJSON(b []byte) []byte {
	b = append(b, `{"code":`...)
	b = strconv.AppendInt(b, int64(c.Code), 10)
	if len(c.Ext) > 0 {
		b = append(b, `,"extFields":`...)
		sep := byte('{')
		for _, f := range c.Ext {
			b = append(b, sep)
			b = AppendQuoted(b, f.Name)
			b = append(b, ':')
			b = AppendQuoted(b, f.Value)
			sep = ','
		}
		b = append(b, '}')
	}
	b = append(b, `,"flag":`...)
	b = strconv.AppendInt(b, int64(c.Flag), 10)
	b = append(b, `,"language":"`...)
	b = append(b, c.Language.String()...)
	b = append(b, `","opaque":`...)
	b = strconv.AppendInt(b, int64(c.Opaque), 10)
	if c.Remark != "" {
		b = append(b, `,"remark":`...)
		b = AppendQuoted(b, c.Remark)
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(c.Version), 10)
	return append(b, '}')
}

// plain tells the bytes that stand for themselves in a string from those that end it or need an escape.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()

const hexLower = "0123456789abcdef"

// AppendQuoted appends text as a JSON string. Bytes that are not UTF-8 pass as they are.
func AppendQuoted(b []byte, text string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if plain[c] {
			continue
		}
		b = append(b, text[done:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hexLower[c>>4], hexLower[c&15])
		} else {
			b = append(b, '\\', c)
		}
		done = i + 1
	}
	b = append(b, text[done:]...)
	return append(b, '"')
}
