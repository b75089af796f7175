package rocketmq

import (
	"maps"
	"sync"
	"time"
)

// 041 LOCK_BATCH_MQ, 042 UNLOCK_BATCH_MQ
//
// Supported: a queue is one client's of a group for 60 seconds from the last lock on; a client that is
// gone loses its own at once with its time.
// Left out: locking on other brokers of a cluster.
func (s *Server) lockQueues(r *request) (answer, error) {
	var body lockBody
	if err := r.decode(&body); err != nil {
		return answer{}, err
	}
	var locked struct {
		OK []messageQueue `json:"lockOKMQSet"`
	}
	locked.OK = s.locks.lock(body.Group, body.Client, body.Queues, s.now())
	b, err := jsonBody(locked)
	return answer{body: b}, err
}

func (s *Server) unlockQueues(r *request) (answer, error) {
	var body lockBody
	if err := r.decode(&body); err != nil {
		return answer{}, err
	}
	s.locks.unlock(body.Group, body.Client, body.Queues)
	return answer{}, nil
}

type lockBody struct {
	Group  string         `json:"consumerGroup"`
	Client string         `json:"clientId"`
	Queues []messageQueue `json:"mqSet"`
}

// messageQueue names a queue as clients do.
type messageQueue struct {
	Topic  string `json:"topic"`
	Broker string `json:"brokerName"`
	Queue  int    `json:"queueId"`
}

// lockTime is how long a queue stays locked; clients renew every 20 seconds.
const lockTime = 60 * time.Second

// maxLocks bounds the memory of locks; what is beyond is not locked.
const maxLocks = 100_000

// locks are the queues that ordered consumers have to themselves.
type locks struct {
	mu   sync.Mutex // guards what follows
	held map[lockKey]lock
}

type lockKey struct {
	group, topic string
	queue        int
}

type lock struct {
	client string
	until  time.Time
}

func (l *locks) init() { l.held = make(map[lockKey]lock) }

// lock gives those of the queues that are the client's now.
func (l *locks) lock(group, client string, queues []messageQueue, now time.Time) []messageQueue {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := []messageQueue{}
	for _, q := range queues {
		key := lockKey{group, q.Topic, q.Queue}
		held, known := l.held[key]
		if known && held.client != client && now.Before(held.until) {
			continue
		}
		if !known && len(l.held) >= maxLocks {
			maps.DeleteFunc(l.held, func(_ lockKey, old lock) bool { return !now.Before(old.until) })
			if len(l.held) >= maxLocks {
				continue
			}
		}
		l.held[key] = lock{client, now.Add(lockTime)}
		mine = append(mine, q)
	}
	return mine
}

// holds says whether a client of a group has any queue to itself.
func (l *locks) holds(group string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, held := range l.held {
		if key.group == group && now.Before(held.until) {
			return true
		}
	}
	return false
}

func (l *locks) unlock(group, client string, queues []messageQueue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range queues {
		key := lockKey{group, q.Topic, q.Queue}
		if l.held[key].client == client {
			delete(l.held, key)
		}
	}
}
