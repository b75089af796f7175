package rocketmq_test

import (
	"fmt"
	"strconv"
	"time"

	"sluice/gateway/remoting"
)

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
	{name: "HEART_BEAT of an illegal group", real: "code 0", ours: "code 29", why: "there can be no such group", frame: bytesOf(frame(withBody(request(remoting.HeartBeat), []byte(
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
	{name: "MAX of a queue that is not there", real: "code 0", frame: func(topic string) []byte {
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
	{name: "QUERY for less than nothing", real: "code 1", ours: "code 22", why: "it finds nothing", frame: func(topic string) []byte {
		return frame(request(remoting.QueryMessage, "topic", topic, "key", "k", "maxNum", "-1", "beginTimestamp", "5", "endTimestamp", "1"))
	}},
	{name: "POP without fields", real: "code 1", frame: bytesOf(frame(request(remoting.PopMessage)))},
	{name: "POP from a topic that is not there", real: "code 17", frame: func(string) []byte { return frame(popping("probe-consumers", "nothing", "1000", "0")) }},
	{name: "POP of 1,000 at once", real: "code 29", frame: func(topic string) []byte {
		return frame(with(popping("probe-consumers", topic, "1000", "0"), "maxMsgNums", "1000"))
	}},
	{name: "POP from a queue that is not there", real: "code 29", frame: func(topic string) []byte {
		return frame(with(popping("probe-consumers", topic, "1000", "0"), "queueId", "77"))
	}},
	{name: "POP by an unknown group", real: "code 0", frame: func(topic string) []byte { return frame(popping(ownName("unknown"), topic, "1000", "0")) }},
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
	{name: "a broker that registers with a broken body", real: "code 1", ours: "code 3", why: "the gateway is a name server for itself alone", names: true, frame: bytesOf(frame(withBody(request(remoting.RegisterBroker, "brokerName", "x", "brokerAddr", "127.0.0.1:1",
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
