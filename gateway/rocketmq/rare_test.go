package rocketmq_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/gateway/remoting"
)

// TestRareRequests asks what no client of the other tests asks: requests of mqadmin's lesser commands, of slaves
// and of consoles.
func TestRareRequests(t *testing.T) {
	at := startGateway(t, "")
	topic, group, clone, admin := topicWith(t, at, 1), ownName("group"), ownName("clone"), call(t, at.broker)
	consumer := call(t, at.broker)
	consumer.must(beating("c1", group, topic))
	consumer.must(sending(topic, "one"))
	consumer.must(sending(topic, "two"))
	consumer.must(committed(group, topic, "0", "1"))
	topicList := fmt.Appendf(nil, `{"topicConfigList":[{"topicName":"%[1]s-a","readQueueNums":1,"writeQueueNums":1,"perm":6},{"topicName":"%[1]s-b","readQueueNums":2,"writeQueueNums":2,"perm":4}]}`, topic)
	groupList := fmt.Appendf(nil, `{"groupConfigList":[{"groupName":"%[1]s","retryMaxTimes":3},{"groupName":"%[1]s-b"}]}`, clone)
	both := []string{"group", group, "topic", topic}
	for _, c := range []struct {
		request *remoting.Command
		want    int
		body    string // a part of it
	}{
		{withBody(request(remoting.UpdateAndCreateTopicList), topicList), remoting.Success, ""},
		{request(remoting.GetAllTopicConfig), remoting.Success, topic + `-b"`},
		{withBody(request(remoting.UpdateAndCreateSubscriptionGroupList), groupList), remoting.Success, ""},
		{request(remoting.GetAllSubscriptionGroupConfig), remoting.Success, clone + `-b"`},
		{request(remoting.CloneGroupOffset, "srcGroup", group, "destGroup", clone, "topic", topic), remoting.Success, ""},
		{request(remoting.GetConsumeStats, "consumerGroup", clone), remoting.Success, `"consumerOffset":1`},
		{request(remoting.QueryConsumeTimeSpan, both...), remoting.Success, `"consumeTimeStamp"`},
		{request(remoting.QueryCorrectionOffset, "topic", topic, "compareGroup", group, "filterGroups", clone), remoting.Success, `"correctionOffsets"`},
		{request(remoting.QueryTopicsByConsumer, both...), remoting.Success, topic},
		{request(remoting.QuerySubscriptionByConsumer, both...), remoting.Success, `"subString":"a || b"`},
		{request(remoting.ResetConsumerOffsetInBroker, "group", clone, "topic", topic, "queueId", "0", "offset", "0"), remoting.Success, ""},
		{request(remoting.GetConsumeStats, "consumerGroup", clone), remoting.Success, `"consumerOffset":0`},
		{request(remoting.InvokeBrokerToGetConsumerStatus, "group", clone, "topic", topic), remoting.SystemError, ""},
		{request(remoting.GetAllProducerInfo), remoting.Success, "PG-" + group},
		{request(remoting.GetAllMessageRequestMode), remoting.Success, "{"},
		{request(remoting.GetSystemTopicListFromNameServer), remoting.Success, "topicList"},
		{request(remoting.GetSystemTopicListFromBroker), remoting.Success, "topicList"},
		{request(remoting.GetUnitTopicList), remoting.Success, "topicList"},
		{request(remoting.GetHasUnitSubTopicList), remoting.Success, "topicList"},
		{request(remoting.GetHasUnitSubUnunitTopicList), remoting.Success, "topicList"},
		{request(remoting.GetAllDelayOffset), remoting.Success, "{"},
		{request(remoting.DeleteExpiredCommitLog), remoting.Success, ""},
		{request(remoting.ResumeCheckHalfMessage, "msgId", "7F0000010000271000000000000000FF"), remoting.SystemError, ""},
		{withBody(request(remoting.UpdateBrokerConfig), []byte("brokerPermission=2\n")), remoting.NoPermission, ""},
		{withBody(request(remoting.UpdateNameServerConfig), []byte("clusterTest=true\n")), remoting.NoPermission, ""},
		{request(remoting.AuthUpdateUser, "username", "somebody"), remoting.NoPermission, ""},
		{request(remoting.AuthUpdateACL, "subject", "User:somebody"), remoting.NoPermission, ""},
	} {
		name := remoting.RequestName(c.request.Code)
		got := admin.ask(c.request)
		if got.Code != c.want || !strings.Contains(string(got.Body), c.body) {
			t.Errorf("%s: code %d %q with %.600s; want %d with %q", name, got.Code, got.Remark, got.Body, c.want, c.body)
		}
	}
}
