package rocketmq

// 328 GET_ALL_PRODUCER_INFO
//
// Supported: the clients of all producer groups, with address, language, version and when they were heard of last.
func (s *Server) allProducers(*request) (answer, error) {
	type producer struct {
		Client   string `json:"clientId"`
		Language string `json:"language"`
		Seen     int64  `json:"lastUpdateTimestamp"`
		Address  string `json:"remoteIP"`
		Version  int    `json:"version"`
	}
	table := make(map[string][]producer)
	s.members.eachProducer(func(group string, one *member) {
		table[group] = append(table[group], producer{
			one.client, one.peer.language.String(), one.seen.UnixMilli(), one.conn.remote.String(), one.peer.version,
		})
	})
	body, err := jsonBody(struct {
		Data map[string][]producer `json:"data"`
	}{table})
	return answer{body: body}, err
}

// eachProducer visits the members of all producer groups.
func (m *members) eachProducer(visit func(group string, one *member)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for group, all := range m.producers {
		for _, one := range sorted(all) {
			visit(group, one)
		}
	}
}
