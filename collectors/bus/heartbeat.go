package bus

import "bytes"

// heartbeats takes out of a DTU's stream what the DTU says of its own accord: heartbeats, and its
// registration once more.
type heartbeats struct{ packets [][]byte }

// certain is the length from which on a packet does not occur in an answer by chance.
const certain = 4

func newHeartbeats(s *Settings) (h heartbeats) {
	for _, packet := range [][]byte{s.Heartbeat, s.Registration} {
		if len(packet) > 0 {
			h.packets = append(h.packets, packet)
		}
	}
	return h
}

// strip looks at received, of which the last n bytes have just come in one piece, and gives it without
// the packets in it. A DTU sends each in one piece, between two pieces of data. So a packet counts in
// front of everything, as a whole piece, and, if it is long enough not to be data, at the beginning of
// a piece. Elsewhere equal bytes belong to the answer.
func (h heartbeats) strip(received []byte, n int) []byte {
	at := len(received) - n
	if h.partial(received[:at]) {
		at = 0 // the beginning of a packet was held back until now
	}
	piece := received[at:]
	for {
		packet := h.begins(piece)
		if len(packet) == 0 || at > 0 && len(packet) < certain && len(packet) != len(piece) {
			return received[:at+len(piece)]
		}
		piece = append(piece[:0], piece[len(packet):]...)
	}
}

// begins gives the longest packet at the beginning of piece.
func (h heartbeats) begins(piece []byte) (found []byte) {
	for _, packet := range h.packets {
		if len(packet) > len(found) && bytes.HasPrefix(piece, packet) {
			found = packet
		}
	}
	return found
}

// partial says whether received is the beginning of a packet and not yet all of it.
func (h heartbeats) partial(received []byte) bool {
	if len(received) == 0 {
		return false
	}
	for _, packet := range h.packets {
		if len(received) < len(packet) && bytes.HasPrefix(packet, received) {
			return true
		}
	}
	return false
}
