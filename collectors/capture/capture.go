// Package capture writes what was heard on a bus as a pcapng file that Wireshark and tshark open
// without any set-up: every frame names the dissector that understands it. It hides the file's blocks
// and how frames without a network are put into one.
package capture

import (
	"encoding/binary"
	"io"
	"strings"
	"time"

	"sluice/collectors/bus"
)

// The block and option codes of pcapng (draft-ietf-opsawg-pcapng) that are used.
const (
	sectionBlock   = 0x0A0D0D0A
	interfaceBlock = 1
	packetBlock    = 6 // enhanced

	byteOrder = 0x1A2B3C4D

	optionEnd         = 0
	optionComment     = 1
	optionApplication = 4 // of a section
	optionName        = 2 // of an interface
	optionResolution  = 9 // of an interface's moments
	optionFlags       = 2 // of a packet

	nanoseconds = 9 // the resolution: 10 to the minus 9

	flagInbound  = 1
	flagOutbound = 2
)

// upperPDU is the link type for what has no link layer: tags in front of a frame say what it is.
const upperPDU = 252 // LINKTYPE_WIRESHARK_UPPER_PDU

// maxFrame is the longest frame that is written whole; buses have no longer ones.
const maxFrame = 64 << 10

// Frame is one frame on a bus.
type Frame struct {
	At       time.Time
	Outbound bool // from the gateway
	Bytes    []byte
	Cut      int    // bytes at its end that were not kept
	Device   string // whom it is from or for, if that is known
	Protocol string // as bus.Request has it: modbus-rtu, dlt645, …
	Verdict  string // why it was not an answer; "" for a good one
	Summary  string // what it says in one line, if somebody knows
}

// Of takes a frame from a bus's monitor. summary is what it says in one line; it may be empty.
func Of(f *bus.Frame, summary string) Frame {
	return Frame{
		At: f.At, Outbound: f.Direction == bus.Out, Bytes: f.Bytes, Cut: f.Cut,
		Device: f.Device, Protocol: f.Protocol, Verdict: f.Verdict, Summary: summary,
	}
}

// Writer writes one file. It is used by one goroutine at a time.
type Writer struct {
	to    io.Writer
	block []byte
}

// NewWriter begins a file about one bus. software is what Wireshark shows as the capturing program.
func NewWriter(to io.Writer, bus, software string) (*Writer, error) {
	w := &Writer{to: to}
	w.begin(sectionBlock)
	w.uint32(byteOrder)
	w.uint16(1) // version 1.0
	w.uint16(0)
	w.uint32(0xFFFFFFFF) // the section's length is not known
	w.uint32(0xFFFFFFFF)
	w.option(optionApplication, software)
	w.endOptions()
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.begin(interfaceBlock)
	w.uint16(upperPDU)
	w.uint16(0)
	w.uint32(0) // no limit to what is captured of a frame
	w.option(optionName, bus)
	w.option(optionResolution, string([]byte{nanoseconds}))
	w.endOptions()
	return w, w.flush()
}

// Write adds a frame.
func (w *Writer) Write(f *Frame) error {
	whole := f.Bytes
	head := tags(f)
	captured := whole[:min(len(whole), maxFrame)]
	at := uint64(f.At.UnixNano()) // #nosec G115 -- before 1970 there were no gateways
	w.begin(packetBlock)
	w.uint32(0) // the only interface
	w.uint32(uint32(at >> 32))
	w.uint32(uint32(at))
	w.uint32(uint32(len(head) + len(captured)))
	w.uint32(uint32(len(head) + len(whole) + max(0, f.Cut)))
	w.block = append(append(w.block, head...), captured...)
	w.pad()
	for _, text := range comments(f) {
		w.option(optionComment, text)
	}
	direction := uint32(flagInbound)
	if f.Outbound {
		direction = flagOutbound
	}
	w.option(optionFlags, string(binary.LittleEndian.AppendUint32(nil, direction)))
	w.endOptions()
	return w.flush()
}

// comments are what people see beside a frame.
func comments(f *Frame) (texts []string) {
	for _, c := range []struct{ what, text string }{
		{"device: ", f.Device}, {"protocol: ", f.Protocol}, {"", f.Summary}, {"verdict: ", f.Verdict},
	} {
		if c.text != "" {
			texts = append(texts, c.what+strings.ToValidUTF8(c.text, "\uFFFD"))
		}
	}
	return texts
}

func (w *Writer) begin(kind uint32) {
	w.block = w.block[:0]
	w.uint32(kind)
	w.uint32(0) // its length comes with flush
}

func (w *Writer) uint16(n uint16) { w.block = binary.LittleEndian.AppendUint16(w.block, n) }
func (w *Writer) uint32(n uint32) { w.block = binary.LittleEndian.AppendUint32(w.block, n) }

// maxOption is the longest text that an option's 16-bit length allows, with room for the padding.
const maxOption = 0xFFF0

// option adds one, unless it is empty.
func (w *Writer) option(code uint16, value string) {
	if value == "" {
		return
	}
	value = value[:min(len(value), maxOption)]
	w.uint16(code)
	w.uint16(uint16(len(value)))
	w.block = append(w.block, value...)
	w.pad()
}

func (w *Writer) endOptions() {
	w.uint16(optionEnd)
	w.uint16(0)
}

// pad fills up to a multiple of four bytes.
func (w *Writer) pad() {
	for len(w.block)%4 != 0 {
		w.block = append(w.block, 0)
	}
}

// flush writes the block with its length in front and behind.
func (w *Writer) flush() error {
	length := uint32(len(w.block) + 4)
	binary.LittleEndian.PutUint32(w.block[4:], length)
	w.uint32(length)
	_, err := w.to.Write(w.block)
	return err
}
