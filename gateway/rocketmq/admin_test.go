package rocketmq_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/gateway/remoting"
)

// beating is a heartbeat of a consumer group's client that is subscribed to a topic.
func beating(client, group, topic string) *remoting.Command {
	body := fmt.Appendf(nil, `{"clientID":%q,"producerDataSet":[{"groupName":"PG-%s"}],"consumerDataSet":[{"groupName":%q,"consumeType":"CONSUME_PASSIVELY",`+
		`"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{"topic":%q,"subString":"a || b",`+
		`"tagsSet":["a","b"],"codeSet":[97,98],"subVersion":1,"expressionType":"TAG"}]}]}`, client, group, group, topic)
	return withBody(request(remoting.HeartBeat), body)
}

// topicWith makes a topic with so many queues.
func topicWith(t *testing.T, at target, queues int) string {
	t.Helper()
	topic, n := ownName("topic"), strconv.Itoa(queues)
	call(t, at.broker).must(request(remoting.UpdateAndCreateTopic, "topic", topic, "readQueueNums", n, "writeQueueNums", n, "perm", "6"))
	return topic
}

func committed(group, topic, queue, offset string) *remoting.Command {
	return request(remoting.UpdateConsumerOffset, "consumerGroup", group, "topic", topic, "queueId", queue, "commitOffset", offset)
}

// tableOf cuts the map out of {…,"name":MAP} whose keys are objects, and reads it.
func tableOf(t *testing.T, body []byte, name string) []remoting.QueueEntry {
	t.Helper()
	_, text, found := bytes.Cut(body, []byte(`"`+name+`":`))
	if !found {
		t.Fatalf("there is no %s in %s", name, body)
	}
	entries, err := remoting.ParseQueueMap(bytes.TrimSuffix(text, []byte("}")))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	slices.SortFunc(entries, func(a, b remoting.QueueEntry) int { return int(a.Queue.QueueID - b.Queue.QueueID) })
	return entries
}

func TestTopicStatsHaveObjectsForKeys(t *testing.T) {
	at := startGateway(t, "")
	topic, admin := topicWith(t, at, 2), call(t, at.broker)
	admin.must(sending(topic, "one"))
	admin.must(sending(topic, "two"))
	body := admin.must(request(remoting.GetTopicStatsInfo, "topic", topic)).Body
	want := fmt.Sprintf(`^\{"offsetTable":\{\{"brokerName":"broker-a","queueId":0,"topic":"%[1]s"\}:\{"lastUpdateTimestamp":\d{13},"maxOffset":2,"minOffset":0\},`+
		`\{"brokerName":"broker-a","queueId":1,"topic":"%[1]s"\}:\{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0\}\},"topicPutTps":0\.00\}$`, topic)
	if !regexp.MustCompile(want).Match(body) {
		t.Errorf("statistics of %s:\n%s\nwant %s", topic, body, want)
	}
	if got := admin.ask(request(remoting.GetTopicStatsInfo, "topic", "nowhere")); got.Code != remoting.TopicNotExist {
		t.Errorf("statistics of a topic that there is not: code %d, want %d", got.Code, remoting.TopicNotExist)
	}
}

func TestAGroupsProgress(t *testing.T) {
	at := startGateway(t, "")
	topic, group, admin := topicWith(t, at, 2), ownName("group"), call(t, at.broker)
	for _, body := range []string{"one", "two", "three"} {
		admin.must(sending(topic, body))
	}
	consumer := call(t, at.broker)
	consumer.must(beating("client-1", group, topic))
	consumer.must(committed(group, topic, "0", "2"))
	body := admin.must(request(remoting.GetConsumeStats, "consumerGroup", group)).Body
	entries := tableOf(t, body, "offsetTable")
	if len(entries) != 2 {
		t.Fatalf("%d queues in %s, want 2", len(entries), body)
	}
	var first struct{ BrokerOffset, ConsumerOffset, LastTimestamp int64 }
	if err := json.Unmarshal(entries[0].Value, &first); err != nil {
		t.Fatal(err)
	}
	if first.BrokerOffset != 3 || first.ConsumerOffset != 2 || first.LastTimestamp == 0 {
		t.Errorf("queue 0: %+v, want 3, 2 and a time", first)
	}
	all := string(admin.must(request(remoting.GetAllConsumerOffset)).Body)
	if want := fmt.Sprintf(`"%s@%s":{0:2}`, topic, group); !strings.Contains(all, want) {
		t.Errorf("the offsets of all groups lack %s:\n%s", want, all)
	}
	every := string(admin.must(request(remoting.GetBrokerConsumeStats, "isOrder", "false")).Body)
	if !strings.Contains(every, fmt.Sprintf(`"consumeStatsList":[{"%s":[{"consumeTps":`, group)) || !strings.Contains(every, `"totalDiff":1,`) {
		t.Errorf("the statistics of all groups: %s", every)
	}
	groups := string(admin.must(request(remoting.QueryTopicConsumeByWho, "topic", topic)).Body)
	if want := fmt.Sprintf(`{"groupList":["%s"]}`, group); groups != want {
		t.Errorf("who consumes: %s, want %s", groups, want)
	}
}

func TestConnectionsOfGroups(t *testing.T) {
	at := startGateway(t, "")
	topic, group, admin := topicWith(t, at, 1), ownName("group"), call(t, at.broker)
	if got := admin.ask(request(remoting.GetConsumerConnectionList, "consumerGroup", group)); got.Code != remoting.ConsumerNotOnline {
		t.Errorf("a group without clients: code %d, want %d", got.Code, remoting.ConsumerNotOnline)
	}
	consumer := call(t, at.broker)
	consumer.must(beating("client-1", group, topic))
	want := fmt.Sprintf(`{"connectionSet":[{"clientAddr":"%[1]s","clientId":"client-1","language":"JAVA","version":479}],"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET",`+
		`"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"%[2]s":{"classFilterMode":false,"topic":"%[2]s","subString":"a || b",`+
		`"tagsSet":["a","b"],"codeSet":[97,98],"subVersion":1,"expressionType":"TAG"}}}`, consumer.conn.LocalAddr(), topic)
	if got := string(admin.must(request(remoting.GetConsumerConnectionList, "consumerGroup", group)).Body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = fmt.Sprintf(`{"connectionSet":[{"clientAddr":"%s","clientId":"client-1","language":"JAVA","version":479}]}`, consumer.conn.LocalAddr())
	if got := string(admin.must(request(remoting.GetProducerConnectionList, "producerGroup", "PG-"+group)).Body); got != want {
		t.Errorf("producers: %s, want %s", got, want)
	}
}

func TestAskingAConsumerThroughUs(t *testing.T) {
	at := startGateway(t, "")
	topic, group := topicWith(t, at, 1), ownName("group")
	consumer, admin := call(t, at.broker), call(t, at.broker)
	consumer.must(beating("client-1", group, topic))
	question := request(remoting.GetConsumerRunningInfo, "consumerGroup", group, "clientId", "client-1", "jstackEnable", "false")
	question.Opaque = 4711
	admin.write(frame(question))
	for {
		asked, otherwise := consumer.read(patience)
		if asked == nil {
			t.Fatalf("the consumer is asked nothing: %s", otherwise)
		}
		if asked.Code != remoting.GetConsumerRunningInfo {
			continue
		}
		consumer.write(frame(&remoting.Command{Opaque: asked.Opaque, Flag: remoting.FlagResponse, Body: []byte(`{"properties":{}}`)}))
		break
	}
	if got, otherwise := admin.read(patience); got == nil || got.Opaque != 4711 || string(got.Body) != `{"properties":{}}` {
		t.Errorf("the tool hears %+v %s, want what the consumer said", got, otherwise)
	}
	question = request(remoting.GetConsumerRunningInfo, "consumerGroup", group, "clientId", "somebody", "jstackEnable", "false")
	if got := admin.ask(question); got.Code != remoting.SystemError {
		t.Errorf("asking who is not there: code %d, want %d", got.Code, remoting.SystemError)
	}
}

func TestAResetReachesWhoeverConsumes(t *testing.T) {
	at := startGateway(t, "")
	topic, group, consumer := topicWith(t, at, 1), ownName("group"), call(t, at.broker)
	for _, body := range []string{"one", "two", "three"} {
		consumer.must(sending(topic, body))
	}
	consumer.must(beating("client-1", group, topic))
	consumer.must(committed(group, topic, "0", "3"))
	body := string(call(t, at.broker).must(request(remoting.InvokeBrokerToResetOffset, "topic", topic, "group", group, "timestamp", "0", "isForce", "true")).Body)
	if want := fmt.Sprintf(`{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"%s"}:0}}`, topic); body != want {
		t.Errorf("the reset answers %s, want %s", body, want)
	}
	consumer.must(committed(group, topic, "0", "3")) // what it knew before
	asking := request(remoting.QueryConsumerOffset, "consumerGroup", group, "topic", topic, "queueId", "0")
	if got := consumer.must(asking).Ext.Get("offset"); got != "0" {
		t.Errorf("a commit has undone the reset: offset %s", got)
	}
	moved := consumer.ask(pulling(group, topic, 3))
	if moved.Code != remoting.PullOffsetMoved || moved.Ext.Get("nextBeginOffset") != "0" {
		t.Errorf("the next pull: code %d, go on at %s, want %d and 0", moved.Code, moved.Ext.Get("nextBeginOffset"), remoting.PullOffsetMoved)
	}
	if got := consumer.ask(pulling(group, topic, 0)); got.Code != remoting.Success || len(got.Body) == 0 {
		t.Errorf("the pull after it: code %d %s, want messages", got.Code, got.Remark)
	}
}

func TestADeletedTopicIsGoneAndComesBack(t *testing.T) {
	at := startGateway(t, "")
	topic, admin := topicWith(t, at, 1), call(t, at.broker)
	admin.must(sending(topic, "one"))
	admin.must(request(remoting.DeleteTopicInBroker, "topic", topic))
	if got := admin.ask(request(remoting.GetTopicConfig, "topic", topic)); got.Code != remoting.TopicNotExist {
		t.Errorf("its settings: code %d, want %d", got.Code, remoting.TopicNotExist)
	}
	if names := string(admin.must(request(remoting.GetAllTopicListFromNameServer)).Body); strings.Contains(names, topic) {
		t.Errorf("it is still listed: %s", names)
	}
	admin.must(sending(topic, "two"))
	if got := admin.ask(request(remoting.GetTopicConfig, "topic", topic)); got.Code != remoting.Success {
		t.Errorf("made anew by a message: code %d %s", got.Code, got.Remark)
	}
}

func TestADeletedGroupKeepsItsOffsetsUnlessTheyAreToGo(t *testing.T) {
	at := startGateway(t, "")
	topic, group, admin := topicWith(t, at, 1), ownName("group"), call(t, at.broker)
	create := func() *remoting.Command {
		return withBody(request(remoting.UpdateAndCreateSubscriptionGroup), fmt.Appendf(nil, `{"groupName":%q,"retryMaxTimes":0,"brokerId":7}`, group))
	}
	offset := request(remoting.QueryConsumerOffset, "consumerGroup", group, "topic", topic, "queueId", "0")
	admin.must(create())
	var config struct {
		RetryMaxTimes, BrokerID int
		ConsumeEnable           bool
	}
	if err := json.Unmarshal(admin.must(request(remoting.GetSubscriptionGroupConfig, "group", group)).Body, &config); err != nil {
		t.Fatal(err)
	}
	if config.RetryMaxTimes != 0 || config.BrokerID != 7 || !config.ConsumeEnable {
		t.Errorf("the group is %+v, want no retries, broker 7, and what is ordinary", config)
	}
	for _, clean := range []string{"false", "true"} {
		admin.must(committed(group, topic, "0", "5"))
		admin.must(request(remoting.DeleteSubscriptionGroup, "groupName", group, "cleanOffset", clean))
		if got := admin.ask(request(remoting.GetSubscriptionGroupConfig, "group", group)); got.Code != remoting.SubscriptionGroupNotExist {
			t.Errorf("a deleted group: code %d, want %d", got.Code, remoting.SubscriptionGroupNotExist)
		}
		admin.must(create())
		want := "5"
		if clean == "true" {
			want = "0" // as for a group that is new
		}
		if got := admin.must(offset).Ext.Get("offset"); got != want {
			t.Errorf("made anew after cleanOffset=%s: its offset is %s, want %s", clean, got, want)
		}
	}
}

// What the exporter for Prometheus parses without asking whether it is there.
func TestTheExportersKeysAreNumbers(t *testing.T) {
	at := startGateway(t, "")
	admin := call(t, at.broker)
	admin.must(sending(topicWith(t, at, 1), "one"))
	var body struct{ Table map[string]string }
	if err := json.Unmarshal(admin.must(request(remoting.GetBrokerRuntimeInfo)).Body, &body); err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Fields(`msgPutTotalTodayNow msgGetTotalTodayNow msgPutTotalYesterdayMorning msgGetTotalYesterdayMorning msgPutTotalTodayMorning
		msgGetTotalTodayMorning sendThreadPoolQueueHeadWaitTimeMills queryThreadPoolQueueHeadWaitTimeMills pullThreadPoolQueueHeadWaitTimeMills
		sendThreadPoolQueueSize sendThreadPoolQueueCapacity queryThreadPoolQueueSize queryThreadPoolQueueCapacity pullThreadPoolQueueSize
		pullThreadPoolQueueCapacity bootTimestamp commitLogMinOffset commitLogMaxOffset dispatchMaxBuffer brokerVersion consumeQueueDiskRatio commitLogDiskRatio
		pageCacheLockTimeMills getMessageEntireTimeMax putMessageEntireTimeMax putMessageTimesTotal putMessageAverageSize putMessageSizeTotal
		startAcceptSendRequestTimeStamp earliestMessageTimeStamp remainTransientStoreBufferNumbs dispatchBehindBytes`) {
		if _, err := strconv.ParseFloat(body.Table[key], 64); err != nil {
			t.Errorf("%s is %q", key, body.Table[key])
		}
	}
	for key, form := range map[string]string{
		"putTps": `^\S+ \S+ \S+$`, "getMissTps": `^\S+ \S+ \S+$`, "getTransferredTps": `^\S+ \S+ \S+$`, "getTotalTps": `^\S+ \S+ \S+$`, "getFoundTps": `^\S+ \S+ \S+$`,
		"commitLogDirCapacity": `^Total : [\d.]+ GiB, Free : [\d.]+ GiB\.$`, "remainHowManyDataToFlush": `^0 B$`, "brokerVersionDesc": `^V\d`,
		"runtime":                  `^\[ \d+ days, \d+ hours, \d+ minutes, \d+ seconds \]$`,
		"putMessageDistributeTime": `^\[<=0ms\]:\d+ \[0~10ms\]:\d+ \[10~50ms\]:\d+ \[50~100ms\]:\d+ \[100~200ms\]:\d+ \[200~500ms\]:\d+ \[500ms~1s\]:\d+ (\[\d~\ds\]:\d+ ){4}\[5~10s\]:\d+ \[10s~\]:\d+$`,
	} {
		if !regexp.MustCompile(form).MatchString(body.Table[key]) {
			t.Errorf("%s is %q, want %s", key, body.Table[key], form)
		}
	}
	if got := body.Table["msgPutTotalTodayNow"]; got != "1" {
		t.Errorf("%s messages were put, want 1", got)
	}
	// The exporter takes code 1, and no other, for a statistic that there is not.
	if got := admin.ask(request(remoting.ViewBrokerStatsData, "statsName", "GROUP_GET_LATENCY", "statsKey", "0@t@g")); got.Code != remoting.SystemError {
		t.Errorf("a statistic that does not exist: code %d, want %d", got.Code, remoting.SystemError)
	}
}

func TestTheNameServersTable(t *testing.T) {
	at := startGateway(t, "")
	topic, admin := topicWith(t, at, 1), call(t, at.nameServer)
	admin.must(request(remoting.PutKVConfig, "namespace", "ORDER_TOPIC_CONFIG", "key", topic, "value", "broker-a:4"))
	if route := string(admin.must(request(remoting.GetRouteInfoByTopic, "topic", topic)).Body); !strings.Contains(route, `"orderTopicConf":"broker-a:4"`) {
		t.Errorf("the route has no order: %s", route)
	}
	list := string(admin.must(request(remoting.GetKVListByNamespace, "namespace", "ORDER_TOPIC_CONFIG")).Body)
	if want := fmt.Sprintf(`{"table":{"%s":"broker-a:4"}}`, topic); list != want {
		t.Errorf("the table is %s, want %s", list, want)
	}
	if names := string(admin.must(request(remoting.GetAllTopicListFromNameServer)).Body); strings.Contains(names, "ORDER_TOPIC_CONFIG") {
		t.Errorf("an entry of the table is taken for a topic: %s", names)
	}
	admin.must(request(remoting.DeleteKVConfig, "namespace", "ORDER_TOPIC_CONFIG", "key", topic))
	if got := admin.ask(request(remoting.GetKVConfig, "namespace", "ORDER_TOPIC_CONFIG", "key", topic)); got.Code != remoting.QueryNotFound {
		t.Errorf("a deleted entry: code %d, want %d", got.Code, remoting.QueryNotFound)
	}
}

func TestQueryingMessages(t *testing.T) {
	at := startGateway(t, "")
	topic, admin := topicWith(t, at, 1), call(t, at.broker)
	sent := admin.must(with(sending(topic, "one"), "properties", "KEYS\x01order-7 blue\x02UNIQ_KEY\x01AC1400010001\x02"))
	admin.must(sending(topic, "two"))
	ask := func(key string) *remoting.Command {
		return request(remoting.QueryMessage, "topic", topic, "key", key, "maxNum", "32", "beginTimestamp", "0", "endTimestamp", strconv.FormatInt(1<<62, 10))
	}
	for _, key := range []string{"order-7", "blue", "AC1400010001"} {
		found, rest, err := remoting.ParseStored(admin.must(ask(key)).Body)
		if err != nil || string(found.Body) != "one" || len(rest) > 0 {
			t.Errorf("by %s: %q and %d bytes, %v", key, found.Body, len(rest), err)
		}
	}
	if got := admin.ask(ask("red")); got.Code != remoting.QueryNotFound {
		t.Errorf("by a key that nothing has: code %d, want %d", got.Code, remoting.QueryNotFound)
	}
	_, position, err := remoting.ParseOffsetID(sent.Ext.Get("msgId"))
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := remoting.ParseStored(admin.must(request(remoting.ViewMessageByID, "offset", strconv.FormatUint(position, 10))).Body)
	if err != nil || string(found.Body) != "one" {
		t.Errorf("by position: %q, %v", found.Body, err)
	}
}

// signed signs a request as clients do.
func signed(c *remoting.Command, key, secret string) *remoting.Command {
	c.Ext.Set("AccessKey", key)
	fields := slices.Clone(c.Ext)
	slices.SortFunc(fields, func(a, b remoting.Field) int { return strings.Compare(a.Name, b.Name) })
	mac := hmac.New(sha1.New, []byte(secret))
	for _, f := range fields {
		mac.Write([]byte(f.Value))
	}
	mac.Write(c.Body)
	c.Ext.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return c
}

func TestAdministrationIsForAdministrators(t *testing.T) {
	at := startGateway(t, `  access:
    - {access_key: boss, secret_key: bosssecret, admin: true}
    - {access_key: sensor, secret_key: sensorsecret, publish: ["line*"], subscribe: ["line*"], groups: ["line*"]}
`)
	admin := call(t, at.broker)
	made := request(remoting.UpdateAndCreateTopic, "topic", "line1", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6")
	admin.must(signed(made, "boss", "bosssecret"))
	for _, code := range []int{remoting.UpdateAndCreateTopic, remoting.GetTopicStatsInfo, remoting.DeleteTopicInBroker, remoting.GetBrokerRuntimeInfo, remoting.AuthListUser} {
		got := admin.ask(signed(request(code, "topic", "line1"), "sensor", "sensorsecret"))
		if got.Code != remoting.NoPermission {
			t.Errorf("%s of who is no administrator: code %d, want %d", remoting.RequestName(code), got.Code, remoting.NoPermission)
		}
	}
	if got := admin.ask(signed(request(remoting.GetTopicConfig, "topic", "line1"), "sensor", "sensorsecret")); got.Code != remoting.Success {
		t.Errorf("asking about its own topic: code %d %s", got.Code, got.Remark)
	}
	users := string(admin.must(signed(request(remoting.AuthListUser), "boss", "bosssecret")).Body)
	if want := `[{"userStatus":"enable","userType":"Super","username":"boss"},{"userStatus":"enable","userType":"Normal","username":"sensor"}]`; users != want {
		t.Errorf("the users are %s, want %s", users, want)
	}
}

func TestAGroupThatMayNotReadATopic(t *testing.T) {
	at := startGateway(t, "")
	topic, group, admin := topicWith(t, at, 1), ownName("group"), call(t, at.broker)
	admin.must(sending(topic, "one"))
	for _, readable := range []bool{false, true} {
		body := string(admin.must(request(remoting.UpdateAndGetGroupForbidden, "group", group, "topic", topic, "readable", fmt.Sprint(readable))).Body)
		if want := fmt.Sprintf(`{"group":"%s","readable":%t,"topic":"%s"}`, group, readable, topic); body != want {
			t.Errorf("forbidding answers %s, want %s", body, want)
		}
		want := remoting.NoPermission
		if readable {
			want = remoting.Success
		}
		if got := admin.ask(pulling(group, topic, 0)); got.Code != want {
			t.Errorf("readable %t: a pull gives code %d, want %d", readable, got.Code, want)
		}
	}
}
