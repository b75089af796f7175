package crashtest

import (
	"context"
	"fmt"
	"time"

	"sluice/gateway/message"
	"sluice/store"
)

// BootKept is what Boot keeps of the log: a few messages of 4 KiB.
const BootKept = 64 << 10

// Boot is a process in a boot loop: it opens the log in dir, appends one message, says so and waits for its
// end. It does not return but on a mistake.
func Boot(dir string, seed uint64) error {
	s, err := store.Open(store.Options{Dir: dir, FileSize: 1 << 20, RetentionSize: BootKept})
	if err != nil {
		return err
	}
	go s.Run(context.Background())
	const device = "press"
	_, n, err := s.Sequence(device)
	if err != nil {
		return err
	}
	m := message.Message{Topic: "readings/gateway/press", Device: device, Seq: n + 1, Time: int64(n)}
	for part := uint64(0); len(m.Payload) < 8<<10; part++ { // half as much compressed
		m.Payload = append(m.Payload, payload(int(part), n, seed)...)
	}
	acked := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { acked <- err })
	if err := s.Append(context.Background(), &m, ack, 0); err != nil {
		return err
	}
	if err := <-acked; err != nil {
		return err
	}
	fmt.Println("done")
	time.Sleep(time.Minute)
	return nil
}
