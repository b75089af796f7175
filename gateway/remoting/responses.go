package remoting

// The codes of responses. For a message that was sent, Success, FlushDiskTimeout, SlaveNotAvailable
// and FlushSlaveTimeout all mean stored.
const (
	Success                    = 0
	SystemError                = 1
	SystemBusy                 = 2
	RequestCodeNotSupported    = 3
	TransactionFailed          = 4
	FlushDiskTimeout           = 10
	SlaveNotAvailable          = 11
	FlushSlaveTimeout          = 12
	MessageIllegal             = 13
	ServiceNotAvailable        = 14
	VersionNotSupported        = 15
	NoPermission               = 16
	TopicNotExist              = 17
	TopicExistAlready          = 18
	PullNotFound               = 19
	PullRetryImmediately       = 20
	PullOffsetMoved            = 21
	QueryNotFound              = 22
	SubscriptionParseFailed    = 23
	SubscriptionNotExist       = 24
	SubscriptionNotLatest      = 25
	SubscriptionGroupNotExist  = 26
	FilterDataNotExist         = 27
	FilterDataNotLatest        = 28
	InvalidParameter           = 29
	TransactionShouldCommit    = 200
	TransactionShouldRollback  = 201
	TransactionStateUnknown    = 202
	TransactionStateGroupWrong = 203
	NoBuyerID                  = 204
	NotInCurrentUnit           = 205
	ConsumerNotOnline          = 206
	ConsumeMsgTimeout          = 207
	NoMessage                  = 208
	PollingFull                = 209
	PollingTimeout             = 210
	BrokerNotExist             = 211
	BrokerDispatchNotComplete  = 212
	BroadcastConsumption       = 213
	FlowControl                = 215
	NotLeaderForQueue          = 501
	IllegalOperation           = 604
	GoAway                     = 1500
	UserNotExist               = 3001
	PolicyNotExist             = 3002
)

var responseNames = map[int]string{
	Success:                    "SUCCESS",
	SystemError:                "SYSTEM_ERROR",
	SystemBusy:                 "SYSTEM_BUSY",
	RequestCodeNotSupported:    "REQUEST_CODE_NOT_SUPPORTED",
	TransactionFailed:          "TRANSACTION_FAILED",
	FlushDiskTimeout:           "FLUSH_DISK_TIMEOUT",
	SlaveNotAvailable:          "SLAVE_NOT_AVAILABLE",
	FlushSlaveTimeout:          "FLUSH_SLAVE_TIMEOUT",
	MessageIllegal:             "MESSAGE_ILLEGAL",
	ServiceNotAvailable:        "SERVICE_NOT_AVAILABLE",
	VersionNotSupported:        "VERSION_NOT_SUPPORTED",
	NoPermission:               "NO_PERMISSION",
	TopicNotExist:              "TOPIC_NOT_EXIST",
	TopicExistAlready:          "TOPIC_EXIST_ALREADY",
	PullNotFound:               "PULL_NOT_FOUND",
	PullRetryImmediately:       "PULL_RETRY_IMMEDIATELY",
	PullOffsetMoved:            "PULL_OFFSET_MOVED",
	QueryNotFound:              "QUERY_NOT_FOUND",
	SubscriptionParseFailed:    "SUBSCRIPTION_PARSE_FAILED",
	SubscriptionNotExist:       "SUBSCRIPTION_NOT_EXIST",
	SubscriptionNotLatest:      "SUBSCRIPTION_NOT_LATEST",
	SubscriptionGroupNotExist:  "SUBSCRIPTION_GROUP_NOT_EXIST",
	FilterDataNotExist:         "FILTER_DATA_NOT_EXIST",
	FilterDataNotLatest:        "FILTER_DATA_NOT_LATEST",
	InvalidParameter:           "INVALID_PARAMETER",
	TransactionShouldCommit:    "TRANSACTION_SHOULD_COMMIT",
	TransactionShouldRollback:  "TRANSACTION_SHOULD_ROLLBACK",
	TransactionStateUnknown:    "TRANSACTION_STATE_UNKNOW",
	TransactionStateGroupWrong: "TRANSACTION_STATE_GROUP_WRONG",
	NoBuyerID:                  "NO_BUYER_ID",
	NotInCurrentUnit:           "NOT_IN_CURRENT_UNIT",
	ConsumerNotOnline:          "CONSUMER_NOT_ONLINE",
	ConsumeMsgTimeout:          "CONSUME_MSG_TIMEOUT",
	NoMessage:                  "NO_MESSAGE",
	PollingFull:                "POLLING_FULL",
	PollingTimeout:             "POLLING_TIMEOUT",
	BrokerNotExist:             "BROKER_NOT_EXIST",
	BrokerDispatchNotComplete:  "BROKER_DISPATCH_NOT_COMPLETE",
	BroadcastConsumption:       "BROADCAST_CONSUMPTION",
	FlowControl:                "FLOW_CONTROL",
	NotLeaderForQueue:          "NOT_LEADER_FOR_QUEUE",
	IllegalOperation:           "ILLEGAL_OPERATION",
	GoAway:                     "GO_AWAY",
	UserNotExist:               "USER_NOT_EXIST",
	PolicyNotExist:             "POLICY_NOT_EXIST",
}

// ResponseName is Java's name of a response's code, for logs and metrics; a code without one is its number.
func ResponseName(code int) string { return nameOf(responseNames, code) }
