package rocketmq_test

import (
	"encoding/binary"
	"strings"

	"sluice/gateway/remoting"
)

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
