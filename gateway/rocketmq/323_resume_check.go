package rocketmq

import (
	"sluice/gateway/message"
	"sluice/gateway/remoting"
)

// 323 RESUME_CHECK_HALF_MESSAGE
//
// Supported: producers are asked again about a half message that was set aside since nobody decided about it.
func (s *Server) resumeCheck(r *request) (answer, error) {
	id, err := r.text("msgId")
	if err != nil {
		return answer{}, err
	}
	_, at, err := remoting.ParseOffsetID(id)
	if err != nil {
		return answer{}, refuse(remoting.InvalidParameter, "%s", err)
	}
	reply := r.reply
	if err := s.queues.Resume(r.ctx, message.Position(at), func(err error) {
		if err != nil {
			reply.fail(err)
			return
		}
		reply.send(answer{})
	}); err != nil {
		return answer{}, err
	}
	return answer{}, errLater
}
