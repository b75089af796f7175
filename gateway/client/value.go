package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Address is where something is in the API: what to ask for, and which part of the answer is meant.
type Address struct {
	Path string   // below /api/v1, with its query
	In   []string // from the top of the answer
}

// Find gives the address of what somebody calls by a short name: devices/press/temperature, uplinks/cloud,
// log, or any path of the API. what names a part of the answer, with dots: devices.press.state.
func Find(name, what string) Address {
	path, query, _ := strings.Cut(strings.Trim(strings.TrimPrefix(name, "/api/v1/"), "/"), "?")
	at := Address{Path: path, In: SplitPath(what)}
	words := strings.Split(path, "/")
	switch {
	case path == "":
		at.Path = "status"
	case words[0] == "devices" && len(words) <= 3 && !slices.Contains([]string{"plan", "points", "file", "try", "write"}, strings.Join(words[1:], "/")):
		at.Path = "status"
		if len(words) == 3 { // a point
			words = []string{"devices", words[1], "points", words[2]}
		}
		at.In = append(words, at.In...)
	case words[0] == "uplinks" && len(words) <= 2, path == "log", path == "mqtt", path == "rocketmq":
		at.Path = "status"
		at.In = append(words, at.In...)
	case path == "config":
		at.In = append([]string{"document"}, at.In...)
	}
	if query != "" {
		at.Path += "?" + query
	}
	return at
}

// SplitPath takes a path with dots apart; a dot that belongs to a name has a backslash before it.
func SplitPath(path string) (words []string) {
	if path == "" {
		return nil
	}
	var word strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path):
			i++
			word.WriteByte(path[i])
		case path[i] == '.':
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(path[i])
		}
	}
	return append(words, word.String())
}

// Pick gives what stands at a path in JSON: members of objects by their keys, of lists by their number, or
// by the name of the object there.
func Pick(text []byte, path []string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // so that large numbers stay what they are
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the answer is not JSON: %w", err)
	}
	for i, word := range path {
		next, ok := member(value, word)
		if !ok {
			return nil, fmt.Errorf("there is no %s", strings.Join(path[:i+1], "."))
		}
		value = next
	}
	return value, nil
}

func member(value any, word string) (any, bool) {
	switch value := value.(type) {
	case map[string]any:
		found, ok := value[word]
		return found, ok
	case []any:
		for _, item := range value {
			if object, ok := item.(map[string]any); ok && object["name"] == word {
				return item, true
			}
		}
		if n, err := strconv.Atoi(word); err == nil && n >= 0 && n < len(value) {
			return value[n], true
		}
	}
	return nil, false
}

// Edit is a change of one place in the configuration.
type Edit struct {
	Path  []string `json:"path"`
	Value any      `json:"value,omitempty"` // absent: it is removed
}

// ParseEdit reads PATH=VALUE. The value is JSON if it can be read as such, else a text: 500ms, true, 42,
// ["a","b"], "42" as a text.
func ParseEdit(text string) (Edit, error) {
	path, value, ok := strings.Cut(text, "=")
	if !ok || path == "" {
		return Edit{}, fmt.Errorf("%q is not PATH=VALUE, such as devices.press.interval=500ms", text)
	}
	edit := Edit{Path: SplitPath(path), Value: value}
	decoder := json.NewDecoder(strings.NewReader(value))
	decoder.UseNumber()
	var read any
	if decoder.Decode(&read) == nil && !decoder.More() && read != nil {
		edit.Value = read
	}
	return edit, nil
}
