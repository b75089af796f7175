package rocketmq

// 311 GET_UNIT_TOPIC_LIST, 312 GET_HAS_UNIT_SUB_TOPIC_LIST, 313 GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST
//
// Supported: the list, which is empty.
// Left out: units.
func (s *Server) unitTopics(*request) (answer, error) { return listOfTopics(nil, "") }
