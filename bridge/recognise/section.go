package recognise

import (
	"bytes"
	"encoding/json"
)

// Section is a part of the configuration whose keys keep their order, as a person would write them.
type Section []Entry

// Entry is one key of a section. Value is a string, a Section or a list of either.
type Entry struct {
	Key   string
	Value any
}

// MarshalJSON writes an object with the keys in their order.
func (s Section) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, e := range s {
		key, err := json.Marshal(e.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(e.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
