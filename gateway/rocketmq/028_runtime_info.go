package rocketmq

import (
	"fmt"
	"strconv"
	"time"
)

// 028 GET_BROKER_RUNTIME_INFO
//
// Supported: every key that the exporter, the dashboard and mqadmin read, in their formats. Messages, bytes, rates, how long
// sends took until they were durable, the log's positions, its size and its limit are measured. What goes over MQTT
// is not counted as put and got.
// Left out: what the gateway does not have is 0: thread pools and their queues, page cache locks, a transient store
// pool, a dispatcher that may be behind; how long a read took at most; the timers' progress.
func (s *Server) runtimeInfo(*request) (answer, error) {
	body, err := jsonBody(struct {
		Table map[string]string `json:"table"`
	}{s.runtimeTable(s.now())})
	return answer{body: body}, err
}

func (s *Server) runtimeTable(now time.Time) map[string]string {
	f := &s.stats.flows
	in, out := f.in.now(now), f.out.now(now)
	first, last := s.queues.Reach()
	used, limit := s.queues.Room()
	ratio := 0.0
	if limit > 0 {
		ratio = float64(used) / float64(limit)
	}
	average := 0.0
	if in.messages > 0 {
		average = float64(in.bytes) / float64(in.messages)
	}
	earliest := int64(-1)
	if m, err := s.queues.At(first); err == nil {
		earliest = m.StoreTime
	}
	days := s.stats.days()
	pending := s.queues.Pending()
	table := map[string]string{
		"brokerVersion": strconv.Itoa(brokerVersion), "brokerVersionDesc": brokerVersionName, "brokerActive": "true",
		"bootTimestamp": number10(s.started.UnixMilli()), "startAcceptSendRequestTimeStamp": number10(s.started.UnixMilli()),
		"runtime": elapsed(now.Sub(s.started)),

		"msgPutTotalTodayNow": number10(in.messages), "msgGetTotalTodayNow": number10(out.messages),
		"msgPutTotalTodayMorning": number10(days.today.in), "msgGetTotalTodayMorning": number10(days.today.out),
		"msgPutTotalYesterdayMorning": number10(days.yesterday.in), "msgGetTotalYesterdayMorning": number10(days.yesterday.out),
		"putMessageTimesTotal": number10(in.messages), "putMessageSizeTotal": number10(in.bytes),
		"putMessageAverageSize":   strconv.FormatFloat(average, 'f', -1, 64),
		"putMessageEntireTimeMax": number10(s.stats.puts.longest.Load()), "putMessageDistributeTime": s.stats.puts.String(),
		"putLatency99": number10(s.stats.puts.most(99, 100)), "putLatency999": number10(s.stats.puts.most(999, 1000)),
		"putMessageFailedTimes":   "0", // who is refused is told so, and nothing is half put
		"getMessageEntireTimeMax": "0",
		"putTps":                  f.in.rates(sample.count), "getFoundTps": f.out.rates(sample.calls), "getMissTps": f.missed.rates(sample.calls),
		"getTransferredTps": f.out.rates(sample.count), "getTransferedTps": f.out.rates(sample.count),

		"commitLogMinOffset": number10(first), "commitLogMaxOffset": number10(last), "earliestMessageTimeStamp": number10(earliest),
		"commitLogDirCapacity": fmt.Sprintf("Total : %s, Free : %s.", gibibytes(limit), gibibytes(max(limit-used, 0))),
		"commitLogDiskRatio":   strconv.FormatFloat(ratio, 'f', -1, 64), "consumeQueueDiskRatio": strconv.FormatFloat(ratio, 'f', -1, 64),
		"remainHowManyDataToFlush": "0 B",

		"timerReadBehind": "0", "timerOffsetBehind": "0", "timerCongestNum": number10(pending.Delayed),
		"timerEnqueueTps": "0.0", "timerDequeueTps": "0.0",
	}
	found, missed := f.out.recentRates(sample.calls), f.missed.recentRates(sample.calls)
	table["getTotalTps"] = fmt.Sprintf("%.2f %.2f %.2f", found[0]+missed[0], found[1]+missed[1], found[2]+missed[2])
	for _, none := range []string{"dispatchBehindBytes", "dispatchMaxBuffer", "pageCacheLockTimeMills", "remainTransientStoreBufferNumbs"} {
		table[none] = "0"
	}
	for _, pool := range []string{"send", "pull", "litePull", "query", "ack"} {
		for _, of := range []string{"ThreadPoolQueueSize", "ThreadPoolQueueCapacity", "ThreadPoolQueueHeadWaitTimeMills"} {
			table[pool+of] = "0"
		}
	}
	table["EndTransactionQueueSize"], table["EndTransactionThreadPoolQueueCapacity"] = "0", "0"
	return table
}

func number10[T ~int | ~int64 | ~uint64](n T) string { return strconv.FormatInt(int64(n), 10) }

// gibibytes writes a size as Java brokers do, in two words.
func gibibytes(size int64) string { return fmt.Sprintf("%.1f GiB", float64(size)/(1<<30)) }

// elapsed writes how long something runs as Java brokers do.
func elapsed(d time.Duration) string {
	seconds := int64(d.Seconds())
	return fmt.Sprintf("[ %d days, %d hours, %d minutes, %d seconds ]", seconds/86400, seconds/3600%24, seconds/60%60, seconds%60)
}
