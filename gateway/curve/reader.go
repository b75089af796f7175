package curve

import "bytes"

// reader walks over JSON without building anything. It accepts more than JSON is, and never reads beyond
// the text.
type reader struct {
	text []byte
	at   int
}

// space passes over white space and gives what comes next, 0 at the end.
func (r *reader) space() byte {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// object hands over the keys of an object, in quotes; member must read the value behind each. It is false
// when something is not as it should be.
func (r *reader) object(member func(key []byte) bool) bool {
	if r.space() != '{' {
		return false
	}
	r.at++
	if r.space() == '}' {
		r.at++
		return true
	}
	for {
		if r.space() != '"' {
			return false
		}
		key, ok := r.quoted()
		if !ok || r.space() != ':' {
			return false
		}
		r.at++
		if !member(key) {
			return false
		}
		switch r.space() {
		case ',':
			r.at++
		case '}':
			r.at++
			return true
		default:
			return false
		}
	}
}

// members hands over names and values of an object; of what is none it passes over the value.
func (r *reader) members(take func(name, value []byte)) bool {
	if r.space() != '{' {
		_, ok := r.value()
		return ok
	}
	return r.object(func(key []byte) bool {
		value, ok := r.value()
		if ok {
			take(key, value)
		}
		return ok
	})
}

// value gives the next value as it stands.
func (r *reader) value() ([]byte, bool) {
	switch r.space() {
	case '"':
		return r.quoted()
	case '{', '[':
		return r.nested()
	}
	start := r.at
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return r.text[start:r.at], r.at > start
		}
		r.at++
	}
	return nil, false
}

// quoted gives the text at the reader's place with its quotes.
func (r *reader) quoted() ([]byte, bool) {
	start := r.at
	for r.at++; r.at < len(r.text); {
		end := bytes.IndexByte(r.text[r.at:], '"')
		if end < 0 {
			return nil, false
		}
		escape := bytes.IndexByte(r.text[r.at:r.at+end], '\\')
		if escape < 0 {
			r.at += end + 1
			return r.text[start:r.at:r.at], true
		}
		r.at += escape + 2 // what is escaped may be a quote
	}
	return nil, false
}

// nested passes over an object or a list.
func (r *reader) nested() ([]byte, bool) {
	start, depth := r.at, 0
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case '"':
			if _, ok := r.quoted(); !ok {
				return nil, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				r.at++
				return r.text[start:r.at:r.at], true
			}
		}
		r.at++
	}
	return nil, false
}
