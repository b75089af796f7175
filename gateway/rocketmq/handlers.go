package rocketmq

import "sluice/gateway/remoting"

// handler serves one request code.
type handler struct {
	run func(*Server, *request) (answer, error)
}

// handlers are the requests that are served. Everything else is answered with REQUEST_CODE_NOT_SUPPORTED.
var handlers = map[int]handler{
	remoting.SendMessage:                {(*Server).sendMessage},
	remoting.SendMessageV2:              {(*Server).sendMessage},
	remoting.SendBatchMessage:           {(*Server).sendBatch},
	remoting.SendReplyMessage:           {(*Server).sendReply},
	remoting.SendReplyMessageV2:         {(*Server).sendReply},
	remoting.PullMessage:                {(*Server).pullMessage},
	remoting.LitePullMessage:            {(*Server).pullMessage},
	remoting.QueryConsumerOffset:        {(*Server).queryConsumerOffset},
	remoting.UpdateConsumerOffset:       {(*Server).updateConsumerOffset},
	remoting.SearchOffsetByTimestamp:    {(*Server).searchOffset},
	remoting.GetMaxOffset:               {(*Server).maxOffset},
	remoting.GetMinOffset:               {(*Server).minOffset},
	remoting.GetEarliestMsgStoreTime:    {(*Server).earliestTime},
	remoting.HeartBeat:                  {(*Server).heartbeat},
	remoting.UnregisterClient:           {(*Server).unregisterClient},
	remoting.GetConsumerListByGroup:     {(*Server).consumerList},
	remoting.ConsumerSendMsgBack:        {(*Server).sendBack},
	remoting.EndTransaction:             {(*Server).endTransaction},
	remoting.RecallMessage:              {(*Server).recallMessage},
	remoting.PopMessage:                 {(*Server).popMessage},
	remoting.AckMessage:                 {(*Server).ackMessage},
	remoting.BatchAckMessage:            {(*Server).batchAck},
	remoting.ChangeMessageInvisibleTime: {(*Server).changeInvisible},
	remoting.Notification:               {(*Server).notification},
	remoting.PollingInfo:                {(*Server).pollingInfo},
	remoting.LockBatchMQ:                {(*Server).lockQueues},
	remoting.UnlockBatchMQ:              {(*Server).unlockQueues},
	remoting.CheckClientConfig:          {(*Server).checkClientConfig},
	remoting.GetRouteInfoByTopic:        {(*Server).routeInfo},
	remoting.GetBrokerClusterInfo:       {(*Server).clusterInfo},
	remoting.GetTopicConfig:             {(*Server).oneTopicConfig},
	remoting.QueryMessage:               {(*Server).queryMessage},
	remoting.ViewMessageByID:            {(*Server).viewMessage},
	remoting.QueryAssignment:            {(*Server).queryAssignment},
}
