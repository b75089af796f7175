package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxNameBytes bounds a name, several of which stand in every topic.
const maxNameBytes = 128

// checkName tells why name cannot name a gateway, a device or an uplink: such names become levels
// of topics and keys of the log.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty")
	case len(name) > maxNameBytes:
		return fmt.Errorf("the name has %d bytes; at most %d", len(name), maxNameBytes)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("%q begins or ends with a blank", name)
	}
	for _, r := range name {
		if strings.ContainsRune("/+#", r) {
			return fmt.Errorf("%q has a %q, which means something else in a topic; use letters, digits, - and _", clip(name), r)
		}
		if !visible(r) {
			return fmt.Errorf("%q has the character %U, which cannot be seen", clip(name), r)
		}
	}
	return nil
}

// visible says whether a character leaves ink or a blank.
func visible(r rune) bool { return unicode.IsGraphic(r) && r != '\uFFFD' }

// checkListen tells why s is no address to listen on.
func checkListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16) // port 0: any that is free
	}
	if err != nil || strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q is not an address to listen on; write host:port, for example 127.0.0.1:1883 or 0.0.0.0:1883", clip(s))
	}
	return nil
}

// checkOrigin tells why s is not what a browser calls the place that a page comes from.
func checkOrigin(s string) error {
	if s == "*" {
		return nil
	}
	page, err := url.Parse(s)
	if err != nil || page.Scheme == "" || page.Host == "" || page.Scheme+"://"+page.Host != s {
		return fmt.Errorf("%q is not where a page comes from; write for example https://panel.example:8443, without a path, or *", clip(s))
	}
	return nil
}

// checkFilter tells why s is no topic filter: '#' stands alone and last, '+' fills a whole level
// [MQTT-4.7.1-1, MQTT-4.7.1-2].
func checkFilter(s string) error {
	if s == "" {
		return fmt.Errorf("the filter is empty; # takes everything")
	}
	levels := strings.Split(s, "/")
	for i, level := range levels {
		if level == "#" && i < len(levels)-1 {
			return fmt.Errorf("%q has a # that is not its last level", clip(s))
		}
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return fmt.Errorf("%q has a wildcard that does not fill a whole level; write for example readings/+/press or readings/#", clip(s))
		}
	}
	return nil
}

// checkTemplate tells why s cannot be filled in to a topic.
func checkTemplate(s string) error {
	if s == "" {
		return fmt.Errorf("the topic is empty; write for example plants/{topic}")
	}
	if strings.ContainsAny(s, "+#") {
		return fmt.Errorf("%q has a wildcard; a message goes to one topic, for example plants/{topic}", clip(s))
	}
	return nil
}

// checkPlaceholders tells which {word} of s nobody fills in.
func checkPlaceholders(s string, known ...string) error {
	for rest := s; ; {
		_, after, open := strings.Cut(rest, "{")
		if !open {
			return nil
		}
		word, behind, closed := strings.Cut(after, "}")
		if !closed {
			return fmt.Errorf("%q has a { without its }", clip(s))
		}
		if !slices.Contains(known, word) {
			return fmt.Errorf("nobody fills in {%s}; here stands {%s}", clip(word), strings.Join(known, "}, {"))
		}
		rest = behind
	}
}

// nearest gives the known word that was most likely meant, or "".
func nearest(word string, known []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n < least {
			best, least = k, n
		}
	}
	return best
}

// distance counts the letters to insert, drop, replace or swap with a neighbour.
func distance(a, b string) int {
	x, y := []rune(clip(a)), []rune(clip(b))
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

// meant is the part of a message about an unknown word that says what was probably meant.
func meant(word string, known []string) string {
	if guess := nearest(word, known); guess != "" {
		return fmt.Sprintf("; did you mean %q", guess)
	}
	return ""
}

// checkHours tells why text is no span of the day.
func checkHours(text string) error {
	from, to, found := strings.Cut(text, "-")
	_, err := time.Parse("15:04", strings.TrimSpace(from))
	_, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !found || err != nil || err2 != nil {
		return fmt.Errorf("%q is no span of the day; write 22:00-06:00", clip(text))
	}
	return nil
}
