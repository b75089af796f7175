package transport

import (
	"bytes"
	"testing"
)

// plainFrames is the decoder as one would write it without a thought for memory: whole frames, one
// after the other.
func plainFrames(in []byte) (payload []byte, controls [][]byte, ok bool) {
	open := false
	for {
		if len(in) < 2 {
			return payload, controls, true
		}
		fin, rsv, op := in[0]>>7 == 1, in[0]>>4&7, in[0]&15
		n, rest := uint64(in[1]&127), in[2:]
		if rsv != 0 || in[1]>>7 == 0 {
			return payload, controls, false
		}
		switch op {
		case 2, 0:
			if open != (op == 0) {
				return payload, controls, false
			}
			open = !fin
		case 8, 9, 10:
			if !fin || n > 125 {
				return payload, controls, false
			}
		default:
			return payload, controls, false
		}
		wide := 0
		switch n {
		case 126:
			wide = 2
		case 127:
			wide = 8
		}
		if len(rest) < wide+4 {
			return payload, controls, true
		}
		if wide > 0 {
			n = 0
		}
		for _, b := range rest[:wide] {
			n = n<<8 | uint64(b)
		}
		if n>>63 == 1 {
			return payload, controls, false
		}
		mask, body := rest[wide:wide+4], rest[wide+4:]
		whole := uint64(len(body)) >= n
		if whole {
			body = body[:n]
		}
		clear := make([]byte, len(body))
		for i := range body {
			clear[i] = body[i] ^ mask[i%4]
		}
		if op < 8 {
			payload = append(payload, clear...)
		} else if whole {
			controls = append(controls, append([]byte{op}, clear...))
		}
		if !whole {
			return payload, controls, true
		}
		in = rest[wide+4+len(body):]
	}
}

// FuzzFrames holds the streaming decoder to the plain one, whatever pieces the bytes arrive in.
func FuzzFrames(f *testing.F) {
	const mask = "\x01\x02\x03\x04"
	f.Add([]byte("\x82\x82"+mask+"ab"), uint8(1))
	f.Add([]byte("\x02\x82"+mask+"ab\x89\x81"+mask+"x\x80\x8b"+mask+"hello world"), uint8(3))
	f.Add([]byte("\x82\xfe\x00\x83"+mask+string(make([]byte, 131))), uint8(9))
	f.Add([]byte("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x05"+mask+"12345\x88\x82"+mask+"\x03\xe8"), uint8(200))
	f.Add([]byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x05"+mask), uint8(2))
	f.Add([]byte("\x81\x82"+mask+"ab"), uint8(5))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		want, wantControls, ok := plainFrames(in)
		var frames frames
		var got []byte
		var gotControls [][]byte
		var err error
		for rest := bytes.Clone(in); len(rest) > 0 && err == nil; {
			piece := rest[:min(len(rest), int(step)+1)]
			rest = rest[len(piece):]
			var n int
			n, err = frames.decode(piece, func(opcode byte, payload []byte) error {
				gotControls = append(gotControls, append([]byte{opcode}, payload...))
				return nil
			})
			got = append(got, piece[:n]...)
		}
		if (err == nil) != ok || !bytes.Equal(got, want) || len(gotControls) != len(wantControls) {
			t.Fatalf("%x in steps of %d\ngot  %x %x %v\nwant %x %x %v", in, step, got, gotControls, err, want, wantControls, ok)
		}
		for i := range gotControls {
			if !bytes.Equal(gotControls[i], wantControls[i]) {
				t.Errorf("%x: control frame %d is %x, want %x", in, i, gotControls[i], wantControls[i])
			}
		}
	})
}
