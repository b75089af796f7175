// Package recognise makes the section of an uplink from what people copy out of a cloud's console: an
// address, a connection string, a triple of keys, a command to type. It hides how each cloud writes
// these down. It is pure text: no network, no file.
package recognise

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest is how many bytes a text may have.
const Longest = 8 << 10

// ErrUnknown is the answer to a text in which nothing is recognised.
var ErrUnknown = errors.New("nothing is recognised in this text: paste an address such as mqtts://user:password@host:8883, a connection string, or the keys that the cloud's console shows")

// Text is a sentence in both languages.
type Text struct{ English, Chinese string }

// Secret is a value that belongs in a file of its own, and the key of the section that names the file.
type Secret struct {
	Path  []string
	Name  string // what to call the file
	Value string
}

// Uplink is what was recognised.
type Uplink struct {
	Kind    string  // the driver
	Section Section // ready for the configuration, but for what Needs and Secrets name
	Secrets []Secret
	Said    Text     // what the text was taken for
	Needs   []string // keys that the section still needs, with dots: tls.cert
}

// Name is what the section calls the uplink.
const Name = "cloud"

// Recognise says which cloud a text leads to; ErrUnknown.
func Recognise(text string) (Uplink, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if text == "" || len(text) > Longest || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return Uplink{}, ErrUnknown
	}
	for _, form := range []func(string) (Uplink, bool){command, keys, address, triple, nameServers, withToken} {
		if found, ok := form(text); ok {
			return found, nil
		}
	}
	return Uplink{}, ErrUnknown
}

func unprintable(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
}

// secret adds a value that goes into a file, or notes that it is missing.
func (u *Uplink) secret(value, called string, path ...string) {
	if value == "" {
		u.Needs = append(u.Needs, strings.Join(path, "."))
		return
	}
	u.Secrets = append(u.Secrets, Secret{Path: path, Name: Name + "-" + called, Value: value})
}

// set adds a key, unless its value is empty; a key that must be there is noted then.
func (u *Uplink) set(key, value string, must bool) {
	if value != "" {
		u.Section = append(u.Section, Entry{key, value})
	} else if must {
		u.Needs = append(u.Needs, key)
	}
}

func begin(kind, english, chinese string) Uplink {
	return Uplink{Kind: kind, Section: Section{{"name", Name}, {"driver", kind}}, Said: Text{english, chinese}, Needs: []string{}}
}
