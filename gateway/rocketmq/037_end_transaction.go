package rocketmq

import (
	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 037 END_TRANSACTION, 039 CHECK_TRANSACTION_STATE
//
// Supported: commit, rollback and unknown, from the producer or after it was asked; any client of the
// producer's group is asked, in turn; when none is connected the first that comes is asked at once.
// Left out: nothing is stored in RMQ_SYS_TRANS_OP_HALF_TOPIC; positions of a half message stay good after a
// check.
func (s *Server) endTransaction(r *request) (answer, error) {
	group, err := r.text("producerGroup")
	if err != nil {
		return answer{}, err
	}
	at, err := r.number("commitLogOffset")
	if err != nil {
		return answer{}, err
	}
	offset, err := r.number("tranStateTableOffset")
	if err != nil {
		return answer{}, err
	}
	decision := queue.Undecided
	switch r.numberOr("commitOrRollback", 0) {
	case 0x8:
		decision = queue.Commit
	case 0xc:
		decision = queue.Rollback
	case 0:
		return answer{}, errLater // it will be asked again; the stock broker does not answer either
	}
	reply := r.reply
	half := queue.Half{Group: group, Position: message.Position(at), Offset: uint64(offset)}
	err = s.queues.End(r.ctx, half, decision, func(err error) {
		if err != nil {
			reply.fail(err)
			return
		}
		reply.send(answer{})
	})
	if err != nil {
		return answer{}, refuse(remoting.SystemError, "%v", err)
	}
	return answer{}, errLater
}

// checkTransaction asks one of the clients of a producer group what became of a half message.
func (s *Server) checkTransaction(group string, half *queue.Message) bool {
	all := s.members.producing(group)
	if len(all) == 0 {
		return false
	}
	c := all[int(s.turn.Add(1))%len(all)].conn
	body, err := s.appendMessage(nil, c, half)
	if err != nil {
		s.log.Warn("a half message cannot be shown to its producer", "group", group, "position", half.Position, "err", err)
		return false
	}
	unique := half.Property(queue.UniqueKey)
	c.tell(remoting.CheckTransactionState, remoting.Fields{
		{Name: "topic", Value: half.Topic},
		field("tranStateTableOffset", half.Offset),
		field("commitLogOffset", half.Position),
		{Name: "msgId", Value: unique},
		{Name: "transactionId", Value: unique},
		{Name: "offsetMsgId", Value: remoting.OffsetID(s.host(c), uint64(half.Position))},
		{Name: "bname", Value: s.options.Name},
	}, body)
	return true
}
