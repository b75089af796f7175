package main

import (
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// timed are properties whose value is a time or differs from run to run: that they are there is what counts.
var timed = map[string]bool{
	"CONSUME_START_TIME": true, "MIN_OFFSET": true, "MAX_OFFSET": true, "CLUSTER": true, "ARRIVE_TIME": true,
	"PUSH_REPLY_TIME": true, "CORRELATION_ID": true, "REPLY_TO_CLIENT": true, "TRAN_PREPARED_QUEUE_OFFSET": true,
	"TRANSACTION_CHECK_TIMES": true,
}

// described is a message without what differs by nature.
func described(m *primitive.MessageExt) map[string]any {
	d := map[string]any{
		"topic": m.Topic, "queue": m.Queue.QueueId, "offset": m.QueueOffset, "body": shortened(m.Body), "flag": m.Flag,
		"sysFlag": m.SysFlag, "reconsumed": m.ReconsumeTimes, "prepared": m.PreparedTransactionOffset != 0,
		"properties": properties(m.GetProperties()), "id": m.MsgId, "stored size is right": m.StoreSize > int32(len(m.Topic)),
		"born before stored": m.BornTimestamp <= m.StoreTimestamp+2000,
	}
	return d
}

// wherever leaves out the place of a message: the client chose it by chance.
func wherever(m *primitive.MessageExt) map[string]any {
	d := described(m)
	delete(d, "queue")
	delete(d, "offset")
	return d
}

func properties(all map[string]string) map[string]string {
	d := maps.Clone(all)
	for name := range d {
		if timed[name] {
			d[name] = "…"
		}
	}
	return d
}

// shortened keeps large bodies out of the output.
func shortened(body []byte) string {
	if len(body) <= 100 {
		return string(body)
	}
	return fmt.Sprintf("%d bytes with checksum %08x", len(body), crc32.ChecksumIEEE(body))
}

// bodies are those of messages, sorted.
func bodies(messages []*primitive.MessageExt) string {
	return strings.Join(slices.Sorted(func(yield func(string) bool) {
		for _, m := range messages {
			if !yield(shortened(m.Body)) {
				return
			}
		}
	}), " ")
}

// queues are the numbers of the queues that messages came from.
func queues(messages []*primitive.MessageExt) []int {
	set := map[int]bool{}
	for _, m := range messages {
		set[m.Queue.QueueId] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// outcome is an answer to a sending.
func (p *play) outcome(name string, r *primitive.SendResult, err error) map[string]any {
	if err != nil {
		return map[string]any{"refused": refusal(err)}
	}
	p.call(r.MsgID, "id of "+name)
	for i, id := range strings.Split(r.OffsetMsgID, ",") {
		p.call(id, fmt.Sprintf("offset id of %s/%d", name, i))
	}
	d := map[string]any{"status": int(r.Status), "id": r.MsgID, "offset id": r.OffsetMsgID, "offset": r.QueueOffset, "transaction": r.TransactionID,
		"region": r.RegionID, "traced": r.TraceOn}
	if r.MessageQueue != nil {
		d["queue"] = r.MessageQueue.QueueId
	}
	return d
}

// refusal is the code of an error. What a broker says besides is its own affair.
func refusal(err error) string {
	var code int
	if _, scan := fmt.Sscanf(err.Error(), "CODE: %d", &code); scan == nil {
		return fmt.Sprint("code ", code)
	}
	return err.Error()
}
