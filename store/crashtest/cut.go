package crashtest

import (
	"io"
	"math/rand/v2"
	"os"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// pipe is how much a worker may have said that is not among the events yet: what is in its pipe, and some.
const pipe = 80 << 10

// Cutter makes images of what a power cut would have left of a disk, at places that must not go back.
type Cutter struct {
	base    *os.File // the starting image with everything flushed so far
	events  []event
	next    int
	pending []event // written since the last flush
	model   *Model
}

// NewCutter begins with the image as it was before any of the disk's events. It writes to the image.
func NewCutter(d *Disk, image string, model *Model) (*Cutter, error) {
	base, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &Cutter{base: base, events: d.events, model: model}, nil
}

// Cut writes to path what is left when the power goes before event number n: everything that was
// flushed, and of the rest the sectors that chance picks. It gives what had been promised by then.
func (c *Cutter) Cut(path string, n int, r *rand.Rand) (promised *Model, err error) {
	for ; c.next < n; c.next++ {
		switch e := c.events[c.next]; e.kind {
		case 'w':
			c.pending = append(c.pending, e)
		case 'f':
			for _, w := range c.pending {
				if _, err := c.base.WriteAt(w.data, w.at); err != nil {
					return nil, err
				}
			}
			c.pending = c.pending[:0]
		case 'm':
			if err := c.model.Hear(string(e.data)); err != nil {
				return nil, err
			}
		}
	}
	image, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	if err := copySparse(image, c.base); err != nil {
		return nil, err
	}
	keep := r.Float64() // sometimes nearly nothing arrives, sometimes nearly all
	for _, w := range c.pending {
		for at := 0; at < len(w.data); at += sector {
			if r.Float64() < keep {
				if _, err := image.WriteAt(w.data[at:min(at+sector, len(w.data))], w.at+int64(at)); err != nil {
					return nil, err
				}
			}
		}
	}
	promised = c.model.Copy()
	late := 0
	for _, e := range c.events[c.next:] {
		if e.kind != 'm' {
			continue
		}
		if late += len(e.data); late > pipe {
			break
		}
		if err := promised.Foresee(string(e.data)); err != nil {
			return nil, err
		}
	}
	return promised, nil
}

// Close lets go of the image.
func (c *Cutter) Close() error { return c.base.Close() }

// copySparse copies without writing what is zero.
func copySparse(to, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if err := to.Truncate(info.Size()); err != nil {
		return err
	}
	buffer, zero := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := from.ReadAt(buffer, at)
		if string(buffer[:n]) != string(zero[:n]) {
			if _, err := to.WriteAt(buffer[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
