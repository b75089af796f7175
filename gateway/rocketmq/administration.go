package rocketmq

import (
	"strings"
	"sync/atomic"
	"time"

	"sluice/gateway/remoting"
)

// administration are the requests that change something for everybody, or show what belongs to others. They
// are for accounts that are administrators: without configured accounts that is everybody.
var administration = map[int]handler{
	remoting.UpdateAndCreateTopic:                 {(*Server).putTopic},
	remoting.UpdateAndCreateTopicList:             {(*Server).putTopics},
	remoting.GetAllTopicConfig:                    {(*Server).allTopicConfigs},
	remoting.UpdateAndCreateSubscriptionGroup:     {(*Server).putGroup},
	remoting.UpdateAndCreateSubscriptionGroupList: {(*Server).putGroups},
	remoting.GetAllSubscriptionGroupConfig:        {(*Server).allGroupConfigs},
	remoting.GetSubscriptionGroupConfig:           {(*Server).groupConfig},
	remoting.DeleteSubscriptionGroup:              {(*Server).deleteGroup},
	remoting.GetTopicStatsInfo:                    {(*Server).topicStats},
	remoting.GetConsumerConnectionList:            {(*Server).consumerConnections},
	remoting.GetProducerConnectionList:            {(*Server).producerConnections},
	remoting.GetAllTopicListFromNameServer:        {(*Server).topicList},
	remoting.GetTopicsByCluster:                   {(*Server).clusterTopicList},
	remoting.GetSystemTopicListFromNameServer:     {(*Server).systemTopicList},
	remoting.GetSystemTopicListFromBroker:         {(*Server).brokerSystemTopicList},
	remoting.GetConsumeStats:                      {(*Server).consumeStats},
	remoting.DeleteTopicInBroker:                  {(*Server).deleteTopic},
	remoting.DeleteTopicInNameServer:              {(*Server).deleteTopicRoute},

	remoting.QueryTopicConsumeByWho:          {(*Server).subscribersOf},
	remoting.QueryTopicsByConsumer:           {(*Server).topicsByGroup},
	remoting.QuerySubscriptionByConsumer:     {(*Server).subscriptionOf},
	remoting.QueryConsumeTimeSpan:            {(*Server).consumeTimeSpan},
	remoting.QueryCorrectionOffset:           {(*Server).correctionOffsets},
	remoting.GetConsumerRunningInfo:          {(*Server).runningInfo},
	remoting.ConsumeMessageDirectly:          {(*Server).consumeDirectly},
	remoting.InvokeBrokerToGetConsumerStatus: {(*Server).consumerStatus},
	remoting.InvokeBrokerToResetOffset:       {(*Server).resetOffset},
	remoting.ResetConsumerOffsetInBroker:     {(*Server).resetOffset},
	remoting.CloneGroupOffset:                {(*Server).cloneOffsets},
	remoting.ViewBrokerStatsData:             {(*Server).brokerStats},
	remoting.GetBrokerConsumeStats:           {(*Server).brokerConsumeStats},
	remoting.QueryConsumeQueue:               {(*Server).consumeQueue},
	remoting.GetAllProducerInfo:              {(*Server).allProducers},
	remoting.UpdateAndGetGroupForbidden:      {(*Server).groupForbidden},
	remoting.SetMessageRequestMode:           {(*Server).setRequestMode},
	remoting.GetAllMessageRequestMode:        {(*Server).requestModes},

	remoting.UpdateBrokerConfig:           {(*Server).updateConfig},
	remoting.GetBrokerConfig:              {(*Server).brokerConfig},
	remoting.GetBrokerRuntimeInfo:         {(*Server).runtimeInfo},
	remoting.UpdateNameServerConfig:       {(*Server).updateConfig},
	remoting.GetNameServerConfig:          {(*Server).nameServerConfig},
	remoting.GetAllConsumerOffset:         {(*Server).allOffsets},
	remoting.GetAllDelayOffset:            {(*Server).delayOffsets},
	remoting.GetTimerCheckPoint:           {(*Server).timerCheckPoint},
	remoting.GetTimerMetrics:              {(*Server).timerMetrics},
	remoting.PutKVConfig:                  {(*Server).putKV},
	remoting.GetKVConfig:                  {(*Server).getKV},
	remoting.DeleteKVConfig:               {(*Server).deleteKV},
	remoting.GetKVListByNamespace:         {(*Server).listKV},
	remoting.WipeWritePermOfBroker:        {(*Server).wipeWrites},
	remoting.AddWritePermOfBroker:         {(*Server).addWrites},
	remoting.CleanExpiredConsumeQueue:     {(*Server).clean},
	remoting.CleanUnusedTopic:             {(*Server).clean},
	remoting.DeleteExpiredCommitLog:       {(*Server).clean},
	remoting.GetUnitTopicList:             {(*Server).unitTopics},
	remoting.GetHasUnitSubTopicList:       {(*Server).unitTopics},
	remoting.GetHasUnitSubUnunitTopicList: {(*Server).unitTopics},
	remoting.ResumeCheckHalfMessage:       {(*Server).resumeCheck},

	remoting.AuthCreateUser: {(*Server).changeAccess},
	remoting.AuthUpdateUser: {(*Server).changeAccess},
	remoting.AuthDeleteUser: {(*Server).changeAccess},
	remoting.AuthGetUser:    {(*Server).getUser},
	remoting.AuthListUser:   {(*Server).listUsers},
	remoting.AuthCreateACL:  {(*Server).changeAccess},
	remoting.AuthUpdateACL:  {(*Server).changeAccess},
	remoting.AuthDeleteACL:  {(*Server).changeAccess},
	remoting.AuthGetACL:     {(*Server).getACL},
	remoting.AuthListACL:    {(*Server).listACLs},
}

// dataVersion tells tools whether what they know is still so.
type dataVersion struct {
	Counter   int64 `json:"counter"`
	State     int64 `json:"stateVersion"`
	Timestamp int64 `json:"timestamp"`
}

// changes count what was configured.
type changes struct {
	count atomic.Int64
	last  atomic.Int64  // Unix milliseconds
	tell  chan struct{} // who wants to hear of it; may be nil
}

func (c *changes) note(now time.Time) {
	c.last.Store(now.UnixMilli())
	c.count.Add(1)
	wake(c.tell)
}

func (c *changes) version() dataVersion {
	return dataVersion{Counter: c.count.Load(), Timestamp: c.last.Load()}
}

// page gives the part of a list that a request asks for: some from a number on.
func page[T any](list []T, from, most int64) []T {
	if from < 0 || from >= int64(len(list)) {
		return nil
	}
	list = list[from:]
	if most > 0 && most < int64(len(list)) {
		list = list[:most]
	}
	return list
}

// shown gives the attributes that clients know; those of our own begin with U+0000.
func shown(attributes map[string]string) map[string]string {
	list := make(map[string]string, len(attributes))
	for name, value := range attributes {
		if !strings.HasPrefix(name, "\x00") {
			list[name] = value
		}
	}
	return list
}

// changedAttributes applies changes as tools write them, "+name=value,-name", to attributes.
func changedAttributes(attributes map[string]string, text string) (map[string]string, error) {
	list := shown(attributes)
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		name, value, set := strings.Cut(one, "=")
		switch {
		case one == "":
		case strings.HasPrefix(name, "+") && len(name) > 1 && set:
			list[name[1:]] = value
		case strings.HasPrefix(name, "-") && len(name) > 1 && !set:
			delete(list, name[1:])
		default:
			return nil, refuse(remoting.InvalidParameter, "attributes are written as +name=value or -name, not %.80q", one)
		}
	}
	return list, nil
}
