package remoting

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lz4Zeros is a frame of about size zero bytes in one block.
func lz4Zeros(size int) []byte {
	block := []byte{0x1F, 0, 1, 0} // one literal, then a match one byte back
	block = append(block, bytes.Repeat([]byte{255}, size/255)...)
	block = append(block, 0, 0x50, 0, 0, 0, 0, 0)
	n := len(block)
	frame := []byte{0x04, 0x22, 0x4D, 0x18, 0x60, 0x70, 0x73, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	return append(append(frame, block...), 0, 0, 0, 0)
}

// lz4Text is what the recorded frames hold: text that compresses around noise that does not.
func lz4Text() []byte {
	noise := rand.New(rand.NewPCG(1, 2))
	text := []byte(strings.Repeat("temperature 21.5;", 8000))
	for range 5000 {
		text = append(text, byte(noise.Uint32()))
	}
	return append(text, strings.Repeat("pressure 3 bar;", 9000)...)
}

// The frames were made by the lz4 command, with blocks of 64 KiB that stand alone or build on each other,
// with and without checksums and the size of the whole.
func TestInflateTakesLZ4FramesOfEveryKind(t *testing.T) {
	files, err := filepath.Glob("testdata/lz4/*.lz4")
	if err != nil || len(files) < 4 {
		t.Fatalf("recorded frames: %v, %v", files, err)
	}
	want := lz4Text()
	for _, file := range files {
		frame, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Inflate(frame, SysCompressed|compressionLZ4<<compressionFrom, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes with sum %x, want %d, %x: %v", file, len(got), sha256.Sum256(got), len(want), sha256.Sum256(want), err)
		}
		if _, err := inflateLZ4(frame, len(want)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s, one byte above the limit: %v", file, err)
		}
		for cut := 0; cut < len(frame); cut += 1 + cut/50 {
			if _, err := inflateLZ4(frame[:cut], len(want)); !errors.Is(err, ErrFrame) {
				t.Errorf("%s, cut after %d bytes of %d: %v", file, cut, len(frame), err)
			}
		}
	}
}

func TestInflateRefusesLyingLZ4(t *testing.T) {
	header := []byte{0x04, 0x22, 0x4D, 0x18, 0x60, 0x70, 0x73}
	for name, rest := range map[string][]byte{
		"an empty block":               {0, 0, 0, 0x80, 1, 0, 0, 0},
		"a match before the start":     {9, 0, 0, 0, 0x10, 'a', 2, 0, 0x40, 'a', 'b', 'c', 'd', 0, 0, 0, 0},
		"a match of distance 0":        {9, 0, 0, 0, 0x10, 'a', 0, 0, 0x40, 'a', 'b', 'c', 'd', 0, 0, 0, 0},
		"literals beyond the block":    {2, 0, 0, 0, 0xF0, 'a', 0, 0, 0, 0},
		"a length without an end":      {2, 0, 0, 0, 0xF0, 255, 0, 0, 0, 0},
		"half a distance":              {3, 0, 0, 0, 0x10, 'a', 1, 0, 0, 0, 0},
		"something after the end":      {0, 0, 0, 0, 1},
		"a block larger than the body": {0xff, 0xff, 0xff, 0x7f, 1},
	} {
		if got, err := inflateLZ4(append(bytes.Clone(header), rest...), 1<<20); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// The second block may not reach into the first: the descriptor says that it stands alone.
	two := append(bytes.Clone(header), 2, 0, 0, 0, 0x10, 'a', 8, 0, 0, 0, 0x00, 1, 0, 0x40, 'a', 'b', 'c', 'd', 0, 0, 0, 0)
	if got, err := inflateLZ4(two, 100); !errors.Is(err, ErrFrame) {
		t.Errorf("a match in another block: %q, %v", got, err)
	}
	two[4] &^= lz4Independent
	if got, err := inflateLZ4(two, 100); err != nil || string(got) != "aaaaaabcd" {
		t.Errorf("a match in a linked block: %q, %v", got, err)
	}
}
