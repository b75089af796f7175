package hj212sim

import (
	"fmt"
	"strconv"
	"strings"
)

// frame puts head and tail around a segment.
func frame(segment string) []byte {
	return []byte("##" + fmt.Sprintf("%04d", len(segment)) + segment + fmt.Sprintf("%04X", crc(segment)) + "\r\n")
}

// crc is the standard's algorithm as its appendix A prints it.
func crc(segment string) int {
	reg := 0xFFFF
	for i := range len(segment) {
		reg = reg>>8 ^ int(segment[i])
		for range 8 {
			check := reg & 1
			reg >>= 1
			if check == 1 {
				reg ^= 0xA001
			}
		}
	}
	return reg
}

// heard is what a line from the gateway says: the head's fields and those of the data area.
type heard map[string]string

// parse takes a line that the gateway sent; ok is false when it is damaged.
func parse(line string) (h heard, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	if len(line) < 10 || line[:2] != "##" {
		return nil, false
	}
	length, err := strconv.Atoi(line[2:6])
	if err != nil || len(line) != 6+length+4 {
		return nil, false
	}
	segment := line[6 : 6+length]
	if fmt.Sprintf("%04X", crc(segment)) != strings.ToUpper(line[6+length:]) {
		return nil, false
	}
	h = heard{}
	for _, field := range strings.FieldsFunc(segment, func(r rune) bool { return r == ';' || r == ',' || r == '&' }) {
		key, value, _ := strings.Cut(field, "=")
		if _, known := h[key]; !known { // the data area of 2005 repeats QN and CN of what is meant
			h[key] = value
		}
	}
	return h, true
}
