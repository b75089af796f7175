package rocketmq

import "sync"

// bodies are buffers that answers are written into: a backlog would else turn over more memory in answers
// than in what is read for them.
type bodies struct{ pool sync.Pool }

func (b *bodies) lend() *[]byte {
	if lent, ok := b.pool.Get().(*[]byte); ok {
		return lent
	}
	return new([]byte)
}

// takeBack keeps a buffer for the next answer, unless one large message has made it large.
func (b *bodies) takeBack(lent *[]byte) {
	if lent != nil && cap(*lent) <= mostBytes {
		b.pool.Put(lent)
	}
}
