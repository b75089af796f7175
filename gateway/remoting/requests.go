package remoting

import "strconv"

// The codes of requests. Each has Java's name in the table below.
const (
	// Messages and consumers.
	SendMessage              = 10
	PullMessage              = 11
	QueryMessage             = 12
	QueryConsumerOffset      = 14
	UpdateConsumerOffset     = 15
	UpdateAndCreateTopic     = 17
	UpdateAndCreateTopicList = 18
	GetAllTopicConfig        = 21
	UpdateBrokerConfig       = 25
	GetBrokerConfig          = 26
	GetBrokerRuntimeInfo     = 28
	SearchOffsetByTimestamp  = 29
	GetMaxOffset             = 30
	GetMinOffset             = 31
	GetEarliestMsgStoreTime  = 32
	ViewMessageByID          = 33
	HeartBeat                = 34
	UnregisterClient         = 35
	ConsumerSendMsgBack      = 36
	EndTransaction           = 37
	GetConsumerListByGroup   = 38
	CheckTransactionState    = 39
	NotifyConsumerIDsChanged = 40
	LockBatchMQ              = 41
	UnlockBatchMQ            = 42
	GetAllConsumerOffset     = 43
	GetAllDelayOffset        = 45
	CheckClientConfig        = 46
	GetTimerCheckPoint       = 60
	GetTimerMetrics          = 61

	// Name server.
	PutKVConfig          = 100
	GetKVConfig          = 101
	DeleteKVConfig       = 102
	RegisterBroker       = 103
	UnregisterBroker     = 104
	GetRouteInfoByTopic  = 105
	GetBrokerClusterInfo = 106

	// Administration.
	UpdateAndCreateSubscriptionGroup     = 200
	GetAllSubscriptionGroupConfig        = 201
	GetTopicStatsInfo                    = 202
	GetConsumerConnectionList            = 203
	GetProducerConnectionList            = 204
	WipeWritePermOfBroker                = 205
	GetAllTopicListFromNameServer        = 206
	DeleteSubscriptionGroup              = 207
	GetConsumeStats                      = 208
	ResetConsumerOffsetInBroker          = 212
	DeleteTopicInBroker                  = 215
	DeleteTopicInNameServer              = 216
	RegisterTopicInNameServer            = 217
	GetKVListByNamespace                 = 219
	ResetConsumerClientOffset            = 220
	GetConsumerStatusFromClient          = 221
	InvokeBrokerToResetOffset            = 222
	InvokeBrokerToGetConsumerStatus      = 223
	GetTopicsByCluster                   = 224
	UpdateAndCreateSubscriptionGroupList = 225
	QueryTopicConsumeByWho               = 300
	QueryConsumeTimeSpan                 = 303
	GetSystemTopicListFromNameServer     = 304
	GetSystemTopicListFromBroker         = 305
	CleanExpiredConsumeQueue             = 306
	GetConsumerRunningInfo               = 307
	QueryCorrectionOffset                = 308
	ConsumeMessageDirectly               = 309
	SendMessageV2                        = 310
	GetUnitTopicList                     = 311
	GetHasUnitSubTopicList               = 312
	GetHasUnitSubUnunitTopicList         = 313
	CloneGroupOffset                     = 314
	ViewBrokerStatsData                  = 315
	CleanUnusedTopic                     = 316
	GetBrokerConsumeStats                = 317
	UpdateNameServerConfig               = 318
	GetNameServerConfig                  = 319
	SendBatchMessage                     = 320
	QueryConsumeQueue                    = 321
	QueryDataVersion                     = 322
	ResumeCheckHalfMessage               = 323
	SendReplyMessage                     = 324
	SendReplyMessageV2                   = 325
	PushReplyMessageToClient             = 326
	AddWritePermOfBroker                 = 327
	GetAllProducerInfo                   = 328
	DeleteExpiredCommitLog               = 329
	QueryTopicsByConsumer                = 343
	QuerySubscriptionByConsumer          = 345
	GetTopicConfig                       = 351
	GetSubscriptionGroupConfig           = 352
	UpdateAndGetGroupForbidden           = 353
	LitePullMessage                      = 361
	RecallMessage                        = 370
	QueryAssignment                      = 400
	SetMessageRequestMode                = 401
	GetAllMessageRequestMode             = 402
	UpdateAndCreateStaticTopic           = 513

	// Broker groups, controllers, cold data.
	GetBrokerMemberGroup            = 901
	AddBroker                       = 902
	RemoveBroker                    = 903
	BrokerHeartbeat                 = 904
	NotifyMinBrokerIDChange         = 905
	ExchangeBrokerHAInfo            = 906
	GetBrokerHAStatus               = 907
	ResetMasterFlushOffset          = 908
	ControllerAlterSyncStateSet     = 1001
	ControllerElectMaster           = 1002
	ControllerRegisterBroker        = 1003
	ControllerGetReplicaInfo        = 1004
	ControllerGetMetadataInfo       = 1005
	ControllerGetSyncStateData      = 1006
	GetBrokerEpochCache             = 1007
	NotifyBrokerRoleChanged         = 1008
	UpdateControllerConfig          = 1009
	GetControllerConfig             = 1010
	CleanBrokerData                 = 1011
	ControllerGetNextBrokerID       = 1012
	ControllerApplyBrokerID         = 1013
	BrokerCloseChannelRequest       = 1014
	CheckNotActiveBrokerRequest     = 1015
	GetBrokerLiveInfoRequest        = 1016
	GetSyncStateDataRequest         = 1017
	RaftBrokerHeartBeatEventRequest = 1018
	UpdateColdDataFlowCtrConfig     = 2001
	RemoveColdDataFlowCtrConfig     = 2002
	GetColdDataFlowCtrInfo          = 2003
	SetCommitLogReadMode            = 2004

	// Users and access lists of RocketMQ 5.3.
	AuthCreateUser = 3001
	AuthUpdateUser = 3002
	AuthDeleteUser = 3003
	AuthGetUser    = 3004
	AuthListUser   = 3005
	AuthCreateACL  = 3006
	AuthUpdateACL  = 3007
	AuthDeleteACL  = 3008
	AuthGetACL     = 3009
	AuthListACL    = 3010

	// Pop consumption.
	PopMessage                 = 200050
	AckMessage                 = 200051
	PeekMessage                = 200052
	ChangeMessageInvisibleTime = 200053
	Notification               = 200054
	PollingInfo                = 200055
	PopRollback                = 200056
	BatchAckMessage            = 200151
)

var requestNames = map[int]string{
	SendMessage:                          "SEND_MESSAGE",
	PullMessage:                          "PULL_MESSAGE",
	QueryMessage:                         "QUERY_MESSAGE",
	QueryConsumerOffset:                  "QUERY_CONSUMER_OFFSET",
	UpdateConsumerOffset:                 "UPDATE_CONSUMER_OFFSET",
	UpdateAndCreateTopic:                 "UPDATE_AND_CREATE_TOPIC",
	UpdateAndCreateTopicList:             "UPDATE_AND_CREATE_TOPIC_LIST",
	GetAllTopicConfig:                    "GET_ALL_TOPIC_CONFIG",
	UpdateBrokerConfig:                   "UPDATE_BROKER_CONFIG",
	GetBrokerConfig:                      "GET_BROKER_CONFIG",
	GetBrokerRuntimeInfo:                 "GET_BROKER_RUNTIME_INFO",
	SearchOffsetByTimestamp:              "SEARCH_OFFSET_BY_TIMESTAMP",
	GetMaxOffset:                         "GET_MAX_OFFSET",
	GetMinOffset:                         "GET_MIN_OFFSET",
	GetEarliestMsgStoreTime:              "GET_EARLIEST_MSG_STORETIME",
	ViewMessageByID:                      "VIEW_MESSAGE_BY_ID",
	HeartBeat:                            "HEART_BEAT",
	UnregisterClient:                     "UNREGISTER_CLIENT",
	ConsumerSendMsgBack:                  "CONSUMER_SEND_MSG_BACK",
	EndTransaction:                       "END_TRANSACTION",
	GetConsumerListByGroup:               "GET_CONSUMER_LIST_BY_GROUP",
	CheckTransactionState:                "CHECK_TRANSACTION_STATE",
	NotifyConsumerIDsChanged:             "NOTIFY_CONSUMER_IDS_CHANGED",
	LockBatchMQ:                          "LOCK_BATCH_MQ",
	UnlockBatchMQ:                        "UNLOCK_BATCH_MQ",
	GetAllConsumerOffset:                 "GET_ALL_CONSUMER_OFFSET",
	GetAllDelayOffset:                    "GET_ALL_DELAY_OFFSET",
	CheckClientConfig:                    "CHECK_CLIENT_CONFIG",
	GetTimerCheckPoint:                   "GET_TIMER_CHECK_POINT",
	GetTimerMetrics:                      "GET_TIMER_METRICS",
	PutKVConfig:                          "PUT_KV_CONFIG",
	GetKVConfig:                          "GET_KV_CONFIG",
	DeleteKVConfig:                       "DELETE_KV_CONFIG",
	RegisterBroker:                       "REGISTER_BROKER",
	UnregisterBroker:                     "UNREGISTER_BROKER",
	GetRouteInfoByTopic:                  "GET_ROUTEINFO_BY_TOPIC",
	GetBrokerClusterInfo:                 "GET_BROKER_CLUSTER_INFO",
	UpdateAndCreateSubscriptionGroup:     "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP",
	GetAllSubscriptionGroupConfig:        "GET_ALL_SUBSCRIPTIONGROUP_CONFIG",
	GetTopicStatsInfo:                    "GET_TOPIC_STATS_INFO",
	GetConsumerConnectionList:            "GET_CONSUMER_CONNECTION_LIST",
	GetProducerConnectionList:            "GET_PRODUCER_CONNECTION_LIST",
	WipeWritePermOfBroker:                "WIPE_WRITE_PERM_OF_BROKER",
	GetAllTopicListFromNameServer:        "GET_ALL_TOPIC_LIST_FROM_NAMESERVER",
	DeleteSubscriptionGroup:              "DELETE_SUBSCRIPTIONGROUP",
	GetConsumeStats:                      "GET_CONSUME_STATS",
	ResetConsumerOffsetInBroker:          "RESET_CONSUMER_OFFSET_IN_BROKER",
	DeleteTopicInBroker:                  "DELETE_TOPIC_IN_BROKER",
	DeleteTopicInNameServer:              "DELETE_TOPIC_IN_NAMESRV",
	RegisterTopicInNameServer:            "REGISTER_TOPIC_IN_NAMESRV",
	GetKVListByNamespace:                 "GET_KVLIST_BY_NAMESPACE",
	ResetConsumerClientOffset:            "RESET_CONSUMER_CLIENT_OFFSET",
	GetConsumerStatusFromClient:          "GET_CONSUMER_STATUS_FROM_CLIENT",
	InvokeBrokerToResetOffset:            "INVOKE_BROKER_TO_RESET_OFFSET",
	InvokeBrokerToGetConsumerStatus:      "INVOKE_BROKER_TO_GET_CONSUMER_STATUS",
	GetTopicsByCluster:                   "GET_TOPICS_BY_CLUSTER",
	UpdateAndCreateSubscriptionGroupList: "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST",
	QueryTopicConsumeByWho:               "QUERY_TOPIC_CONSUME_BY_WHO",
	QueryConsumeTimeSpan:                 "QUERY_CONSUME_TIME_SPAN",
	GetSystemTopicListFromNameServer:     "GET_SYSTEM_TOPIC_LIST_FROM_NS",
	GetSystemTopicListFromBroker:         "GET_SYSTEM_TOPIC_LIST_FROM_BROKER",
	CleanExpiredConsumeQueue:             "CLEAN_EXPIRED_CONSUMEQUEUE",
	GetConsumerRunningInfo:               "GET_CONSUMER_RUNNING_INFO",
	QueryCorrectionOffset:                "QUERY_CORRECTION_OFFSET",
	ConsumeMessageDirectly:               "CONSUME_MESSAGE_DIRECTLY",
	SendMessageV2:                        "SEND_MESSAGE_V2",
	GetUnitTopicList:                     "GET_UNIT_TOPIC_LIST",
	GetHasUnitSubTopicList:               "GET_HAS_UNIT_SUB_TOPIC_LIST",
	GetHasUnitSubUnunitTopicList:         "GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST",
	CloneGroupOffset:                     "CLONE_GROUP_OFFSET",
	ViewBrokerStatsData:                  "VIEW_BROKER_STATS_DATA",
	CleanUnusedTopic:                     "CLEAN_UNUSED_TOPIC",
	GetBrokerConsumeStats:                "GET_BROKER_CONSUME_STATS",
	UpdateNameServerConfig:               "UPDATE_NAMESRV_CONFIG",
	GetNameServerConfig:                  "GET_NAMESRV_CONFIG",
	SendBatchMessage:                     "SEND_BATCH_MESSAGE",
	QueryConsumeQueue:                    "QUERY_CONSUME_QUEUE",
	QueryDataVersion:                     "QUERY_DATA_VERSION",
	ResumeCheckHalfMessage:               "RESUME_CHECK_HALF_MESSAGE",
	SendReplyMessage:                     "SEND_REPLY_MESSAGE",
	SendReplyMessageV2:                   "SEND_REPLY_MESSAGE_V2",
	PushReplyMessageToClient:             "PUSH_REPLY_MESSAGE_TO_CLIENT",
	AddWritePermOfBroker:                 "ADD_WRITE_PERM_OF_BROKER",
	GetAllProducerInfo:                   "GET_ALL_PRODUCER_INFO",
	DeleteExpiredCommitLog:               "DELETE_EXPIRED_COMMITLOG",
	QueryTopicsByConsumer:                "QUERY_TOPICS_BY_CONSUMER",
	QuerySubscriptionByConsumer:          "QUERY_SUBSCRIPTION_BY_CONSUMER",
	GetTopicConfig:                       "GET_TOPIC_CONFIG",
	GetSubscriptionGroupConfig:           "GET_SUBSCRIPTIONGROUP_CONFIG",
	UpdateAndGetGroupForbidden:           "UPDATE_AND_GET_GROUP_FORBIDDEN",
	LitePullMessage:                      "LITE_PULL_MESSAGE",
	RecallMessage:                        "RECALL_MESSAGE",
	QueryAssignment:                      "QUERY_ASSIGNMENT",
	SetMessageRequestMode:                "SET_MESSAGE_REQUEST_MODE",
	GetAllMessageRequestMode:             "GET_ALL_MESSAGE_REQUEST_MODE",
	UpdateAndCreateStaticTopic:           "UPDATE_AND_CREATE_STATIC_TOPIC",
	GetBrokerMemberGroup:                 "GET_BROKER_MEMBER_GROUP",
	AddBroker:                            "ADD_BROKER",
	RemoveBroker:                         "REMOVE_BROKER",
	BrokerHeartbeat:                      "BROKER_HEARTBEAT",
	NotifyMinBrokerIDChange:              "NOTIFY_MIN_BROKER_ID_CHANGE",
	ExchangeBrokerHAInfo:                 "EXCHANGE_BROKER_HA_INFO",
	GetBrokerHAStatus:                    "GET_BROKER_HA_STATUS",
	ResetMasterFlushOffset:               "RESET_MASTER_FLUSH_OFFSET",
	ControllerAlterSyncStateSet:          "CONTROLLER_ALTER_SYNC_STATE_SET",
	ControllerElectMaster:                "CONTROLLER_ELECT_MASTER",
	ControllerRegisterBroker:             "CONTROLLER_REGISTER_BROKER",
	ControllerGetReplicaInfo:             "CONTROLLER_GET_REPLICA_INFO",
	ControllerGetMetadataInfo:            "CONTROLLER_GET_METADATA_INFO",
	ControllerGetSyncStateData:           "CONTROLLER_GET_SYNC_STATE_DATA",
	GetBrokerEpochCache:                  "GET_BROKER_EPOCH_CACHE",
	NotifyBrokerRoleChanged:              "NOTIFY_BROKER_ROLE_CHANGED",
	UpdateControllerConfig:               "UPDATE_CONTROLLER_CONFIG",
	GetControllerConfig:                  "GET_CONTROLLER_CONFIG",
	CleanBrokerData:                      "CLEAN_BROKER_DATA",
	ControllerGetNextBrokerID:            "CONTROLLER_GET_NEXT_BROKER_ID",
	ControllerApplyBrokerID:              "CONTROLLER_APPLY_BROKER_ID",
	BrokerCloseChannelRequest:            "BROKER_CLOSE_CHANNEL_REQUEST",
	CheckNotActiveBrokerRequest:          "CHECK_NOT_ACTIVE_BROKER_REQUEST",
	GetBrokerLiveInfoRequest:             "GET_BROKER_LIVE_INFO_REQUEST",
	GetSyncStateDataRequest:              "GET_SYNC_STATE_DATA_REQUEST",
	RaftBrokerHeartBeatEventRequest:      "RAFT_BROKER_HEART_BEAT_EVENT_REQUEST",
	UpdateColdDataFlowCtrConfig:          "UPDATE_COLD_DATA_FLOW_CTR_CONFIG",
	RemoveColdDataFlowCtrConfig:          "REMOVE_COLD_DATA_FLOW_CTR_CONFIG",
	GetColdDataFlowCtrInfo:               "GET_COLD_DATA_FLOW_CTR_INFO",
	SetCommitLogReadMode:                 "SET_COMMITLOG_READ_MODE",
	AuthCreateUser:                       "AUTH_CREATE_USER",
	AuthUpdateUser:                       "AUTH_UPDATE_USER",
	AuthDeleteUser:                       "AUTH_DELETE_USER",
	AuthGetUser:                          "AUTH_GET_USER",
	AuthListUser:                         "AUTH_LIST_USER",
	AuthCreateACL:                        "AUTH_CREATE_ACL",
	AuthUpdateACL:                        "AUTH_UPDATE_ACL",
	AuthDeleteACL:                        "AUTH_DELETE_ACL",
	AuthGetACL:                           "AUTH_GET_ACL",
	AuthListACL:                          "AUTH_LIST_ACL",
	PopMessage:                           "POP_MESSAGE",
	AckMessage:                           "ACK_MESSAGE",
	PeekMessage:                          "PEEK_MESSAGE",
	ChangeMessageInvisibleTime:           "CHANGE_MESSAGE_INVISIBLETIME",
	Notification:                         "NOTIFICATION",
	PollingInfo:                          "POLLING_INFO",
	PopRollback:                          "POP_ROLLBACK",
	BatchAckMessage:                      "BATCH_ACK_MESSAGE",
}

// RequestName is Java's name of a request's code, for logs and metrics; a code without one is its number.
func RequestName(code int) string { return nameOf(requestNames, code) }

func nameOf(names map[int]string, code int) string {
	if name, ok := names[code]; ok {
		return name
	}
	return strconv.Itoa(code)
}
