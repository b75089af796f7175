package rocketmq

// 306 CLEAN_EXPIRED_CONSUMEQUEUE, 316 CLEAN_UNUSED_TOPIC, 329 DELETE_EXPIRED_COMMITLOG
//
// Supported: the log cleans itself all the time: there is nothing to do.
func (s *Server) clean(*request) (answer, error) { return answer{}, nil }
