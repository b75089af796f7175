package rocketmq_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"sluice/gateway/remoting"
)

// requestsOfLies are the producer's.
func requestsOfLies() []bad {
	all := []bad{
		{name: "SEND without fields", real: "code 1", frame: bytesOf(frame(request(remoting.SendMessage)))},
		{name: "SEND V2 without fields", real: "code 1", frame: bytesOf(frame(request(remoting.SendMessageV2)))},
		{name: "SEND BATCH without fields", real: "code 1", frame: bytesOf(frame(request(remoting.SendBatchMessage)))},
		{name: "SEND without a body", real: "code 1", frame: func(topic string) []byte { return frame(sending(topic, "")) }},
	}
	for _, field := range [][4]string{{"producerGroup", "code 0"}, {"topic", "code 1"}, {"defaultTopic", "code 0"}, {"defaultTopicQueueNums", "code 0"}, {"queueId", "code 1"}, {"sysFlag", "code 1", "code 0", "a field of no consequence may be missing"}, {"bornTimestamp", "code 1", "code 0", "a field of no consequence may be missing"}, {"flag", "code 1", "code 0", "a field of no consequence may be missing"}, {"properties", "code 0"}, {"reconsumeTimes", "code 0"}} {
		all = append(all, bad{name: "SEND without " + field[0], real: field[1], ours: field[2], why: field[3], frame: func(topic string) []byte {
			return frame(with(sending(topic, "x"), field[0], absentField))
		}})
	}
	for _, change := range [][5]string{
		{"queueId", "four", "code 1"}, {"queueId", "", "code 1"}, {"queueId", "99999999999", "code 1"}, {"queueId", "-2", "code 0", "code 29", "-1 alone means any queue"}, {"queueId", "2147483647", "code 29"}, {"sysFlag", "x", "code 1"}, {"sysFlag", "2147483647", "code 13"}, {"bornTimestamp", "yesterday", "code 1"},
		{"bornTimestamp", "-1", "code 0"}, {"flag", "-1", "code 0"}, {"reconsumeTimes", "-1", "code 0"}, {"unitMode", "perhaps", "code 0"}, {"batch", "perhaps", "code 0"}, {"producerGroup", "", "code 0"}, {"producerGroup", strings.Repeat("g", 300), "code 0"},
		{"topic", "", "code 29"}, {"topic", "a b", "code 29"}, {"topic", "a/b", "code 29"}, {"topic", "a\x00b", "code 29"}, {"topic", "тема", "code 29"}, {"topic", "a\nb", "code 29"}, {"topic", strings.Repeat("t", 128), "code 29"}, {"topic", strings.Repeat("t", 40000), "code 29"},
		{"topic", "%RETRY%", "code 26"}, {"topic", "%DLQ%", "code 0"}, {"topic", "$share", "code 29"}, {"topic", "#", "code 29"},
		{"defaultTopic", "nothing", "code 17"}, {"defaultTopicQueueNums", "0", "code 29"}, {"defaultTopicQueueNums", "1000000000", "code 0"},
	} {
		value := change[1]
		if len(value) > 20 {
			value = fmt.Sprintf("%d×%s", len(value), value[:1])
		}
		all = append(all, bad{name: fmt.Sprintf("SEND with %s %q", change[0], value), real: change[2], ours: change[3], why: change[4], frame: func(topic string) []byte {
			c := with(sending(topic, "x"), change[0], change[1])
			if strings.HasPrefix(change[0], "defaultTopic") {
				c = with(c, "topic", ownName("new"))
			}
			return frame(c)
		}})
	}
	for _, properties := range [][4]string{{"a", "code 0", "code 13", "a property without a name cannot be given back"}, {"a\x01", "code 0"}, {"\x01b\x02", "code 0", "code 13", "a property without a name cannot be given back"}, {"a\x01b", "code 0"}, {"\x02\x02\x02", "code 0"}, {"\x01\x01\x01", "code 0", "code 13", "a property without a name cannot be given back"}, {"a\x01b\x02\x02c\x01d\x02", "code 0"}, {"a\x01b\x01c\x02", "code 0"}, {"\x00\x01\xff\xfe\x02", "closed", "code 0", "bytes that are no text harm nobody here"}} {
		all = append(all, bad{name: fmt.Sprintf("SEND with properties %q", properties[0]), real: properties[1], ours: properties[2], why: properties[3], frame: func(topic string) []byte {
			return frame(with(sending(topic, "x"), "properties", properties[0]))
		}})
	}
	all = append(all, bad{name: "SEND with properties of 33,000 bytes", real: "code 13", frame: func(topic string) []byte {
		return frame(with(sending(topic, "x"), "properties", "p\x01"+strings.Repeat("v", 33000)+"\x02"))
	}},
		bad{name: "SEND with a body of 4 MiB and 1 byte", real: "code 13", frame: func(topic string) []byte { return frame(sending(topic, strings.Repeat("b", 4<<20+1))) }},
		bad{name: "SEND with a body that is said to be packed", real: "code 0", frame: func(topic string) []byte {
			return frame(with(sending(topic, "not zlib"), "sysFlag", "1"))
		}},
		bad{name: "SEND V2 with long names", real: "code 1", ours: "code 0", why: "long and short names are read whatever the code", frame: func(topic string) []byte {
			c := sending(topic, "x")
			c.Code = remoting.SendMessageV2
			return frame(c)
		}},
		bad{name: "SEND V1 with short names", real: "code 1", ours: "code 0", why: "long and short names are read whatever the code", frame: func(topic string) []byte {
			c := sendingV2(topic, "x")
			c.Code = remoting.SendMessage
			return frame(c)
		}},
		bad{name: "a reply to nobody", real: "code 1", frame: func(topic string) []byte {
			c := with(sending("DefaultCluster_REPLY_TOPIC", "x"), "properties", "MSG_TYPE\x01reply\x02CORRELATION_ID\x01c\x02REPLY_TO_CLIENT\x01nobody\x02TTL\x013000\x02")
			c.Code = remoting.SendReplyMessage
			return frame(c)
		}},
		bad{name: "a reply that does not say to whom", real: "code 1", frame: func(topic string) []byte {
			c := sending("DefaultCluster_REPLY_TOPIC", "x")
			c.Code = remoting.SendReplyMessage
			return frame(c)
		}},
	)
	good := batchEntry("one", "") + batchEntry("two", "a\x01b\x02")
	for _, b := range []struct{ name, real, body string }{
		{"that is empty", "code 1", ""}, {"of one byte", "code 1", "x"}, {"cut in its last entry", "code 1", good[:len(good)-3]}, {"cut in a length", "code 1", good[:len(good)-1-len("a\x01b\x02")-2]},
		{"with an entry longer than it is", "code 0", "\x00\x00\xff\xff" + good[4:]}, {"with an entry shorter than it is", "code 0", "\x00\x00\x00\x05" + good[4:]}, {"with an entry of length 0", "code 0", "\x00\x00\x00\x00" + good[4:]},
		{"with an entry of negative length", "code 0", "\xff\xff\xff\xff" + good[4:]}, {"with a body longer than the entry", "code 1", good[:16] + "\x00\x00\xff\xff" + good[20:]},
		{"with a body of negative length", "code 1", good[:16] + "\xff\xff\xff\xff" + good[20:]}, {"with properties longer than the entry", "code 1", batchLie("one", 5000)}, {"with properties of negative length", "code 1", batchLie("one", 0xffff)},
		{"with an empty body in it", "code 0", batchEntry("", "")}, {"with bytes behind its entries", "code 1", good + "xyz"},
	} {
		ours := "code 13"
		if b.name == "with an empty body in it" {
			ours = ""
		}
		all = append(all, bad{name: "a batch " + b.name, real: b.real, ours: ours, why: "a batch is taken whole or not at all, and 1 would have it sent again", frame: func(topic string) []byte { return frame(batching(topic, b.body)) }})
	}
	all = append(all,
		bad{name: "END without fields", real: "code 1", frame: bytesOf(frame(request(remoting.EndTransaction)))},
		bad{name: "END of what is no half message", real: "code 1", frame: func(string) []byte { return frame(ending("0", "0", "8")) }},
		bad{name: "END of what is between messages", real: "code 1", frame: func(string) []byte { return frame(ending("0", "13", "8")) }},
		bad{name: "END behind the log", real: "code 1", frame: func(string) []byte { return frame(ending("0", "999999999999", "8")) }},
		bad{name: "END at a negative offset", real: "code 1", frame: func(string) []byte { return frame(ending("-1", "-1", "8")) }},
		bad{name: "END neither way", real: "code 1", frame: func(string) []byte { return frame(ending("0", "0", "5")) }},
		bad{name: "END with 0", real: "silence", frame: func(string) []byte { return frame(ending("0", "0", "0")) }},
		bad{name: "roll back what is no half message", real: "code 1", frame: func(string) []byte { return frame(ending("0", "0", "12")) }},
		bad{name: "RECALL of a forged handle", real: "code 604", frame: func(topic string) []byte {
			return frame(request(remoting.RecallMessage, "producerGroup", "g", "topic", topic, "recallHandle", "AAAA"))
		}},
		bad{name: "RECALL without a handle", real: "code 604", frame: func(topic string) []byte {
			return frame(request(remoting.RecallMessage, "producerGroup", "g", "topic", topic))
		}},
	)
	return all
}

func sendingV2(topic, body string) *remoting.Command {
	return withBody(request(remoting.SendMessageV2, "a", "probe-producers", "b", topic, "c", "TBW102", "d", "4", "e", "0", "f", "0", "g", "1700000000000", "h", "0",
		"i", "", "j", "0", "k", "false", "m", "false"), []byte(body))
}

func batching(topic, body string) *remoting.Command {
	c := withBody(with(sendingV2(topic, ""), "m", "true"), []byte(body))
	c.Code = remoting.SendBatchMessage
	return c
}

// batchEntry is one message of a batch.
func batchEntry(body, properties string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(22+len(body)+len(properties)))
	b = append(b, make([]byte, 12)...) // magic, checksum, flag
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, body...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(properties)))
	return string(append(b, properties...))
}

// batchLie is one that says something else of its properties.
func batchLie(body string, properties uint16) string {
	b := []byte(batchEntry(body, ""))
	binary.BigEndian.PutUint16(b[len(b)-2:], properties)
	return string(b)
}

func ending(queueOffset, commitLogOffset, how string) *remoting.Command {
	return request(remoting.EndTransaction, "producerGroup", "probe-producers", "tranStateTableOffset", queueOffset, "commitLogOffset", commitLogOffset,
		"commitOrRollback", how, "fromTransactionCheck", "false", "msgId", "AC11000100002A9F0000000000000000", "transactionId", "AC11000100002A9F0000000000000000")
}

func back(offset string) *remoting.Command {
	return request(remoting.ConsumerSendMsgBack, "offset", offset, "group", "probe-consumers", "delayLevel", "1", "originMsgId", "x", "originTopic", "x", "unitMode", "false", "maxReconsumeTimes", "16")
}
