package rocketmq

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 200051 ACK_MESSAGE, 200151 BATCH_ACK_MESSAGE, 200053 CHANGE_MESSAGE_INVISIBLETIME
//
// Supported: acknowledging one message or many, retries among them; another time for one. A handle whose
// time was over is answered as if it had been in time, as the stock broker does.
func (s *Server) ackMessage(r *request) (answer, error) {
	group, topic, h, err := s.readHandle(r)
	if err != nil {
		return answer{}, err
	}
	if err := s.queues.AckPopped(group, h.Topic(group, topic), h.Queue, h.Offset, h.PopTime); err != nil && !errors.Is(err, queue.ErrExpired) {
		return answer{}, err
	}
	return answer{}, nil
}

func (s *Server) readHandle(r *request) (group, topic string, h queue.Handle, err error) {
	if group, err = r.text("consumerGroup"); err != nil {
		return
	}
	if topic, err = r.text("topic"); err != nil {
		return
	}
	text, err := r.text("extraInfo")
	if err != nil {
		return
	}
	if !r.account.MayUse(group) {
		err = fmt.Errorf("%w: the group %s", queue.ErrForbidden, group)
		return
	}
	if h, err = queue.ParseHandle(text); err != nil {
		err = refuse(remoting.InvalidParameter, "%v", err)
		return
	}
	if offset, given := r.frame.Ext.Lookup("offset"); given {
		if n, wrong := strconv.ParseUint(offset, 10, 64); wrong == nil {
			h.Offset = n
		}
	}
	number := int(r.numberOr("queueId", int64(h.Queue)))
	lies, known := s.queues.Topic(h.Topic(group, topic))
	first, next, err := s.queues.Range(h.Topic(group, topic), h.Queue)
	switch {
	case !known:
		err = fmt.Errorf("%w: %s", queue.ErrNoTopic, topic)
	case number < 0 || number >= lies.ReadQueues || h.Queue >= lies.ReadQueues:
		err = refuse(remoting.MessageIllegal, "%s has %d queues, no number %d", topic, lies.ReadQueues, number)
	case err != nil:
		err = fmt.Errorf("%w: %w", queue.ErrNoQueue, err)
	case h.Offset < first || h.Offset >= next:
		err = refuse(remoting.NoMessage, "offset is illegal, key:%s@%s@%d, commit:%d, store:[%d~%d)", topic, group, h.Queue, h.Offset, first, next)
	}
	return
}

func (s *Server) changeInvisible(r *request) (answer, error) {
	group, topic, h, err := s.readHandle(r)
	if err != nil {
		return answer{}, err
	}
	millis, err := r.number("invisibleTime")
	if err != nil {
		return answer{}, err
	}
	invisible := time.Duration(millis) * time.Millisecond
	popTime, err := s.queues.ChangeInvisible(group, h.Topic(group, topic), h.Queue, h.Offset, h.PopTime, invisible)
	if err != nil {
		return answer{}, err
	}
	return answer{fields: remoting.Fields{field("popTime", popTime), field("invisibleTime", millis), {Name: "reviveQid", Value: "0"}}}, nil
}

// batchAck acknowledges what one client has gathered. Each entry has a bit for each message, counted from the
// offset that the pop began with.
func (s *Server) batchAck(r *request) (answer, error) {
	var body struct {
		Acks []struct {
			Group string          `json:"c"`
			Topic string          `json:"t"`
			Retry string          `json:"r"`
			Start uint64          `json:"so"`
			Queue int             `json:"q"`
			Pop   int64           `json:"pt"`
			Bits  json.RawMessage `json:"b"`
		} `json:"acks"`
	}
	if err := r.decode(&body); err != nil {
		return answer{}, err
	}
	for _, ack := range body.Acks {
		if !r.account.MayUse(ack.Group) {
			return answer{}, fmt.Errorf("%w: the group %s", queue.ErrForbidden, ack.Group)
		}
		set, err := readBits(ack.Bits)
		if err != nil {
			return answer{}, err
		}
		var offsets []uint64
		for i, word := range set {
			for ; word != 0; word &= word - 1 {
				offsets = append(offsets, ack.Start+uint64(i*8+bits.TrailingZeros8(word)))
			}
		}
		h := queue.Handle{Retry: ack.Retry != "0" && ack.Retry != ""}
		if _, err := s.queues.AckManyPopped(ack.Group, h.Topic(ack.Group, ack.Topic), ack.Queue, offsets, ack.Pop); err != nil && !errors.Is(err, queue.ErrExpired) {
			return answer{}, err
		}
	}
	return answer{}, nil
}

// readBits reads a Java BitSet: an array of longs or, as newer clients write it, of bytes in Base64.
func readBits(raw json.RawMessage) ([]byte, error) {
	var longs []int64
	if json.Unmarshal(raw, &longs) == nil {
		var set []byte
		for _, word := range longs {
			for range 8 {
				set = append(set, byte(word))
				word >>= 8
			}
		}
		return set, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, refuse(remoting.InvalidParameter, "the acknowledged offsets cannot be read")
	}
	set, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, refuse(remoting.InvalidParameter, "the acknowledged offsets cannot be read: %v", err)
	}
	return set, nil
}
