package rocketmq_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// bad is one case of bad input. What the real broker does is written down in real, so that a reader knows
// without one; the test asks it whenever there is one.
type bad struct {
	name  string
	frame func(topic string) []byte
	real  string // "code 1", "closed", "silence"
	ours  string // where we differ on purpose
	why   string // and the reason
	names bool   // sent to the name server
}

// TestBadInput sends what no client sends, to the gateway and to the real broker. A connection that is not
// closed goes on working, and so does everybody else's.
func TestBadInput(t *testing.T) {
	eachTarget(t, func(t *testing.T, at target) {
		topic := makeTopic(t, at)
		neighbour := call(t, at.broker)
		neighbour.must(sending(topic, "before"))
		for _, cases := range [][]bad{framesOfLies, headersOfLies, requestsOfLies(), pullsOfLies(), consumersOfLies} {
			for _, b := range cases {
				t.Run(b.name, func(t *testing.T) { b.try(t, at, topic) })
			}
		}
		neighbour.t = t
		neighbour.must(sending(topic, "after"))
	})
}

func (b *bad) try(t *testing.T, at target, topic string) {
	want := b.real
	if b.ours != "" && !at.real {
		want = b.ours
	}
	address := at.broker
	if b.names {
		address = at.nameServer
	}
	c := call(t, address)
	c.write(b.frame(topic))
	patient := patience
	if want == "silence" {
		patient = hush
	}
	got := c.outcome(patient)
	if got != want && (at.real || want != "code 1" || got != exception) {
		t.Fatalf("got %s, want %s", got, want)
	}
	if got == "closed" || b.names || strings.HasSuffix(b.name, "...") {
		return
	}
	if got := c.ask(request(remoting.GetMaxOffset, "topic", topic, "queueId", "1")); got.Code != remoting.Success {
		t.Errorf("the connection then answers code %d, %s", got.Code, got.Remark)
	}
}

// exception is our answer where the real broker runs into a Java exception, as it does over a field that is
// missing or no number. It says 1, on which a producer tries again; what can never work is refused for good.
const exception = "code 29"

// lengths is a frame with lengths as given.
func lengths(total uint32, serialisation byte, header uint32, rest string) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, uint32(serialisation)<<24|header)
	return append(b, rest...)
}

func bytesOf(b []byte) func(string) []byte { return func(string) []byte { return b } }

var framesOfLies = []bad{
	{name: "a negative length", real: "silence", ours: "closed", why: "a length that cannot be right is not waited for", frame: bytesOf(lengths(0xffffffff, 0, 2, "{}"))},
	{name: "a length above the limit", real: "silence", ours: "closed", why: "a length that cannot be right is not waited for", frame: bytesOf(lengths(16<<20+1, 0, 2, "{}"))},
	{name: "a length of 0", real: "closed", frame: bytesOf(append([]byte{0, 0, 0, 0}, frame(request(9999))...))},
	{name: "a length of 3...", real: "silence", frame: bytesOf([]byte{0, 0, 0, 3, 0, 0, 0})},
	{name: "a length of 4, no header", real: "silence", ours: "closed", why: "a length that cannot be right is not waited for", frame: bytesOf(lengths(4, 0, 0, ""))},
	{name: "a header longer than the frame", real: "closed", frame: bytesOf(lengths(10, 0, 1000, "{}{}{}"))},
	{name: "a header of 16 MiB in a small frame", real: "closed", frame: bytesOf(lengths(10, 0, 0xffffff, "{}{}{}"))},
	{name: "an unknown serialisation", real: "closed", frame: bytesOf(rawFrame(2, `{"code":9999}`, ""))},
	{name: "another unknown serialisation", real: "closed", frame: bytesOf(rawFrame(0xff, `{"code":9999}`, ""))},
	{name: "half a frame...", real: "silence", frame: bytesOf(frame(sending("x", "y"))[:20])},
	{name: "the frame of another protocol, HTTP", real: "closed", frame: bytesOf([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))},
	{name: "the frame of another protocol, MQTT", real: "closed", frame: bytesOf([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"))},
	{name: "a TLS hello that is cut short...", real: "silence", ours: "closed", why: "this listener has no TLS", frame: bytesOf([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3})},
	{name: "random bytes", real: "closed", frame: bytesOf([]byte("\x83\x92\xff\x00\x11\xfe\x00\x00\x00\x00\x12\x34\x56\x78"))},
}

var headersOfLies = []bad{
	{name: "a JSON header that is none", real: "closed", frame: bytesOf(rawFrame(0, "hello, world", ""))},
	{name: "a JSON header that is a list", real: "closed", frame: bytesOf(rawFrame(0, "[1,2,3]", ""))},
	{name: "a JSON header that is cut short", real: "closed", frame: bytesOf(rawFrame(0, `{"code":9999,"opaque":1`, ""))},
	{name: "a JSON header without anything", real: "silence", ours: "code 3", why: "a request without a code is an unknown request", frame: bytesOf(rawFrame(0, `{}`, ""))},
	{name: "a JSON header with a code that is text", real: "closed", frame: bytesOf(rawFrame(0, `{"code":"x","opaque":1}`, ""))},
	{name: "a JSON header with a code beyond 32 bits", real: "closed", frame: bytesOf(rawFrame(0, `{"code":99999999999,"opaque":1}`, ""))},
	{name: "a JSON header in an unknown language", real: "code 3", frame: bytesOf(rawFrame(0, `{"code":9999,"language":"COBOL","opaque":1,"flag":0,"version":0}`, ""))},
	{name: "a JSON header in no language", real: "code 3", frame: bytesOf(rawFrame(0, `{"code":9999,"language":null,"opaque":1,"flag":0,"version":0}`, ""))},
	{name: "a JSON header with unknown keys", real: "code 3", frame: bytesOf(rawFrame(0, `{"code":9999,"x":{"y":[1,{"z":null}]},"opaque":1,"flag":0}`, ""))},
	{name: "a JSON header nested 5,000 deep", real: "closed", frame: bytesOf(rawFrame(0, `{"code":9999,"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`,"opaque":1}`, ""))},
	{name: "extFields that are a list", real: "closed", frame: bytesOf(rawFrame(0, `{"code":10,"opaque":1,"flag":0,"extFields":["a","b"]}`, ""))},
	{name: "extFields that are null", real: "code 1", frame: bytesOf(rawFrame(0, `{"code":10,"opaque":1,"flag":0,"extFields":null}`, ""))},
	{name: "extFields with numbers for text", real: "code 0", frame: func(topic string) []byte {
		return rawFrame(0, `{"code":30,"opaque":1,"flag":0,"extFields":{"topic":"`+topic+`","queueId":1}}`, "")
	}},
	{name: "a binary header marked JSON", real: "closed", frame: bytesOf(marked(frame(inBinary(request(9999))), 0))},
	{name: "a JSON header marked binary", real: "closed", frame: bytesOf(marked(frame(request(9999)), 1))},
	{name: "a binary header of 20 bytes", real: "closed", frame: bytesOf(rawFrame(1, strings.Repeat("\x00", 20), ""))},
	{name: "a binary header with a remark beyond its end", real: "closed", frame: bytesOf(rawFrame(1, binaryHeader(9999, 1000, 0, ""), ""))},
	{name: "a binary header with a remark of negative length", real: "closed", frame: bytesOf(rawFrame(1, binaryHeader(9999, 0xffffffff, 0, ""), ""))},
	{name: "a binary header with fields beyond its end", real: "closed", frame: bytesOf(rawFrame(1, binaryHeader(9999, 0, 1000, ""), ""))},
	{name: "a binary header with a field beyond the fields", real: "closed", frame: bytesOf(rawFrame(1, binaryHeader(9999, 0, 7, "\x00\x01a\x00\x00\x03\xe8"), ""))},
	{name: "a binary header with a name beyond the fields", real: "closed", frame: bytesOf(rawFrame(1, binaryHeader(9999, 0, 7, "\x7f\xffa\x00\x00\x00\x00"), ""))},
	{name: "a binary header with bytes behind its fields", real: "code 3", ours: "closed", why: "what the header's lengths leave over is a lie as well", frame: bytesOf(rawFrame(1, binaryHeader(9999, 0, 0, "more"), ""))},
	{name: "an unknown code", real: "code 3", frame: bytesOf(frame(request(9999)))},
	{name: "an unknown code in binary", real: "code 3", frame: bytesOf(frame(inBinary(request(9999))))},
	{name: "a negative code", real: "code 3", frame: bytesOf(frame(request(-5)))},
	{name: "an unknown code one way", real: "silence", frame: bytesOf(frame(flagged(request(9999), remoting.FlagOneway)))},
	{name: "an answer to nothing", real: "silence", frame: bytesOf(frame(flagged(request(0), remoting.FlagResponse)))},
	{name: "an answer with an unknown code", real: "silence", frame: bytesOf(frame(flagged(request(4711), remoting.FlagResponse)))},
	{name: "flags that nobody knows", real: "code 0", frame: func(topic string) []byte {
		return frame(flagged(request(remoting.GetMaxOffset, "topic", topic, "queueId", "0"), 0x7ffffff0))
	}},
	{name: "a request of brokers among themselves", real: "code 0", ours: "code 3", why: "the gateway has no slaves", frame: bytesOf(frame(request(remoting.GetBrokerHAStatus)))},
	{name: "a request that only servers send", real: "code 3", frame: bytesOf(frame(request(remoting.NotifyConsumerIDsChanged, "consumerGroup", "g")))},
}

func marked(b []byte, serialisation byte) []byte {
	b[4] = serialisation
	return b
}

func flagged(c *remoting.Command, flag int) *remoting.Command {
	c.Flag = flag
	return c
}

// binaryHeader is the fixed part with lengths as given, and what follows.
func binaryHeader(code int, remark, fields uint32, rest string) string {
	b := binary.BigEndian.AppendUint16(nil, uint16(code))
	b = append(b, 0)                          // Java
	b = binary.BigEndian.AppendUint16(b, 479) // version
	b = binary.BigEndian.AppendUint32(b, 1)   // opaque
	b = binary.BigEndian.AppendUint32(b, 0)   // flag
	b = binary.BigEndian.AppendUint32(b, remark)
	b = binary.BigEndian.AppendUint32(b, fields)
	return string(b) + rest
}

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

func pullsOfLies() (all []bad) {
	for _, change := range [][5]string{
		{"queueId", "-1", "code 29"}, {"queueId", "77", "code 29"}, {"queueId", "x", "code 1"}, {"queueOffset", "-1", "code 21"}, {"queueOffset", "99999", "code 21"}, {"queueOffset", "x", "code 1"}, {"maxMsgNums", "0", "code 0"}, {"maxMsgNums", "-1", "code 0"}, {"maxMsgNums", "1000000", "code 0"},
		{"maxMsgNums", "x", "code 1"}, {"sysFlag", "-1", "code 0"}, {"commitOffset", "-1", "code 0"}, {"suspendTimeoutMillis", "-1", "code 0"}, {"subscription", absentField, "code 0"}, {"subVersion", absentField, "code 0"}, {"consumerGroup", "", "code 26", "code 29", "a field is missing"},
		{"consumerGroup", "a b", "code 26"}, {"topic", "", "code 17", "code 29", "a field is missing"}, {"expressionType", absentField, "code 0"}, {"suspendTimeoutMillis", absentField, "code 0"},
	} {
		all = append(all, bad{name: fmt.Sprintf("PULL with %s %q", change[0], change[1]), real: change[2], ours: change[3], why: change[4], frame: func(topic string) []byte {
			return frame(with(pulling("probe-consumers", topic, 0), change[0], change[1]))
		}})
	}
	return all
}

var consumersOfLies = append([]bad{
	{name: "PULL without fields", real: "code 1", frame: bytesOf(frame(request(remoting.PullMessage)))},
	{name: "PULL of an unknown topic", real: "code 17", frame: func(string) []byte { return frame(pulling("probe-consumers", "nothing", 0)) }},
	{name: "PULL by an unknown group without a subscription", real: "code 24", frame: func(topic string) []byte {
		return frame(with(pulling(ownName("unknown"), topic, 0), "sysFlag", "0"))
	}},
	{name: "PULL with a broken filter", real: "code 0", ours: "code 23", why: "a filter that cannot be compiled is refused wherever it comes", frame: func(topic string) []byte {
		return frame(with(with(pulling("probe-consumers", topic, 0), "expressionType", "SQL92"), "subscription", "a >"))
	}},
	{name: "PULL with an unknown kind of filter", real: "code 0", ours: "code 23", why: "a filter that cannot be compiled is refused wherever it comes", frame: func(topic string) []byte {
		return frame(with(with(pulling("probe-consumers", topic, 0), "expressionType", "REGEX"), "subscription", ".*"))
	}},
	{name: "BACK without fields", real: "code 1", frame: bytesOf(frame(request(remoting.ConsumerSendMsgBack)))},
	{name: "BACK by an unknown group", real: "code 0", frame: func(string) []byte { return frame(with(back("0"), "group", ownName("unknown"))) }},
	{name: "BACK behind the log", real: "code 1", frame: func(string) []byte { return frame(back("999999999999")) }},
	{name: "BACK far behind the log", real: "code 1", frame: func(string) []byte { return frame(back("4611686018427387904")) }},
	{name: "BACK at a negative offset", real: "code 1", frame: func(string) []byte { return frame(back("-1")) }},
	{name: "BACK without an offset", real: "code 1", frame: func(string) []byte { return frame(with(back("0"), "offset", absentField)) }},
	{name: "BACK with an offset that is none", real: "code 1", frame: func(string) []byte { return frame(back("12x")) }},
	{name: "VIEW behind the log", real: "code 1", frame: func(topic string) []byte {
		return frame(request(remoting.ViewMessageByID, "topic", topic, "offset", "999999999999"))
	}},
	{name: "VIEW at a negative offset", real: "code 1", frame: func(topic string) []byte {
		return frame(request(remoting.ViewMessageByID, "topic", topic, "offset", "-1"))
	}},
	{name: "HEART_BEAT without a body", real: "code 1", frame: bytesOf(frame(request(remoting.HeartBeat)))},
	{name: "HEART_BEAT that is no JSON", real: "code 1", frame: bytesOf(frame(withBody(request(remoting.HeartBeat), []byte("hello"))))},
	{name: "HEART_BEAT that is a list", real: "code 1", frame: bytesOf(frame(withBody(request(remoting.HeartBeat), []byte("[]"))))},
	{name: "HEART_BEAT of nobody", real: "code 0", ours: "code 29", why: "a client without an id cannot be told from others", frame: bytesOf(frame(withBody(request(remoting.HeartBeat), []byte("{}"))))},
	{name: "HEART_BEAT with broken SQL", real: "code 0", frame: func(topic string) []byte {
		return frame(withBody(request(remoting.HeartBeat), fmt.Appendf(nil, `{"clientID":"c@1","consumerDataSet":[{"groupName":"probe-broken","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING",`+
			`"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":%q,"subString":"a >","expressionType":"SQL92","subVersion":1}]}],"producerDataSet":[]}`, topic)))
	}},
	{name: "HEART_BEAT of an illegal group", real: "code 0", frame: bytesOf(frame(withBody(request(remoting.HeartBeat), []byte(
		`{"clientID":"c@1","consumerDataSet":[{"groupName":"a b/c","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[]}],"producerDataSet":[]}`))))},
	{name: "CHECK_CLIENT_CONFIG with broken SQL", real: "code 23", frame: func(topic string) []byte {
		return frame(withBody(request(remoting.CheckClientConfig), fmt.Appendf(nil, `{"clientId":"c@1","group":"g","subscriptionData":{"topic":%q,"subString":"a >","expressionType":"SQL92","subVersion":1}}`, topic)))
	}},
	{name: "CHECK_CLIENT_CONFIG without a body", real: "code 0", ours: "code 29", why: "there is nothing to check", frame: bytesOf(frame(request(remoting.CheckClientConfig)))},
	{name: "CONSUMER_LIST of an unknown group", real: "code 1", frame: bytesOf(frame(request(remoting.GetConsumerListByGroup, "consumerGroup", "nobody")))},
	{name: "CONSUMER_LIST without a group", real: "code 1", frame: bytesOf(frame(request(remoting.GetConsumerListByGroup)))},
	{name: "LOCK without a body", real: "code 1", frame: bytesOf(frame(request(remoting.LockBatchMQ)))},
	{name: "LOCK that is no JSON", real: "code 1", frame: bytesOf(frame(withBody(request(remoting.LockBatchMQ), []byte("hello"))))},
	{name: "LOCK of queues that are not there", real: "code 0", frame: bytesOf(frame(withBody(request(remoting.LockBatchMQ), []byte(`{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"nothing","brokerName":"nobody","queueId":-1}]}`))))},
	{name: "UNLOCK that is no JSON", real: "code 1", frame: bytesOf(frame(withBody(request(remoting.UnlockBatchMQ), []byte("hello"))))},
	{name: "OFFSET of an unknown group", real: "code 22", frame: func(topic string) []byte {
		return frame(request(remoting.QueryConsumerOffset, "consumerGroup", "nobody", "topic", topic, "queueId", "1", "setZeroIfNotFound", "false"))
	}},
	{name: "OFFSET of an unknown topic", real: "code 22", frame: func(string) []byte {
		return frame(request(remoting.QueryConsumerOffset, "consumerGroup", "nobody", "topic", "nothing", "queueId", "1"))
	}},
	{name: "COMMIT without fields", real: "code 1", frame: bytesOf(frame(request(remoting.UpdateConsumerOffset)))},
	{name: "COMMIT of a negative offset", real: "code 0", frame: func(topic string) []byte { return frame(committing(topic, "1", "-1")) }},
	{name: "COMMIT behind the queue", real: "code 0", frame: func(topic string) []byte { return frame(committing(topic, "1", "999999999")) }},
	{name: "COMMIT in a queue that is not there", real: "code 0", ours: "code 29", why: "the offset would stay for ever", frame: func(topic string) []byte { return frame(committing(topic, "77", "1")) }},
	{name: "COMMIT in a topic that is not there", real: "code 17", frame: func(string) []byte { return frame(committing("nothing", "1", "1")) }},
	{name: "MAX of a topic that is not there", real: "code 0", ours: "code 17", why: "there is no such queue, and there is nothing to count", frame: bytesOf(frame(request(remoting.GetMaxOffset, "topic", "nothing", "queueId", "0")))},
	{name: "MAX of a queue that is not there", real: "code 0", ours: "code 29", why: "there is no such queue, and there is nothing to count", frame: func(topic string) []byte {
		return frame(request(remoting.GetMaxOffset, "topic", topic, "queueId", "77"))
	}},
	{name: "MIN of a topic that is not there", real: "code 0", ours: "code 17", why: "there is no such queue, and there is nothing to count", frame: bytesOf(frame(request(remoting.GetMinOffset, "topic", "nothing", "queueId", "0")))},
	{name: "SEARCH by a time that is none", real: "code 1", frame: func(topic string) []byte {
		return frame(request(remoting.SearchOffsetByTimestamp, "topic", topic, "queueId", "0", "timestamp", "noon"))
	}},
	{name: "SEARCH by a negative time", real: "code 0", frame: func(topic string) []byte {
		return frame(request(remoting.SearchOffsetByTimestamp, "topic", topic, "queueId", "0", "timestamp", "-5"))
	}},
	{name: "QUERY for nothing", real: "code 22", frame: func(topic string) []byte {
		return frame(request(remoting.QueryMessage, "topic", topic, "key", "no such key", "maxNum", "32", "beginTimestamp", "0", "endTimestamp", "9223372036854775807"))
	}},
	{name: "QUERY for less than nothing", real: "code 1", frame: func(topic string) []byte {
		return frame(request(remoting.QueryMessage, "topic", topic, "key", "k", "maxNum", "-1", "beginTimestamp", "5", "endTimestamp", "1"))
	}},
	{name: "POP without fields", real: "code 1", frame: bytesOf(frame(request(remoting.PopMessage)))},
	{name: "POP from a topic that is not there", real: "code 210", frame: func(string) []byte { return frame(popping("probe-consumers", "nothing", "1000", "0")) }},
	{name: "POP of 1,000 at once", real: "code 210", frame: func(topic string) []byte {
		return frame(with(popping("probe-consumers", topic, "1000", "0"), "maxMsgNums", "1000"))
	}},
	{name: "POP from a queue that is not there", real: "code 210", frame: func(topic string) []byte {
		return frame(with(popping("probe-consumers", topic, "1000", "0"), "queueId", "77"))
	}},
	{name: "POP by an unknown group", real: "code 210", frame: func(topic string) []byte { return frame(popping(ownName("unknown"), topic, "1000", "0")) }},
	{name: "ACK without fields", real: "code 1", frame: bytesOf(frame(request(remoting.AckMessage)))},
	{name: "ACK with a forged receipt", real: "code 1", frame: func(topic string) []byte { return frame(acking(topic, "not a receipt", "0")) }},
	{name: "ACK behind the queue", real: "code 208", frame: func(topic string) []byte {
		return frame(acking(topic, "0 1700000000000 60000 0 0 broker-a 0 999999", "999999"))
	}},
	{name: "ACK in a queue that is not there", real: "code 13", frame: func(topic string) []byte {
		return frame(with(acking(topic, "0 1700000000000 60000 0 0 broker-a 0 0", "0"), "queueId", "77"))
	}},
	{name: "ACK in a topic that is not there", real: "code 17", frame: func(string) []byte {
		return frame(acking("nothing", "0 1700000000000 60000 0 0 broker-a 0 0", "0"))
	}},
	{name: "INVISIBLE with a forged receipt", real: "code 1", frame: func(topic string) []byte {
		return frame(request(remoting.ChangeMessageInvisibleTime, "consumerGroup", "probe-consumers", "topic", topic, "queueId", "0", "extraInfo", "x", "offset", "0", "invisibleTime", "1000"))
	}},
	{name: "CREATE without fields", real: "code 1", frame: bytesOf(frame(request(remoting.UpdateAndCreateTopic)))},
	{name: "CREATE with an illegal name", real: "code 29", frame: bytesOf(frame(creating("a b", "4")))},
	{name: "CREATE of a system topic", real: "code 29", frame: bytesOf(frame(creating("SCHEDULE_TOPIC_XXXX", "4")))},
	{name: "CREATE with a negative number of queues", real: "code 0", ours: "code 29", why: "it could not be sent to", frame: func(string) []byte { return frame(creating(ownName("negative"), "-1")) }},
	{name: "CREATE with too many queues", real: "code 0", ours: "code 29", why: "memory is bounded", frame: func(string) []byte { return frame(creating(ownName("many"), "1000000000")) }},
	{name: "a group that is no JSON", real: "code 1", frame: bytesOf(frame(withBody(request(remoting.UpdateAndCreateSubscriptionGroup), []byte("hello"))))},
	{name: "a group without a name", real: "code 29", frame: bytesOf(frame(withBody(request(remoting.UpdateAndCreateSubscriptionGroup), []byte("{}"))))},
}, namesOfLies...)

// namesOfLies go to the name server.
var namesOfLies = []bad{
	{name: "ROUTE without a topic", real: "code 17", ours: "code 29", why: "a field is missing", names: true, frame: bytesOf(frame(request(remoting.GetRouteInfoByTopic)))},
	{name: "ROUTE to nothing", real: "code 17", names: true, frame: bytesOf(frame(request(remoting.GetRouteInfoByTopic, "topic", "nothing")))},
	{name: "ROUTE to an illegal topic", real: "code 17", names: true, frame: bytesOf(frame(request(remoting.GetRouteInfoByTopic, "topic", "a b\x00")))},
	{name: "ROUTE to no topic", real: "code 17", ours: "code 29", why: "a field is missing", names: true, frame: bytesOf(frame(request(remoting.GetRouteInfoByTopic, "topic", "")))},
	{name: "a KV configuration that is not there", real: "code 22", names: true, frame: bytesOf(frame(request(remoting.GetKVConfig, "namespace", "n", "key", "k")))},
	{name: "an unknown code for the name server", real: "code 3", names: true, frame: bytesOf(frame(request(9999)))},
	{name: "WIPE of an unknown broker", real: "code 0", names: true, frame: bytesOf(frame(request(remoting.WipeWritePermOfBroker, "brokerName", "nobody")))},
	{name: "a broker that registers with a broken body", real: "code 1", names: true, frame: bytesOf(frame(withBody(request(remoting.RegisterBroker, "brokerName", "x", "brokerAddr", "127.0.0.1:1",
		"clusterName", "c", "haServerAddr", "127.0.0.1:2", "brokerId", "0", "compressed", "false", "bodyCrc32", "1"), []byte("broken"))))},
}

func committing(topic, queue, offset string) *remoting.Command {
	return request(remoting.UpdateConsumerOffset, "consumerGroup", "probe-consumers", "topic", topic, "queueId", queue, "commitOffset", offset)
}

func popping(group, topic, invisible, poll string) *remoting.Command {
	return request(remoting.PopMessage, "consumerGroup", group, "topic", topic, "queueId", "-1", "maxMsgNums", "32", "invisibleTime", invisible, "pollTime", poll,
		"bornTime", strconv.FormatInt(time.Now().UnixMilli(), 10), "initMode", "0", "expType", "TAG", "exp", "*", "order", "false")
}

func acking(topic, receipt, offset string) *remoting.Command {
	return request(remoting.AckMessage, "consumerGroup", "probe-consumers", "topic", topic, "queueId", "0", "extraInfo", receipt, "offset", offset)
}

func creating(topic, queues string) *remoting.Command {
	return request(remoting.UpdateAndCreateTopic, "topic", topic, "defaultTopic", "TBW102", "readQueueNums", queues, "writeQueueNums", queues, "perm", "6",
		"topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false")
}
