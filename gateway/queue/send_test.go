package queue_test

import (
	"fmt"
	"testing"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/queue/durable"
	"sluice/store/storetest"
)

// open gives an engine over a log in a directory of its own.
func open(t *testing.T) (*queue.Queues, *storetest.Log) {
	t.Helper()
	l := storetest.Open(t)
	return queue.New(durable.Log{Store: l.Store}, queue.Options{}), l
}

// send sends and waits until the message is durable.
func send(t testing.TB, q *queue.Queues, m queue.Message) queue.Sent {
	t.Helper()
	type outcome struct {
		sent queue.Sent
		err  error
	}
	heard := make(chan outcome, 1)
	if err := q.Send(t.Context(), &m, 0, func(sent queue.Sent, err error) { heard <- outcome{sent, err} }); err != nil {
		t.Fatal(err)
	}
	o := <-heard
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.sent
}

func TestWhatIsSentIsPulled(t *testing.T) {
	q, _ := open(t)
	for i := range 5 {
		sent := send(t, q, queue.Message{Topic: "orders", Queue: 2, Flag: 7, BornTime: 12345, Body: fmt.Append(nil, i),
			Properties: []message.Property{{Name: queue.Keys, Value: fmt.Sprint("key-", i)}, {Name: "POP_CK", Value: "x"}}})
		if sent.Queue != 2 || sent.Offset != uint64(i) || sent.Position != message.Position(i+1) {
			t.Errorf("message %d was stored as %+v", i, sent)
		}
	}
	pulled, err := q.Pull("orders", 2, 1, 3, 1<<20, nil)
	if err != nil || pulled.Outcome != queue.Found || len(pulled.Records) != 3 || pulled.Next != 4 || pulled.Max != 5 {
		t.Fatalf("pulled %+v, %v", pulled, err)
	}
	m := queue.FromRecord(&pulled.Records[0])
	if m.Topic != "orders" || m.Flag != 7 || m.BornTime != 12345 || string(m.Body) != "1" || m.Property(queue.Keys) != "key-1" || m.Property("POP_CK") != "" {
		t.Errorf("the message is %+v", m)
	}
}
