package store

import (
	"bytes"
	"encoding/binary"
	"strings"

	"sluice/gateway/message"
)

// Properties by whose values a message can be found again: RocketMQ's KEYS holds any number of keys
// with spaces between them, UNIQ_KEY one.
const (
	propertyKeys   = "KEYS"
	propertyUnique = "UNIQ_KEY"
)

const (
	fingerprintBytes = 5 // a run of a million keys has a false hit in a million look-ups
	fingerprintBits  = 8 * fingerprintBytes
	blockBits        = 64 - fingerprintBits
)

// eachKey visits the keys of a message until visit returns false.
func eachKey(properties []message.Property, visit func(key string) bool) {
	for i := range properties {
		switch p := &properties[i]; p.Name {
		case propertyUnique:
			if p.Value != "" && !visit(p.Value) {
				return
			}
		case propertyKeys:
			for rest := p.Value; rest != ""; {
				var key string
				key, rest, _ = strings.Cut(rest, " ")
				if key != "" && !visit(key) {
					return
				}
			}
		}
	}
}

// eachRawKey is eachKey for properties as a block has them.
func eachRawKey(properties []byte, visit func(key []byte)) {
	count, at := uvarintAt(properties, 0)
	for range count {
		name := textAt(properties, at)
		value := textAt(properties, name.to)
		at = value.to
		switch string(name.of(properties)) {
		case propertyUnique:
			if key := value.of(properties); len(key) > 0 {
				visit(key)
			}
		case propertyKeys:
			for rest := value.of(properties); len(rest) > 0; {
				var key []byte
				if key, rest, _ = bytes.Cut(rest, []byte(" ")); len(key) > 0 {
					visit(key)
				}
			}
		}
	}
}

// fingerprint is the hash under which the index keeps a key: FNV-1a, mixed so that the upper bits,
// of which only fingerprintBits are kept, depend on all of it. It is part of the format.
func fingerprint[text string | []byte](key text) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return (h ^ h>>33) >> blockBits
}

// fingerprintKey is the fingerprint as it stands in a page.
func fingerprintKey(b []byte, f uint64) []byte {
	var word [8]byte
	binary.BigEndian.PutUint64(word[:], f<<blockBits)
	return append(b, word[:fingerprintBytes]...)
}
