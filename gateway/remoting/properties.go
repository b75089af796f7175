package remoting

import (
	"fmt"
	"strings"
)

// What stands behind a property's name and behind its value.
const (
	endOfName  = "\x01"
	endOfValue = "\x02"
)

// Property is one of a message's properties.
type Property struct{ Name, Value string }

// ParseProperties takes a message's properties apart, in their order. The end of the last value may be missing,
// as newer Java clients leave it out; one without a name is refused.
func ParseProperties(text string) ([]Property, error) {
	if len(text) > MaxProperties {
		return nil, fmt.Errorf("properties of %d bytes: %w of %d", len(text), ErrTooLarge, MaxProperties)
	}
	if text == "" {
		return nil, nil
	}
	properties := make([]Property, 0, strings.Count(text, endOfName))
	for text != "" {
		var entry string
		entry, text, _ = strings.Cut(text, endOfValue)
		if entry == "" {
			continue // somebody has put two ends between two properties
		}
		name, value, ok := strings.Cut(entry, endOfName)
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: property %d has no name", ErrFrame, len(properties))
		}
		properties = append(properties, Property{name, value})
	}
	return properties, nil
}

// AppendProperties appends properties in the form of the wire, with an end behind the last value too: old clients lose
// the last one without it. The error wraps ErrTooLarge when they have more bytes than MaxProperties.
func AppendProperties(b []byte, properties []Property) ([]byte, error) {
	start := len(b)
	for _, p := range properties {
		if p.Name == "" || has(p.Name, endOfName) || has(p.Name, endOfValue) || has(p.Value, endOfValue) {
			return b[:start], fmt.Errorf("property %q: name or value cannot be written", p.Name)
		}
		b = append(b, p.Name...)
		b = append(b, endOfName...)
		b = append(b, p.Value...)
		b = append(b, endOfValue...)
	}
	if size := len(b) - start; size > MaxProperties {
		return b[:start], fmt.Errorf("properties of %d bytes: %w of %d", size, ErrTooLarge, MaxProperties)
	}
	return b, nil
}

// has is strings.Contains of one byte, without what that does to look for more.
func has(text, end string) bool { return strings.IndexByte(text, end[0]) >= 0 }
