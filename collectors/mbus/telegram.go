package mbus

import (
	"errors"
	"fmt"
	"slices"
)

// The CI bytes of answers. Bit 2 would say that values have their high byte first.
const (
	ciError        = 0x70
	ciAlarm        = 0x71
	ciLong         = 0x72 // variable data behind the long header
	ciFixed        = 0x73
	ciLongHigh     = 0x76
	ciFixedHigh    = 0x77
	ciPlain        = 0x78 // variable data without a header
	ciShortHeader  = 0x7A // variable data behind access number, status and signature
	ciSelect       = 0x52
	ciSetBaud      = 0xB8 // and the seven after it
	ciSendData     = 0x51
	ciReset        = 0x50
	longHeaderLen  = 12
	shortHeaderLen = 4
)

// Header is what a meter says of itself before its records.
type Header struct {
	Identity
	Named     bool // the telegram has an identity
	Access    byte // grows with every answer
	Status    byte
	Signature uint16
	Fixed     bool // fixed data, which tells neither maker nor version
}

// Telegram is the application's part of one answer.
type Telegram struct {
	Header  Header
	Records []Record
	More    bool // the meter has further telegrams, and wants to be asked again
}

// refusedError is an answer in which the meter says that it cannot answer.
type refusedError struct{ code int }

func (e *refusedError) Error() string {
	meanings := []string{
		"no reason given", "it does not know this kind of request", "its buffer is too small", "too many records",
		"the record ends too early", "more than ten DIFE", "more than ten VIFE", "a reason that the standard reserves",
		"it is busy, ask again later", "it was read out too often",
	}
	if e.code < 0 {
		return "the meter refused and gives no reason"
	}
	meaning := "a reason that the standard does not know"
	if e.code < len(meanings) {
		meaning = meanings[e.code]
	}
	return fmt.Sprintf("the meter refused: %s (application error %d)", meaning, e.code)
}

var errBreaksOff = errors.New("the telegram breaks off")

// DecodeTelegram takes the application's part of a long frame of an answer. A telegram that is not
// understood to its end is refused: where one record's length is wrong, the others are noise that
// looks like values.
func DecodeTelegram(info byte, data []byte) (Telegram, error) {
	switch info {
	case ciError:
		if len(data) == 0 {
			return Telegram{}, &refusedError{-1}
		}
		return Telegram{}, &refusedError{int(data[0])}
	case ciAlarm:
		return Telegram{}, fmt.Errorf("the meter answered with an alarm instead of data: % X", data)
	case ciLong, ciLongHigh:
		return decodeLongTelegram(data, info == ciLongHigh)
	case ciFixed, ciFixedHigh:
		return decodeFixed(data, info == ciFixedHigh)
	case ciPlain:
		return decodeRecords(Telegram{}, data, false)
	case ciShortHeader:
		if len(data) < shortHeaderLen {
			return Telegram{}, fmt.Errorf("%w in its header", errBreaksOff)
		}
		t := Telegram{Header: Header{Access: data[0], Status: data[1], Signature: uint16(data[2]) | uint16(data[3])<<8}}
		return decodeRecords(t, data[shortHeaderLen:], false)
	}
	return Telegram{}, fmt.Errorf("the meter answered with data of a kind that is not read here (CI %02X)", info)
}

func decodeLongTelegram(data []byte, highFirst bool) (Telegram, error) {
	if len(data) < longHeaderLen {
		return Telegram{}, fmt.Errorf("%w in its header", errBreaksOff)
	}
	head := slices.Clone(data[:longHeaderLen])
	if highFirst {
		slices.Reverse(head[0:4])
		slices.Reverse(head[4:6])
		slices.Reverse(head[10:12])
	}
	t := Telegram{Header: Header{
		Identity: identityFrom(head), Named: true,
		Access: head[8], Status: head[9], Signature: uint16(head[10]) | uint16(head[11])<<8,
	}}
	return decodeRecords(t, data[longHeaderLen:], highFirst)
}

func decodeRecords(t Telegram, data []byte, highFirst bool) (Telegram, error) {
	if mode := encryption(t.Header.Signature, data); mode != 0 {
		return Telegram{}, fmt.Errorf("the meter encrypts its data (mode %d), which only its key would open", mode)
	}
	for used := 0; used < len(data); {
		if data[used] == difFiller {
			used++
			continue
		}
		record, n, err := decodeRecord(data[used:], highFirst)
		if err != nil {
			return Telegram{}, fmt.Errorf("record %d: %w", len(t.Records), err)
		}
		record.Index = len(t.Records)
		t.More = t.More || record.dif == difMore
		t.Records = append(t.Records, record)
		used += n
	}
	return t, nil
}

// encryption gives the mode of EN 13757-7 that the data is encrypted with; 0: it is not. Meters from
// before that standard have anything in the signature, so the number of encrypted blocks must fit
// too, and decrypted data begins with two fillers.
func encryption(signature uint16, data []byte) int {
	mode, blocks := int(signature>>8&0x1F), int(signature>>4&0xF)
	switch {
	case mode != 5 && mode != 7, blocks == 0, blocks*16 > len(data):
		return 0
	case data[0] == difFiller && data[1] == difFiller:
		return 0
	}
	return mode
}

// status puts the status byte into words; empty: nothing is wrong.
func status(b byte) []string {
	var words []string
	switch b & 3 {
	case 1:
		words = append(words, "busy")
	case 2:
		words = append(words, "application error")
	case 3:
		words = append(words, "abnormal condition")
	}
	for bit, meaning := range map[byte]string{0x04: "battery low", 0x08: "permanent error", 0x10: "temporary error"} {
		if b&bit != 0 {
			words = append(words, meaning)
		}
	}
	slices.Sort(words)
	return words
}

// mediumName is what a meter with that medium byte measures.
func mediumName(medium byte) string {
	names := map[byte]string{
		0x00: "other", 0x01: "oil", 0x02: "electricity", 0x03: "gas", 0x04: "heat (outlet)", 0x05: "steam", 0x06: "warm water",
		0x07: "water", 0x08: "heat cost allocator", 0x09: "compressed air", 0x0A: "cooling (outlet)", 0x0B: "cooling (inlet)",
		0x0C: "heat (inlet)", 0x0D: "heat and cooling", 0x0E: "bus or system", 0x0F: "unknown", 0x10: "irrigation water",
		0x11: "water logger", 0x12: "gas logger", 0x13: "gas converter", 0x14: "calorific value", 0x15: "hot water", 0x16: "cold water",
		0x17: "dual water", 0x18: "pressure", 0x19: "A/D converter", 0x1A: "smoke detector", 0x1B: "room sensor", 0x1C: "gas detector",
		0x20: "breaker", 0x21: "valve", 0x25: "customer unit", 0x28: "waste water", 0x29: "garbage", 0x30: "service unit",
		0x36: "radio converter (system)", 0x37: "radio converter (meter)",
	}
	if name, ok := names[medium]; ok {
		return name
	}
	return fmt.Sprintf("medium %02X", medium)
}
