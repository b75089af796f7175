package pty

import "math/rand/v2"

// Noise is what a bad line does to characters, in both directions: each number is the share of the
// characters that it befalls, from 0 to 1. The same seed does the same damage to the same bytes.
type Noise struct {
	FlipBits    float64 // one bit is wrong
	DropBytes   float64 // the character is lost
	RandomBytes float64 // another character comes before it
	Seed        uint64
}

// Noise makes the line do this to what comes from now on.
func (l *Line) Noise(n Noise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noise = n
	l.noiseGen++
}

type noiseSetting struct {
	Noise
	generation int
}

// damage is the noise in one direction.
type damage struct {
	noiseSetting
	random *rand.Rand
}

// use makes setting count; a new one begins its seed's sequence. Directions differ in theirs.
func (d *damage) use(setting noiseSetting, direction uint64) {
	if d.random != nil && d.generation == setting.generation {
		return
	}
	d.noiseSetting = setting
	d.random = rand.New(rand.NewPCG(setting.Seed, direction))
}

// of gives what becomes of b.
func (d *damage) of(b []byte) []byte {
	if d.Noise == (Noise{Seed: d.Seed}) {
		return b
	}
	out := make([]byte, 0, len(b)+8)
	for _, c := range b {
		if d.random.Float64() < d.RandomBytes {
			out = append(out, byte(d.random.Uint32()))
		}
		if d.random.Float64() < d.DropBytes {
			continue
		}
		if d.random.Float64() < d.FlipBits {
			c ^= 1 << d.random.IntN(8)
		}
		out = append(out, c)
	}
	return out
}
