package rocketmq

import (
	"slices"

	"sluice/gateway/remoting"
)

// 100 PUT_KV_CONFIG, 101 GET_KV_CONFIG, 102 DELETE_KV_CONFIG, 219 GET_KVLIST_BY_NAMESPACE
//
// Supported: the name server's table of values by namespace and key; it outlives restarts. An orderTopicConf in
// the namespace ORDER_TOPIC_CONFIG becomes part of its topic's route.
// Left out: a value has at most about a kilobyte.
func (s *Server) putKV(r *request) (answer, error) {
	namespace, key, err := r.kvKey()
	if err != nil {
		return answer{}, err
	}
	value, err := r.text("value")
	if err != nil {
		return answer{}, err
	}
	return answer{}, s.queues.PutNote(r.ctx, value, kvNote, namespace, key)
}

func (s *Server) getKV(r *request) (answer, error) {
	namespace, key, err := r.kvKey()
	if err != nil {
		return answer{}, err
	}
	value, known := s.queues.Note(kvNote, namespace, key)
	if !known {
		return answer{}, refuse(remoting.QueryNotFound, "No config item, Namespace: %s Key: %s", namespace, key)
	}
	return answer{fields: remoting.Fields{{Name: "value", Value: value}}}, nil
}

func (s *Server) deleteKV(r *request) (answer, error) {
	namespace, key, err := r.kvKey()
	if err != nil {
		return answer{}, err
	}
	return answer{}, s.queues.DropNote(r.ctx, kvNote, namespace, key)
}

func (s *Server) listKV(r *request) (answer, error) {
	namespace, err := r.text("namespace")
	if err != nil {
		return answer{}, err
	}
	table := make(map[string]string)
	for _, one := range s.queues.Notes(kvNote, namespace) {
		if len(one.Parts) == 3 {
			table[one.Parts[2]] = one.Text
		}
	}
	if len(table) == 0 {
		return answer{}, refuse(remoting.QueryNotFound, "No config item, Namespace: %s", namespace)
	}
	body, err := jsonBody(struct {
		Table map[string]string `json:"table"`
	}{table})
	return answer{body: body}, err
}

// kvNote is the kind of notes that the table is made of.
const kvNote = "kv"

func (r *request) kvKey() (namespace, key string, err error) {
	if namespace, err = r.text("namespace"); err != nil {
		return "", "", err
	}
	if key, err = r.text("key"); err != nil {
		return "", "", err
	}
	if slices.Contains([]byte(namespace+key), 0) {
		return "", "", refuse(remoting.InvalidParameter, "a namespace or a key with U+0000")
	}
	return namespace, key, nil
}
