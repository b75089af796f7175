package syslog

import (
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/gateway/journal"
)

// Facilities are the names and numbers that RFC 5424 gives them, of those that suit a service.
var facilities = map[string]int{
	"user": 1, "daemon": 3, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

// severity is the number that RFC 5424 has for a level.
func severity(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}

// from says who sends.
type from struct {
	facility      int
	host, version string
	process       int
}

// appendMessage appends an entry as one message of RFC 5424, cut to most bytes. Its number is in the
// structured data, so that a receiver can tell what is missing; details stand behind the text.
func (f *from) appendMessage(b []byte, e *journal.Entry, most int) []byte {
	start := len(b)
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(f.facility*8+severity(e.Level)), 10)
	b = append(b, ">1 "...)
	b = e.Time.AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	b = append(b, ' ')
	b = appendName(b, f.host, 255)
	b = append(b, " sluice "...)
	b = strconv.AppendInt(b, int64(f.process), 10)
	b = append(b, ' ')
	b = appendName(b, e.Part, 32)
	b = append(b, ` [meta sequenceId="`...)
	b = strconv.AppendUint(b, (e.Number-1)%(1<<31-1)+1, 10) // 1 to 2147483647 [RFC 5424 7.3.1]
	b = append(b, `"][origin software="sluice" swVersion="`...)
	b = appendParam(b, f.version)
	b = append(b, `"] `...)
	b = appendText(b, e.Text)
	for _, a := range e.Attrs {
		b = append(b, ' ')
		b = appendText(b, a.Key)
		b = append(b, '=')
		if quoted(a.Value) {
			b = strconv.AppendQuote(b, a.Value)
		} else {
			b = append(b, a.Value...)
		}
	}
	if len(b)-start > most {
		b = b[:start+most]
		for !utf8.Valid(b[start:]) && len(b) > start+most-utf8.UTFMax {
			b = b[:len(b)-1] // a character that was cut through
		}
	}
	return b
}

// appendName appends a field of the header: printable ASCII without spaces, or - for nothing.
func appendName(b []byte, name string, most int) []byte {
	if name == "" {
		return append(b, '-')
	}
	for i := range min(len(name), most) {
		c := name[i]
		if c <= ' ' || c > '~' {
			c = '_'
		}
		b = append(b, c)
	}
	return b
}

// appendParam appends a value of structured data [RFC 5424 6.3.3], in which nothing ends a line.
func appendParam(b []byte, value string) []byte {
	for _, r := range strings.ToValidUTF8(value, "\uFFFD") {
		if r < ' ' {
			r = ' '
		}
		if r == '"' || r == '\\' || r == ']' {
			b = append(b, '\\')
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// appendText appends a text on one line: receivers break lines and escape control characters each in
// their own way.
func appendText(b []byte, text string) []byte {
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			r = ' '
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// quoted tells whether a value would not be read back as it is.
func quoted(value string) bool {
	return value == "" || strings.ContainsFunc(value, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
	})
}

// appendFrame puts the number of bytes before a message [RFC 6587 3.4.1].
func appendFrame(b, message []byte) []byte {
	b = strconv.AppendInt(b, int64(len(message)), 10)
	b = append(b, ' ')
	return append(b, message...)
}

// lostEntry says in the log itself that some of it is missing.
func lostEntry(lost, before uint64) journal.Entry {
	return journal.Entry{
		Number: before, Time: time.Now(), Level: slog.LevelWarn, Part: "syslog",
		Text:  "records were lost because they could not be sent in time",
		Attrs: []journal.Attr{{Key: "records", Value: strconv.FormatUint(lost, 10)}},
	}
}
