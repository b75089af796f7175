package mqtt

import (
	"slices"

	"sluice/gateway/message"
)

// memoryShare is a shared subscription of a memoryLog: whoever of its members asks first gets the next
// message. It is guarded by log.mu.
type memoryShare struct {
	group, filter string
	members       []*memorySubscription
	next          int                                      // index of the next record
	back          []message.Record                         // given and not done by who has left
	given         map[message.Position]*memorySubscription // not done
}

func (s *memorySubscription) Join(group, filter string, _ bool) (int, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	i := slices.IndexFunc(s.log.shares, func(x *memoryShare) bool { return x.group == group && x.filter == filter })
	if i < 0 {
		i = len(s.log.shares)
		s.log.shares = append(s.log.shares, &memoryShare{
			group: group, filter: filter, next: len(s.log.records), given: make(map[message.Position]*memorySubscription),
		})
	}
	share := s.log.shares[i]
	share.members = append(share.members, s)
	s.shares = append(s.shares, share)
	return len(s.shares), nil
}

func (s *memorySubscription) Leave(number int, _ bool) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.leaveLocked(number)
}

func (s *memorySubscription) leaveLocked(number int) {
	share := s.shares[number-1]
	if share == nil {
		return
	}
	s.shares[number-1] = nil
	i := slices.Index(share.members, s)
	share.members = slices.Delete(share.members, i, i+1)
	for at, whose := range share.given {
		if whose == s {
			delete(share.given, at)
			share.back = append(share.back, s.log.records[at-1])
		}
	}
	if len(share.members) == 0 {
		s.log.shares = slices.DeleteFunc(s.log.shares, func(x *memoryShare) bool { return x == share })
	}
	close(s.log.grown)
	s.log.grown = make(chan struct{})
}

func (s *memorySubscription) Done(number int, at message.Position) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if share := s.shares[number-1]; share != nil {
		delete(share.given, at)
	}
}

// sharedLocked appends what the shared subscriptions have for s.
func (s *memorySubscription) sharedLocked(dst []message.Delivery, most int) []message.Delivery {
	for i, share := range s.shares {
		for share != nil && len(dst) < most {
			var record message.Record
			if len(share.back) > 0 {
				record, share.back = share.back[0], share.back[1:]
			} else if share.next < len(s.log.records) {
				record = s.log.records[share.next]
				share.next++
			} else {
				break
			}
			if message.Match(share.filter, record.Topic) {
				share.given[record.Position] = s
				dst = append(dst, message.Delivery{Record: record, Share: i + 1})
			}
		}
	}
	return dst
}
