package capture

import (
	"bytes"
	"encoding/binary"
)

// The tags of Wireshark's exported PDUs (wsutil/exported_pdu_tlvs.h) that are used. They are big
// endian, whatever the file is.
const (
	tagDissector  = 12
	tagTable      = 14
	tagIPv4Source = 20
	tagIPv4Target = 21
	tagPortType   = 24
	tagSourcePort = 25
	tagTargetPort = 26
	tagTableValue = 32
	tagColumn     = 33 // what the protocol column says
	tagDirection  = 35

	portTypeTCP = 2
	directionTo = 0 // sent
	directionIn = 1 // received
)

// dissectors are Wireshark's names for those who understand a protocol. Text is shown as text; for
// the rest Wireshark has none and shows bytes.
var dissectors = map[string]string{
	"modbus-tcp":   "mbtcp",
	"modbus-rtu":   "mbrtu",
	"modbus-ascii": "data-text-lines",
	"iec62056":     "data-text-lines",
	"hj212":        "data-text-lines",
}

// columns are what Wireshark shows as the protocol where a general dissector shows the bytes.
var columns = map[string]string{
	"modbus-ascii": "Modbus ASCII",
	"iec62056":     "IEC 62056-21",
	"hj212":        "HJ 212",
	"dlt645":       "DL/T 645",
	"cjt188":       "CJ/T 188",
	"mbus":         "M-Bus",
	"sml":          "SML",
	"custom":       "custom",
}

// SMLPort stands for SML. Wireshark's dissector for it has no name by which a frame could ask for it, but
// it can be chosen for this TCP port: tshark -d tcp.port==49153,sml, or Decode As in Wireshark.
const SMLPort = 49153

const (
	modbusPort = 502
	ourPort    = 49152 // any that is nobody's
)

// tags describe a frame for Wireshark. What was damaged is shown as bytes: a dissector would find
// fields in it.
func tags(f *Frame) []byte {
	name := dissectors[f.Protocol]
	if name == "" || f.Verdict != "" && !f.Outbound && !intact(f) {
		name = "data"
	}
	var b []byte
	add := func(tag uint16, value []byte) {
		padded := (len(value) + 3) &^ 3
		b = binary.BigEndian.AppendUint16(b, tag)
		b = binary.BigEndian.AppendUint16(b, uint16(padded)) // #nosec G115 -- names are short
		b = append(b, value...)
		b = append(b, make([]byte, padded-len(value))...)
	}
	number := func(tag uint16, n uint32) { add(tag, binary.BigEndian.AppendUint32(nil, n)) }
	if f.Protocol == "sml" {
		add(tagTable, []byte("tcp.port"))
		number(tagTableValue, SMLPort)
	} else {
		add(tagDissector, []byte(name))
	}
	if column := columns[f.Protocol]; column != "" {
		add(tagColumn, []byte(column))
	}
	source, target := uint32(ourPort), uint32(modbusPort)
	direction := uint32(directionTo)
	gateway, device := []byte{192, 0, 2, 1}, []byte{192, 0, 2, 2} // documentation addresses, RFC 5737
	if !f.Outbound {
		source, target, direction = target, source, directionIn
		gateway, device = device, gateway
	}
	if name == "mbtcp" { // which tells requests from answers by their ports
		add(tagIPv4Source, gateway)
		add(tagIPv4Target, device)
		number(tagPortType, portTypeTCP)
		number(tagSourcePort, source)
		number(tagTargetPort, target)
	}
	number(tagDirection, direction)
	return append(b, 0, 0, 0, 0) // the end
}

// intact says whether a frame that was not the expected answer is one nevertheless, such as a late
// one: only the checksum of Modbus RTU tells that here.
func intact(f *Frame) bool {
	switch f.Protocol {
	case "modbus-rtu":
		n := len(f.Bytes)
		return n >= 4 && bytes.Equal(f.Bytes[n-2:], checksum(f.Bytes[:n-2]))
	case "modbus-tcp":
		return len(f.Bytes) >= 8 && int(binary.BigEndian.Uint16(f.Bytes[4:])) == len(f.Bytes)-6
	}
	return dissectors[f.Protocol] == "data-text-lines"
}

// checksum is that of Modbus RTU, low byte first.
func checksum(b []byte) []byte {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			dropped := crc & 1
			crc >>= 1
			if dropped == 1 {
				crc ^= 0xA001
			}
		}
	}
	return binary.LittleEndian.AppendUint16(nil, crc)
}
